"""Whether one more request may go out now: in-flight limits, the target's rate limit, the budget. Pure.

Limits are of a whole stage; each worker keeps its share of them.
"""

from typing import Literal

from observatory.load.budget import Budget
from observatory.load.handoff import Handoff
from observatory.load.rate_limit import RateLimit
from observatory.load.turn import Turn

Decision = Literal["go", "wait", "never"] | int
"""go; wait until something ends; never, for the budget is spent; or the instant (monotonic) to ask again."""


class Admission:
    """Asked before each request, told of each that begins and ends."""

    def __init__(self, handoff: Handoff, worker: int, start_ns: int) -> None:
        workers = handoff.workers
        self.budget = Budget(handoff.caps, worker, workers)
        self.in_flight = 0
        limits = [handoff.connection.max_concurrency]
        if handoff.stage.kind in ("constant", "poisson"):
            limits.append(handoff.stage.max_in_flight)
        shares = [_share(limit, worker, workers) for limit in limits if limit is not None]
        self._most = min(shares) if shares else None
        rate = handoff.connection.max_rate_per_s
        self._rate = None if rate is None else RateLimit(rate, worker, workers, start_ns)

    def ask(self, turn: Turn, now_ns: int) -> Decision:
        """What to do with `turn` at this moment."""
        worst = turn.worst_prompt_tokens, turn.worst_output_tokens
        if not self.budget.fits(*worst):
            return "wait" if self.budget.held and self.budget.could_fit(*worst) else "never"
        if self._most is not None and self.in_flight >= self._most:
            return "wait"
        later = self._rate.wait_until(now_ns) if self._rate is not None else None
        return "go" if later is None else later

    def enter(self, turn: Turn, now_ns: int) -> None:
        """It goes out."""
        self.in_flight += 1
        self.budget.hold(turn.worst_prompt_tokens, turn.worst_output_tokens)
        if self._rate is not None:
            self._rate.sent(now_ns)

    def again(self, turn: Turn) -> bool:
        """Whether a turn in flight may be tried a second time."""
        return self.budget.again(turn.worst_prompt_tokens, turn.worst_output_tokens)

    def leave(self) -> None:
        """An exchange ended; its cost is settled once it is decoded."""
        self.in_flight -= 1


def _share(limit: int, worker: int, workers: int) -> int:
    return limit // workers + (worker < limit % workers)
