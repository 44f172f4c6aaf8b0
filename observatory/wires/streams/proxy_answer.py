"""CONNECT and a proxy's response to it (RFC 9110, 9.3.6). Pure: bytes in, bytes and faults out.

Only the response's head is read: the bytes after it are the target's own.
"""

import re

from observatory.connect.masking import cut_between_words
from observatory.connect.proxies import Proxy
from observatory.core.connection import Connection
from observatory.wires.http_attempt import Fault

_LONGEST_HEAD = 65_536
"""Bytes; a peer that sends more before a blank line is no proxy."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n")


def connect_request(connection: Connection, proxy: Proxy) -> bytes:
    """Return the request for a tunnel to the connection's host and port."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    lines = [f"CONNECT {host}:{connection.port} HTTP/1.1", f"Host: {host}:{connection.port}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def refusal(status: int, reason: str) -> Fault:
    """Return a proxy's answer that is no tunnel; the reason is the proxy's word."""
    meaning = {
        407: "it wants credentials: put them into the proxy's URL, or correct them",
        403: "it does not let this target through",
        502: "it cannot reach the target",
        503: "it cannot reach the target",
        504: "the target did not answer it in time",
    }.get(status)
    status_line = f"{status} {reason}".rstrip()
    text = f"it refused the tunnel with HTTP {status_line}" + (f" ({meaning})" if meaning else "")
    return Fault("connect", "http_status", text)


class ProxyAnswer:
    """Fed the bytes of a proxy, until `complete`; then `fault` is set where there is no tunnel.

    rest: the bytes after the head.
    """

    def __init__(self) -> None:
        self._data = b""
        self.complete = False
        self.rest = b""

    def feed(self, data: bytes) -> None:
        """Take in one read."""
        self._data += data
        head, blank, rest = self._data.partition(b"\r\n\r\n")
        if blank:
            self._data, self.rest, self.complete = head + b"\r\n", rest, True
        elif len(self._data) > _LONGEST_HEAD or not b"HTTP/1.".startswith(self._data[:7]):
            self.complete = True

    def fault(self) -> Fault | None:
        """Return None where there is a tunnel."""
        line = _STATUS_LINE.match(self._data)
        if line is None:
            return Fault("connect", "protocol", "its answer to CONNECT is no HTTP")
        status = int(line[1])
        if 200 <= status < 300:
            return None
        reason = (line[2] or b"").decode("latin-1").strip()
        return refusal(status, cut_between_words(reason, 100))
