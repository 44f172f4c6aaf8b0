"""When each byte of one emulated answer leaves: slots and deadlines, nothing of HTTP connections.

Every token is due at a deadline fixed when its request got its slot, so that a late timer delays
one event and never the ones after it.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from observatory.endpoints.emulator_draws import Draw
from observatory.endpoints.emulator_wire import (
    SERVER_ERROR,
    AnswerBytes,
    Reply,
    render_reply,
    response_head,
)


class Slots:
    """First come, first served: at most `limit` at once (None: no limit), the others wait."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._busy = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def take(self, start: Callable[[], None]) -> None:
        """Call start() now or when a slot falls free; each start is answered by one give_back."""
        if self._limit is not None and self._busy >= self._limit:
            self._waiting.append(start)
            return
        self._busy += 1
        start()

    def give_back(self) -> None:
        """A started one is over."""
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._busy -= 1

    def forget(self, start: Callable[[], None]) -> bool:
        """Take back a start that still waits; False where it does not wait."""
        try:
            self._waiting.remove(start)
        except ValueError:
            return False
        return True


class Answer:
    """One answer in the making, from its request's arrival to its last byte.

    send writes bytes to the client; ended is called once, after the last of them, and not after
    cancel. headers are those that every response of this request has.
    """

    def __init__(
        self,
        draw: Draw,
        content: AnswerBytes,
        *,
        stream: bool,
        slots: Slots,
        headers: tuple[tuple[str, str], ...],
        send: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        self._draw = draw
        self._content = content
        self._stream = stream
        self._slots = slots
        self._headers = headers
        self._send = send
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._arrived = self._loop.time()
        self._started = self._arrived
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Queue for a slot."""
        self._slots.take(self._start)

    def cancel(self) -> None:
        """The client is gone: nothing is sent any more, and the slot is free."""
        if self._slots.forget(self._start):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._slots.give_back()

    def _start(self) -> None:
        self._started = self._loop.time()
        offsets = self._draw.token_offsets_s
        if self._draw.outcome == "error":
            self._at(self._draw.error_delay_s, self._fail)
        elif self._stream:
            self._send(self._stream_head() + self._content.opening())
            self._at(offsets[0], self._tokens)
        else:
            self._at(offsets[-1], self._whole)

    def _at(self, offset_s: float, then: Callable[[], None]) -> None:
        self._timer = self._loop.call_at(self._started + offset_s, then)

    def _tokens(self) -> None:
        """Send every token that is due; the last one goes in one write with the end."""
        offsets = self._draw.token_offsets_s
        elapsed_s = self._loop.time() - self._started
        # The first of them is due, whatever the clock's last digit says: its timer fired.
        upto = self._next + 1
        while upto < len(offsets) and offsets[upto] <= elapsed_s:
            upto += 1
        out = b"".join(self._content.token(place) for place in range(self._next, upto))
        self._next = upto
        if upto == len(offsets):
            self._finish(out + self._content.closing())
        else:
            self._send(out)
            self._at(offsets[upto], self._tokens)

    def _whole(self) -> None:
        self._finish(render_reply(Reply(200, self._content.whole(), self._all_headers())))

    def _fail(self) -> None:
        reply = Reply(SERVER_ERROR.status, SERVER_ERROR.body, self._all_headers())
        self._finish(render_reply(reply))

    def _finish(self, data: bytes) -> None:
        self._send(data)
        self._slots.give_back()
        self._ended()

    def _all_headers(self) -> tuple[tuple[str, str], ...]:
        elapsed_ms = round((self._loop.time() - self._arrived) * 1e3)
        return (("openai-processing-ms", str(elapsed_ms)), *self._headers)

    def _stream_head(self) -> bytes:
        stream = (
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("transfer-encoding", "chunked"),
        )
        return response_head(200, (*stream, *self._all_headers()))
