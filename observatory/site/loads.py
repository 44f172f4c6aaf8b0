"""What a stage asked of a target: its level, how it is written, and what its axis is called."""

from dataclasses import dataclass

from observatory.core.counted_nouns import count_of
from observatory.core.units import human_number
from observatory.presentation.figures import Row


@dataclass(frozen=True, slots=True)
class Load:
    """One stage's level: simulated users (closed loop) or requests a second (open loop)."""

    stage: int
    kind: str
    level: float

    @property
    def closed(self) -> bool:
        """Closed loop: the level counts users."""
        return self.kind not in ("constant", "poisson")

    @property
    def text(self) -> str:
        """The level in words."""
        if self.closed:
            return count_of(round(self.level), "user")
        return f"{human_number(self.level)} request{'' if self.level == 1 else 's'}/s"

    @property
    def axis(self) -> str:
        """The title of an axis of such levels."""
        return "Users at once" if self.closed else "Requests asked for a second"


def load_of(stage: Row) -> Load:
    """The load of a row of stages."""
    level = stage["concurrency"] if stage["concurrency"] is not None else stage["rate_per_s"]
    return Load(stage=stage["stage"], kind=stage["kind"], level=float(level or 0))
