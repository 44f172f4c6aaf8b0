"""Waits a moment for HTTP's end after a stream's end, so that the connection can carry the next request.

Most servers write the last chunk right after the stream's last event, and then their connection is worth
keeping. Others never write it: no user waits for them.
"""

from typing import Any, Protocol

import gevent

from observatory.load.connections.room import Room
from observatory.load.reading.keeping import ends_like_an_event, keeps_of
from observatory.wires.streams.stream_end import StreamEnd
from observatory.wires.wires import WireName

WAIT_S = 0.02
"""At least; at most twice that. Servers that end the body do so within some milliseconds, loaded ones too."""


class Waiter(Protocol):
    """A connection whose answer is over but for HTTP's end."""

    def tail_is_there(self) -> bool:
        """Return whether something has come that was not handed over: then we are late, not the server."""

    def tail_is_late(self) -> None:
        """Called when it has waited long enough."""


def _never(read: bytes | memoryview) -> bool:
    return False


class Tails:
    """One for all connections of a worker.

    On a wire, an answer ends as `end` finds it. may_be_kept: which reads in the middle of it may be
    kept unparsed (kept_reads); keeps_after: whether its first read cannot hold its end. room: what large
    answers take.
    """

    def __init__(self, wire: WireName) -> None:
        self._wire: WireName = wire
        self.may_be_kept = keeps_of(wire)
        self.keeps_after = ends_like_an_event if wire == "openai" else _never
        self.room = Room()
        self._came = self._missed = 0
        self._young: dict[Waiter, bool] = {}
        self._old: dict[Waiter, bool] = {}
        self._ticking = False
        self._timer: Any = gevent.get_hub().loop.timer(WAIT_S, WAIT_S)

    def end(self) -> StreamEnd:
        """Return what finds the end of one more answer."""
        return StreamEnd(self._wire)

    def wait(self, waiter: Waiter) -> bool:
        """Return whether HTTP's end is worth waiting for: not where it mostly did not come. If so, its
        tail_is_late is called unless `came` is."""
        if self._missed > self._came:
            return False
        self._young[waiter] = False
        if not self._ticking:
            self._ticking = True
            self._timer.start(self._tick)
        return True

    def came(self, waiter: Waiter) -> None:
        """Called when HTTP's end has arrived, or is no longer awaited."""
        if self._young.pop(waiter, None) is not None or self._old.pop(waiter, None) is not None:
            self._came += 1

    def close(self) -> None:
        """Stop waiting for all of them."""
        self._timer.close()

    def _tick(self) -> None:
        waited, self._old, self._young = self._old, self._young, {}
        for waiter, twice in waited.items():
            if not twice and waiter.tail_is_there():
                self._young[waiter] = True
            else:
                self._missed += 1
                waiter.tail_is_late()
        if not self._old and not self._young:
            self._ticking = False
            self._timer.stop()
