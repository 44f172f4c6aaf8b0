"""httpx with our own way to the network: happy eyeballs, and an end to what a server can take of us.

Its own limits are of one read, and it has none to the size of an answer.
"""

import socket
import time
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from observatory.connect.bounds import mib
from observatory.connect.happy_eyeballs import create_connection

_WITHOUT_LIMIT_S = 1e6


class TooLarge(httpcore2.ReadError):
    """More came than is taken."""


class BoundedTransport(httpx2.HTTPTransport):
    """within_s: how long all its exchanges together may take; most: bytes of each connection's answers."""

    def __init__(
        self, *, within_s: float | None = None, most: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        ends = None if within_s is None else time.monotonic() + within_s
        # There is no parameter for it; both kinds of pool hand it to each connection that they make.
        self._pool._network_backend = _Backend(ends, most)


class _Backend(httpcore2.SyncBackend):
    def __init__(self, ends: float | None, most: int | None) -> None:
        self._ends = ends
        self._most = most

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """See httpcore."""
        try:
            raw = create_connection(host, port, _left(self._ends, timeout) or _WITHOUT_LIMIT_S)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for option in socket_options or ():
            raw.setsockopt(*option)
        return _Stream(_sync_stream(raw), self._ends, self._most)


def _sync_stream(raw: socket.socket) -> httpcore2.NetworkStream:
    from httpcore2._backends.sync import SyncStream  # it is what SyncBackend makes of a socket

    stream: httpcore2.NetworkStream = SyncStream(raw)
    return stream


def _left(ends: float | None, timeout: float | None) -> float | None:
    """Return the shorter of a time limit and what is left until `ends`."""
    if ends is None:
        return timeout
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the exchange took too long")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore2.NetworkStream):
    def __init__(
        self, stream: httpcore2.NetworkStream, ends: float | None, most: int | None
    ) -> None:
        self._stream = stream
        self._ends = ends
        self._most = most
        self._read = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore."""
        data = self._stream.read(max_bytes, _left(self._ends, timeout))
        self._read += len(data)
        if self._most is not None and self._read > self._most:
            raise TooLarge(f"it sent more than {mib(self._most)}")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore."""
        self._stream.write(buffer, _left(self._ends, timeout))

    def close(self) -> None:
        """See httpcore."""
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """See httpcore."""
        inner = self._stream.start_tls(ssl_context, server_hostname, _left(self._ends, timeout))
        return _Stream(inner, self._ends, self._most)

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return self._stream.get_extra_info(info)
