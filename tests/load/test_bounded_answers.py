"""Servers that send more than is taken, or whose first address is silent, through each way to send."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from observatory.core.workspace import NO_RING_VARIABLE
from tests.load.asking import Case, RequestOutcome, ask
from tests.load.servers import HEAD, Close, Seen, serve, token
from tests.load.test_transport import to

WAYS = ["kernel", "polled", "sdk"]


@pytest.fixture(params=WAYS)
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields of the connection for each."""
    monkeypatch.setenv(NO_RING_VARIABLE, "1" if request.param == "polled" else "")
    return {"transport": "sdk"} if request.param == "sdk" else {}


def error_without_end(sock: Any, seen: Seen) -> None:
    sock.sendall(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\n\r\nnot today ")
    while True:
        sock.sendall(b"e" * 65_536)


def head_without_end(sock: Any, seen: Seen) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X-Header: " + b"x" * 1_000 + b"\r\n")


def event_without_end(sock: Any, seen: Seen) -> None:
    sock.sendall(HEAD + token("text") + b"10006\r\ndata: " + b"x" * 65_536 + b"\r\n")
    while True:
        sock.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def outcome(expected: RequestOutcome) -> tuple[Any, ...]:
    attempt = expected.attempt
    return attempt.outcome, attempt.error_kind, attempt.http_status


def test_what_is_without_end_is_ended(tmp_path: Path, settings: dict[str, Any]) -> None:
    behaviours = {"error": error_without_end, "head": head_without_end, "event": event_without_end}
    with serve(behaviours) as server:
        cases = [Case(to(server.port, **settings), [f"[{name}]", "next"]) for name in behaviours]
        [[error, a], [head, b], [event, c]] = ask(tmp_path, cases)
    assert outcome(error) == ("throttled", "http_status", 503)
    assert (error.attempt.error_text or "").startswith("HTTP 503: not today eee")
    assert error.attempt.retry_after_s == 7
    sdk = bool(settings)  # h11 has a bound of its own, and its own words
    assert outcome(head) == ("error", "protocol" if sdk else "too_large", None)
    assert outcome(event) == ("error", "too_large", 200)
    assert (event.text, event.attempt.error_text) == ("text", "an event has more than 16 MiB")
    for each in (a, b, c):
        assert (each.text, each.attempt.reused_connection) == ("Hello there", False)


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that answers no SYN: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield int(full.getsockname()[1])


def closes(sock: Any, seen: Seen) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    raise Close


def test_a_silent_first_address_is_paid_for_once(tmp_path: Path, settings: dict[str, Any]) -> None:
    with serve({"closes": closes}) as server, silent_port() as silent:
        connection = to(server.port, host="service.example", **settings)
        case = Case(connection, ["[closes]"] * 3 + ["last"], ports=[silent, silent, server.port])
        [reported] = ask(tmp_path, [case])
    assert reported[-1].attempt.outcome == "ok"
    assert [one.attempt.reused_connection for one in reported] == [False] * 4
    if not settings:
        took = [
            (one.attempt.connected or 0) - (one.attempt.connect_started or 0) for one in reported
        ]
        assert took[0] > 450_000_000, "two silent addresses, a quarter of a second each"
        assert min(took[1:]) < 400_000_000
    assert time.time_ns() > reported[-1].sent_unix_ns


def test_addresses_that_refuse_or_are_silent_all_of_them_are_faults(tmp_path: Path) -> None:
    with serve() as server:
        closed = server.port
    with silent_port() as silent:
        cases = {
            "refused": ([closed, closed], {}),
            "timeout": ([silent, silent], {"connect_timeout_s": 0.6}),
        }
        for kind, (ports, fields) in cases.items():
            case = Case(to(1, host="service.example", **fields), ["a"], ports=ports)
            [[reported]] = ask(tmp_path, [case])
            assert (reported.attempt.error_phase, reported.attempt.error_kind) == ("connect", kind)
