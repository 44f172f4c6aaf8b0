"""What a server can take of us: bytes by the bounds, time by the deadline of each whole HTTP attempt."""

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from observatory.connect import bounds, plain_http
from observatory.core.connection import Connection
from observatory.core.errors import TargetFailed
from observatory.endpoints import listing, quick_listing
from observatory.load.connections.room import Room
from observatory.telemetry.scraping import scrape as scraping
from observatory.wires.http_attempt import Fault
from observatory.wires.streams import http_response
from observatory.wires.streams.http_response import ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
STREAM = OK + b"Content-Type: text/event-stream\r\n\r\n"
EVENT = b'data: {"choices":[]}\n\n'


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test can pass cheaply."""
    monkeypatch.setattr(http_response, "ANSWER", 400_000)
    monkeypatch.setattr(http_response, "EVENT", 100_000)


def measured(data: bytes, size: int = 10_000, step: int = 20_000) -> ResponseReader:
    """Fed in reads, measured each time that it has grown by `step`, until it has a fault."""
    response, free = ResponseReader(), bounds.HEAD
    for start in range(0, len(data), size):
        if response.feed(data[start : start + size], start):
            break
        if response.received > free:
            free = response.received + step
            response.measure()
            if response.fault:
                break
    return response


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (OK + b"X: " + b"x" * 100_000, "the response's head has more than 64 KiB"),
        (OK + b"X: y\r\n" * 20_000, "the response's head has more than 64 KiB"),
        (OK + b"X: y\r\n" * 20_000 + b"\r\nbody", "the response's head has more than 64 KiB"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, "the response's head has more than 64 KiB"),
        (b"HTTP/1.1 500 No\r\n\r\n" + b"e" * 200_000, "the error's body has more than 64 KiB"),
        (b"HTTP/1.1 302 No\r\n\r\n" + b"e" * 200_000, "the error's body has more than 64 KiB"),
        (STREAM + EVENT * 30_000, "the answer has more than 0 MiB"),
        (STREAM + EVENT * 500 + b"data: " + b"x" * 300_000, "an event has more than 0 MiB"),
        (STREAM + b"data: x\n" * 40_000, "an event has more than 0 MiB"),
        (OK + b"\r\n{" + b"x" * 900_000, "the answer has more than 0 MiB"),
    ],
)
@pytest.mark.parametrize("size", [1_000, 50_000])
@pytest.mark.usefixtures("small")
def test_what_passes_a_bound_is_told_by_it(data: bytes, words: str, size: int) -> None:
    response = measured(data, size)
    stated = words.replace("0 MiB", "390 KiB" if "answer" in words else "97 KiB")
    assert (response.fault, response.too_large) == (stated, True)
    response.shrink()
    assert sum(map(len, response.pieces)) <= bounds.KEPT_OF_TOO_LARGE


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("size", [7, 1_000, 30_000])
@pytest.mark.usefixtures("small")
def test_many_events_are_no_large_one(blank: bytes, size: int) -> None:
    """Wherever the reads cut them, between the two line ends too."""
    response = measured(STREAM + (b"data: " + b"x" * 90 + blank) * 3_000, size)
    assert response.fault is None


@pytest.mark.usefixtures("small")
def test_below_the_bounds_nothing_is_refused() -> None:
    assert measured(STREAM + b"data: " + b"x" * 90_000 + b"\n\n" + EVENT * 9_000).fault is None
    assert measured(b"HTTP/1.1 500 No\r\n\r\n" + b"e" * 60_000).fault is None
    assert measured(OK + b"X: " + b"x" * 60_000 + b"\r\n\r\n" + b"b" * 300_000).fault is None


def test_of_answers_that_are_too_large_together_the_largest_ends() -> None:
    class One:
        fault: Fault | None = None

        def give_up(self, fault: Fault) -> None:
            self.fault = fault
            room.leaves(self)

    room, ones = Room(10 << 20), [One() for _ in range(3)]
    for size, one in zip((3, 5, 2), ones, strict=True):
        room.grows(one, size << 20)
    room.grows(ones[2], 3 << 20)
    assert ones[0].fault is None and ones[2].fault is None
    assert ones[1].fault is not None
    assert (ones[1].fault.kind, ones[1].fault.text) == (
        "too_large",
        "the answers being received have more than 10 MiB",
    )
    room.grows(ones[0], 6 << 20)
    assert ones[0].fault is None


@contextlib.contextmanager
def served(send: Callable[[Any], None]) -> Iterator[int]:
    """A server on loopback that does this with each connection whose request has come."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65_536)
            send(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def to(port: int) -> Connection:
    return Connection(scheme="http", host="127.0.0.1", port=port, base_path="/v1", model="m")


def drips(head: bytes, drop: bytes) -> Callable[[Any], None]:
    def send(connection: Any) -> None:
        connection.sendall(head)
        while True:
            time.sleep(0.02)
            connection.sendall(drop)

    return send


DRIPS = {
    "head": drips(OK, b"X-Slow: y\r\n"),
    "status": drips(b"", b"H"),
    "line": drips(OK + b"X-Slow: ", b"y"),
    "body": drips(OK + b"Content-Type: text/plain\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "interim": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("kind", DRIPS)
def test_a_page_that_drips_ends_with_its_exchange(kind: str) -> None:
    with served(DRIPS[kind]) as port, pytest.raises((OSError, ValueError)):
        plain_http.get(to(port), "/metrics", 0.3, 1 << 20)


@pytest.mark.parametrize("kind", ["head", "body", "chunks"])
def test_a_scrape_that_drips_does_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "PAGE_S", 0.3)
    with served(DRIPS[kind]) as port:
        scrape = scraping.Scrape(scraping.PageAddress("http", "127.0.0.1", port, "/metrics"), {})
        with pytest.raises(TimeoutError):
            scrape.page()


@pytest.mark.parametrize("kind", DRIPS)
def test_a_list_that_drips_does_too(kind: str) -> None:
    with served(DRIPS[kind]) as port, pytest.raises(TargetFailed) as caught:
        listing.owned_models(to(port), 0.3)
    assert "did not send its whole list within 30 s" in str(caught.value)


def floods(head: bytes, part: bytes) -> Callable[[Any], None]:
    def send(connection: Any) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return send


@pytest.mark.parametrize(
    "send",
    [
        floods(OK + b"\r\n" + b'{"data":[', b'{"id":"model"},' * 4_000),
        floods(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        floods(b"HTTP/1.1 500 No\r\n\r\n", b"e" * 65_536),
    ],
)
def test_a_list_without_end_is_refused(
    send: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LISTING", 1 << 20)
    monkeypatch.setattr(quick_listing, "LISTING", 1 << 20)
    with served(send) as port, pytest.raises(TargetFailed) as caught:
        quick_listing.owned_models(to(port))
    assert "it sent more than 1 MiB for its list of models" in str(caught.value)


def test_a_compressed_list_is_not_unpacked() -> None:
    packed = gzip.compress(json.dumps({"data": [{"id": "m"}]}).encode())
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with (
        served(lambda connection: connection.sendall(head + packed)) as port,
        pytest.raises(TargetFailed),
    ):
        quick_listing.owned_models(to(port))
