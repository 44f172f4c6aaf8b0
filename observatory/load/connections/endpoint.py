"""The endpoint as one worker speaks to it: request head, TLS, secrets, all made ready once.

Secrets are resolved here, in the process that sends, and leave it only on the socket.
"""

import ssl
from dataclasses import dataclass
from typing import Any, Literal

from observatory.connect.masking import Masker
from observatory.connect.proxies import Proxy, proxy_of
from observatory.connect.sent_secrets import masker_of
from observatory.connect.tls import tls_context
from observatory.core.clock import Anchor
from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.core.errors import BadInput
from observatory.wires.request_head import host_of, request_headers
from observatory.wires.wires import path_of


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What every HTTP attempt of a worker shares. head ends in "Content-Length: "."""

    connection: Connection
    anchor: Anchor
    head: bytes
    streaming: bool
    masker: Masker
    tls: ssl.SSLContext | None
    proxy: Proxy | None = None

    @property
    def decoding(self) -> dict[str, Any]:
        """Return what decode and decode_steps take in addition to an HTTP attempt."""
        wire = self.connection.wire
        return {"anchor_unix_ns": self.anchor.realtime_ns, "masker": self.masker, "wire": wire}

    def request(self, body: list[bytes]) -> list[bytes]:
        """Return the request's bytes, to be sent one after another."""
        return [self.head + b"%d\r\n\r\n" % sum(map(len, body)), *body]


def make_endpoint(
    connection: Connection, anchor: Anchor, *, request: Literal["chat", "completions"], stream: bool
) -> Endpoint:
    """Resolve secrets and read certificates; BadInput where one is missing, or the proxy's URL is bad.

    A proxy gets a request over plain http whole, with the target's URL in its first line (RFC 9112,
    3.2.2); one over https goes through its tunnel (connecting.py) as if there were none.
    """
    proxy = proxy_of(connection)
    theirs = resolved_headers(connection)
    headers = request_headers(connection, theirs, stream=stream)
    query = resolved_query(connection)
    target = f"{connection.base_path}{path_of(connection, request)}{query}"
    if proxy is not None and connection.scheme == "http":
        target = f"http://{host_of(connection)}{target}"
        if proxy.authorization is not None:
            headers["Proxy-Authorization"] = proxy.authorization
    lines = [f"POST {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode("latin-1")
    except UnicodeEncodeError as error:
        raise BadInput(
            "a header has a character outside Latin-1", where=connection.endpoint
        ) from error
    return Endpoint(
        connection=connection,
        anchor=anchor,
        head=head,
        streaming=stream,
        masker=masker_of(connection),
        tls=_tls(connection) if connection.scheme == "https" else None,
        proxy=proxy,
    )


def _tls(connection: Connection) -> ssl.SSLContext:
    context = tls_context(connection)
    context.set_alpn_protocols(["http/1.1"])
    return context
