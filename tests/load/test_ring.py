"""The kernel reads by itself: nothing is lost, whole reads come with their stamps, ends are reported."""

import contextlib
import errno
import mmap
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.workspace import NO_RING_VARIABLE
from observatory.load.reading import io_uring, kernel_stamps, ring
from observatory.load.reading.kept_reads import (
    HEAD_SIZE,
    KeptReads,
    join_reads,
    make_head,
    split_reads,
    stamp_of,
)
from observatory.load.reading.ring import Ring, RingReads, open_ring

try:
    Ring(1).close()
except OSError as refused:
    pytestmark = pytest.mark.skip(reason=f"this system gives no io_uring: {refused}")


class Taker:
    """A taker that remembers."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.error: OSError | None = None

    def arrived(self, read: bytes) -> None:
        self.reads.append(read)

    def broke(self, error: OSError) -> None:
        self.error = error

    @property
    def data(self) -> bytes:
        return b"".join(read[HEAD_SIZE:] for read in self.reads)

    @property
    def ended(self) -> bool:
        return bool(self.reads) and len(self.reads[-1]) == HEAD_SIZE


class Pair:
    """Two ends of a connection over loopback; ours enables stamps, as the client's do."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.ours = socket.create_connection(listening.getsockname())
            self.theirs, _ = listening.accept()
        for one in (self.ours, self.theirs):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ours.setblocking(False)
        assert kernel_stamps.enable(self.ours)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    one = Pair()
    time.sleep(2 * kernel_stamps.PRIMING_S)
    yield one
    one.close()


@pytest.fixture
def one_ring() -> Iterator[Ring]:
    made = Ring(1)
    yield made
    made.close()


def in_flight(seconds: float = 0.05) -> None:
    gevent.sleep(seconds)


def test_each_segment_is_a_read_with_its_own_stamp(one_ring: Ring, pair: Pair) -> None:
    outcome = Taker()
    RingReads(one_ring, pair.ours, outcome)
    sent = []
    for number in range(5):
        sent.append(time.time_ns())
        pair.theirs.sendall(b"event %d" % number)
        in_flight(0.01)
    sent.append(time.time_ns())
    assert [read[HEAD_SIZE:] for read in outcome.reads] == [b"event %d" % n for n in range(5)]
    for (before, after), read in zip(pairwise(sent), outcome.reads, strict=True):
        assert before <= stamp_of(read) < after


SENDER = """
import fcntl, mmap, socket, struct, sys, termios, time
out, unread, page = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
until = time.monotonic() + 60
for n in range(8):
    out.sendall(b"event %d" % n)
    while struct.unpack("i", fcntl.ioctl(unread, termios.FIONREAD, bytes(4)))[0]:
        assert time.monotonic() < until, "nobody reads"
        time.sleep(0.001)
    time.sleep(0.02)
out.detach()
with open(page, "r+b") as file:
    mmap.mmap(file.fileno(), 1)[0] = 1
"""
"""Sends an event when the kernel has taken the one before it from the connection."""


def test_a_busy_python_costs_no_stamp(one_ring: Ring, pair: Pair, tmp_path: Path) -> None:
    """Against the same without a ring: there all that waited bears the last one's stamp."""
    outcome = Taker()
    RingReads(one_ring, pair.ours, outcome)
    page = tmp_path / "page"
    page.write_bytes(b"\0")
    ends = [pair.theirs.fileno(), pair.ours.fileno()]
    command = [sys.executable, "-c", SENDER, *map(str, ends), str(page)]
    with (
        page.open("r+b") as file,
        mmap.mmap(file.fileno(), 1) as over,
        subprocess.Popen(command, pass_fds=ends) as sender,
    ):
        in_flight(0.001)
        until = time.monotonic() + 60
        while not over[0] and time.monotonic() < until:
            pass  # Python is busy and enters no kernel but for the clock's ticks
        assert sender.wait(30) == 0
    assert outcome.reads == []  # no read was taken so far
    in_flight()
    assert [read[HEAD_SIZE:] for read in outcome.reads] == [b"event %d" % n for n in range(8)]
    stamps = [stamp_of(read) for read in outcome.reads]
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert min(gaps) > 10**7


def test_the_middle_of_a_stream_is_kept_until_what_may_be_its_end(
    one_ring: Ring, pair: Pair
) -> None:
    outcome = Taker()
    reads = RingReads(one_ring, pair.ours, outcome)
    kept = KeptReads()
    reads.keep(kept)
    for piece in (b"b\r\ndata: one\n\n\r\n", b"b\r\ndata: two\n\n\r\n", b"0\r\n\r\n"):
        pair.theirs.sendall(piece)
        in_flight(0.01)
    sizes, _, data = split_reads(kept, 0)
    assert (len(sizes), data) == (2, b"b\r\ndata: one\n\n\r\nb\r\ndata: two\n\n\r\n")
    assert outcome.data == b"0\r\n\r\n"
    reads.keep(None)
    pair.theirs.sendall(b"handed over again")
    in_flight(0.01)
    assert outcome.data.endswith(b"handed over again")


def test_what_waits_is_known_before_it_is_handed_over(one_ring: Ring, pair: Pair) -> None:
    reported, other = Taker(), Taker()
    reads = RingReads(one_ring, pair.ours, reported)
    second = Pair()
    RingReads(one_ring, second.ours, other)
    for piece in (b"a", b"bc"):
        pair.theirs.sendall(piece)
        second.theirs.sendall(piece)
        os.getppid()  # into the kernel and out
    assert reads.waiting() == (2, 3)
    assert not reads.quiet()
    in_flight()
    assert reads.quiet()
    assert reads.waiting() == (0, 0)
    assert reported.data == other.data == b"abc"
    second.close()


def test_a_large_burst_is_one_read_of_many_buffers(one_ring: Ring, pair: Pair) -> None:
    outcome = Taker()
    RingReads(one_ring, pair.ours, outcome)
    body = bytes(range(256)) * 400  # more than a buffer holds
    pair.theirs.sendall(body)
    in_flight()
    assert outcome.data == body
    assert len(outcome.reads) < len(body) // 10_000
    assert struct.unpack_from("=I", outcome.reads[0], 8)[0] == len(outcome.reads[0]) - HEAD_SIZE


def test_more_than_all_buffers_hold_is_read_when_they_are_free_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "_FEWEST_BUFFERS", 4)
    monkeypatch.setattr(ring, "_READS_AHEAD", (1, 1))
    monkeypatch.setattr(ring, "_LARGEST_BUFFER", 64)
    small = Ring(4)
    outcome = Taker()
    RingReads(small, pair.ours, outcome)
    sent = b""
    for number in range(100):
        piece = b"%03d" % number * 9
        sent += piece
        pair.theirs.sendall(piece)
    in_flight(0.3)
    assert outcome.data == sent
    small.close()


def test_the_ring_goes_round_many_times(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.setattr(ring, "_FEWEST_BUFFERS", 8)
    monkeypatch.setattr(ring, "_READS_AHEAD", (1, 1))
    small = Ring(8)
    reported, other = Taker(), Taker()
    RingReads(small, pair.ours, reported)
    second = Pair()
    RingReads(small, second.ours, other)
    for number in range(300):
        (pair if number % 3 else second).theirs.sendall(b"%d," % number)
        gevent.sleep(0)
    in_flight()
    assert reported.data == b"".join(b"%d," % n for n in range(300) if n % 3)
    assert other.data == b"".join(b"%d," % n for n in range(0, 300, 3))
    second.close()
    small.close()


def test_the_peers_end_is_a_read_of_nothing(one_ring: Ring, pair: Pair) -> None:
    outcome = Taker()
    RingReads(one_ring, pair.ours, outcome)
    pair.theirs.sendall(b"last words")
    pair.theirs.close()
    in_flight()
    assert outcome.data == b"last words"
    assert outcome.ended
    assert outcome.error is None


def test_with_the_last_bytes_the_end_is_known(one_ring: Ring, pair: Pair) -> None:
    """A caller that gets the last bytes may release the connection; the end after them is then not delivered."""
    seen: list[bool] = []

    class Leaving(Taker):
        def arrived(self, read: bytes) -> None:
            super().arrived(read)
            seen.append(reads.quiet())
            reads.close()

    reported = Leaving()
    pair.theirs.sendall(b"last words")
    pair.theirs.close()
    reads = RingReads(one_ring, pair.ours, reported)
    in_flight()
    assert [read[HEAD_SIZE:] for read in reported.reads] == [b"last words"]
    assert seen == [False]


def test_a_reset_is_told_with_its_cause(one_ring: Ring, pair: Pair) -> None:
    outcome = Taker()
    RingReads(one_ring, pair.ours, outcome)
    pair.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pair.theirs.close()
    in_flight()
    assert isinstance(outcome.error, ConnectionResetError)


def test_a_connection_that_was_let_go_is_closed_and_not_heard_of_again(
    one_ring: Ring, pair: Pair
) -> None:
    outcome = Taker()
    reads = RingReads(one_ring, pair.ours, outcome)
    pair.theirs.sendall(b"never taken")
    os.getppid()
    reads.close()
    reads.close()
    pair.ours.close()
    in_flight()
    assert outcome.reads == []
    pair.theirs.settimeout(2)
    with contextlib.suppress(ConnectionResetError):  # closed with bytes unread
        assert pair.theirs.recv(10) == b""


def test_a_taker_may_let_connections_go_and_add_new_ones_while_it_is_told(
    one_ring: Ring, pair: Pair
) -> None:
    second = Pair()
    third = Taker()

    class Restless(Taker):
        def arrived(self, read: bytes) -> None:
            super().arrived(read)
            mine.close()
            RingReads(one_ring, second.ours, third)

    restless = Restless()
    mine = RingReads(one_ring, pair.ours, restless)
    for one in (pair, second):
        one.theirs.sendall(b"first")
        one.theirs.sendall(b"second")
    in_flight()
    assert len(restless.reads) == 1
    assert third.data == b"firstsecond"
    second.close()


def test_without_io_uring_there_is_no_ring(monkeypatch: pytest.MonkeyPatch, one_ring: Ring) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(io_uring.IoUring, "_system", refused)
    assert open_ring(1) is None


def test_a_kernel_that_reads_once_when_asked_is_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io_uring, "_MULTISHOT", 0)
    assert open_ring(1) is None


def test_the_trial_leaves_nothing_behind() -> None:
    opened = open_ring(1)
    assert opened is not None
    assert opened._takers == {}
    assert opened.quiet(1, (1).to_bytes(8, sys.byteorder))
    opened.close()


def test_with_little_memory_to_lock_the_ring_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    most = open_ring(1000)
    assert most is not None
    calls: list[int] = []
    begin = Ring.__init__

    def limited(self: Ring, connections: int) -> None:
        calls.append(connections)
        if connections > 100:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        begin(self, connections)

    monkeypatch.setattr(Ring, "__init__", limited)
    less = open_ring(1000)
    assert calls == [1000, 250, 62]
    assert less is not None
    assert less._uring.count < most._uring.count
    calls.clear()
    assert open_ring(10_000) is None
    assert calls == [10_000, 2_500, 625]
    for one in (most, less):
        one.close()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_RING_VARIABLE, "1")
    assert open_ring(1) is None


READS = st.lists(
    st.tuples(st.binary(max_size=60), st.integers(0, 2**31), st.integers(0, 10**9 - 1)),
    min_size=1,
    max_size=20,
)
LOOKS_LIKE_A_HEAD = make_head(5, struct.pack("=2q", 7, 8))


@given(reads=READS, place=st.integers(0, 19), disguise=st.booleans())
def test_kept_reads_come_apart_as_they_were_put_together(
    reads: list[tuple[bytes, int, int]], place: int, disguise: bool
) -> None:
    if disguise:
        place %= len(reads)
        reads[place] = (reads[place][0] + LOOKS_LIKE_A_HEAD, *reads[place][1:])
    kept = KeptReads()
    for data, seconds, nanoseconds in reads:
        kept += make_head(len(data), struct.pack("=2q", seconds, nanoseconds)) + data
    anchor = 12_345
    sizes, instants, whole = split_reads(kept, anchor)
    assert sizes == [len(data) for data, _, _ in reads]
    assert instants == [s * 10**9 + ns - anchor for _, s, ns in reads]
    assert whole == b"".join(data for data, _, _ in reads)


def test_reads_joined_bear_the_last_stamp() -> None:
    first = make_head(2, struct.pack("=2q", 1, 2)) + b"ab"
    last = make_head(1, struct.pack("=2q", 3, 4)) + b"c"
    joined = join_reads([first, last])
    assert joined[HEAD_SIZE:] == b"abc"
    assert stamp_of(joined) == 3_000_000_004
    assert stamp_of(join_reads([last, make_head(1, b"") + b"d"])) == 0


def test_the_layout_is_the_kernels(one_ring: Ring, pair: Pair) -> None:
    """What the kernel writes and what make_head writes differ in nothing."""
    outcome = Taker()
    RingReads(one_ring, pair.ours, outcome)
    pair.theirs.sendall(b"hello")
    in_flight()
    [read] = outcome.reads
    assert read == make_head(5, read[HEAD_SIZE - 16 : HEAD_SIZE]) + b"hello"


def test_a_process_ends_with_its_ring_open(tmp_path: Path) -> None:
    script = "from observatory.load.reading.ring import open_ring; print(open_ring(64) is not None)"
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
