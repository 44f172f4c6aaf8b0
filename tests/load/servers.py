"""Small threaded servers whose behaviour a request names in its own text, in brackets."""

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
DONE = "[DONE]"


def chunk(payload: Any) -> bytes:
    """One event in one HTTP chunk."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    data = f"data: {text}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def token(text: str) -> bytes:
    return chunk({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


STOP = chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


def usage(prompt: int, output: int) -> bytes:
    return chunk({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": output}})


def answer(*texts: str) -> bytes:
    """A whole answer, at once."""
    tokens = b"".join(map(token, texts))
    return HEAD + tokens + STOP + usage(7, len(texts)) + chunk(DONE) + LAST


class Close(Exception):
    """The behaviour wants the connection closed."""


@dataclass
class Seen:
    """One request as it arrived. connection numbers connections from 0."""

    connection: int
    at_ns: int
    head: bytes
    body: bytes
    ended_ns: int = 0

    @property
    def text(self) -> str:
        return str(json.loads(self.body)["messages"][0]["content"])


Behaviour = Callable[[Any, Seen], None]


def reset(sock: Any) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Close


def _ok(sock: Any, seen: Seen) -> None:
    sock.sendall(answer("Hello", " there"))


@dataclass
class Server:
    """Its port, what arrived, and how many were served at once at the most."""

    port: int
    seen: list[Seen] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def connections(self) -> int:
        return len({seen.connection for seen in self.seen})

    def entered(self, change: int) -> None:
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def behaviour(self, seen: Seen) -> Behaviour:
        named = re.search(rb"\[(\w+)\]", seen.body)
        return self.behaviours.get(named[1].decode() if named else "ok", _ok)


@contextmanager
def serve(
    behaviours: dict[str, Behaviour] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server on loopback for as long as the block lasts; unnamed requests are answered well."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = Server(listener.getsockname()[1], behaviours=behaviours or {})
    sockets: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                number = len(sockets)
                sockets.append(connection)
                threading.Thread(
                    target=_serve_one, args=(server, connection, number, tls), daemon=True
                ).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        for one in (listener, *sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _serve_one(
    server: Server, connection: socket.socket, number: int, tls: ssl.SSLContext | None
) -> None:
    with suppress(Close, OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock: Any = connection
        if tls is not None:
            sock = tls.wrap_socket(connection, server_side=True)
        pending = b""
        while (request := _request(server, sock, pending)) is not None:
            head, body, pending, behaviour = request
            seen = Seen(number, time.time_ns(), head, body)
            server.seen.append(seen)
            server.entered(1)
            try:
                (behaviour or server.behaviour(seen))(sock, seen)
            finally:
                seen.ended_ns = time.time_ns()
                server.entered(-1)
    with suppress(OSError):
        connection.close()


def _request(
    server: Server, sock: Any, data: bytes
) -> tuple[bytes, bytes, bytes, Behaviour | None] | None:
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return None
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    size = int(length[1]) if length else 0
    early = server.behaviours.get("early")
    if early is not None and size > 4 << 20:
        return head, rest, b"", early
    while len(rest) < size:
        more = sock.recv(65536)
        if not more:
            return None
        rest += more
    return head, rest[:size], rest[size:], None
