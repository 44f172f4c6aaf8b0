"""The style of a target on every page: its group, colour, shape, and the words after its name.

Colour comes in three families (self-hosted open, managed open, closed weights); the shape shows the
family again for eyes and printers without colour, and hollow marks with dashed lines are emulated.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from observatory.site.queries.run_row import RunRow

Family = Literal["self", "managed", "closed"]
SHADES = 4
"""Colours of one family in the stylesheet; further targets share them and differ by label."""

_SHAPES: dict[Family, str] = {"self": "circle", "managed": "square", "closed": "diamond"}


@dataclass(frozen=True, slots=True)
class TargetStyle:
    """One target's appearance. colour is a CSS colour: a variable of the stylesheet."""

    target: str
    family: Family
    shade: int
    emulated: bool

    @property
    def colour(self) -> str:
        """Return the CSS colour, light and dark handled by the stylesheet."""
        return f"var(--{self.family}-{self.shade})"

    @property
    def shape(self) -> str:
        """Return the point's shape: one for each family."""
        return _SHAPES[self.family]

    @property
    def dash(self) -> list[int]:
        """Return the line's dash pattern: solid for what is real."""
        return [5, 4] if self.emulated else [1, 0]

    @property
    def label(self) -> str:
        """Return the name for legends and tables, with a mark where it is emulated."""
        return f"{self.target} (emulated)" if self.emulated else self.target


def family_of(run: RunRow) -> Family:
    """Return the family of a row of runs."""
    if run.weights == "closed":
        return "closed"
    return "self" if run.hosting == "self" else "managed"


def group_of(run: RunRow) -> str:
    """Return hosting, weights and billing in words: what pages group by."""
    hosting = "Self-hosted" if run.hosting == "self" else "Managed"
    return f"{hosting}, {run.weights} weights, billed by {run.billing.rstrip('s')}"


def styles_of(runs: Iterable[RunRow]) -> dict[str, TargetStyle]:
    """Return a style for each target name; runs are given the latest first.

    Colours go by first appearance, so that a new target changes no older one's. A name that was used
    for different targets has the style of its latest run.
    """
    latest: dict[str, RunRow] = {}
    first: dict[str, tuple[str, str]] = {}
    for run in runs:
        latest.setdefault(run.target, run)
        first[run.target] = (str(run.created_at), run.target)
    taken: dict[Family, int] = defaultdict(int)
    styles = {}
    for target in sorted(latest, key=lambda name: first[name]):
        family = family_of(latest[target])
        shade = taken[family] % SHADES + 1
        taken[family] += 1
        styles[target] = TargetStyle(target, family, shade, latest[target].emulated)
    return styles
