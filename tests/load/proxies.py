"""A small real HTTP proxy: tunnels and whole requests, all carried to one server on loopback."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ProxyServer:
    """Its port and the heads that it was sent. Every host is `target`, a port on loopback.

    credentials: the Proxy-Authorization that it wants. status: what it refuses everything with.
    delay_s: how long it thinks first. closes: it hangs up instead of answering.
    """

    target: int
    port: int = 0
    credentials: str | None = None
    status: bytes | None = None
    delay_s: float = 0.0
    closes: bool = False
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def proxying(target: int, **how: Any) -> Iterator[ProxyServer]:
    """A proxy for as long as the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    proxy = ProxyServer(target, listener.getsockname()[1], **how)
    sockets: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                sockets.append(client)
                threading.Thread(target=_serve, args=(proxy, client, sockets), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        for one in (listener, *sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _serve(proxy: ProxyServer, client: socket.socket, sockets: list[socket.socket]) -> None:
    with suppress(OSError):
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                return
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        proxy.heads.append(head.decode())
        time.sleep(proxy.delay_s)
        if proxy.closes:
            client.close()
            return
        wanted = proxy.credentials
        given = re.search(r"(?im)^proxy-authorization: (.*?)\r?$", proxy.heads[-1])
        if proxy.status or (wanted and (given is None or given[1] != wanted)):
            status = proxy.status or b"407 Proxy Authentication Required"
            client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", proxy.target))
        sockets.append(server)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if head.startswith(b"CONNECT "):
            client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
            server.sendall(rest)
        else:
            server.sendall(data)
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        _pump(client, server)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Forward the bytes of one to the other until it closes; reset the other where it was reset."""
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
