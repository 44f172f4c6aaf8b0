"""What follows a refused attempt: nothing, another one after a wait, or no more of it. Pure.

Connection resets, stalls and every other failure are outcomes and are never retried.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from observatory.core.connection import Throttle
from observatory.core.record import Attempt
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight
from observatory.wires.failures.stated_wait import NOT_NOW, stated_wait_s
from observatory.wires.http_attempt import HttpAttempt

FIRST_WAIT_S = 1.0
"""Without a word from the service: this long, doubling with each further attempt."""
JITTER = 0.25
"""The share by which such a wait is longer or shorter, drawn from the seed."""
GaveUp = Literal["max_attempts", "max_wait"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A policy and its bounds, for the requests of one stage.

    refused_inside: whether an answer with a status of success is a refusal all the same.
    """

    throttle: Throttle
    seed: int
    stage: int
    refused_inside: Callable[[HttpAttempt], bool] = lambda http_attempt: False

    @property
    def retries(self) -> bool:
        """Whether the policy is any but to record."""
        return self.throttle.policy != "record"

    def after(self, in_flight: InFlight, unix_s: float) -> float | GaveUp | None:
        """Return what follows the attempt that has just ended, at `unix_s`.

        Seconds to wait before the next one; why there is none, though it was refused; None where the
        policy does not apply. A wait that would not end within max_wait is not begun.
        """
        http_attempt = in_flight.http_attempt
        if not self.retries or not self._is_refused(http_attempt):
            return None
        if http_attempt.number - in_flight.stale_attempts + 1 >= self.throttle.max_attempts:
            return "max_attempts"
        wait_s = self._wait_s(in_flight, unix_s)
        if in_flight.waited_s + wait_s > self.throttle.max_wait_s:
            return "max_wait"
        return wait_s

    def _wait_s(self, in_flight: InFlight, unix_s: float) -> float:
        """Return the wait that the service stated, to the millisecond; else doubling, with the request's own jitter."""
        response = in_flight.http_attempt.response
        stated_s = stated_wait_s(response, unix_s, refused=True) if response is not None else None
        if stated_s is not None:
            return stated_s
        number = in_flight.http_attempt.number - in_flight.stale_attempts
        key = f"retry/{self.seed}/{self.stage}/{in_flight.index}/{number}"
        drawn = random.Random(key).uniform(-JITTER, JITTER)
        return float(FIRST_WAIT_S * 2**number * (1 + drawn))

    def as_recorded(self, attempt: Attempt) -> Attempt:
        """Return an attempt as its row has it: a 503 without Retry-After is an error, but throttled under a
        policy that waits on it like on the others."""
        if self.retries and attempt.http_status == 503 and attempt.outcome == "error":
            return replace(attempt, outcome="throttled")
        return attempt

    def _is_refused(self, http_attempt: HttpAttempt) -> bool:
        if http_attempt.response is None:
            return False
        return http_attempt.response.status in NOT_NOW or self.refused_inside(http_attempt)


def retry_policy_of(handoff: Handoff, refused_inside: Callable[[HttpAttempt], bool]) -> RetryPolicy:
    """Return the retry policy of a hand-off's stage."""
    throttle, stage = handoff.connection.throttle, handoff.stage.index
    return RetryPolicy(throttle, handoff.seed, stage, refused_inside)
