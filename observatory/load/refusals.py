"""Notices that a service refuses every request alike: what is sent is wrong, and more of it is no use.

The rule is docs/scenarios.md's "When every request is refused". Workers share their counts through the
stage's mapped file: nothing is sent between them, and an answer that is not refused ends the watch.
"""

import re
import zlib
from collections.abc import Collection, Iterable

from observatory.core.record import Attempt, RequestRecord
from observatory.core.stage_counts import (
    EMPTY_ALIKE,
    ENDED,
    ISSUED,
    LIKENESS,
    OTHERWISE,
    REFUSED,
    REFUSED_SINCE,
    StageCounts,
)
from observatory.load.in_flight import InFlight

ENOUGH = 20
"""Ended answers of a stage, over all its workers."""
FEW, FEW_AFTER_NS = 5, 30_000_000_000
"""At a low rate so few are enough, this long after the first of them ended."""
PATIENCE_NS = 10_000_000_000
"""How long requests are waited for that were out before the first refusal and have no status yet: a
refusal is quick, and an answer that is not refused may take seconds to begin."""
LOOK_NS = 20_000_000
"""How often those who are held back look whether they may go on."""
_NOT_NOW = frozenset({408, 409, 425, 429, 499})
"""A client may send the same request again later: a timeout, a conflict with another request, too early
(RFC 8470), too many, and a proxy's own client that went away."""
_BROKEN = {"protocol": 1, "not_sse": 2, "bad_json": 3, "empty_answer": EMPTY_ALIKE}
"""Answers that are none of the API's, or none at all, by their error's kind; numbers below those of HTTP
statuses."""
_FAILURE = re.compile(
    r"\b5\d\d\b|server.?error|internal|time.?out|timed out|unavailable|temporar|overload|out of memory|retry|try again",
    re.IGNORECASE,
)
"""Words of an error inside a 200 that a 5xx would have: it is a failure of the service."""
_VARIES = re.compile(r"[0-9a-f]{8}[0-9a-f-]*|\d+", re.IGNORECASE)
"""What differs in one message from request to request: identifiers, and numbers."""


def likeness(attempt: Attempt) -> int:
    """Return what a refusal has in common with others of its sort, as a number; 0 for what is no refusal.

    Statuses are 3xx (no redirect is followed) and 4xx; never one with a time to come back, and no 5xx. Of
    an error inside a 200 that came before any text, a number below 0 for its words.
    """
    if attempt.outcome != "error":
        return 0
    status = attempt.http_status or 0
    if 300 <= status < 500:
        return 0 if status in _NOT_NOW or attempt.retry_after_s is not None else status
    if status >= 500 or attempt.first_token is not None:
        return 0
    words = attempt.error_text or ""
    if attempt.error_kind == "error_event":
        return 0 if _FAILURE.search(words) else -1 - zlib.crc32(_VARIES.sub("#", words).encode())
    return _BROKEN.get(attempt.error_kind or "", 0)


class Refusals:
    """One worker's watch over the answers of a stage.

    Once enough were refused nothing more is sent until it is known whether the stage stops: otherwise a
    worker that waits, for a slow answer or for a processor, would let the others send thousands.
    """

    def __init__(self, counts: StageCounts, worker: int, *, watching: bool) -> None:
        self.watching = watching
        self._own = counts.of(worker)
        self._others = counts.others(worker)
        self._all = [self._own, *self._others]
        self._enough_ns = 0
        self._look_ns = 0

    @property
    def likeness(self) -> int:
        """What all its answers so far have in common; 0 where one was not refused, or otherwise."""
        return self._own[LIKENESS] if self.watching else 0

    def take(self, records: Iterable[RequestRecord], now_ns: int) -> None:
        """Called when issued requests have ended.

        `ended` is counted last: another process that reads it first never sees more ended than refused.
        """
        own = self._own
        for record in records:
            like = likeness(record.attempts[-1])
            if not like or (own[REFUSED] and like != own[LIKENESS]):
                own[ENDED] += 1
                self._end_watch()
                return
            if not own[REFUSED]:
                own[LIKENESS] = like
                own[REFUSED_SINCE] = now_ns
            own[REFUSED] += 1
            own[ENDED] += 1

    def held_until(self, open_requests: Iterable[InFlight], now_ns: int) -> int | None:
        """Return when to look again whether the next request may go out; None where it may go out now.

        The instants lie on a grid, so that several callers in between get the same one.
        """
        if not self.watching:
            return None
        if now_ns >= self._look_ns:
            if not self._is_enough(now_ns) or self._is_accepted(open_requests, now_ns):
                return None
            self._look_ns = now_ns - now_ns % LOOK_NS + LOOK_NS
        return self._look_ns

    def stop(self, open_requests: Collection[InFlight], now_ns: int) -> bool:
        """Return whether the stage must stop, with these requests still open."""
        if (
            not self.watching
            or not self._is_enough(now_ns)
            or self._is_accepted(open_requests, now_ns)
        ):
            return False
        waited_ns = now_ns - self._enough_ns
        if self._is_of_2xx():
            return self._is_alone(open_requests, waited_ns)
        if waited_ns >= PATIENCE_NS:
            return True
        first_ns = self._first_refused_ns()
        waits = any(
            in_flight.due_monotonic < first_ns and _status(in_flight) is None
            for in_flight in open_requests
        )
        return not waits and not any(other[ISSUED] and not other[ENDED] for other in self._others)

    def _is_of_2xx(self) -> bool:
        """Return whether what is alike are answers with a status of success: only their end shows what they are."""
        return max((c[LIKENESS] for c in self._all if c[REFUSED]), default=0) < 300

    def _is_alone(self, open_requests: Collection[InFlight], waited_ns: int) -> bool:
        """Return whether nothing is open any more that may be an answer, here or at another worker; at most
        PATIENCE_NS, and as long again for the others, who end the watch if they have one."""
        if (
            any(in_flight.http_attempt.ended is None for in_flight in open_requests)
            and waited_ns < PATIENCE_NS
        ):
            return False
        busy = any(other[ISSUED] > other[ENDED] for other in self._others)
        return not busy or waited_ns >= 2 * PATIENCE_NS

    def _is_enough(self, now_ns: int) -> bool:
        """Return whether so many were refused, by all workers together and all alike, that the stage may stop."""
        refused = sum(counts[REFUSED] for counts in self._all)
        if refused < FEW or (refused < ENOUGH and now_ns - self._first_refused_ns() < FEW_AFTER_NS):
            return False
        if self._is_contradicted():
            self._end_watch()
            return False
        self._enough_ns = self._enough_ns or now_ns
        return True

    def _first_refused_ns(self) -> int:
        """Return when the first of all was counted; some worker's must have been."""
        return min(counts[REFUSED_SINCE] for counts in self._all if counts[REFUSED])

    def _is_contradicted(self) -> bool:
        """Return whether another worker had an answer of another sort."""
        if any(o[REFUSED_SINCE] == OTHERWISE or o[ENDED] > o[REFUSED] for o in self._others):
            return True
        return len({counts[LIKENESS] for counts in self._all if counts[REFUSED]}) > 1

    def _is_accepted(self, open_requests: Iterable[InFlight], now_ns: int) -> bool:
        """Return whether the service has accepted a request that is open here, which ends the watch. Where what is
        alike has a status of success, that is one that has streamed for PATIENCE_NS."""
        if self._is_of_2xx() and now_ns - self._enough_ns < PATIENCE_NS:
            return False
        for in_flight in open_requests:
            status = _status(in_flight)
            if status is not None and 200 <= status < 300:
                self._end_watch()
                return True
        return False

    def _end_watch(self) -> None:
        self.watching = False
        self._own[REFUSED_SINCE] = OTHERWISE


def _status(in_flight: InFlight) -> int | None:
    response = in_flight.http_attempt.response
    return response.status if response is not None else None
