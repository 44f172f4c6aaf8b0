"""The C server: it compiles without a warning, speaks to the openai package, and logs what it did."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from benchmarks.truth_server import Schedule, TruthServer, build, serving

QUICK = Schedule(ttft_us=2_000, gap_us=1_000, tokens=6)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TruthServer]:
    with serving(QUICK, tmp_path / "log") as running:
        yield running


def client(server: TruthServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=20)


MESSAGES = [{"role": "user", "content": 'say {"stream": false, "max_tokens": 1}'}]


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    # -Werror is among the flags: a warning is an error here.
    assert build(tmp_path).stat().st_mode & 0o111


def test_the_openai_package_streams_from_it(server: TruthServer) -> None:
    with client(server) as api:
        stream = api.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert texts == ["", " w0", " w1", " w2", " w3", " w4", " w5", None]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6


def test_the_openai_package_takes_a_whole_answer_and_a_lower_limit(server: TruthServer) -> None:
    with client(server) as api:
        answer = api.chat.completions.create(model="m", messages=MESSAGES, max_tokens=2)
        completion = api.completions.create(model="m", prompt="p", max_tokens=99)
        streamed = api.completions.create(model="m", prompt="p", max_tokens=3, stream=True)
        texts = [chunk.choices[0].text for chunk in streamed if chunk.choices]
        models = [model.id for model in api.models.list()]
    assert answer.choices[0].message.content == " w0 w1"
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 2)
    assert completion.choices[0].text == " w0 w1 w2 w3 w4 w5"
    assert completion.choices[0].finish_reason == "stop"
    assert texts == [" w0", " w1", " w2", ""]
    assert models == ["m"]


def ask(connection: http.client.HTTPConnection, **body: object) -> tuple[str, bytes]:
    connection.request("POST", "/v1/chat/completions", json.dumps({"stream": True, **body}))
    response = connection.getresponse()
    return response.headers["x-request-id"], response.read()


def test_the_log_says_when_each_request_was_read_and_each_token_written(tmp_path: Path) -> None:
    with serving(QUICK, tmp_path / "log") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        names = [ask(connection)[0], ask(connection, max_tokens=2)[0]]
        # The kernel begins to stamp some time after the first socket requested it.
        for _ in range(100):
            ask(connection, max_tokens=1)
            time.sleep(0.01)
        connection.close()
    log = server.log
    assert names == ["truth-0", "truth-1"]
    assert log.requests[:2].tolist() == [0, 1]
    assert log.writes["request"][:8].tolist() == [0] * 6 + [1] * 2
    assert log.writes["token"][:8].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    # Never early: the deadlines are the least that lies between.
    first = log.writes["at_ns"][:6].tolist()
    assert first[0] - int(log.read_ns[0]) >= 2_000_000 - 100_000
    assert first[5] - first[0] >= 5_000_000 - int(log.writes["late_ns"][0]) - 100_000
    assert (log.lateness_ns() >= 0).all()
    assert (log.arrived_ns <= log.read_ns).all()
    assert (log.arrived_ns < log.read_ns).any(), "no kernel stamp was ever had"


def test_a_coalesced_stream_is_one_write_with_the_same_bytes(tmp_path: Path) -> None:
    bodies = []
    for coalesce in (False, True):
        schedule = Schedule(ttft_us=0, gap_us=0, tokens=50, coalesce=coalesce)
        with serving(schedule, tmp_path / f"log-{coalesce}") as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            bodies.append(ask(connection)[1])
            connection.close()
        assert server.log.writes.size == (1 if coalesce else 50)
    assert bodies[0] == bodies[1]
    assert bodies[0].count(b"data: ") == 1 + 50 + 3


def test_a_reader_that_stalls_gets_everything_in_the_end(tmp_path: Path) -> None:
    # 6 MB: more than Linux takes into a socket's two buffers without a reader.
    schedule = Schedule(ttft_us=0, gap_us=0, tokens=32_000)
    with (
        serving(schedule, tmp_path / "log") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as stalled,
    ):
        stalled.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 15\r\n\r\n" + b'{"stream":true}'
        )
        # Another connection is served meanwhile.
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        assert ask(other, max_tokens=1)[1].endswith(b"data: [DONE]\n\n")
        other.close()
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            piece = stalled.recv(65536)
            assert piece, "closed before the end"
            received += piece
    assert received.count(b'"content":" w') == 32_000


def test_other_paths_health_and_a_client_that_leaves(tmp_path: Path) -> None:
    with serving(Schedule(50_000, 50_000, 100), tmp_path / "log") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        found = []
        for path in ("/health", "/metrics", "/v1/models"):
            connection.request("GET", path)
            response = connection.getresponse()
            found.append((response.status, bool(json.loads(response.read()) is not None)))
        connection.close()
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as leaver:
            leaver.sendall(
                b"POST /v1/completions HTTP/1.1\r\nContent-Length: 15\r\n\r\n" + b'{"stream":true}'
            )
            leaver.recv(100)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as after:
            after.sendall(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
            while after.recv(1000):
                pass
    assert found == [(200, True), (404, True), (200, True)]
    assert server.log.unfinished == 1
