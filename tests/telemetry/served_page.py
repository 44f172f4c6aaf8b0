"""A page on loopback with responses set by a test, and a record of the requests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from observatory.core.connection import Connection

Reply = Callable[[], tuple[int, str, str | bytes]]


@dataclass
class Served:
    """connection: of an API at the same address. asked: paths; headers: of each request."""

    connection: Connection
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    clients: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{self.connection.host}:{self.connection.port}/metrics"


@contextmanager
def serving(reply: Reply, **connection: object) -> Iterator[Served]:
    """Serve reply() (status, content type, body) at any path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            served.headers.append(dict(self.headers))
            served.clients.add(self.client_address[1])
            status, kind, text = reply()
            body = text.encode() if isinstance(text, str) else text
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    given = {"scheme": "http", "host": "127.0.0.1", "base_path": "/v1", "model": "m"}
    served = Served(Connection(**given | {"port": server.server_address[1]} | connection))  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
