"""Connects to the first of a name's addresses that takes us (RFC 8305), and goes there first the next time.

Where addresses are tried one after another, a silent address costs each connection a whole time limit. Here the
next address is tried in parallel after ATTEMPT_DELAY_S, or at once where one refuses. The caller makes the
sockets and waits for them, so that the load and everything else share this rule.
"""

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

ATTEMPT_DELAY_S = 0.25
"""RFC 8305, 5: the recommended Connection Attempt Delay."""
AddressInfo = tuple[Any, Any, int, str, Any]
"""As getaddrinfo gives it."""
Make = Callable[[AddressInfo], Any]
Wait = Callable[[Sequence[Any], float | None], Sequence[Any]]
"""Those of the sockets that can be written to, waited for up to so many seconds (None: for ever)."""


class Winners:
    """Which address took the last connection to each host and port of a process."""

    def __init__(self) -> None:
        self._won: dict[object, Any] = {}

    def in_order(self, host: object, addresses: Sequence[AddressInfo]) -> list[AddressInfo]:
        """Return the winner first; else the two families in turn, beginning with the first one's (RFC 8305, 4)."""
        first = [each for each in addresses if each[0] == addresses[0][0]]
        second = [each for each in addresses if each[0] != addresses[0][0]]
        ordered = [
            each
            for place in range(max(len(first), len(second)))
            for each in (*first[place : place + 1], *second[place : place + 1])
        ]
        won = self._won.get(host)
        return sorted(ordered, key=lambda each: each[4] != won)

    def won(self, host: object, address: AddressInfo) -> None:
        """Called when that one took a connection."""
        self._won[host] = address[4]


def connect_first(
    addresses: Sequence[AddressInfo], make: Make, wait: Wait, deadline_s: float | None = None
) -> tuple[Any, AddressInfo]:
    """Return the first socket that is connected, and its address; addresses must not be empty.

    OSError: the last one's where none takes us, TimeoutError past the deadline (of time.monotonic()).
    """
    waiting: dict[Any, AddressInfo] = {}
    left = list(addresses)
    next_at = 0.0
    try:
        while True:
            now = time.monotonic()
            failed: OSError | None = None
            if left and (not waiting or now >= next_at):
                address = left.pop(0)
                next_at = now + ATTEMPT_DELAY_S
                code, raw = _begin(address, make)
                if raw is None:
                    failed = OSError(code, os.strerror(code))
                else:
                    waiting[raw] = address
                    if code == 0:
                        return _taken(waiting, raw)
            for raw in wait(list(waiting), _pause_s(left, next_at, deadline_s)) if waiting else ():
                code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return _taken(waiting, raw)
                failed = OSError(code, os.strerror(code))
                del waiting[raw]
                raw.close()
                next_at = 0.0
            if not waiting and not left and failed is not None:
                raise failed
            if deadline_s is not None and time.monotonic() >= deadline_s:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    finally:
        for raw in waiting:
            raw.close()


def _begin(address: AddressInfo, make: Make) -> tuple[int, Any]:
    """Return 0 or the error's number, and the socket unless it failed at once."""
    try:
        raw = make(address)
    except OSError as error:  # a family that this machine does not have
        return error.errno or errno.EAFNOSUPPORT, None
    code = raw.connect_ex(address[4])
    if code in (0, errno.EINPROGRESS):
        return code, raw
    raw.close()
    return code, None


def _taken(waiting: dict[Any, AddressInfo], raw: Any) -> tuple[Any, AddressInfo]:
    return raw, waiting.pop(raw)


def _pause_s(left: Sequence[AddressInfo], next_at: float, deadline_s: float | None) -> float | None:
    ends = [next_at] if left else []
    ends += [deadline_s] if deadline_s is not None else []
    return max(0.0, min(ends) - time.monotonic()) if ends else None


_winners = Winners()


def create_connection(host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect as socket.create_connection, but with RFC 8305's parallel attempts. It blocks and raises OSError."""
    deadline_s = time.monotonic() + timeout_s
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
    ordered = _winners.in_order((host, port), found)
    raw, address = connect_first(ordered, _blocking_socket, _poll, deadline_s)
    _winners.won((host, port), address)
    raw.settimeout(timeout_s)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected: socket.socket = raw
    return connected


def _blocking_socket(address: AddressInfo) -> socket.socket:
    raw = socket.socket(address[0], address[1], address[2])
    raw.setblocking(False)
    return raw


def _poll(sockets: Sequence[Any], timeout_s: float | None) -> Sequence[Any]:
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLOUT)
    ready = {fileno for fileno, _ in poll.poll(None if timeout_s is None else timeout_s * 1e3)}
    return [each for each in sockets if each.fileno() in ready]
