"""Which of several addresses a connection goes to, with sockets that refuse, take us or answer nothing."""

import contextlib
import errno
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from observatory.connect import happy_eyeballs
from observatory.connect.happy_eyeballs import AddressInfo, Winners, connect_first


def info(address: tuple[Any, ...], family: int = socket.AF_INET) -> AddressInfo:
    return family, socket.SOCK_STREAM, 0, "", address


@pytest.fixture
def takes() -> Iterator[AddressInfo]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield info(server.getsockname())


@pytest.fixture
def silent() -> Iterator[AddressInfo]:
    """An address that answers no SYN: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield info(full.getsockname())


@pytest.fixture
def refuses() -> AddressInfo:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return info(server.getsockname())


def connect(*addresses: AddressInfo, within_s: float = 30.0) -> AddressInfo:
    raw, address = connect_first(
        addresses,
        happy_eyeballs._blocking_socket,
        happy_eyeballs._poll,
        time.monotonic() + within_s,
    )
    assert raw.getpeername()[1] == address[4][1]
    raw.close()
    return address


def test_the_first_that_takes_us_wins(
    takes: AddressInfo, silent: AddressInfo, refuses: AddressInfo
) -> None:
    nowhere = info(("::1", 1, 0, 0), 999)
    for before in (
        [],
        [silent],
        [refuses],
        [nowhere],
        [silent, refuses],
        [silent, silent, refuses],
    ):
        assert connect(*before, takes) == takes


def test_where_none_takes_us_the_last_error_says_why(
    silent: AddressInfo, refuses: AddressInfo
) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(refuses, refuses)
    with pytest.raises(TimeoutError):
        connect(silent, refuses, silent, within_s=0.7)
    with pytest.raises(OSError) as caught:
        connect(info(("::1", 1, 0, 0), 999))
    assert caught.value.errno in (errno.EAFNOSUPPORT, errno.EINVAL)


def test_a_second_attempt_begins_after_the_delay_or_at_once_where_the_first_failed() -> None:
    begun: list[int] = []
    pauses: list[float | None] = []

    class Fake:
        def __init__(self, number: int) -> None:
            self.number = number

        def connect_ex(self, address: Any) -> int:
            begun.append(self.number)
            return errno.EINPROGRESS

        def getsockopt(self, *_: int) -> int:
            return errno.ECONNREFUSED if self.number == 1 else 0

        def close(self) -> None:
            pass

    def wait(sockets: Any, timeout_s: float | None) -> Any:
        """The first never answers, the second refuses, the third takes us."""
        pauses.append(timeout_s)
        if len(sockets) == 1:
            time.sleep(timeout_s or 0)
            return []
        return [sockets[-1]]

    raw, _ = connect_first([info((n, 0)) for n in range(3)], lambda each: Fake(each[4][0]), wait)
    assert (begun, raw.number) == ([0, 1, 2], 2)
    assert pauses[0] == pytest.approx(happy_eyeballs.ATTEMPT_DELAY_S, abs=0.1)


def test_families_take_turns_and_the_winner_goes_first() -> None:
    four = [info((f"10.0.0.{n}", 80)) for n in range(3)]
    six = [info((f"fd00::{n}", 80, 0, 0), socket.AF_INET6) for n in range(2)]
    winners = Winners()
    assert winners.in_order("h", [*six, *four]) == [six[0], four[0], six[1], four[1], four[2]]
    assert winners.in_order("h", [*four, *six])[0] == four[0]
    winners.won("h", four[2])
    assert winners.in_order("h", [*six, *four])[:2] == [four[2], six[0]]
    assert winners.in_order("other", [*six, *four])[0] == six[0]
    winners.won("h", six[1])
    assert winners.in_order("h", four) == four, "an address that the name has no more"


def test_a_name_with_a_silent_first_address_is_reached(
    monkeypatch: pytest.MonkeyPatch, takes: AddressInfo, silent: AddressInfo
) -> None:
    tried: list[int] = []
    real = happy_eyeballs._begin
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [silent, takes])
    monkeypatch.setattr(
        happy_eyeballs,
        "_begin",
        lambda address, make: (tried.append(address[4][1]), real(address, make))[1],
    )
    for _ in range(3):
        happy_eyeballs.create_connection("service.example", 1, 30.0).close()
    assert tried == [silent[4][1], takes[4][1], takes[4][1], takes[4][1]], "remembered"
