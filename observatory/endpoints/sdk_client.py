"""The openai package's client as an application uses it, heard while it works: for `transport: sdk`.

Importing this imports the package (half a second), so only a worker that measures through it does. It is
independent of the event loop: the code that patches the sockets beneath it decides how it waits.
"""

import logging
from collections.abc import Iterator
from contextvars import ContextVar
from inspect import signature
from typing import Any, Literal

import httpx2
import msgspec
import openai

from observatory.connect.bounded_httpx import BoundedTransport
from observatory.connect.tls import tls_context
from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.core.errors import BadInput
from observatory.endpoints.listing import TRANSPORT_HEADERS, client_proxy
from observatory.endpoints.sdk_hearing import Hearing
from observatory.wires.streams.stream_end import RESPONSES_END

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_hearing: ContextVar[Hearing] = ContextVar("hearing")
_NOT_BODY = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
"""Parameters of the package's methods that are no fields of a request."""


class SdkClient:
    """One worker's client: no retries of its own, no limit to its connections, no time limits but ours."""

    def __init__(self, connection: Connection, request: Literal["chat", "completions"]) -> None:
        """Raise BadInput for a wire that the package does not speak; a secret, certificate or proxy that is no good."""
        if connection.wire == "messages":
            raise BadInput(
                "the openai package does not speak the Messages API",
                where=connection.endpoint,
                fix="leave transport: sdk out, or take another wire",
            )
        # They would write URLs, whose query can hold a key, to wherever logging is pointed.
        for name in ("httpx2", "httpcore2", "openai"):
            logging.getLogger(name).setLevel(logging.WARNING)
        query = httpx2.QueryParams(resolved_query(connection).removeprefix("?"))
        self._http = httpx2.Client(
            transport=_Heard(
                verify=tls_context(connection) if connection.scheme == "https" else False,
                proxy=client_proxy(connection),
                trust_env=False,
                # The package's own limit of 1,000 would serialise more users than that.
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            ),
            trust_env=False,
            timeout=None,
            event_hooks={"request": [_own_headers(resolved_headers(connection))]},
        )
        self._openai = openai.OpenAI(
            api_key="replaced by the hook",
            base_url=connection.endpoint,
            default_query=dict(query),
            max_retries=0,
            timeout=None,
            http_client=self._http,
        )
        self._create: Any = self._openai.chat.completions.create
        if connection.wire == "responses":
            self._create = self._openai.responses.create
        elif request == "completions":
            self._create = self._openai.completions.create
        self._known = frozenset(signature(self._create).parameters) - _NOT_BODY

    def send(self, body: bytes, hearing: Hearing) -> None:
        """Send the request whose JSON is `body`, and take all of its answer; raises what the client raises."""
        fields = _decode(body)
        known = {name: value for name, value in fields.items() if name in self._known}
        others = {name: value for name, value in fields.items() if name not in self._known}
        _hearing.set(hearing)
        answer = self._create(**known, extra_body=others or None)
        hearing.returned()
        if isinstance(answer, openai.Stream):
            with answer:
                for event in answer:
                    hearing.event()
                    if getattr(event, "type", None) in RESPONSES_END:
                        hearing.stream_over()

    def close(self) -> None:
        """Close every connection."""
        self._openai.close()


def _own_headers(headers: dict[str, str]) -> Any:
    """Return a hook that keeps the package's headers about itself and HTTP, drops its others and adds ours.

    The package reads OPENAI_* variables (organisation, project, headers) on its own: none of them may
    reach another service's endpoint, or replace a setting of the target's file.
    """

    def own(request: httpx2.Request) -> None:
        for name in list(request.headers):
            if name.lower() not in TRANSPORT_HEADERS and not name.lower().startswith("x-stainless"):
                del request.headers[name]
        # Compressed events would arrive when the compressor likes.
        request.headers["Accept-Encoding"] = "identity"
        request.headers.update(httpx2.Headers(headers, encoding="latin-1"))

    return own


class _Heard(BoundedTransport):
    """The package's usual transport, which reports its steps to the request's Hearing."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it; the response's body is heard as it is read."""
        hearing = _hearing.get()
        hearing.sending(_size(request))
        request.extensions = {**request.extensions, "trace": hearing.trace}
        response = super().handle_request(request)
        hearing.head(response.status_code, response.headers.raw)
        # Compressed although it was not requested: a fault, and the decompressed size has no bound.
        response.headers.pop("content-encoding", None)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _HeardBody(response.stream, hearing)
        return response


def _size(request: httpx2.Request) -> int:
    """Return bytes of a request with a body in one piece: its first line, headers and body."""
    line = len(request.method) + len(request.url.raw_path) + len("  HTTP/1.1\r\n")
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw)
    return line + headers + len("\r\n") + int(request.headers.get("content-length", 0))


class _HeardBody(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, hearing: Hearing) -> None:
        self._stream = stream
        self._hearing = hearing

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._hearing.piece(piece)
            yield piece

    def close(self) -> None:
        self._stream.close()
