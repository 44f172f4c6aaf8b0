"""One open connection: every read stamped and kept, in the loop's own callback, nothing parsed but framing.

The user's greenlet sleeps from the request's last byte to the answer's; only then is it woken. What
this file does for each read is the client's cost, and delays every other read: so reads in the
middle of a stream are kept as they are, and even their framing waits for the answer's end.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any

import gevent

from observatory.endpoints.exchange import Exchange, Fault
from observatory.endpoints.http_response import ResponseReader
from observatory.load.connecting import Opened, send_all, socket_fault
from observatory.load.kernel_stamps import (
    ANCILLARY_SIZE,
    NO_STAMP,
    READ_SIZE,
    SMALLEST_SEGMENT,
    SegmentCount,
    unix_ns,
)

_READ = 1
"""libev's EV_READ."""
_PEEK = 0x2
"""MSG_PEEK (bits/socket.h)."""
SMALL_READ = 479
"""Bytes in the middle of a stream: an event or two, in one of CPython's small objects (512 bytes with
its head), whose memory is used again and again."""
_SMALLEST = 8
"""A read shorter than this may be the last part of a chunked body's end."""
_EOF = Fault("stream", "early_close", "the server closed the connection")


class Channel:
    """A connection that carries one exchange at a time; `usable` says whether it may carry another.

    done is called, in the hub, when the exchange in progress is over: `exchange.ended` is set then,
    and `exchange.fault` where it broke.
    """

    __slots__ = (
        "_anchor_ns",
        "_deferring",
        "_exchange",
        "_extra_segments",
        "_opened",
        "_raw",
        "_read",
        "_reads",
        "_received",
        "_response",
        "_segments",
        "_watcher",
        "done",
        "usable",
    )

    def __init__(self, opened: Opened, anchor_ns: int, done: Callable[[], None]) -> None:
        self._opened = opened
        self._raw = opened.raw
        self._read = opened.raw.recvmsg
        self._reads = self._received = self._extra_segments = 0
        self._deferring = False
        self._anchor_ns = anchor_ns
        self._segments = SegmentCount(opened.raw)
        self._exchange: Exchange | None = None
        self._response: ResponseReader | None = None
        self.done = done
        self.usable = True
        self._watcher: Any = gevent.get_hub().loop.io(opened.raw.fileno(), _READ)
        self._watcher.start(self._readable)

    def ready(self) -> bool:
        """Whether the idle connection still stands: the server may have closed it unseen."""
        if self.usable:
            try:
                waiting = self._raw.recv(1, _PEEK)
            except BlockingIOError:
                return True
            except OSError:
                self.usable = False
            else:
                if waiting:
                    self._readable()  # TLS session tickets come unasked; anything else is surplus
                    return self.usable
                self.usable = False
        return False

    def send(self, pieces: list[bytes], exchange: Exchange) -> None:
        """Send the request; its answer is read from now on. OSError where the kernel refuses."""
        self._extra_segments = 0
        self._response = exchange.response = ResponseReader()
        self._exchange = exchange
        exchange.stamp_source = "kernel" if self._opened.stamped else "read"
        exchange.bytes_sent = sum(map(len, pieces))
        tls = self._opened.tls
        if tls is not None:
            for piece in pieces:
                if piece:
                    tls.write(piece)
            pieces = [self._opened.outgoing.read()]
        exchange.sent = time.time_ns() - self._anchor_ns
        send_all(self._raw, pieces)
        exchange.body_sent = time.time_ns() - self._anchor_ns

    def give_up(self, fault: Fault) -> None:
        """End the exchange in progress, if any, and the connection with it."""
        self.usable = False
        self._over(fault, time.time_ns() - self._anchor_ns)

    def close(self) -> None:
        """Close the socket."""
        self.usable = False
        self._watcher.close()
        self._raw.close()

    def _readable(self) -> None:
        """The loop's callback: it must not raise, whatever a server sends."""
        try:
            if not self._deferring:
                data, ancillary, _, _ = self._read(READ_SIZE, ANCILLARY_SIZE)
            else:
                data, ancillary, _, _ = self._read(SMALL_READ, ANCILLARY_SIZE)
                stamp = ancillary[0][2] if ancillary else NO_STAMP
                size = len(data)
                if _SMALLEST <= size < SMALL_READ and b"\r\n\r\n" not in data and stamp != NO_STAMP:
                    response = self._response
                    assert response is not None
                    response.unread += data
                    response.unread_sizes.append(size)
                    response.unread_stamps += stamp
                    if data.find(b"\ndata:", _SMALLEST) >= 0:  # a second event
                        self._may_be_merged(response, data)
                    return
                if size == SMALL_READ:
                    more, ancillary = self._rest(ancillary)
                    data += more
            self._take(data, unix_ns(ancillary[0][2]) if ancillary else 0)
        except BlockingIOError:
            return
        except ssl.SSLError as error:
            self.give_up(Fault("stream", "tls", error.reason or str(error)))
        except OSError as error:
            self.give_up(socket_fault("stream", error))
        except Exception as error:
            self.give_up(Fault("stream", "client", f"{type(error).__name__}: {error}"))

    def _rest(self, ancillary: Any) -> tuple[bytes, Any]:
        """What else waits, and the stamp of all: the last segment's, as one larger read would have it."""
        try:
            data, later, _, _ = self._read(READ_SIZE, ANCILLARY_SIZE)
        except BlockingIOError:
            return b"", ancillary
        return data, later or ancillary

    def _may_be_merged(self, response: ResponseReader, data: bytes) -> None:
        """The latest read holds several events, which perhaps had waited."""
        reads = self._reads + len(response.unread_sizes)
        received = self._received + len(response.unread)
        events = data.count(b"\ndata:") + 1
        if self._segments.waited(reads, received, len(data), events):
            response.merged.add(response.reads - 1)

    def _take(self, data: bytes, stamp_ns: int) -> None:
        """A read that may be the end of something."""
        if not data:
            self._closed()
            return
        exchange, response = self._exchange, self._response
        if not stamp_ns:
            stamp_ns = time.time_ns()
            if exchange is not None:
                exchange.stamp_source = "read"
        if response is not None:
            self._settle(response)
        at = stamp_ns - self._anchor_ns
        size = len(data)
        self._reads += 1
        self._received += size
        self._extra_segments += (size - 1) // SMALLEST_SEGMENT
        closed = False
        if self._opened.tls is not None:
            data, closed = self._decrypt(data)
        if response is None:
            # Nobody asked: only TLS housekeeping is innocent.
            if data or closed or self._opened.tls is None:
                self.usable = False
                self._watcher.stop()
            return
        if data:
            before = len(response.pieces)
            over = response.feed(data, at)
            pieces = len(response.pieces) - before
            asked = pieces > 1 or not response.chunked or self._segments.exact
            if asked and self._segments.waited(self._reads, self._received, size, pieces):
                response.merged.add(len(response.stamps) - 1)
            if over:
                if not asked:
                    self._segments.answer_ended(self._reads, self._extra_segments)
                self._complete(response, at)
                return
            self._deferring = (
                response.deferrable and not self._segments.exact and self._opened.tls is None
            )
        if closed:
            self._closed()

    def _settle(self, response: ResponseReader) -> None:
        """Take in the reads that were kept."""
        self._deferring = False
        if response.unread_sizes:
            self._reads += len(response.unread_sizes)
            self._received += len(response.unread)
            response.settle(self._anchor_ns)

    def _decrypt(self, data: bytes) -> tuple[bytes, bool]:
        """The plaintext of what arrived, and whether the peer said goodbye."""
        tls, plain = self._opened.tls, []
        assert tls is not None
        self._opened.incoming.write(data)
        closed = False
        try:
            while piece := tls.read(65_536):
                plain.append(piece)
            closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            closed = True
        if self._opened.outgoing.pending and not closed:
            send_all(self._raw, [self._opened.outgoing.read()])
        return b"".join(plain), closed

    def _complete(self, response: ResponseReader, at: int) -> None:
        """Nothing more will come: whole, or no HTTP."""
        self.usable = response.keep_alive and not response.surplus
        if response.fault is not None:
            self._over(Fault("stream", "protocol", response.fault), at)
        else:
            self._over(None, at)

    def _closed(self) -> None:
        """The peer's end of the stream."""
        self.usable = False
        self._watcher.stop()
        response = self._response
        if response is not None:
            self._settle(response)
        if response is not None and response.finish():
            self._over(None, response.stamps[-1])
        else:
            self._over(_EOF, time.time_ns() - self._anchor_ns)

    def _over(self, fault: Fault | None, at: int) -> None:
        exchange, response = self._exchange, self._response
        self._exchange = self._response = None
        if fault is not None:
            self.usable = False
            self._watcher.stop()
        if exchange is None or response is None:
            return
        self._settle(response)
        response.release()
        if fault is not None and fault.phase == "stream" and response.headers_at is None:
            fault = Fault("headers", fault.kind, fault.text, fault.outcome)
        exchange.fault = fault
        exchange.ended = at
        self.done()
