"""Builds raw HTTP responses as servers send them, and feeds them to the decoder cut anyhow."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from observatory.connect.masking import Masker
from observatory.wires.http_attempt import DecodedAnswer, Fault, HttpAttempt
from observatory.wires.streams.http_response import ResponseReader
from observatory.wires.wire import decode
from observatory.wires.wires import WireName

SENT = 1_000
ANCHOR_UNIX_NS = 1_760_000_000 * 10**9


def event(payload: Any, *, end: str = "\n", prefix: str = "data: ") -> bytes:
    """One server-sent event."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"{prefix}{text}{end}{end}".encode()


def named(payload: dict[str, Any]) -> bytes:
    """An event with its type as its name, as Messages and Responses send it."""
    return f"event: {payload['type']}\n".encode() + event(payload)


def delta(**fields: Any) -> dict[str, Any]:
    """Return a chat chunk with that delta; finish_reason goes next to it."""
    finish = fields.pop("finish_reason", None)
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return {"id": "c-1", "model": "m-1", "choices": [choice]}


def usage(prompt: int, output: int, **more: Any) -> dict[str, Any]:
    """The last chunk of a stream."""
    counts = {"prompt_tokens": prompt, "completion_tokens": output, **more}
    return {"id": "c-1", "model": "m-1", "choices": [], "usage": counts}


def head(
    *lines: str, status: str = "200 OK", kind: str = "text/event-stream", version: str = "1.1"
) -> bytes:
    """A response head."""
    return "\r\n".join(
        [f"HTTP/{version} {status}", f"Content-Type: {kind}", *lines, "", ""]
    ).encode()


def chunked(pieces: Iterable[bytes]) -> list[bytes]:
    """The pieces as HTTP chunks, with the last one."""
    return [*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece), b"0\r\n\r\n"]


def stream(pieces: Sequence[bytes], *lines: str) -> list[bytes]:
    """A chunked event stream: its head, then a chunk for each piece."""
    return [head("Transfer-Encoding: chunked", *lines), *chunked(pieces)]


def whole(payload: Any, *lines: str, status: str = "200 OK") -> list[bytes]:
    """A JSON answer with its length."""
    body = json.dumps(payload).encode()
    return [
        head(f"Content-Length: {len(body)}", *lines, status=status, kind="application/json") + body
    ]


def read(
    reads: Iterable[bytes],
    *,
    stamps: Iterable[int] | None = None,
    merged: frozenset[int] = frozenset(),
    closes: bool = False,
    fault: Fault | None = None,
    streaming: bool = True,
    secrets: Sequence[str] = (),
    wire: WireName = "openai",
) -> DecodedAnswer:
    """What is decoded from these reads, the first stamped 10 ms after the request was sent.

    closes: the peer closes after the last read, which is an early close where the body is not whole.
    """
    response = ResponseReader()
    ended = SENT
    times = stamps if stamps is not None else itertools.count(SENT + 10_000_000, 10_000_000)
    for number, (data, at) in enumerate(zip(reads, times, strict=False)):
        over = response.feed(data, at, merged=number in merged)
        ended = at
        if over:
            break
    if closes and not response.finish() and fault is None:
        fault = Fault("stream", "early_close", "the server closed the connection")
    if response.fault is not None:
        fault = Fault("stream", "protocol", response.fault)
    http_attempt = HttpAttempt(
        streaming=streaming, response=response, sent=SENT, ended=ended, fault=fault, bytes_sent=100
    )
    return decode(http_attempt, anchor_unix_ns=ANCHOR_UNIX_NS, masker=Masker(secrets), wire=wire)
