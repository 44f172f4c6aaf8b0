"""What a request through the openai package's client left behind, in the form that the decoder reads.

The body is kept as the server sent it, so that no field that the client does not know is lost; an event's
instant is when the client yielded it, and what it never yielded is left out: so an application sees it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from observatory.connect.bounds import HEAD
from observatory.core.record import ErrorPhase
from observatory.wires.http_attempt import Fault, HttpAttempt
from observatory.wires.streams.http_response import ResponseReader
from observatory.wires.streams.sse import split_events

_STEP = 1 << 18
_KEPT_PIECES = 8
"""Of an answer that passed a bound; at most 64 KiB each."""


class PassedBound(Exception):
    """More came than is taken of an answer; the HTTP attempt has ended with that fault."""


@dataclass(eq=False, slots=True)
class Hearing:
    """One request's. phase: how far it has come. connected: called once it is being sent. over: called
    when the stream's end marker has arrived, though the client reads on. grown: called with the size of a
    large answer each time that it has grown by a good deal.

    Once the HTTP attempt has ended, by its answer's end or because it was given up, nothing changes it.
    bytes_received counts the body, without HTTP's framing, which the client does not show.
    """

    http_attempt: HttpAttempt
    now: Callable[[], int]
    connected: Callable[[], None]
    over: Callable[[], None]
    grown: Callable[[int], None]
    phase: ErrorPhase = "connect"
    _opened: bool = False
    _tunnelling: bool = False
    _response: ResponseReader = field(default_factory=ResponseReader)
    _raw: list[bytes] = field(default_factory=list)
    _free: int = HEAD
    _yielded: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._response.release()
        self.http_attempt.sent = self.now()

    def sending(self, size: int) -> None:
        """Called before so many bytes are sent."""
        self.http_attempt.bytes_sent = size

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """Called by httpcore at each of its steps. A proxy's tunnel is a part of connecting."""
        http_attempt = self.http_attempt
        _, _, step = name.partition(".")
        if step == "send_request_headers.started":
            self._tunnelling = info["request"].method == b"CONNECT"
        if http_attempt.ended is not None or (self._tunnelling and step.startswith("send_request")):
            return
        if step == "connect_tcp.started":
            self._opened = True
        elif step == "start_tls.started":
            self.phase = "tls"
        elif step == "send_request_headers.started":
            http_attempt.reused = not self._opened
            http_attempt.response = self._response
            self.phase = "send"
            self.connected()
        elif step == "send_request_body.complete":
            http_attempt.body_sent = self.now()
            self.phase = "headers"

    def head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Called when the response's head has arrived."""
        if self.http_attempt.ended is None:
            self._response.status = status
            for name, value in headers:
                self._response.on_header(name, value)
            self.phase = "stream"

    def piece(self, data: bytes) -> None:
        """Called when some of the response's body has come; PassedBound where that is more than is taken."""
        if self.http_attempt.ended is None:
            self._raw.append(data)
            response = self._response
            response.received += len(data)
            if response.received > self._free:
                self._measure(response)

    def _measure(self, response: ResponseReader) -> None:
        self._free = response.received + _STEP
        headers_at = response.headers_at
        response.pieces, response.headers_at = self._raw, 0
        response.measure(events=self.http_attempt.streaming)
        response.pieces, response.headers_at = [], headers_at
        if response.fault is not None:
            fault = Fault("stream", "too_large", response.fault)
            response.fault = None
            del self._raw[_KEPT_PIECES:]
            self.ended(fault)
            raise PassedBound(fault.text)
        self.grown(response.received)

    def returned(self) -> None:
        """Called when the client has returned the response: for its caller, its head arrives now."""
        if self.http_attempt.ended is None and self._response.headers_at is None:
            self._response.headers_at = self.now()

    def event(self) -> None:
        """Called when the client has yielded an event."""
        if self.http_attempt.ended is None:
            self._yielded.append(self.now())

    def stream_over(self) -> None:
        """End the HTTP attempt: the event just yielded was the stream's last one, though HTTP may send more."""
        self.ended(None)
        self.over()

    def ended(self, fault: Fault | None, *, choked: bool = False) -> None:
        """Called at the end of the request; only the first call counts.

        choked: the client raised at the event after the last that it yielded, so that one is kept as
        its cause. Of an answer that is no event stream, all that came is kept.
        """
        http_attempt = self.http_attempt
        if http_attempt.ended is not None:
            return
        http_attempt.fault = fault
        http_attempt.ended = at = self.now()
        if http_attempt.response is None:
            http_attempt.sent = None  # never got so far: nothing was sent
            return
        response = self._response
        if response.status is not None and response.headers_at is None:
            response.headers_at = at
        self._settle(at, complete=fault is None, choked=choked)

    def _settle(self, at: int, *, complete: bool, choked: bool) -> None:
        """Cut the body at its events, each with its instant."""
        body = b"".join(self._raw)
        ends = [end for _, _, end, _ in split_events(body)]
        seen = ends[: len(self._yielded)]
        cuts, stamps = [0, *seen], self._yielded[: len(seen)]
        if complete or not ends:
            last = len(body)
        else:
            last = ends[len(seen)] if choked and len(ends) > len(seen) else cuts[-1]
        if last > cuts[-1]:
            cuts.append(last)
            stamps = [*stamps, at]
        response = self._response
        response.pieces[:] = [body[a:b] for a, b in pairwise(cuts)]
        response.piece_counts = list(range(1, len(response.pieces) + 1))
        response.stamps = stamps
