"""Fetches one Prometheus page over a connection that is kept, with a bounded time and size.

Secrets are read when it is made and stay in it: no message of its errors has one.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLContext, create_default_context
from urllib.parse import urlsplit

from observatory.connect.bounds import PAGE_S
from observatory.connect.timed_http import TimedConnection
from observatory.core.errors import BadInput

PAGE_LIMIT = 4 << 20
"""Bytes of a page at most: vLLM's is some 50 kB, the DCGM exporter's of eight GPUs as much."""
TIMEOUT_S = 2.0
"""Without a byte. The whole page has bounds.PAGE_S."""
_KINDS = ("text/plain", "application/openmetrics-text")
_ACCEPT = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5"


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where a page lies; path with its query."""

    scheme: str
    host: str
    port: int
    path: str


def address_of(url: str) -> PageAddress:
    """Return the address of a URL (http or https, no credentials: checked where it is written)."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/metrics") + (f"?{parts.query}" if parts.query else "")
    return PageAddress(parts.scheme, parts.hostname or "", port, path)


class Scrape:
    """One page that is read again and again.

    headers: with their secrets in place. BadInput where one is not allowed in a request.
    """

    def __init__(
        self, address: PageAddress, headers: Mapping[str, str], context: SSLContext | None = None
    ) -> None:
        for name, value in headers.items():
            if not value.isascii() or not value.isprintable():
                raise BadInput("a header cannot hold its value", where=f"header {name}")
        self._address = address
        self._headers = {"Accept": _ACCEPT, **headers}
        self._context = context
        self._client: http.client.HTTPConnection | None = None

    def page(self) -> str:
        """Return its text. OSError, HTTPException or ValueError where there is none.

        A connection that the server closed while it was idle is opened again, once.
        """
        kept = self._client is not None
        try:
            return self._fetch()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept or isinstance(error, TimeoutError):
                raise
        except ValueError:
            self.close()
            raise
        try:
            return self._fetch()
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise

    def close(self) -> None:
        """Let the connection go; the next page opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _fetch(self) -> str:
        client = self._client = self._client or self._connect()
        client.request("GET", self._address.path, headers=self._headers)
        response = client.getresponse()
        body = response.read(PAGE_LIMIT + 1)
        kind = response.headers.get_content_type()
        if response.status != 200 or kind not in _KINDS:
            raise ValueError(f"HTTP {response.status}, {kind}")
        if len(body) > PAGE_LIMIT:
            raise ValueError(f"the page has more than {PAGE_LIMIT >> 20} MiB")
        if response.length:
            raise ValueError("the answer was cut off")
        response.read()  # the end of a chunked one, so that the connection can be used again
        return body.decode("utf-8", "replace")

    def _connect(self) -> http.client.HTTPConnection:
        at = self._address
        context = self._context
        if context is None and at.scheme == "https":
            context = create_default_context()
        return TimedConnection(at.host, at.port, PAGE_S, context, pause_s=TIMEOUT_S)
