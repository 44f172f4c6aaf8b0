"""The built site over HTTP on loopback, for a person's own browser; files only, nothing is run."""

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from observatory.core.errors import EnvironmentFailed

LOOPBACK = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Static files, never cached, so that a rebuilt site shows at once."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a request line a file helps nobody."""


def site_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of `folder` on loopback, not yet running; port 0 takes a free one."""
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise EnvironmentFailed(
            f"port {port} cannot be served on: {error.strerror}",
            where=LOOPBACK,
            fix="choose another with --port, or 0 for a free one",
        ) from error


def serve_site(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve until interrupted; `say` is told the address."""
    with site_server(folder, port) as server:
        say(f"http://{LOOPBACK}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
