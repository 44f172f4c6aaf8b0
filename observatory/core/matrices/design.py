"""What a matrix became: its cells as targets, and the turns in which they are measured.

Plain values: expanding a matrix is `inputs.matrix`' part, measuring it the runner's.
"""

from dataclasses import dataclass
from typing import Any

from observatory.core.targets.catalogue import Target


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting: the target that it is, and the level of each factor in it."""

    place: int
    target: Target
    factors: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Cells (by place) that are up at the same time, in a block of the design."""

    block: int
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """A whole matrix design: cells, the order of their runs, and the factors that it confounds."""

    cells: tuple[Cell, ...]
    turns: tuple[CellGroup, ...]
    repeats: int
    order: str
    together: bool
    confounded: tuple[str, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """Return the names of all factors, in the order in which they were given."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.factors))
