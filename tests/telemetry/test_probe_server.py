"""The probe's pages in this process: who may read, what is refused, what is bounded."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from observatory.core.sample import Sample
from observatory.telemetry.probe import server as probe_server
from observatory.telemetry.probe.buffer import SampleBuffer
from observatory.telemetry.probe.server import MOST_CONNECTIONS, MOST_REQUEST_BYTES, ProbeServer
from observatory.telemetry.remote.wire import PROTOCOL, Batch, ClockReading, ProbeAbout
from tests.endpoints.certificates import make_certificates

TOKEN = "a-token-of-enough-length"


def numbered(count: int, start: int = 0) -> list[Sample]:
    return [
        Sample(n, "host", "shared_host", "", "load_1min", float(n))
        for n in range(start, start + count)
    ]


class Source:
    def __init__(self) -> None:
        self.buffer = SampleBuffer(most=10)

    def about(self) -> ProbeAbout:
        return ProbeAbout(PROTOCOL, "one", "0.1.0", 1.0, ["host"], self.buffer.next, [])

    def clock(self) -> ClockReading:
        return ClockReading(5, 6)

    def batch(self, since: int) -> Batch:
        return Batch("one", *self.buffer.since(since))


@contextmanager
def serving(
    token: str | None = TOKEN, context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, Source]]:
    source = Source()
    server = ProbeServer(("127.0.0.1", 0), source, token, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port, source
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(
    port: int, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, object], http.client.HTTPMessage]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request(method, path, headers=headers or {"Authorization": f"Bearer {TOKEN}"})
        response = client.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else {}, response.headers
    finally:
        client.close()


def test_the_three_pages() -> None:
    with serving() as (port, source):
        source.buffer.add(numbered(3))
        assert ask(port, "/clock")[1] == {"realtime_ns": 5, "monotonic_ns": 6}
        about = ask(port, "/about")[1]
        assert (about["protocol"], about["host"], about["next"]) == (PROTOCOL, None, 3)
        _, page, headers = ask(port, "/samples?since=1")
        assert headers.get_content_type() == "application/json"
        assert headers["Server"].strip() == "observatory-probe"
        assert page == {
            "instance": "one",
            "first": 1,
            "next": 3,
            "samples": [
                [1, "host", "shared_host", "", "load_1min", 1.0, None],
                [2, "host", "shared_host", "", "load_1min", 2.0, None],
            ],
        }


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"],
)
@pytest.mark.parametrize("path", ["/about", "/clock", "/samples?since=0", "/nothing"])
def test_without_the_token_there_is_nothing(authorization: str | None, path: str) -> None:
    headers = {"X-Nothing": "1"} if authorization is None else {"Authorization": authorization}
    with serving() as (port, _):
        status, page, sent = ask(port, path, headers=headers)
        assert (status, sent["WWW-Authenticate"]) == (401, "Bearer")
        assert page == {"error": "a bearer token is needed"}
        assert ask(port, path, method="DELETE", headers=headers)[0] == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_a_probe_is_only_read(method: str) -> None:
    with serving() as (port, _):
        status, _, headers = ask(port, "/samples?since=0", method=method)
        assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "path",
    [
        "/samples",
        "/samples?since=",
        "/samples?since=-1",
        "/samples?since=x",
        "/samples?since=1&since=2",
        "/samples?since=99999999999999999999",
        "/samples?since=\u0661".encode().decode("latin-1"),
        "/samples?a=1&b=2&c=3&d=4&e=5&f=6",
    ],
)
def test_a_bad_question_is_refused(path: str) -> None:
    with serving() as (port, _):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(
                f"GET {path} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode("latin-1")
            )
            assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
        assert ask(port, "/else")[0] == 404


def test_a_body_is_refused_and_not_read() -> None:
    with serving() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(
            f"GET /clock HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 50\r\n\r\n"
            "GET /about HTTP/1.1\r\n\r\n".encode()
        )
        answer = b""
        while part := raw.recv(4096):
            answer += part
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1


def test_a_request_that_is_too_large_is_cut_off() -> None:
    with serving() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        line = b"X-Long: " + b"x" * 1000 + b"\r\n"
        with pytest.raises(OSError):
            raw.sendall(b"GET /clock HTTP/1.1\r\n" + line * (MOST_REQUEST_BYTES // 1000 + 5))
            if raw.recv(100) == b"":
                raise ConnectionResetError
        assert ask(port, "/clock")[0] == 200


def test_a_stranger_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_server, "STRANGER_S", 0.05)
    with serving() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(b"GET /clock HTTP/1.1\r\n")
        assert raw.recv(100) == b""


def test_a_stranger_that_trickles_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_server, "STRANGER_S", 0.2)
    with serving() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        until = time.monotonic() + 20
        with pytest.raises(OSError):
            while time.monotonic() < until:
                raw.sendall(b"G")
                time.sleep(0.02)


def test_only_so_many_connections_at_once() -> None:
    with serving() as (port, _):
        idle = [
            socket.create_connection(("127.0.0.1", port), timeout=20)
            for _ in range(MOST_CONNECTIONS)
        ]
        for one in idle:
            one.sendall(f"GET /clock HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            assert one.recv(100).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as further:
            assert further.recv(100) == b""
        for one in idle:
            one.close()
        until = time.monotonic() + 20
        while True:
            try:
                assert ask(port, "/clock")[0] == 200
                break
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < until, "the seats were not given back"
                time.sleep(0.02)


def test_a_kept_connection_answers_many_questions() -> None:
    with serving() as (port, _):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(200):  # more than one request's bytes in sum
            client.request("GET", "/clock", headers={"Authorization": f"Bearer {TOKEN}"})
            assert client.getresponse().read()
        client.close()


def test_over_tls_a_plain_question_gets_nothing(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server)
    with serving(context=context) as (port, _):
        trusting = ssl.create_default_context(cafile=str(certificates.authority))
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting)
        client.request("GET", "/clock", headers={"Authorization": f"Bearer {TOKEN}"})
        assert client.getresponse().status == 200
        client.close()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(f"GET /clock HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            answer = b""
            with suppress(ConnectionResetError):
                answer = raw.recv(1000)
            assert b"realtime" not in answer


def test_the_buffer_is_bounded_and_says_what_is_gone() -> None:
    buffer = SampleBuffer(most=10)
    buffer.add(numbered(25))
    assert buffer.since(0)[:2] == (15, 25)
    assert buffer.since(0, most=3) == (15, 18, numbered(3, 15))
    assert buffer.since(18, most=3) == (18, 21, numbered(3, 18))
    assert buffer.since(23) == (23, 25, numbered(2, 23))
    assert buffer.since(25) == (25, 25, [])
    assert buffer.since(99) == (25, 25, [])
