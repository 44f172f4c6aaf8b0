"""Notices that a service refuses every request alike: what is sent is wrong, and more of it is no use.

The rule is docs/scenarios.md's "When every request is refused". Workers share their counts through the
stage's mapped file: nothing is sent between them, and an answer that is not refused ends the watch.
"""

from collections.abc import Iterable

from observatory.core.record import Attempt, RequestRecord
from observatory.core.stage_counts import (
    ACCEPTED,
    ENDED,
    ISSUED,
    LIKENESS,
    REFUSED,
    StageCounts,
)
from observatory.load.turn import Turn

ENOUGH = 20
"""Ended answers of a stage, over all its workers."""
FEW, FEW_AFTER_NS = 5, 30_000_000_000
"""At a low rate so few are enough, this long after the first of them ended."""
PATIENCE_NS = 10_000_000_000
"""How long requests are waited for that were out before the first refusal and have no status yet: a
refusal is quick, and an answer that is not refused may take seconds to begin."""
_NOT_NOW = frozenset({408, 409, 425, 429, 499})
"""A client may send the same request again later: a timeout, a conflict with another request, too early
(RFC 8470), too many, and a proxy's own client that went away."""
_BROKEN = {"protocol": 1, "not_sse": 2, "bad_json": 3}
"""Answers that are none of the API's, by their error's kind; numbers below those of HTTP statuses."""


def likeness(attempt: Attempt) -> int:
    """What a refusal has in common with others of its sort, as a number; 0 for what is no refusal.

    Statuses are 3xx (no redirect is followed) and 4xx; never one with a time to come back, and no 5xx.
    """
    if attempt.outcome != "error":
        return 0
    status = attempt.http_status or 0
    if 300 <= status < 500:
        return 0 if status in _NOT_NOW or attempt.retry_after_s is not None else status
    return 0 if status >= 500 else _BROKEN.get(attempt.error_kind or "", 0)


class Refusals:
    """One worker's watch over the answers of a stage."""

    def __init__(self, counts: StageCounts, worker: int, *, watching: bool) -> None:
        self.watching = watching
        self._own = counts.of(worker)
        self._others = counts.others(worker)
        self._first_ns = 0
        self._enough_ns = 0

    @property
    def likeness(self) -> int:
        """What all its answers so far have in common; 0 where one was not refused, or otherwise."""
        return self._own[LIKENESS] if self.watching else 0

    def take(self, records: Iterable[RequestRecord], now_ns: int) -> None:
        """Issued requests have ended."""
        own = self._own
        for record in records:
            like = likeness(record.attempts[-1])
            own[ENDED] += 1
            if not like or (own[REFUSED] and like != own[LIKENESS]):
                self._end_watch()
                return
            if not own[REFUSED]:
                own[LIKENESS] = like
                self._first_ns = now_ns
            own[REFUSED] += 1

    def stop(self, open_turns: Iterable[Turn], now_ns: int) -> bool:
        """Whether the stage must stop, with these requests still open."""
        own = self._own
        if not self.watching or not own[REFUSED] or self._contradicted():
            return False
        refused = own[REFUSED] + sum(other[REFUSED] for other in self._others)
        few = refused >= FEW and now_ns - self._first_ns >= FEW_AFTER_NS
        if refused < ENOUGH and not few:
            return False
        self._enough_ns = self._enough_ns or now_ns
        return not self._may_be_accepted(open_turns, now_ns)

    def _contradicted(self) -> bool:
        """Whether another worker had an answer of another sort."""
        like = self._own[LIKENESS]
        for other in self._others:
            various = other[ENDED] != other[REFUSED] or other[ACCEPTED]
            if various or (other[REFUSED] and other[LIKENESS] != like):
                self._end_watch()
                return True
        return False

    def _may_be_accepted(self, open_turns: Iterable[Turn], now_ns: int) -> bool:
        """Whether a request that is open has been accepted, or may still be."""
        patient = now_ns - self._enough_ns < PATIENCE_NS
        by_status = self._own[LIKENESS] >= 300
        for turn in open_turns:
            response = turn.exchange.response
            status = response.status if response is not None else None
            if by_status and status is not None and 200 <= status < 300:
                self._end_watch()
                return True
            if patient and status is None and turn.due_monotonic < self._first_ns:
                return True
        return patient and any(other[ISSUED] and not other[ENDED] for other in self._others)

    def _end_watch(self) -> None:
        self.watching = False
        self._own[ACCEPTED] = 1
