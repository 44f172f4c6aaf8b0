"""A probe's three pages over HTTP: read-only, behind a token, bounded in everything.

It is independent of sensors: a source provides the pages. A client without the token gets nothing
but 401, and a connection that does not come to the point is closed.
"""

import hmac
import socket
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from observatory.telemetry.remote.wire import Batch, ClockReading, ProbeAbout

MOST_CONNECTIONS = 8
"""At once; further ones are closed. Readers are few and keep theirs."""
MOST_REQUEST_BYTES = 16 << 10
"""Request line and headers together."""
STRANGER_S = 5.0
"""Until its token is seen a connection has this long, handshake included."""
IDLE_S = 60.0
"""How long a reader may be silent between two questions."""


class ProbeSource(Protocol):
    """The content of the pages; called from several threads."""

    def about(self) -> ProbeAbout:
        """Return the page /about."""

    def clock(self) -> ClockReading:
        """Return the page /clock."""

    def batch(self, since: int) -> Batch:
        """Return the page /samples?since=N."""


class ProbeServer(ThreadingHTTPServer):
    """token None: anybody may read (for loopback only; the caller sees to that)."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(
        self,
        address: tuple[str, int],
        source: ProbeSource,
        token: str | None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.source = source
        self._token = None if token is None else token.encode()
        self._context = context
        self._seats = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: dict[socket.socket, float] = {}  # until when its token must be seen
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def admits(self, authorization: str | None) -> bool:
        """Return whether this header has the token; compared in a time that does not depend on it."""
        if self._token is None:
            return True
        given = (authorization or "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, b"Bearer " + self._token)

    def note_authorized(self, connection: socket.socket) -> None:
        """Called when its token was seen: it may be idle now."""
        with self._lock:
            self._open[connection] = float("inf")
        connection.settimeout(IDLE_S)

    def service_actions(self) -> None:
        """Close the connections of strangers that did not come to the point (every half second)."""
        self._cut(time.monotonic())

    def server_close(self) -> None:
        """Listen no more, and end what is open."""
        super().server_close()
        self._cut(float("inf"))

    def _cut(self, now: float) -> None:
        with self._lock:
            late = [one for one, until in self._open.items() if until <= now]
        for connection in late:
            with suppress(
                OSError
            ):  # of the plain socket: its own thread may be in the middle of TLS
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give it a thread where one is free."""
        if not self._seats.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had
            self._seats.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._seats.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Perform the handshake, where there is TLS, and answer; in the connection's own thread."""
        connection: socket.socket = request
        connection.settimeout(STRANGER_S)
        if self._context is not None:
            connection = self._context.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False
            )
        with self._lock:
            self._open[connection] = time.monotonic() + STRANGER_S
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            super().finish_request(connection, client_address)
        finally:
            with self._lock:
                self._open.pop(connection, None)
            if connection is not request:
                connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a connection that failed is its reader's to notice."""


class _Bounded:
    """A request's bytes, of which only so many are read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.left = MOST_REQUEST_BYTES

    def readline(self, size: int = -1) -> bytes:
        if self.left <= 0:
            raise ConnectionError("the request is too large")
        line: bytes = self._stream.readline(self.left if size < 0 else min(size, self.left))
        self.left -= len(line)
        return line

    def close(self) -> None:
        self._stream.close()

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)


class _Handler(BaseHTTPRequestHandler):
    server: ProbeServer
    protocol_version = "HTTP/1.1"
    server_version = "observatory-probe"
    sys_version = ""
    timeout = STRANGER_S
    disable_nagle_algorithm = True
    wbufsize = -1  # one write an answer: two would wait for each other's acknowledgement, 40 ms

    def setup(self) -> None:
        super().setup()
        self.rfile: Any = _Bounded(self.rfile)

    def do_GET(self) -> None:
        self.rfile.left = MOST_REQUEST_BYTES
        if not self.server.admits(self.headers.get("Authorization")):
            self._refuse(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
            return
        self.server.note_authorized(self.connection)
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0":
            self._refuse(400, "a request here has no body")
            return
        parts = urlsplit(self.path)
        if parts.path == "/clock" and not parts.query:
            self._answer(200, msgspec.json.encode(self.server.source.clock()))
        elif parts.path == "/about" and not parts.query:
            self._answer(200, msgspec.json.encode(self.server.source.about()))
        elif parts.path == "/samples":
            since = _since(parts.query)
            if since is None:
                self._refuse(400, "write /samples?since=N")
            else:
                self._answer(200, msgspec.json.encode(self.server.source.batch(since)))
        else:
            self._refuse(404, "there are /about, /clock and /samples?since=N")

    def _not_allowed(self) -> None:
        if not self.server.admits(self.headers.get("Authorization")):
            self._refuse(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
            return
        self._refuse(405, "a probe is only read", {"Allow": "GET"})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _not_allowed
    do_TRACE = do_CONNECT = _not_allowed

    def _refuse(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        self.close_connection = True  # what else the request may hold is not read
        body = msgspec.json.encode({"error": why})
        self._answer(status, body, {"Connection": "close", **(headers or {})})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: who reads a probe, and how often, is private."""


def _since(query: str) -> int | None:
    pairs = parse_qsl(query, max_num_fields=4) if query.count("&") < 4 else []
    if len(pairs) != 1 or pairs[0][0] != "since":
        return None
    text = pairs[0][1]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
