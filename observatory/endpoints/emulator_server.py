"""The emulator's connections: HTTP/1.1 requests in, one answer at a time out, in order.

What is said is emulator_wire's, when it is said emulator_answer's, and by which luck
emulator_draws'.
"""

import asyncio
import time
from collections import deque

import httptools

from observatory.core.target import LatencyProfile
from observatory.endpoints.emulator_answer import Answer, Slots
from observatory.endpoints.emulator_draws import Draws, answer_words
from observatory.endpoints.emulator_wire import (
    THROTTLED,
    AnswerBytes,
    Asked,
    Reply,
    error,
    render_reply,
    understand,
)

LARGEST_BODY = 64 * 2**20
"""Bytes of a request's body above which it is answered with 413."""


class Emulator:
    """One emulated model: its draws, its slots, and how many requests it has been asked.

    key: what `Authorization: Bearer` must carry under /v1; None takes anything.
    """

    def __init__(self, profile: LatencyProfile, model: str, key: str | None = None) -> None:
        self.model = model
        self.key = key
        self.draws = Draws(profile)
        self.slots = Slots(profile.slots)
        self.requests = 0

    def connection(self) -> asyncio.Protocol:
        """A protocol for one client's connection (asyncio's protocol factory)."""
        return _Connection(self)


class _Request:
    """What the parser gathers of one request."""

    __slots__ = (
        "authorization",
        "body",
        "expects",
        "keep_alive",
        "method",
        "size",
        "url",
        "version",
    )

    def __init__(self) -> None:
        self.url = b""
        self.method = ""
        self.version = ""
        self.authorization = ""
        self.expects = False
        self.keep_alive = True
        self.body: list[bytes] = []
        self.size = 0


class _Connection(asyncio.Protocol):
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._reading = _Request()
        self._ready: deque[_Request] = deque()
        self._answering: _Request | None = None
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ready.clear()
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None

    def data_received(self, data: bytes) -> None:
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
        self._reading = _Request()

    def on_url(self, url: bytes) -> None:
        self._reading.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"authorization":
                self._reading.authorization = value.decode("latin-1")
            case b"expect":
                self._reading.expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        if self._reading.expects:
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._reading.size += len(body)
        if self._reading.size <= LARGEST_BODY:
            self._reading.body.append(body)

    def on_message_complete(self) -> None:
        self._reading.method = self._parser.get_method().decode("latin-1")
        self._reading.version = self._parser.get_http_version()
        self._reading.keep_alive = self._parser.should_keep_alive()
        self._ready.append(self._reading)

    def _next(self) -> None:
        if self._answering is not None or not self._ready or self._transport is None:
            return
        self._answering = request = self._ready.popleft()
        emulator = self._emulator
        emulator.requests += 1
        body = b"".join(request.body)
        wanted = self._understood(request, body)
        headers = self._headers(request, emulator.requests)
        if isinstance(wanted, Asked):
            draw = emulator.draws.draw(body, limit=wanted.limit, whole_limit=wanted.whole_limit)
            if draw.outcome != "throttle":
                words = answer_words(draw.words_seed, wanted.text, len(draw.token_offsets_s))
                self._answer = Answer(
                    draw,
                    AnswerBytes(
                        wanted,
                        words,
                        draw.finished,
                        model=emulator.model,
                        number=emulator.requests,
                        created=int(time.time()),
                    ),
                    stream=wanted.stream,
                    slots=emulator.slots,
                    headers=headers,
                    send=self._send,
                    ended=self._ended,
                )
                self._answer.begin()
                return
            wanted = THROTTLED
        self._send(render_reply(Reply(wanted.status, wanted.body, (*wanted.headers, *headers))))
        self._ended()

    def _understood(self, request: _Request, body: bytes) -> Asked | Reply:
        if request.version != "1.1":
            return error(505, "HTTP/1.1 only")
        if request.size > LARGEST_BODY:
            return error(413, f"the body is larger than {LARGEST_BODY} bytes")
        return understand(
            request.method,
            request.url.partition(b"?")[0].decode("latin-1"),
            request.authorization,
            body,
            model=self._emulator.model,
            key=self._emulator.key,
        )

    def _headers(self, request: _Request, number: int) -> tuple[tuple[str, str], ...]:
        marks = (("x-request-id", f"req-emulated-{number:08d}"), ("x-observatory-emulated", "1"))
        return marks if request.keep_alive else (*marks, ("connection", "close"))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _ended(self) -> None:
        """The answer is written: close, or go on with what came meanwhile."""
        keeps = self._answering is not None and self._answering.keep_alive
        self._answering = self._answer = None
        if not keeps and self._transport is not None:
            self._ready.clear()
            self._transport.close()
        asyncio.get_running_loop().call_soon(self._next)

    def _refuse(self, message: str) -> None:
        refusal = error(400, message, headers=(("connection", "close"),))
        self._send(render_reply(refusal))
        if self._transport is not None:
            self._transport.close()
