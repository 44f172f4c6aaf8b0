"""How a figure is written for people: its value, its interval, or why there is none.

Knows units and sample floors; knows nothing of targets, charts or HTML.
"""

import math
from dataclasses import dataclass

from observatory.core.floors import needs_text
from observatory.core.metric import BY_NAME, has_trait
from observatory.core.reasons import ENERGY_GATES, reason_words
from observatory.core.units import human_number, human_seconds
from observatory.presentation.dollars import write_usd

DASH = "–"

STATISTICS = {
    "value": "",
    "mean": "mean",
    "p50": "median",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "p999": "p99.9",
}
BASES = {
    "measured": "measured by an instrument or counted",
    "estimated": "estimated from a model of the hardware, not metered",
    "modelled": "modelled by a third party from public assumptions, not metered",
    "list_price": "the provider's public list price",
    "stated": "a price or rate stated by the person who ran this",
    "example": "a round stand-in, no provider's real price",
    "emulated": "from a seeded stand-in: no real service behaved or charged so",
}
PACED_S = 1e-3
"""A shorter mean wait than this is the loop's own, not a limit's."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of stage_metrics; value, low, high and bound are in the metric's own unit."""

    metric: str
    statistic: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    n: int | None = None
    needs_n: int | None = None
    basis: str | None = None
    reason: str | None = None
    scopes: str | None = None
    effective_n: int | None = None
    needs_s: float | None = None

    @property
    def unit(self) -> str:
        """The unit of the metric table; "" for a metric that it does not know."""
        metric = BY_NAME.get(self.metric)
        return metric.unit if metric else ""

    @property
    def title(self) -> str:
        """What it is, in words, its statistic included."""
        return figure_title(self.metric, self.statistic)

    @property
    def reached_by_failures(self) -> bool:
        """Failures, which count as infinitely slow, reach this percentile."""
        return (self.value is None and self.reason == "failures") or _infinite(self.value)

    @property
    def below_floor(self) -> bool:
        """Whether it is computed from too few requests, or too few independent ones."""
        return (
            self.value is None
            and self.n is not None
            and self.needs_n is not None
            and self.independent < self.needs_n
        )

    @property
    def independent(self) -> int:
        """The number of independent requests with as much evidence as those it was computed from."""
        return (self.n or 0) if self.effective_n is None else self.effective_n

    @property
    def drawable(self) -> bool:
        """It has a finite value."""
        return self.value is not None and math.isfinite(self.value)

    @property
    def text(self) -> str:
        """The value, or in its place what is known, in a few words."""
        if self.reached_by_failures:
            return "> timeout"
        if self.value is not None and self.drawable:
            return write(self.value, self.unit, self.metric)
        if self.below_floor:
            about = "about " if self.independent < (self.n or 0) else ""
            return f"needs {self.needs_n:,}, has {about}{self.independent:,}"
        return "withheld" if self.withheld else DASH

    @property
    def withheld(self) -> bool:
        """It could be computed, and a gate of the energy's validity did not let it pass."""
        return self.value is None and (self.reason or "").startswith(ENERGY_GATES)

    @property
    def interval(self) -> str | None:
        """The 95 % interval, such as "117–129 ms"; None where it has neither end."""
        if not self.drawable or (self.low is None and not _finite(self.high)):
            return None
        if self.low is None:
            return f"up to {write(self.high or 0.0, self.unit, self.metric)}"
        if self.high is None:
            return f"{write(self.low, self.unit, self.metric)} or more"
        return write_interval(self.low, self.high, self.unit, self.metric)

    @property
    def note(self) -> str | None:
        """Why there is no value and the bound that the data support, or why it is doubtful."""
        reason = reason_words(self.reason or "")
        if self.below_floor and self.independent < (self.n or 0):
            reason = needs_text(self.needs_n or 0, self.n or 0, self.effective_n, self.needs_s)
        bound = ""
        if not self.drawable and self.bound is not None and math.isfinite(self.bound):
            words = "more than" if self.reached_by_failures else "at least"
            bound = f"{words} {write(self.bound, self.unit, self.metric)}"
        return "; ".join(part for part in (bound, reason) if part) or None

    @property
    def modelled(self) -> str | None:
        """Return its basis where it was not simply measured.

        An emulated target is marked in every row and key, so only its money is marked again.
        """
        if not self.drawable or self.basis in (None, "measured"):
            return None
        return None if self.basis == "emulated" and self.unit != "USD" else self.basis


def write_interval(low: float, high: float, unit: str, metric: str = "") -> str:
    """Return both ends of an interval, with the unit once where they share it: "117–129 ms"."""
    if math.isinf(high):
        return f"{write(low, unit, metric)} to > timeout"
    first, last = write(low, unit, metric), write(high, unit, metric)
    number, _, shared = first.rpartition(" ")
    if number and last.endswith(f" {shared}"):
        return f"{number}–{last}"
    if first.startswith("$") and last.startswith("$"):
        return f"{first}–{last[1:]}"
    return f"{first} – {last}" if number else f"{first}–{last}"


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _infinite(value: float | None) -> bool:
    return value is not None and math.isinf(value)


def figure_title(metric: str, statistic: str) -> str:
    """Return a metric's title with its statistic, e.g. "Time to first token, median"."""
    known = BY_NAME.get(metric)
    stem, ok, _ = statistic.partition("_ok")
    words = STATISTICS.get(stem, stem)
    title = known.title if known else metric
    title = f"{title}, {words}" if words else title
    return f"{title} (successes only)" if ok else title


def write(value: float, unit: str, metric: str = "") -> str:
    """Return a number with its unit, in three significant digits; infinity is a timeout."""
    if math.isinf(value):
        return "> timeout"
    match unit:
        case "s":
            return human_seconds(value if abs(value) >= 1e-9 else 0.0)
        case "USD":
            return write_usd(value)
        case "%":
            return f"{human_number(value * 100)} %"
        case "1" if has_trait(metric, "share") or metric.endswith("_fraction"):
            return f"{human_number(value * 100)} %"
        case "1":
            return f"{value:.2f}"
        case "B":
            return write_bytes(value)
        case "B/s":
            return f"{write_bytes(value)}/s"
        case "1/s" | "1/J":
            return f"{human_number(value)} {unit[1:]}"
        case "":
            return human_number(value)
    return f"{human_number(value)} {unit}"


def write_bytes(value: float) -> str:
    """Return bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{human_number(value)} {unit}"
        value /= 1024
    return f"{human_number(value)} TiB"


@dataclass(frozen=True, slots=True)
class StageFigures:
    """All figures of one stage, looked up by metric and statistic."""

    by_key: dict[tuple[str, str], Figure]

    def get(self, metric: str, statistic: str = "value") -> Figure:
        """Return the figure; one without value and with reason not_computed where the table has none."""
        figure = self.by_key.get((metric, statistic))
        return figure or Figure(metric, statistic, reason="not_computed")

    @property
    def held_up(self) -> bool:
        """Return whether attempts were refused at this load, or requests were held back on purpose."""
        refused, paced = self.get("throttle_rate").value, self.get("pace_wait_s", "mean").value
        return (refused or 0.0) > 0 or (paced or 0.0) > PACED_S
