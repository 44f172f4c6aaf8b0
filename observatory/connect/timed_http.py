"""The standard library's HTTP client with an end to each whole exchange, however slowly a server sends.

Its own time limit is of one read: a page that drips a byte a second would hold it for ever.
"""

import http.client
import io
import socket
import time
from ssl import SSLContext
from typing import Any

from observatory.connect.happy_eyeballs import create_connection


class TimedConnection(http.client.HTTPConnection):
    """context: TLS, also through a tunnel. An exchange and the connecting before it take whole_s at most,
    and nothing is waited for longer than pause_s."""

    def __init__(
        self,
        host: str,
        port: int,
        total_s: float,
        context: SSLContext | None = None,
        *,
        pause_s: float | None = None,
    ) -> None:
        super().__init__(host, port, timeout=total_s)
        self._total_s = total_s
        self._pause_s = total_s if pause_s is None else pause_s
        self._context = context
        self._ends = 0.0
        self._beyond: str | None = None
        if context is not None:
            self.default_port = http.client.HTTPS_PORT

    def request(self, *arguments: Any, **named: Any) -> None:
        """Send as http.client does; the exchange's time begins."""
        self._ends = time.monotonic() + self._total_s
        super().request(*arguments, **named)

    def set_tunnel(self, host: str, *arguments: Any, **named: Any) -> None:
        """Set a tunnel as http.client does; TLS is with the tunnel's other end."""
        self._beyond = host
        super().set_tunnel(host, *arguments, **named)

    def connect(self) -> None:
        """Connect as http.client, with Happy Eyeballs (RFC 8305)."""
        raw = create_connection(self.host, self.port, self.left_s())
        self.sock = _Timed(raw, self)
        if self._beyond is not None:
            self._tunnel()  # type: ignore[attr-defined]
        if self._context is not None:
            raw.settimeout(self.left_s())
            name = self._beyond or self.host
            self.sock = _Timed(self._context.wrap_socket(raw, server_hostname=name), self)

    def left_s(self) -> float:
        """Return seconds that may be waited now; TimeoutError where the exchange is to be over."""
        left_s = self._ends - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no whole answer within {self._total_s:g} s")
        return min(left_s, self._pause_s)


class _Timed:
    """A socket as http.client uses it: every wait on it ends with the exchange."""

    def __init__(self, raw: socket.socket, connection: TimedConnection) -> None:
        self._raw = raw
        self._connection = connection

    def sendall(self, data: Any) -> None:
        self._raw.settimeout(self._connection.left_s())
        self._raw.sendall(data)

    def makefile(self, mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_TimedFile(self._raw, self._connection))

    def close(self) -> None:
        self._raw.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _TimedFile(io.RawIOBase):
    def __init__(self, raw: socket.socket, connection: TimedConnection) -> None:
        self._raw = raw
        self._file = raw.makefile("rb", buffering=0)
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._raw.settimeout(self._connection.left_s())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
