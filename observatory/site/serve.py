"""The built site over HTTP on loopback, for a person's own browser; files only, nothing is run.

A page of another site must not read it through a name of its own that it points at loopback (DNS
rebinding), so that only loopback's names are answered; and no client takes it away from the others.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from observatory.core.errors import EnvironmentFailed
from observatory.core.targets.addresses import is_loopback

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 64
"""A browser opens six to one host."""
SILENT_S = 5.0
"""How long a client may take over its next bytes."""
LONGEST_S = 60.0
"""How long a connection may last: on loopback the largest file of a site takes a second."""
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _Handler(SimpleHTTPRequestHandler):
    """Static files, never cached, so that a rebuilt site shows at once."""

    timeout = SILENT_S

    def send_head(self) -> Any:
        """Refuse other hosts' names, and what lies outside the folder, links out of it included."""
        if not _is_own(self.headers.get_all("Host") or []):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "this is served on loopback alone")
            return None
        folder = Path(self.directory).resolve()
        try:
            path = Path(self.translate_path(self.path)).resolve()
        except (OSError, ValueError, RuntimeError):
            path = folder.parent
        if not path.is_relative_to(folder) or any(
            part.startswith(".") for part in path.relative_to(folder).parts
        ):
            self.send_error(HTTPStatus.NOT_FOUND, "there is no such file")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> Any:
        """Return nothing: a folder without an index is none of the site's pages."""
        self.send_error(HTTPStatus.NOT_FOUND, "there is no such file")

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Copy; a client that leaves early is no error."""
        try:
            super().copyfile(source, outputfile)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a line for each file is of no use."""


def _is_own(hosts: list[str]) -> bool:
    """Return whether the one Host header names loopback; any port, because a tunnel has another."""
    if len(hosts) != 1:
        return False
    try:
        name = urlsplit(f"//{hosts[0].strip()}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name.rstrip("."))


class SiteServer(ThreadingHTTPServer):
    """A thread a connection, of which there are a limited number, each for a limited time."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path) -> None:
        super().__init__(address, partial(_Handler, directory=str(folder)))
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Refuse what is more than the limit at once."""
        with self._lock:
            full = len(self._open) >= MOST_CONNECTIONS
            if not full:
                self._open[request] = time.monotonic() + LONGEST_S
        if full:
            request.settimeout(0.1)
            with suppress(OSError):
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget it, and close it."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: end connections that have lasted too long."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until in self._open.items() if until < now]
        for request in late:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no trace for a client's broken connection."""


def site_server(folder: Path, port: int) -> SiteServer:
    """Return a server of `folder` on loopback, not yet running; port 0 takes a free one."""
    try:
        return SiteServer((LOOPBACK, port), folder)
    except OSError as error:
        raise EnvironmentFailed(
            f"port {port} cannot be served on: {error.strerror}",
            where=LOOPBACK,
            fix="choose another with --port, or 0 for a free one",
        ) from error


def serve_site(folder: Path, port: int, report: Callable[[str], None]) -> None:
    """Serve until interrupted; `report` is called with the address."""
    with site_server(folder, port) as server:
        report(f"http://{LOOPBACK}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
