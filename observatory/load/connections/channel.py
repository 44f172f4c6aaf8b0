"""One open connection: every read stamped and kept, in the loop's own callback, nothing parsed but framing.

The user's greenlet sleeps from the request's last byte to the answer's; only then is it woken. What
this file does for each read is the client's cost, and delays every other read: so reads in the
middle of a stream are kept as they are, and even their framing waits for the answer's end.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Any

from observatory.connect.bounds import HEAD
from observatory.core.record import ErrorKind
from observatory.load.connections.connecting import OpenedSocket, send_all
from observatory.load.connections.room import STEP
from observatory.load.connections.tails import Tails
from observatory.load.reading.kept_reads import HEAD_SIZE, KeptReads, split_reads, stamp_of
from observatory.load.reading.kernel_stamps import SMALLEST_SEGMENT, SegmentCount
from observatory.load.reading.polling import PolledReads
from observatory.load.reading.reads import ConnectionReads
from observatory.load.reading.ring import Ring, RingReads
from observatory.wires.failures.socket_faults import socket_fault
from observatory.wires.http_attempt import Fault, HttpAttempt
from observatory.wires.streams.http_response import ResponseReader
from observatory.wires.streams.stream_end import StreamEnd

_PEEK = 0x2
"""MSG_PEEK (bits/socket.h)."""
_EOF = Fault("stream", "early_close", "the server closed the connection")


@dataclass(eq=False, slots=True)
class Channel:
    """A connection that carries one HTTP attempt at a time; `usable` is whether it may carry another.

    done is called, in the hub, when the HTTP attempt in progress is over: `http_attempt.ended` is set then,
    and `http_attempt.fault` where it broke.
    """

    opened: OpenedSocket
    anchor_ns: int
    done: Callable[[], None]
    tails: Tails
    ring: InitVar[Ring | None] = None
    usable: bool = True
    _reads: int = 0
    _received: int = 0
    _large: list[int] = field(default_factory=list)
    _kept: KeptReads | None = None
    _end: StreamEnd | None = None
    _ended_at: int | None = None
    _free: int = 0
    _scanned: int = 0
    _http_attempt: HttpAttempt | None = None
    _response: ResponseReader | None = None
    _raw: Any = field(init=False)
    _segments: SegmentCount = field(init=False)
    _incoming: ConnectionReads = field(init=False)

    def __post_init__(self, ring: Ring | None) -> None:
        """Start reading: the ring reads, where there is one; OSError where it takes no more."""
        raw = self._raw = self.opened.raw
        self._segments = SegmentCount(raw, fresh=self.opened.tls is None)
        self._incoming = PolledReads(raw, self) if ring is None else RingReads(ring, raw, self)

    @property
    def taken(self) -> int:
        """Bytes of the answer in progress so far; with each read it is another number."""
        received = self._response.received if self._response is not None else 0
        return received + len(self._kept or b"")

    def ready(self) -> bool:
        """Return whether the idle connection is still open: the server may have closed it unseen."""
        if self.usable and not self._incoming.quiet():
            # TLS session tickets come unasked; anything else is surplus, or the end.
            self.usable = self.opened.tls is not None and not self._ended()
        return self.usable

    def _ended(self) -> bool:
        try:
            return not self._raw.recv(1, _PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, pieces: list[bytes], http_attempt: HttpAttempt) -> None:
        """Send the request; its answer is read from now on. OSError where the kernel refuses."""
        self._response = http_attempt.response = ResponseReader()
        self._http_attempt = http_attempt
        self._end = None
        self._scanned = 0
        self._free = HEAD
        http_attempt.stamp_source = "kernel" if self.opened.stamped else "read"
        data = b"".join(pieces)
        http_attempt.bytes_sent = len(data)
        tls = self.opened.tls
        if tls is not None:
            tls.write(data)
            data = self.opened.outgoing.read()
        http_attempt.sent = time.time_ns() - self.anchor_ns
        send_all(self._raw, data)
        http_attempt.body_sent = time.time_ns() - self.anchor_ns

    def give_up(self, fault: Fault) -> None:
        """End the HTTP attempt in progress, if any, and the connection with it."""
        self.usable = False
        self._over(fault, time.time_ns() - self.anchor_ns)

    def close(self) -> None:
        """Close the socket; an HTTP attempt in progress is heard of no more."""
        self.usable = False
        self._http_attempt = self._response = None
        self._forget_tail()
        self.tails.room.leaves(self)
        self._incoming.close()
        self._raw.close()

    def _forget_tail(self) -> None:
        if self._ended_at is not None:
            self._ended_at = None
            self.tails.came(self)

    def arrived(self, read: bytes) -> None:
        """Take bytes from the reader; must not raise, for any bytes that a server sends."""
        try:
            self._take(memoryview(read)[HEAD_SIZE:], stamp_of(read))
        except ssl.SSLError as error:
            self.give_up(Fault("stream", "tls", error.reason or str(error)))
        except OSError as error:
            self.broke(error)
        except Exception as error:
            self.give_up(Fault("stream", "client", f"{type(error).__name__}: {error}"))

    def broke(self, error: OSError) -> None:
        """Called by the reader when the connection failed."""
        self.give_up(socket_fault("stream", error))

    def _take(self, data: bytes | memoryview, stamp_ns: int) -> None:
        """Take a read that may be the end of something."""
        if not data:
            self._closed()
            return
        http_attempt, response = self._http_attempt, self._response
        if not stamp_ns:
            stamp_ns = time.time_ns()
            if http_attempt is not None:
                http_attempt.stamp_source = "read"
        if response is not None:
            self._settle(response)
        at = stamp_ns - self.anchor_ns
        size = len(data)
        self._reads += 1
        self._received += size
        if size > SMALLEST_SEGMENT:
            self._large.append(size)
        closed = False
        if self.opened.tls is not None:
            data, closed = self._decrypt(data)
        if response is None:
            # Bytes without a request: only TLS housekeeping is innocent.
            if data or closed or self.opened.tls is None:
                self.usable = False
                self._incoming.close()
            return
        if data:
            before = len(response.pieces)
            over = response.feed(data, at)
            if response.received > self._free:
                over = self._grown(response) or over
            pieces = len(response.pieces) - before
            counted = not response.chunked or self._segments.exact
            if counted and self._segments.waited(
                self._reads, self._received, size, pieces, self._incoming.waiting
            ):
                response.merged.add(len(response.stamps) - 1)
            if over:
                self._complete(response, at)
                return
            kept = response.deferrable and self.tails.keeps_after(data)
            if not kept and pieces and self._streamed(response, at):
                return
            if response.deferrable and not self._segments.exact and self.opened.tls is None:
                self._kept = KeptReads(self.tails.may_be_kept)
                self._incoming.keep(self._kept)
        if closed:
            self._closed()

    def _grown(self, response: ResponseReader) -> bool:
        """Return whether an answer that has grown by a good deal has passed a bound."""
        self._free = response.received + STEP
        response.measure()
        if response.fault is None:
            self.tails.room.grows(self, response.received)
        return response.fault is not None or self._response is None

    def _streamed(self, response: ResponseReader, at: int) -> bool:
        """Return whether the stream is over, which HTTP has not signalled. What follows is no part of it."""
        pieces, http_attempt = response.pieces, self._http_attempt
        if self._ended_at is not None:
            response.drop_last(sum(map(len, pieces[self._scanned :])))
            return True
        if (
            http_attempt is None
            or not http_attempt.streaming
            or not 200 <= (response.status or 0) < 300
        ):
            return False
        end = self._end = self._end or self.tails.end()
        scanned, self._scanned = self._scanned, len(pieces)
        after = end.found(pieces[-1] if scanned + 1 == len(pieces) else b"".join(pieces[scanned:]))
        if after is None:
            return False
        response.drop_last(after)
        self._scanned = len(pieces)
        self._ended_at = at
        if not self.tails.wait(self):
            self.tail_is_late()
        return True

    def rests(self) -> None:
        """Called when nothing has come for a while, or very much: see whether what was kept unparsed holds the
        stream's end, and keep no more."""
        response = self._response
        if response is not None and self._kept and self._ended_at is None:
            self._settle(response)
            self._streamed(response, response.stamps[-1])

    def tail_is_there(self) -> bool:
        """Return whether something has come and is not yet handed over."""
        return not self._incoming.quiet()

    def tail_is_late(self) -> None:
        """Called when the stream is over, and HTTP's end is not waited for any more: the connection is of no use."""
        self.usable = False
        self._incoming.close()
        self._over(None, time.time_ns() - self.anchor_ns)

    def _settle(self, response: ResponseReader) -> None:
        """Take in the reads that were kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self._incoming.keep(None)
        if kept:
            sizes, stamps, raw = split_reads(kept, self.anchor_ns)
            response.take_reads(sizes, stamps, raw)
            self._reads += len(sizes)
            self._received += len(kept) - HEAD_SIZE * len(sizes)
            if max(sizes) > SMALLEST_SEGMENT:
                self._large += [size for size in sizes if size > SMALLEST_SEGMENT]

    def _find_merged(self, response: ResponseReader) -> None:
        """Check at the answer's end whether its reads account for all segments."""
        large, self._large = self._large, []
        if self._segments.exact or not response.chunked:
            return
        beyond = self._segments.beyond(self._reads, self._received, large, self._incoming.waiting)
        if beyond > 0:
            several = response.reads_of_several()
            response.merged.update(several)
            if beyond > sum(several.values()) - len(several):
                self._segments.exact = True

    def _decrypt(self, data: bytes | memoryview) -> tuple[bytes, bool]:
        """Return the plaintext of what arrived, and whether the peer sent close_notify."""
        tls, plain = self.opened.tls, []
        assert tls is not None
        self.opened.incoming.write(data)
        closed = False
        try:
            while piece := tls.read(65_536):
                plain.append(piece)
            closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            closed = True
        if self.opened.outgoing.pending and not closed:
            send_all(self._raw, self.opened.outgoing.read())
        return b"".join(plain), closed

    def _complete(self, response: ResponseReader, at: int) -> None:
        """Called when nothing more will come: whole, or no HTTP."""
        self.usable = response.keep_alive and not response.surplus
        if response.fault is not None:
            kind: ErrorKind = "too_large" if response.too_large else "protocol"
            self._over(Fault("stream", kind, response.fault), at)
        else:
            self._over(None, at)

    def _closed(self) -> None:
        """Called at the peer's end of the stream."""
        self.usable = False
        self._incoming.close()
        response = self._response
        if response is not None:
            self._settle(response)
        if response is not None and response.finish():
            self._over(None, response.stamps[-1])
        else:
            self._over(_EOF, time.time_ns() - self.anchor_ns)

    def _over(self, fault: Fault | None, at: int) -> None:
        http_attempt, response = self._http_attempt, self._response
        self._http_attempt = self._response = None
        if fault is not None:
            self.usable = False
            self._incoming.close()
        if self._ended_at is not None:
            fault, at = None, self._ended_at
            self._forget_tail()
        if http_attempt is None or response is None:
            return
        self._settle(response)
        if fault is not None and fault.kind == "too_large":
            response.shrink()
        self._find_merged(response)
        response.release()
        if self._free != HEAD:
            self.tails.room.leaves(self)
        if fault is not None and fault.phase == "stream" and response.headers_at is None:
            fault = Fault("headers", fault.kind, fault.text, fault.outcome)
        http_attempt.fault = fault
        http_attempt.ended = at
        self.done()
