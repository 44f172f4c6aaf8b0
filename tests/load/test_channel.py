"""A connection's reads: whichever are kept to be taken in later, the record is that of taking each at once."""

import json
import os
import struct
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.connect.masking import Masker
from observatory.load.connections.channel import Channel
from observatory.load.connections.connecting import OpenedSocket
from observatory.load.connections.tails import Tails
from observatory.load.reading.kernel_stamps import SegmentCount
from observatory.load.reading.polling import SMALL_READ
from observatory.wires.http_attempt import Fault, HttpAttempt
from observatory.wires.streams.http_response import ResponseReader
from observatory.wires.streams.stream_end import StreamEnd
from observatory.wires.wire import decode

ANCHOR_NS = 1_700_000_000 * 10**9
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class FakeSocket:
    """A socket with prepared reads with kernel stamps, and prepared counts of segments."""

    def __init__(self, reads: list[tuple[bytes, int]], segments: list[int]) -> None:
        self._ends, self._end = os.pipe()
        self._reads = [(data, at, count) for (data, at), count in zip(reads, segments, strict=True)]
        self._segments = self._bytes = 0
        self.asked = 0
        self._full = False

    def fileno(self) -> int:
        return self._ends

    def close(self) -> None:
        os.close(self._ends)
        os.close(self._end)

    def send(self, data: memoryview) -> int:
        return len(data)

    def recvmsg(self, size: int, _: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        data, at, count = self._reads.pop(0)
        if count == 0 and not self._full:
            self._reads.insert(0, (data, at, -1))
            raise BlockingIOError
        self._full = len(data) >= size
        if len(data) > size:
            self._reads.insert(0, (data[size:], at, 0))
            data = data[:size]
        self._segments += max(count, 0)
        self._bytes += len(data)
        stamp = struct.pack("qq", *divmod(ANCHOR_NS + at, 10**9))
        return data, [(1, 35, stamp)], 0, None

    def recv(self, size: int, flags: int = 0) -> bytes:
        raise BlockingIOError

    def getsockopt(self, *_: int) -> bytes:
        self.asked += 1
        return struct.pack("=20xI104xQ16xI4x", 1448, self._bytes, self._segments)

    @property
    def left(self) -> int:
        return len(self._reads)


def through_channel(
    reads: list[tuple[bytes, int]], segments: list[int] | None = None, answers: int = 1
) -> tuple[list[HttpAttempt], FakeSocket, Channel]:
    """The HTTP attempts that a channel makes of these reads, given to it one after another."""
    raw = FakeSocket(reads * answers, (segments or [1] * len(reads)) * answers)
    over: list[bool] = []
    channel = Channel(
        OpenedSocket(raw, True), ANCHOR_NS, lambda: over.append(True), Tails("openai")
    )
    http_attempts = []
    for number in range(answers):
        http_attempts.append(HttpAttempt(streaming=True, reused=number > 0))
        channel.send([b"POST"], http_attempts[-1])
        until = len(reads) * (answers - number - 1)
        while raw.left > until:
            channel._incoming._readable()
    return http_attempts, raw, channel


def at_once(reads: list[tuple[bytes, int]], merged: frozenset[int] = frozenset()) -> HttpAttempt:
    """The HTTP attempt of a reader that is fed each read when it comes, ended where its stream is."""
    http_attempt = HttpAttempt(streaming=True, response=ResponseReader())
    assert http_attempt.response is not None
    end, body = StreamEnd("openai"), 0
    for number, (data, at) in enumerate(reads):
        over = http_attempt.response.feed(data, at, merged=number in merged)
        more, body = (
            b"".join(http_attempt.response.pieces)[body:],
            sum(map(len, http_attempt.response.pieces)),
        )
        if http_attempt.ended is None and (end.found(more) is not None or over):
            http_attempt.ended = at
        if over:
            break
    return http_attempt


def record(http_attempt: HttpAttempt) -> dict[str, Any]:
    answer = decode(http_attempt, anchor_unix_ns=ANCHOR_NS, masker=Masker([]))
    attempt = answer.attempt
    names = set(attempt.__struct_fields__) - {"sent", "body_sent", "bytes_sent", "stamp_source"}
    return {name: getattr(attempt, name) for name in names} | {"text": answer.text}


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def token(text: str) -> bytes:
    choice = {"delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
TEXTS = st.sampled_from(["a", "é", "\r\n\r\n", "\ndata:", "x" * 40, "y" * 600, "z" * 1500])


@st.composite
def cut_streams(draw: st.DrawFn) -> list[tuple[bytes, int]]:
    """A stream of one or more events a chunk, cut into reads anywhere or where chunks end."""
    extension = draw(st.sampled_from([b"", b"", b";a=b"]))
    chunks = [
        chunk(b"".join(map(token, draw(st.lists(TEXTS, min_size=1, max_size=2)))), extension)
        for _ in range(draw(st.integers(0, 8)))
    ]
    whole = HEAD + b"".join(chunks) + END
    ends = [len(HEAD)]
    for one in chunks:
        ends.append(ends[-1] + len(one))
    places = st.one_of(st.sampled_from(ends), st.integers(1, len(whole) - 1))
    cuts = sorted({*draw(st.lists(places, max_size=14)), len(whole)})
    starts = [0, *cuts]
    return [
        (whole[start:stop], 10**8 + number * 7_000_003)
        for number, (start, stop) in enumerate(zip(starts, cuts, strict=False))
    ]


@settings(deadline=None)
@given(reads=cut_streams())
def test_reads_that_are_kept_give_the_same_record(reads: list[tuple[bytes, int]]) -> None:
    [http_attempt], raw, channel = through_channel(reads)
    channel.close()
    assert http_attempt.ended is not None
    assert raw.left == 0
    expected = at_once(reads)
    expected.sent = http_attempt.sent  # whether it came as a stream depends on it
    assert record(http_attempt) == record(expected)


@pytest.fixture
def usual() -> list[tuple[bytes, int]]:
    """A first read with the head and an event, then an event a read."""
    reads = [HEAD + chunk(token("a")), *(chunk(token(f" {n}")) for n in range(50)), END]
    return [(data, 10**8 + n * 10**7) for n, data in enumerate(reads)]


def test_the_middle_of_a_stream_costs_no_question_and_no_parsing(
    usual: list[tuple[bytes, int]],
) -> None:
    [http_attempt], raw, channel = through_channel(usual)
    channel.close()
    assert raw.asked == 1  # at the answer's end
    assert http_attempt.response is not None
    assert http_attempt.response.merged == set()
    events = [at for _, at in usual[:-1]]
    assert record(http_attempt)["event_ns"] == events


def test_events_that_waited_together_are_found_in_the_middle_of_a_stream(
    usual: list[tuple[bytes, int]],
) -> None:
    late = [*usual[:10], (usual[10][0] + usual[11][0], usual[11][1]), *usual[12:]]
    segments = [1] * len(late)
    segments[10] = 2
    [http_attempt], _, channel = through_channel(late, segments)
    channel.close()
    seen = record(http_attempt)
    assert seen["event_shared"] == [place == 10 for place in range(51)]
    assert seen["shared_stamps"] == 1


def test_two_events_that_were_sent_at_once_do_not_share_a_stamp_by_our_fault(
    usual: list[tuple[bytes, int]],
) -> None:
    burst = [*usual[:10], (usual[10][0] + usual[11][0], usual[11][1]), *usual[12:]]
    [http_attempt], _, channel = through_channel(burst)
    channel.close()
    assert record(http_attempt)["shared_stamps"] == 0


def test_a_server_that_writes_a_chunk_in_parts_is_asked_about_at_every_read(
    usual: list[tuple[bytes, int]],
) -> None:
    answers = 3
    http_attempts, raw, channel = through_channel(usual, [2] * len(usual), answers)
    channel.close()
    assert channel._segments.exact
    assert raw.asked > 2 * len(usual)
    assert [record(one)["http_status"] for one in http_attempts] == [200] * answers


def test_a_stream_that_breaks_off_keeps_what_came(usual: list[tuple[bytes, int]]) -> None:
    broken = [*usual[:20], (b"", 0)]
    [http_attempt], _, channel = through_channel(broken)
    channel.close()
    seen = record(http_attempt)
    assert (seen["error_phase"], seen["error_kind"]) == ("stream", "early_close")
    assert len(seen["event_ns"]) == 20
    assert not channel.usable


def test_a_read_that_fills_the_small_buffer_is_read_to_its_end(
    usual: list[tuple[bytes, int]],
) -> None:
    long = [*usual[:10], (chunk(token("w" * (2 * SMALL_READ))), usual[10][1]), *usual[11:]]
    [http_attempt], _, channel = through_channel(long)
    channel.close()
    assert record(http_attempt) == record(at_once(long))


def test_what_comes_after_a_full_small_buffer_brings_its_own_stamp(
    usual: list[tuple[bytes, int]],
) -> None:
    first, late = chunk(token("w" * SMALL_READ)), chunk(token("late"))
    cut = (first + late)[:SMALL_READ], (first + late)[SMALL_READ:]
    reads = [*usual[:10], (cut[0], usual[10][1]), (cut[1], usual[11][1]), *usual[12:]]
    segments = [1] * len(reads)
    segments[11] = 0  # there already when the first part is read
    [http_attempt], _, channel = through_channel(reads, segments)
    channel.close()
    assert record(http_attempt)["event_ns"][10:12] == [usual[11][1]] * 2


def test_what_came_before_the_first_request_is_no_part_of_its_answer() -> None:
    """A TLS handshake's bytes and segments: neither counted as reads nor taken for unread."""
    raw = FakeSocket([], [])
    raw._bytes, raw._segments = 5_000, 4
    count = SegmentCount(raw, fresh=False)  # type: ignore[arg-type]
    never = pytest.fail
    raw._bytes, raw._segments = 5_300, 6
    assert count.beyond(1, 300, [], lambda: never("all of it is read")) == 1
    raw._bytes, raw._segments = 5_600, 7
    assert count.beyond(2, 600, [], lambda: never("all of it is read")) == 0


@pytest.fixture
def ended_apart(usual: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """The same, its last chunk in a read of its own, 10 ms after [DONE]."""
    done, last = usual[-1][0][:-5], usual[-1][0][-5:]
    return [*usual[:-1], (done, usual[-1][1]), (last, usual[-1][1] + 10**7)]


def test_a_last_chunk_after_the_end_of_the_stream_keeps_the_connection(
    ended_apart: list[tuple[bytes, int]],
) -> None:
    http_attempts, raw, channel = through_channel(ended_apart, answers=3)
    assert channel.usable
    channel.close()
    assert raw.asked == 3
    for http_attempt in http_attempts:
        assert http_attempt.ended == ended_apart[-2][1]
        assert (record(http_attempt)["outcome"], record(http_attempt)["saw_done"]) == ("ok", True)


def test_a_last_chunk_that_does_not_come_is_not_waited_for(
    ended_apart: list[tuple[bytes, int]],
) -> None:
    [http_attempt], _, channel = through_channel(ended_apart[:-1])
    assert http_attempt.ended is None
    channel.tail_is_late()
    assert not channel.usable
    assert http_attempt.ended == ended_apart[-2][1]
    assert (record(http_attempt)["outcome"], record(http_attempt)["error_kind"]) == ("ok", None)


@pytest.mark.parametrize("end", [(b"", 0), (chunk(token("more")), 10**9), (b"no chunk\r\n", 10**9)])
def test_whatever_comes_after_the_end_of_the_stream_is_no_part_of_it(
    ended_apart: list[tuple[bytes, int]], end: tuple[bytes, int]
) -> None:
    [http_attempt], _, channel = through_channel([*ended_apart[:-1], end])
    channel.give_up(Fault("stream", "timeout", "the stage is over", "timeout"))
    assert not channel.usable
    assert http_attempt.ended == ended_apart[-2][1]
    seen = record(http_attempt)
    assert (seen["outcome"], len(seen["event_ns"])) == ("ok", 51)


def test_where_last_chunks_do_not_come_nobody_waits_for_them() -> None:
    waited: list[object] = []

    class One:
        def tail_is_late(self) -> None:
            waited.append(self)

        def tail_is_there(self) -> bool:
            return False

    tails = Tails("openai")
    first, second = One(), One()
    assert tails.wait(first)
    tails.came(first)
    assert tails.wait(first) and tails.wait(second)
    gevent.sleep(0.1)
    assert waited == [first, second]
    assert not tails.wait(first)
    tails.close()
