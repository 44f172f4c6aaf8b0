"""The replay server: its bytes are a stream that strangers accept, its instants are kept and reported."""

import itertools
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.errors import EnvironmentFailed
from observatory.emulator.replay_answer import MODEL, TEXT, answer_writes
from observatory.emulator.replay_server import ReplayConfig, ReplaySecond, read_seconds
from observatory.processes.server_child import ServerChild
from tests.endpoints import wire_streams

pytestmark = pytest.mark.live


@contextmanager
def served(folder: Path, name: str = "a", **more: object) -> Iterator[tuple[int, Path]]:
    """A server in a child process: its port, and its report file."""
    settings = {"tokens": 5, "first_ns": 5_000_000, "gap_ns": 2_000_000, "late_ns": 10**9, **more}
    report = folder / f"{name}.jsonl"
    config = msgspec.convert(
        {**settings, "report": str(report), "parent": os.getpid()}, ReplayConfig
    )
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode(config))
    child = ServerChild(
        [sys.executable, "-m", "observatory.emulator.replay_server", str(path)],
        folder / f"{name}.log",
        "the replay server",
    )
    try:
        yield int(child.wait_ready(time.monotonic() + 20)["port"]), report
    finally:
        child.close()


def request(port: int, requests: int = 1) -> tuple[list[bytes], list[int]]:
    """The bytes of so many answers on one connection, by the read, and when each read returned."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH: 2\r\n\r\n"
    reads, times = [], []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        for byte in head + b"{}" + (head + b"{}") * (requests - 1):
            sock.send(bytes([byte]))
        while b"".join(reads).count(b"\r\n0\r\n\r\n") < requests:
            reads.append(sock.recv(65_536))
            times.append(time.monotonic_ns())
            assert reads[-1], "closed early"
    return reads, times


@given(tokens=st.integers(1, 300), cuts=st.sets(st.integers(1, 20_000), max_size=20))
@settings(max_examples=40, deadline=None)
def test_the_answer_decodes_to_its_tokens_however_it_is_cut(tokens: int, cuts: set[int]) -> None:
    whole = b"".join(answer_writes(tokens))
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    answer = wire_streams.read(pieces)
    attempt = answer.attempt
    assert (attempt.outcome, attempt.finish_reason, attempt.saw_done) == ("ok", "stop", True)
    assert attempt.tokens.streamed == attempt.tokens.output == len(attempt.event_ns) == tokens
    assert answer.text == TEXT * tokens


def test_every_event_is_a_write_of_its_own() -> None:
    writes = answer_writes(4)
    assert [write.count(TEXT.encode()) for write in writes] == [1, 1, 1, 1]
    assert writes[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert writes[-1].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert len(answer_writes(0)) == 1


def test_events_come_in_order_never_before_their_instant(tmp_path: Path) -> None:
    began = time.monotonic_ns()
    with served(tmp_path) as (port, report):
        reads, times = request(port)
    assert b"".join(reads) == b"".join(answer_writes(5))
    assert times[-1] - began >= 5_000_000 + 4 * 2_000_000
    seconds = read_seconds(report)
    last = seconds[-1]
    assert (last.requests, last.events, last.late) == (1, 5, 0)
    assert last.cpu_ns > 0
    assert max(second.worst_ns for second in seconds) > 0


def test_requests_on_one_connection_are_answered_one_after_another(tmp_path: Path) -> None:
    with served(tmp_path, gap_ns=0, first_ns=0) as (port, report):
        reads, _ = request(port, requests=3)
    assert b"".join(reads) == b"".join(answer_writes(5)) * 3
    last = read_seconds(report)[-1]
    assert (last.requests, last.events) == (3, 15)


def test_an_answer_larger_than_the_kernels_buffer_arrives_whole(tmp_path: Path) -> None:
    with served(tmp_path, tokens=40_000, gap_ns=0) as (port, _):
        reads, _ = request(port)
    assert b"".join(reads) == b"".join(answer_writes(40_000))


def test_what_is_behind_its_instant_is_counted(tmp_path: Path) -> None:
    with served(tmp_path, late_ns=-1) as (port, report):
        request(port)
    assert read_seconds(report)[-1].late == 5


def test_a_client_that_leaves_harms_nobody(tmp_path: Path) -> None:
    with served(tmp_path) as (port, report):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            sock.recv(1)
        request(port)
    assert read_seconds(report)[-1].requests == 2


def test_the_openai_package_accepts_it(tmp_path: Path) -> None:
    with served(tmp_path) as (port, _):
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
        assert [model.id for model in client.models.list()] == [MODEL]
        stream = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "x"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text or "" for text in texts) == TEXT * 5
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_several_servers_share_a_port_and_a_taken_one_is_said(tmp_path: Path) -> None:
    with (
        served(tmp_path, "first", shared=True) as (port, _),
        served(tmp_path, "second", shared=True, port=port) as (same, _),
    ):
        assert same == port
        request(port)
        with (
            pytest.raises(EnvironmentFailed, match="cannot listen"),
            served(tmp_path, "third", port=port),
        ):
            pass


def test_a_line_that_is_not_whole_yet_is_left_for_later(tmp_path: Path) -> None:
    second = ReplaySecond(1, 2, 3, 4, 5, 6, 7)
    line = msgspec.json.encode(second) + b"\n"
    (tmp_path / "r").write_bytes(line + line[:-4])
    assert read_seconds(tmp_path / "r") == [second]
