"""The emulator on real sockets: the openai package accepts it, and its HTTP is as servers' is."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from observatory.core.emulation.profile import Faults, Profile
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.emulator.emulator import EmulatorConfig, serve
from tests.endpoints.conftest import QUICK

Start = Callable[..., tuple[str, int]]
MESSAGES: Any = [{"role": "user", "content": "Please reset my password today"}]


def client(address: tuple[str, int], key: str = "any") -> openai.OpenAI:
    host, port = address
    return openai.OpenAI(
        api_key=key, base_url=f"http://{host}:{port}/v1", max_retries=0, timeout=20
    )


@pytest.fixture
def quick(emulator: tuple[str, int], no_ambient_openai: None) -> Iterator[openai.OpenAI]:
    with client(emulator) as opened:
        yield opened


def test_the_openai_package_streams_a_chat(quick: openai.OpenAI) -> None:
    stream = quick.chat.completions.create(
        model="emulated-model",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    events = list(stream)
    assert events[0].choices[0].delta.role == "assistant"
    assert not events[0].choices[0].delta.content
    texts = [event.choices[0].delta.content for event in events[1:-2]]
    assert len(texts) == 8
    assert all(texts)
    assert events[-2].choices[0].finish_reason == "stop"
    usage = events[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (5, 8)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0


def test_the_openai_package_gets_a_whole_chat_and_the_limit_is_kept(quick: openai.OpenAI) -> None:
    answer = quick.chat.completions.create(model="emulated-model", messages=MESSAGES, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    text = answer.choices[0].message.content
    assert text is not None
    assert len(text.split()) == 3
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    assert answer._request_id is not None
    assert answer._request_id.startswith("req-emulated-")


def test_the_openai_package_streams_and_gets_completions(quick: openai.OpenAI) -> None:
    stream = quick.completions.create(
        model="emulated-model", prompt="def fibonacci", stream=True, max_tokens=4
    )
    text = "".join(event.choices[0].text for event in stream)
    assert len(text.split()) == 4
    whole = quick.completions.create(model="emulated-model", prompt="def fibonacci", max_tokens=4)
    assert len(whole.choices[0].text.split()) == 4


def test_the_openai_package_lists_models(quick: openai.OpenAI) -> None:
    assert [model.id for model in quick.models.list()] == ["emulated-model"]
    assert quick.models.retrieve("emulated-model").owned_by == "observatory-emulator"


def test_the_openai_package_understands_its_errors(
    start_emulator: Start, quick: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        quick.chat.completions.create(model="gpt-nothing", messages=MESSAGES)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        quick.chat.completions.create(model="emulated-model", messages=[])
    monkeypatch.setenv("TEST_EMULATOR_KEY", "right")
    locked = start_emulator(accept_key_env="TEST_EMULATOR_KEY")
    with client(locked, "wrong") as denied, pytest.raises(openai.AuthenticationError):
        denied.models.list()
    with client(locked, "right") as allowed:
        assert allowed.models.list().data


def profile(**fields: Any) -> Profile:
    quick = {"ttft_median": "1ms", "ttft_p95": "1ms"}
    tokens = {"inter_token_median": "1ms", "inter_token_p95": "1ms"}
    return Profile.model_validate(quick | tokens | fields)


def test_throttling_says_when_to_come_back(start_emulator: Start, no_ambient_openai: None) -> None:
    address = start_emulator(profile=profile(faults={"http_429": 1.0}))
    with client(address) as throttled, pytest.raises(openai.RateLimitError) as caught:
        throttled.chat.completions.create(model="emulated-model", messages=MESSAGES)
    headers = caught.value.response.headers
    assert headers["retry-after"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert caught.value.code == "rate_limit_exceeded"


def test_errors_are_500s(start_emulator: Start, no_ambient_openai: None) -> None:
    address = start_emulator(profile=profile(faults={"http_500": 1.0}))
    with client(address) as failing, pytest.raises(openai.InternalServerError):
        failing.chat.completions.create(model="emulated-model", messages=MESSAGES, stream=True)


def test_with_one_slot_all_are_still_served(start_emulator: Start, no_ambient_openai: None) -> None:
    address = start_emulator(profile=profile(slots=1, output_tokens_median=3, output_tokens_p95=3))

    def one(number: int) -> int:
        with client(address) as waiting:
            stream = waiting.chat.completions.create(
                model="emulated-model",
                messages=[{"role": "user", "content": f"Question number {number}"}],
                stream=True,
            )
            return sum(bool(event.choices[0].delta.content) for event in stream)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(12))) == [3] * 12


def request(body: dict[str, Any], extra: bytes = b"") -> bytes:
    data = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n" % len(data)
    return head + extra + b"\r\n" + data


def read_until(connection: socket.socket, end: bytes, times: int = 1) -> bytes:
    received = b""
    while received.count(end) < times:
        data = connection.recv(65_536)
        assert data, received
        received += data
    return received


SHORT = {"model": "emulated-model", "messages": MESSAGES, "stream": True, "max_tokens": 2}


def test_a_client_that_leaves_frees_its_slot(start_emulator: Start) -> None:
    address = start_emulator(profile=profile(slots=1, ttft_median="1h", ttft_p95="1h"))
    first = socket.create_connection(address)
    first.sendall(request(SHORT))
    assert b"text/event-stream" in read_until(first, b"\r\n\r\n")
    waiting = socket.create_connection(address)
    waiting.sendall(request(SHORT))
    abandoned = socket.create_connection(address)
    abandoned.sendall(request(SHORT))
    abandoned.close()
    first.close()
    assert b"text/event-stream" in read_until(waiting, b"\r\n\r\n")
    waiting.close()


def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(
    emulator: tuple[str, int],
) -> None:
    with socket.create_connection(emulator) as connection:
        connection.sendall(request(SHORT) + request(SHORT | {"max_tokens": 3}))
        received = read_until(connection, b"\r\n0\r\n\r\n", times=2)
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        received += read_until(connection, b'{"status":"ok"}')
        assert connection.recv(1) == b""
    first, second, _ = received.split(b"0\r\n\r\n")
    assert first.count(b'"delta":{"content":"') == 2
    assert second.count(b'"delta":{"content":"') == 3
    assert b"transfer-encoding: chunked" in first
    assert received.count(b"x-observatory-emulated: 1") == 3


def test_a_request_in_single_bytes_is_understood(emulator: tuple[str, int]) -> None:
    with socket.create_connection(emulator) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(SHORT, b"expect: 100-continue\r\n"):
            connection.sendall(bytes([byte]))
        received = read_until(connection, b"0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET /v1/models HTTP/1.0\r\n\r\n", b"505"),
        (b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", b"404"),
    ],
)
def test_what_is_no_request_for_it_is_refused_and_closed(
    emulator: tuple[str, int], data: bytes, status: bytes
) -> None:
    with socket.create_connection(emulator) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nconnection: close\r\n" in received


def test_the_same_requests_get_the_same_answers_from_another_emulator(
    start_emulator: Start, no_ambient_openai: None
) -> None:
    def texts(numbers: list[int]) -> dict[int, str | None]:
        found = {}
        with client(start_emulator()) as opened:
            for number in numbers:
                answer = opened.chat.completions.create(
                    model="emulated-model",
                    messages=[{"role": "user", "content": f"{number}: reset or refund or repair?"}],
                )
                found[number] = answer.choices[0].message.content
        return found

    assert texts([1, 2, 3, 4]) == texts([4, 3, 2, 1])


def test_other_machines_are_refused_unless_allowed() -> None:
    with pytest.raises(BadInput, match=r"0\.0\.0\.0: this address can be reached"):
        serve(EmulatorConfig(host="0.0.0.0"), lambda host, port: None)


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFailed, match=rf"127\.0\.0\.1:{port}: the port is taken"):
            serve(EmulatorConfig(port=port), lambda host, port: None)


def test_as_a_child_it_says_where_it_listens_and_ends_at_a_signal(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    argv = [sys.executable, "-m", "observatory.emulator.emulator", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())["ready"]
        connection = http.client.HTTPConnection(ready["host"], ready["port"], timeout=10)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0


def test_as_a_child_it_says_why_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"host": "0.0.0.0"}')
    argv = [sys.executable, "-m", "observatory.emulator.emulator"]
    refused = subprocess.run([*argv, str(path)], capture_output=True, check=False)
    assert refused.returncode == 2
    assert "can be reached from other machines" in json.loads(refused.stdout)["failed"]
    unread = subprocess.run([*argv, str(tmp_path / "none")], capture_output=True, check=False)
    assert unread.returncode == 2
    assert "No such file" in json.loads(unread.stdout)["failed"]


def test_a_kept_connection_is_dropped_unanswered_and_a_new_one_is_served(
    start_emulator: Start,
) -> None:
    host, port = start_emulator(profile=QUICK.model_copy(update={"faults": Faults(drop_kept=1)}))
    body = json.dumps({"model": "emulated-model", "messages": MESSAGES, "max_tokens": 2})
    for _ in range(2):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        assert response.status == 200 and response.read()
        connection.request("POST", "/v1/chat/completions", body)
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.close()
