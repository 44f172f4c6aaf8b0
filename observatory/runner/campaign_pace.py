"""How long a campaign will still take: its stages, and what the executions so far took in addition."""

import time
from collections.abc import Sequence

from observatory.core.plan import Plan
from observatory.runner.matrix_schedule import ScheduledCell


class CampaignPace:
    """Estimates starts, idle windows and sealing from the executions that have ended."""

    def __init__(self, plan: Plan, schedule: Sequence[ScheduledCell]) -> None:
        stages_s = sum(stage.warmup_s + stage.steady_s for stage in plan.stages)
        self._load_s = [stages_s * len(scheduled.cells) for scheduled in schedule]
        self._overhead_s: list[float] = []
        self._since = time.monotonic()

    def sat(self, number: int) -> None:
        """Called when the execution of this number is over."""
        now = time.monotonic()
        self._overhead_s.append(max(0.0, now - self._since - self._load_s[number]))
        self._since = now

    def later_s(self, number: int) -> float:
        """Return what the executions after this one are expected to take, seconds."""
        rest = self._load_s[number + 1 :]
        overhead = sum(self._overhead_s) / len(self._overhead_s) if self._overhead_s else 0.0
        return sum(rest) + overhead * len(rest)
