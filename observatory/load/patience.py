"""What is done about a refused try: nothing, another one after a wait, or no more of it. Pure.

Connection resets, stalls and every other failure are outcomes and are never asked again.
"""

import random
from typing import Literal

from msgspec.structs import replace

from observatory.core.connection import Throttle
from observatory.core.record import Attempt
from observatory.endpoints.answer_headers import retry_after_s
from observatory.endpoints.exchange import Exchange
from observatory.load.turn import Turn

NOT_NOW = frozenset({429, 503, 529})
"""Statuses that ask a client to come back: too many requests (RFC 6585, 4), service unavailable (RFC
9110, 15.6.4), and Anthropic's "overloaded"."""
FIRST_WAIT_S = 1.0
"""Without a word from the service: this long, doubling with each further try."""
JITTER = 0.25
"""The share by which such a wait is longer or shorter, drawn from the seed."""
GaveUp = Literal["max_attempts", "max_wait"]


class Patience:
    """A policy and its bounds, for the requests of one stage."""

    def __init__(self, throttle: Throttle, seed: int, stage: int) -> None:
        self._throttle = throttle
        self._key = f"retry/{seed}/{stage}"

    @property
    def asks_again(self) -> bool:
        """Whether the policy is any but to record."""
        return self._throttle.policy != "record"

    def after(self, turn: Turn, unix_s: float) -> float | GaveUp | None:
        """What comes after the try that has just ended, at `unix_s`.

        Seconds to wait before the next one; why there is none, though it was refused; None where the
        policy has nothing to say. A wait that would not end within max_wait is not begun.
        """
        exchange = turn.exchange
        if not self.asks_again or not _refused(exchange):
            return None
        if exchange.number - turn.stale_tries + 1 >= self._throttle.max_attempts:
            return "max_attempts"
        wait_s = self._wait_s(turn, unix_s)
        if turn.waited_s + wait_s > self._throttle.max_wait_s:
            return "max_wait"
        return wait_s

    def _wait_s(self, turn: Turn, unix_s: float) -> float:
        """As the service says, to the millisecond; else doubling, with the request's own jitter."""
        response = turn.exchange.response
        told = retry_after_s(response, unix_s) if response is not None else None
        if told is not None:
            return told
        number = turn.exchange.number - turn.stale_tries
        drawn = random.Random(f"{self._key}/{turn.index}/{number}").uniform(-JITTER, JITTER)
        return float(FIRST_WAIT_S * 2**number * (1 + drawn))

    def as_recorded(self, attempt: Attempt) -> Attempt:
        """A try as it stands in its row: a 503 without Retry-After is an error, but throttled under a
        policy that waits on it like on the others."""
        if self.asks_again and attempt.http_status == 503 and attempt.outcome == "error":
            return replace(attempt, outcome="throttled")
        return attempt


def _refused(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.status in NOT_NOW
