"""A server that only writes bytes made beforehand, each at its instant: what a client is measured against.

`python -m observatory.emulator.replay_server CONFIG.json`. One thread on raw epoll; a request's body
is counted, never read. Once a second it writes down how late it was and how busy, because a figure
that it could not keep up with is not the client's.
"""

import ctypes
import gc
import heapq
import os
import re
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from observatory.core.system.processes import die_with_parent
from observatory.emulator.replay_answer import answer_writes, models_reply
from observatory.processes.server_child import ReportChannel

SECOND_NS = 1_000_000_000
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_LARGEST_HEAD = 65_536
_READ_SIZE = 65_536
_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1


class ReplayConfig(msgspec.Struct, frozen=True):
    """What each answer is: `tokens` writes, the first first_ns after its request was whole, gap_ns apart.

    gap_ns 0: the whole answer in one write. late_ns: an event is counted late beyond this. cores:
    where it runs; none: anywhere. port 0 takes a free one; shared lets further servers listen on the
    same. report: the file that gets a line (ReplaySecond, JSON) a second. parent: not outlived.
    """

    tokens: int
    first_ns: int
    gap_ns: int
    late_ns: int
    report: str
    parent: int
    cores: list[int] = []
    port: int = 0
    shared: bool = False


class ReplaySecond(msgspec.Struct, frozen=True):
    """Its state at an instant of CLOCK_REALTIME; counts and CPU time are since it began.

    late: events written more than late_ns after their instant. worst_ns: the worst of this second.
    """

    unix_ns: int
    monotonic_ns: int
    cpu_ns: int
    requests: int
    events: int
    late: int
    worst_ns: int


class _Stream(msgspec.Struct, eq=False):
    """One connection. place is the next write of the answer in progress, -1 between answers."""

    sock: socket.socket
    data: bytes = b""
    wanted: int = -1
    place: int = -1
    pending: bytes = b""
    closed: bool = False


class ReplayServer:
    """Serves until `stop`; made in the thread that serves."""

    def __init__(self, config: ReplayConfig) -> None:
        self._config = config
        writes = answer_writes(config.tokens)
        self._events = [1] * len(writes)
        if config.gap_ns == 0:
            self._events, writes = [len(writes)], [b"".join(writes)]
        self._writes = writes
        self._models = models_reply()
        self._streams: dict[int, _Stream] = {}
        self._due: list[tuple[int, int, _Stream]] = []
        self._requests = self._sent = self._late = self._worst_ns = 0
        self._stopped = False
        self._epoll = select.epoll()
        self._listener = self._listen()
        self._libc = ctypes.CDLL(None, use_errno=True)
        # TFD_NONBLOCK and TFD_CLOEXEC are the O_ flags; os.timerfd_create is Python 3.13.
        self._timer = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        self._spec = (ctypes.c_long * 4)()
        self._settime = self._libc.timerfd_settime
        self._spec_at = ctypes.byref(self._spec)
        for descriptor in (self._listener.fileno(), self._timer):
            self._epoll.register(descriptor, select.EPOLLIN)
        self._report_file = Path(config.report).open("ab", buffering=0)  # noqa: SIM115 - closed in serve

    @property
    def port(self) -> int:
        """Return where it listens, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._config.shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", self._config.port))
        listener.listen(4096)
        listener.setblocking(False)
        return listener

    def stop(self) -> None:
        """Make `serve` return; a signal handler may call it."""
        self._stopped = True
        self._arm(1)

    def serve(self) -> None:
        """Serve until stopped, then close everything."""
        gc.freeze()
        gc.disable()
        report_at = time.monotonic_ns() + SECOND_NS
        listener = self._listener.fileno()
        self._report()
        while not self._stopped:
            self._arm(min(report_at, self._due[0][0]) if self._due else report_at)
            for descriptor, mask in self._epoll.poll(1.0):
                stream = self._streams.get(descriptor)
                if stream is not None:
                    if mask & select.EPOLLOUT:
                        self._flush(stream)
                    if mask & ~select.EPOLLOUT:
                        self._read(stream)
                elif descriptor == listener:
                    self._accept()
            self._write_due()
            if time.monotonic_ns() >= report_at:
                self._report()
                report_at += SECOND_NS
        self._report()
        for stream in list(self._streams.values()):
            self._close(stream)
        self._listener.close()
        self._report_file.close()
        os.close(self._timer)
        self._epoll.close()

    def _arm(self, due_ns: int) -> None:
        """Wake the loop then; arming also clears a timer that has fired, so it is never read."""
        self._spec[2], self._spec[3] = divmod(due_ns, SECOND_NS)
        self._settime(self._timer, _TFD_TIMER_ABSTIME, self._spec_at, None)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._streams[sock.fileno()] = _Stream(sock)
                self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _read(self, stream: _Stream) -> None:
        try:
            data = stream.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(stream)
            return
        stream.data = stream.data + data if stream.data else data
        if stream.place < 0:
            self._take(stream)

    def _take(self, stream: _Stream) -> None:
        """Begin the answer of a request that is whole; what comes behind it waits for its end."""
        if stream.wanted < 0:
            end = stream.data.find(b"\r\n\r\n")
            if end < 0:
                if len(stream.data) > _LARGEST_HEAD:
                    self._close(stream)
                return
            length = _LENGTH.search(stream.data, 0, end)
            stream.wanted = end + 4 + (int(length[1]) if length else 0)
        if len(stream.data) < stream.wanted:
            return
        lists_models = stream.data.startswith(b"GET ")
        stream.data = stream.data[stream.wanted :]
        stream.wanted = -1
        if lists_models:
            self._send(stream, self._models)
            return
        self._requests += 1
        stream.place = 0
        due_ns = time.monotonic_ns() + self._config.first_ns
        heapq.heappush(self._due, (due_ns, self._requests, stream))

    def _write_due(self) -> None:
        """Write what is due; reading goes on after as many writes as there are streams."""
        due, writes, last = self._due, self._writes, len(self._writes) - 1
        gap_ns, late_ns = self._config.gap_ns, self._config.late_ns
        for _ in range(len(due)):
            now = time.monotonic_ns()
            if not due or due[0][0] > now:
                return
            at, order, stream = due[0]
            place = stream.place
            if place < last and not stream.closed:
                stream.place = place + 1
                heapq.heapreplace(due, (at + gap_ns, order, stream))
            else:
                heapq.heappop(due)
                if stream.closed:
                    continue
                stream.place = -1
            events = self._events[place]
            self._sent += events
            late = now - at
            if late > late_ns:
                self._late += events
            if late > self._worst_ns:
                self._worst_ns = late
            self._send(stream, writes[place])
            if stream.place < 0 and stream.data:
                self._take(stream)

    def _send(self, stream: _Stream, data: bytes) -> None:
        if stream.closed:
            return
        if stream.pending:
            stream.pending += data
            return
        try:
            sent = stream.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(stream)
            return
        if sent < len(data):
            stream.pending = data[sent:]
            self._epoll.modify(stream.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, stream: _Stream) -> None:
        data, stream.pending = stream.pending, b""
        self._epoll.modify(stream.sock.fileno(), select.EPOLLIN)
        if data:
            self._send(stream, data)

    def _close(self, stream: _Stream) -> None:
        if not stream.closed:
            stream.closed = True
            del self._streams[stream.sock.fileno()]
            stream.sock.close()

    def _report(self) -> None:
        second = ReplaySecond(
            unix_ns=time.time_ns(),
            monotonic_ns=time.monotonic_ns(),
            cpu_ns=time.process_time_ns(),
            requests=self._requests,
            events=self._sent,
            late=self._late,
            worst_ns=self._worst_ns,
        )
        self._worst_ns = 0
        self._report_file.write(msgspec.json.encode(second) + b"\n")


def read_seconds(report: Path) -> list[ReplaySecond]:
    """Return a server's records so far, whole lines only."""
    lines = report.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=ReplaySecond) for line in lines]


def main() -> None:
    """Run the process: pinned, listening, ending with its parent or on SIGTERM."""
    channel = ReportChannel()
    config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ReplayConfig)
    die_with_parent(config.parent)
    if config.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, config.cores)
    try:
        server = ReplayServer(config)
    except OSError as error:
        channel.failed(f"it cannot listen: {error.strerror}", 4)
        return
    signal.signal(signal.SIGTERM, lambda number, frame: server.stop())
    channel.ready({"host": "127.0.0.1", "port": server.port})
    server.serve()


if __name__ == "__main__":
    main()
