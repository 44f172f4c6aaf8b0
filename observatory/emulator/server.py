"""The emulator's connections: HTTP/1.1 requests in, one answer at a time out, in order.

The room's other files make the answers and their instants.
"""

import asyncio
import socket
import struct
import time
from collections import deque

import httptools
import msgspec

from observatory.emulator.answer import EmulatedAnswer
from observatory.emulator.limits import Headers
from observatory.emulator.messages import as_messages
from observatory.emulator.model import EmulatedModel, Prepared
from observatory.emulator.pages import (
    LATENESS_PATH,
    METRICS_PATH,
    lateness_page,
    metrics_page,
)
from observatory.emulator.requests import (
    ParsedRequest,
    Reply,
    error,
    render_reply,
    response_head,
    understand,
)
from observatory.emulator.script import Ending
from observatory.emulator.truth import Trace

MESSAGES_PATH = "/v1/messages"
LARGEST_BODY = 64 * 2**20
"""Bytes of a request's body above which it is answered with 413."""
_STREAM_HEADERS: Headers = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("transfer-encoding", "chunked"),
)


class _Request(msgspec.Struct, eq=False):
    """What the parser gathers of one request; read_s (loop) and read_ns (realtime): its last byte."""

    url: bytes = b""
    method: str = ""
    version: str = ""
    authorization: str = ""
    expects: bool = False
    keep_alive: bool = True
    body: list[bytes] = []
    size: int = 0
    read_s: float = 0.0
    read_ns: int = 0
    headers: Headers = ()
    trace: Trace | None = None

    @property
    def path(self) -> str:
        return self.url.partition(b"?")[0].decode("latin-1")


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, model: EmulatedModel) -> None:
        self._model = model
        self._number = model.connections
        self._carried = False
        model.connections += 1
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._reading = _Request()
        self._ready: deque[_Request] = deque()
        self._answering: _Request | None = None
        self._answer: EmulatedAnswer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the client is gone; its answer is given up and its slot freed."""
        self._transport = None
        self._ready.clear()
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
            self._log(gone=True)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with bytes of requests."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("no upgrade is offered")
        except httptools.HttpParserError as problem:
            self._refuse(f"not an HTTP request: {problem}")
        else:
            self._next()

    # httptools' callbacks: they only gather, because it turns their exceptions into its own.
    def on_message_begin(self) -> None:
        """Called by httptools when a request begins."""
        self._reading = _Request()

    def on_url(self, url: bytes) -> None:
        """Called by httptools with a piece of its target."""
        self._reading.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools with a header."""
        match name.lower():
            case b"authorization":
                self._reading.authorization = value.decode("latin-1")
            case b"x-api-key" | b"api-key":  # as Anthropic's and Azure's clients send the key
                self._reading.authorization = f"Bearer {value.decode('latin-1')}"
            case b"expect":
                self._reading.expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Called by httptools before the body."""
        if self._reading.expects:
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Called by httptools with a piece of the body."""
        self._reading.size += len(body)
        if self._reading.size <= LARGEST_BODY:
            self._reading.body.append(body)

    def on_message_complete(self) -> None:
        """Called by httptools when the request is fully read."""
        request = self._reading
        request.read_s, request.read_ns = self._loop.time(), time.time_ns()
        request.method = self._parser.get_method().decode("latin-1")
        request.version = self._parser.get_http_version()
        request.keep_alive = self._parser.should_keep_alive()
        self._ready.append(request)

    def _next(self) -> None:
        if self._answering is not None or not self._ready or self._transport is None:
            return
        self._answering = request = self._ready.popleft()
        model = self._model
        model.requests += 1
        number = model.requests
        identifier = f"req-emulated-{number:08d}"
        close = () if request.keep_alive else (("connection", "close"),)
        name = "request-id" if request.path == MESSAGES_PATH else "x-request-id"
        request.headers = ((name, identifier), *model.marks, *close)
        facts = {"request": number, "id": identifier, "connection": self._number}
        if model.truth is not None:
            request.trace = Trace(request.read_ns, {**facts, "path": request.path})
        body = b"".join(request.body)
        wanted = self._understood(request, body)
        if isinstance(wanted, Reply):
            self._reply(wanted, (), None)
            return
        prepared = model.prepare(
            wanted,
            body,
            number,
            head=self._stream_head,
            reply=self._complete_response,
            kept=self._carried,
        )
        self._carried = True
        if prepared is None:
            if request.trace is not None:
                request.trace.facts.update({"status": None, "fault": "drop_kept"})
            self._ended("close")
            return
        if isinstance(prepared, Prepared):
            self._begin(request, prepared)
        else:
            self._reply(*prepared)

    def _understood(self, request: _Request, body: bytes) -> ParsedRequest | Reply:
        model, path = self._model, request.path
        if request.version != "1.1":
            return error(505, "HTTP/1.1 only")
        if request.size > LARGEST_BODY:
            return error(413, f"the body is larger than {LARGEST_BODY} bytes")
        if request.method == "GET" and path == METRICS_PATH:
            return metrics_page(
                model.name,
                model.slots,
                prompt_tokens=model.prompt_tokens,
                cached_tokens=model.cached_tokens,
            )
        if request.method == "GET" and path == LATENESS_PATH:
            return lateness_page(model.lateness)
        return understand(
            request.method, path, request.authorization, body, model=model.name, key=model.key
        )

    def _begin(self, request: _Request, prepared: Prepared) -> None:
        model, transport = self._model, self._transport
        assert transport is not None
        if request.trace is not None:
            request.trace.facts.update(prepared.facts)
        self._answer = EmulatedAnswer(
            script=prepared.steps,
            slots=model.slots,
            pace=model.pace,
            lateness=model.lateness,
            trace=request.trace,
            send=transport.write,
            ended=self._ended,
        )
        every_s = model.profile.shape.keep_alive
        if every_s is not None and prepared.stream:
            self._answer.keep_alive(prepared.content.keep_alive(), every_s)
        self._answer.begin(request.read_s)

    def _reply(self, reply: Reply, headers: Headers, fault: str | None) -> None:
        request = self._answering
        assert request is not None
        data = render_reply(self._worded(reply), (*headers, *request.headers))
        if request.trace is not None:
            request.trace.facts.update({"status": reply.status, "fault": fault})
            request.trace.writes.append((time.time_ns(), 0, 0, 0))
        self._send(data)
        self._ended(None)

    def _complete_response(self, reply: Reply, headers: Headers) -> bytes:
        """Return head and body of an answer that is not streamed."""
        return render_reply(self._worded(reply), self._answer_headers(reply.status, headers))

    def _worded(self, reply: Reply) -> Reply:
        """Return a reply in the format of the request's API."""
        request = self._answering
        if request is None or request.path != MESSAGES_PATH:
            return reply
        return as_messages(reply, request.headers[0][1])

    def _stream_head(self, headers: Headers) -> bytes:
        return response_head(200, (*_STREAM_HEADERS, *self._answer_headers(200, headers)))

    def _answer_headers(self, status: int, headers: Headers) -> Headers:
        """Return the headers of the answer under way, whose status is known now."""
        request = self._answering
        assert request is not None
        if request.trace is not None:
            request.trace.facts["status"] = status
        if request.path == MESSAGES_PATH:
            return (*headers, *request.headers)  # Anthropic sends no processing time
        elapsed_ms = round((self._loop.time() - request.read_s) * 1e3)
        return (("openai-processing-ms", str(elapsed_ms)), *headers, *request.headers)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _ended(self, ending: Ending | None) -> None:
        """Called when the answer is written: close, break off, or go on with the requests received since."""
        self._log()
        keeps = self._answering is not None and self._answering.keep_alive
        self._answering = self._answer = None
        if self._transport is not None and (ending is not None or not keeps):
            self._ready.clear()
            if ending == "reset":
                _reset(self._transport)
            else:
                self._transport.close()
        if self._ready:
            self._ready[0].read_s = self._loop.time()  # it waited for the one before it
            self._loop.call_soon(self._next)

    def _log(self, *, gone: bool = False) -> None:
        request, truth = self._answering, self._model.truth
        if truth is not None and request is not None and request.trace is not None:
            truth.request(request.trace, gone=gone)

    def _refuse(self, message: str) -> None:
        refusal = error(400, message, headers=(("connection", "close"),))
        self._send(render_reply(refusal, self._model.marks))
        if self._transport is not None:
            self._transport.close()


def _reset(transport: asyncio.Transport) -> None:
    """Close with RST: a linger time of zero (socket(7))."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
