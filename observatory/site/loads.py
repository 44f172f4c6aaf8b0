"""The load of a stage on a target: its level, how it is written, and what its axis is called."""

from dataclasses import dataclass

from observatory.core.counted_nouns import count_of
from observatory.core.units import human_rate
from observatory.site.queries.rows import StageRow


@dataclass(frozen=True, slots=True)
class Load:
    """One stage's level: simulated users (closed loop) or requests a second (open loop)."""

    stage: int
    level: float
    open_loop: bool = False

    @property
    def text(self) -> str:
        """Return the level in words."""
        if self.open_loop:
            return human_rate(self.level)
        return count_of(round(self.level), "user")

    @property
    def axis(self) -> str:
        """Return the title of an axis of such levels."""
        return "Requests offered per second" if self.open_loop else "Users at once"


def load_of(stage: StageRow) -> Load:
    """Return the load of a row of stages."""
    users, rate_per_s = stage.concurrency, stage.rate_per_s
    open_loop = users is None and rate_per_s is not None
    level = rate_per_s if open_loop else users
    return Load(stage=stage.stage, level=float(level or 0), open_loop=open_loop)
