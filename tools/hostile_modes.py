"""What a hostile server sends, one mode a row, each with the outcome that is right for it.

A mode's parts are bytes to send, seconds to wait, or a Flood; then its connection is closed, reset or held.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from observatory.core.record import ErrorKind, Outcome
from observatory.wires.wires import WireName

Ending = Literal["close", "reset", "hold", "keep"]
HELD_S = 20.0
"""Longer than any time limit of the client's that tries the modes."""


@dataclass(frozen=True, slots=True)
class Flood:
    """These bytes again and again, pause_s apart, until the client has gone or `times` is over."""

    part: bytes
    pause_s: float = 0.0
    times: int = 1 << 40


Part = bytes | float | Flood


@dataclass(frozen=True, slots=True)
class Mode:
    """text: what the row must have as its answer, None where that does not matter. most_s: the answer's
    end to end time is below that, where it was whole."""

    name: str
    parts: tuple[Part, ...]
    outcome: Outcome
    kind: ErrorKind | None = None
    text: str | None = None
    ending: Ending = "close"
    wire: WireName = "openai"
    most_s: float | None = None


def framed(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(data: Any, name: str = "") -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def said(text: str, **more: Any) -> bytes:
    """A chat event with text."""
    return event(
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}
    )


OK = b"HTTP/1.1 200 OK\r\n"
SSE = b"Content-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HEAD = OK + SSE + CHUNKED + b"\r\n"
PLAIN = OK + SSE + b"\r\n"
STOP = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
DONE = event("[DONE]")
BODY = said("text") + STOP + DONE
LAST = b"0\r\n\r\n"
WHOLE = HEAD + framed(said("text")) + framed(STOP) + framed(DONE) + LAST
OPEN = HEAD + framed(said("text"))
ENDED = framed(STOP) + framed(DONE)
COMMENT = framed(b": keep-alive\n\n")
NDJSON = b"Content-Type: application/x-ndjson\r\n"
LINES = [one.removeprefix(b"data: ").removesuffix(b"\n") for one in (said("text"), STOP)]
JSON_ANSWER = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "text"}, "finish_reason": "stop"}]}
).encode()


def length(size: int, kind: bytes = SSE) -> bytes:
    """A head with a length."""
    return OK + kind + b"Content-Length: %d\r\n\r\n" % size


def refused(status: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    """An error's head and body."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode()
    return head + headers + b"\r\n" + body


def _ok(name: str, *parts: Part, ending: Ending = "hold", text: str = "text") -> Mode:
    """Return a mode with a whole answer and any behaviour of its server afterwards; its user does not wait for that."""
    return Mode(name, parts, "ok", None, text, ending, most_s=3.0)


def _bad(name: str, kind: ErrorKind, *parts: Part, ending: Ending = "close") -> Mode:
    return Mode(name, parts, "error", kind, None, ending)


def _late(name: str, kind: ErrorKind, *parts: Part) -> Mode:
    return Mode(name, parts, "timeout", kind, None, "hold")


AFTER_THE_END = (
    _ok("done_then_silence", OPEN, 0.02, ENDED),
    _ok("done_then_comments", OPEN, 0.02, ENDED, Flood(COMMENT, 0.05)),
    _ok("done_then_blank_lines", OPEN, 0.02, ENDED, Flood(framed(b"\n"), 0.05)),
    _ok("done_then_flood", OPEN, 0.02, ENDED, Flood(framed(b"x" * 65_536))),
    _ok("done_in_two_reads", OPEN + framed(STOP), framed(DONE)[:10], 0.03, framed(DONE)[10:]),
    _ok("done_in_bytes", OPEN + framed(STOP), *(bytes([b]) for b in framed(DONE))),
    _ok("done_without_blank_line", OPEN + framed(STOP), 0.02, framed(b"data: [DONE]\n")),
    _ok("done_without_line_end", OPEN + framed(STOP), 0.02, framed(b"data: [DONE]")),
    _ok("done_without_data", OPEN + framed(STOP), 0.02, framed(b"[DONE]\n\n")),
    _ok("done_as_a_name", OPEN + framed(STOP), 0.02, framed(b"event: done\ndata: {}\n\n")),
    _ok("done_then_folded_trailer", OPEN, 0.02, ENDED + b"0\r\nX: y\r\n  z\r\n\r\n"),
    _ok("done_then_text", OPEN, 0.02, ENDED + framed(said("more")), ending="close"),
    _ok("done_then_text_and_silence", OPEN, 0.02, ENDED + framed(said("more"))),
    _ok("done_at_once_then_silence", OPEN + ENDED),
    _ok("done_in_one_chunk_then_silence", HEAD + framed(BODY)),
    _ok("done_then_reset", OPEN, 0.02, ENDED, ending="reset"),
    _ok("done_then_half_a_chunk", OPEN, 0.02, ENDED + b"ff\r\nda"),
    _ok("done_then_no_chunk", OPEN, 0.02, ENDED + b"zz\r\n"),
    _ok("done_then_trailers_for_ever", OPEN, 0.02, ENDED + b"0\r\n", Flood(b"X: y\r\n", 0.01)),
    _ok("done_until_close", PLAIN + said("text"), 0.02, STOP + DONE),
    _ok("done_before_the_length", length(100_000) + said("text"), 0.02, STOP + DONE),
    _ok("last_chunk_late", OPEN, 0.02, ENDED, 0.3, LAST, ending="keep"),
    _ok("second_response", WHOLE + WHOLE.replace(b"text", b"more"), ending="keep"),
    _ok("junk_behind", WHOLE + b"\x00\x01junk\r\n\r\n", ending="keep"),
    _ok("trailers", WHOLE[:-2] + b"X-Trailer: y\r\n\r\n", ending="keep"),
    _ok("closed_without_a_word", WHOLE, ending="close"),
    _ok("reset_behind", WHOLE, 0.05, ending="reset"),
)
FRAMING = (
    _ok(
        "length_and_chunked",
        OK + SSE + b"Content-Length: 0\r\n" + WHOLE[len(OK + SSE) :],
        ending="keep",
    ),
    _ok(
        "chunked_and_length",
        WHOLE.replace(CHUNKED, CHUNKED + b"Content-Length: 9999\r\n", 1),
        ending="keep",
    ),
    _ok("chunked_twice", WHOLE.replace(CHUNKED, CHUNKED + CHUNKED, 1), ending="keep"),
    _ok(
        "equal_lengths",
        length(len(BODY), b"Content-Length: %d\r\n" % len(BODY)) + BODY,
        ending="keep",
    ),
    _ok(
        "list_of_equal_lengths",
        OK + b"Content-Length: %d, %d\r\n\r\n" % ((len(BODY),) * 2) + BODY,
        ending="keep",
    ),
    _bad(
        "unequal_lengths", "protocol", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
    ),
    _bad("negative_length", "protocol", OK + b"Content-Length: -5\r\n\r\nhello"),
    _bad("length_beyond_numbers", "protocol", OK + b"Content-Length: " + b"9" * 400 + b"\r\n\r\nx"),
    _bad("length_in_words", "protocol", OK + b"Content-Length: five\r\n\r\nhello"),
    _bad("length_too_long", "early_close", length(5_000) + said("text")),
    _bad("length_too_short", "early_close", length(len(said("text"))) + said("text") + STOP + DONE),
    _ok("until_close", PLAIN + BODY, ending="close"),
    _ok("http_1_0", PLAIN.replace(b"1.1", b"1.0") + BODY, ending="close"),
    _ok("identity", OK + SSE + b"Transfer-Encoding: identity\r\n\r\n" + BODY, ending="close"),
    _ok(
        "chunk_extensions",
        HEAD + framed(BODY).replace(b"\r\n", b";a=b;c\r\n", 1) + LAST,
        ending="keep",
    ),
    _ok("byte_by_byte", *(bytes([b]) for b in WHOLE), ending="keep"),
    _ok("chunk_a_byte", HEAD + b"".join(framed(bytes([b])) for b in BODY) + LAST, ending="keep"),
    _bad("no_chunk_size", "protocol", OPEN + b"hello\r\n"),
    _bad("negative_chunk", "protocol", OPEN + b"-5\r\nhello\r\n"),
    _bad("chunk_beyond_numbers", "protocol", OPEN + b"f" * 40 + b"\r\nhello\r\n"),
    _bad("chunk_longer_than_sent", "early_close", HEAD + b"fff\r\n" + said("text")),
    _bad("cut_in_a_chunk", "early_close", OPEN + b"40\r\ndata: {"),
    _bad("reset_in_a_chunk", "reset", OPEN, 0.05, b"40\r\ndata: {", 0.05, ending="reset"),
    _bad(
        "compressed",
        "protocol",
        length(20, b"Content-Encoding: gzip\r\n") + b"\x1f\x8b" + bytes(18),
    ),
)
HEADS = (
    _bad("nothing", "early_close"),
    _bad("reset_at_once", "reset", ending="reset"),
    _late("silence", "timeout"),
    _late("half_a_head", "stall", OK + b"X-He"),
    _late("head_alone", "stall", HEAD),
    _late("head_that_drips", "timeout", OK, Flood(b"X: y\r\n", 0.1)),
    _bad("tls_alert", "protocol", b"\x15\x03\x01\x00\x02\x02\x46"),
    _bad("ssh", "protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
    _bad("http_2", "protocol", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"),
    _bad("http_9", "protocol", b"HTTP/9.9 200 OK\r\n\r\n"),
    _bad("no_head_at_all", "protocol", BODY),
    _bad("head_without_end", "too_large", OK, Flood(b"X-Header: " + b"x" * 500 + b"\r\n")),
    _bad("one_header_without_end", "too_large", OK + b"X: ", Flood(b"x" * 65_536)),
    _bad("reason_without_end", "too_large", b"HTTP/1.1 200 ", Flood(b"x" * 65_536)),
    _bad("head_of_200_kb", "too_large", OK + b"X: y\r\n" * 33_000 + b"\r\n", BODY),
    _bad("interim_for_ever", "too_large", Flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 99)),
    _bad("nul_in_a_header", "protocol", OK + b"X: a\x00b\r\n\r\n"),
    _bad("header_without_colon", "protocol", OK + b"nothing at all\r\n\r\n"),
    _bad(
        "upgrade",
        "protocol",
        b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ),
    _ok("continue_first", b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, ending="keep"),
    _ok("early_hints", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.02, WHOLE, ending="keep"),
)
REFUSALS = (
    _bad("html_200", "not_sse", length(15, b"Content-Type: text/html\r\n") + b"<html>no</html>"),
    _bad("html_502", "http_status", refused("502 Bad Gateway", b"<html>no</html>")),
    _bad("empty_200", "empty_answer", length(0)),
    _bad("no_content", "empty_answer", b"HTTP/1.1 204 No Content\r\n\r\n"),
    _bad(
        "redirect", "http_status", refused("302 Found", b"", b"Location: http://127.0.0.1:1/\r\n")
    ),
    _bad("status_999", "http_status", refused("999 What", b"no")),
    _bad("error_in_json", "http_status", refused("500 No", b'{"error":{"message":"no"}}')),
    _bad(
        "error_of_1_mb", "http_status", refused("400 No", b'{"error":"' + b"e" * (1 << 20) + b'"}')
    ),
    _bad("error_without_end", "http_status", b"HTTP/1.1 500 No\r\n\r\n", Flood(b"e" * 65_536)),
    Mode(
        "throttled_without_end",
        (b"HTTP/1.1 429 No\r\n\r\n", Flood(b"e" * 65_536)),
        "throttled",
        "http_status",
    ),
    _bad("error_that_drips", "http_status", b"HTTP/1.1 500 No\r\n\r\n", Flood(b"e", 0.05)),
    _bad("error_event", "error_event", OPEN + framed(event({"error": {"message": "no"}})) + LAST),
)
STREAMS = (
    _ok("crlf", HEAD + framed(BODY.replace(b"\n", b"\r\n")) + LAST, ending="keep"),
    _ok("cr", HEAD + framed(BODY.replace(b"\n", b"\r")) + LAST, ending="keep"),
    _ok("crlf_then_silence", HEAD + framed(BODY.replace(b"\n", b"\r\n"))),
    _ok("byte_order_mark", HEAD + framed(b"\xef\xbb\xbf" + BODY) + LAST, ending="keep"),
    _ok("no_done", OPEN + framed(STOP) + LAST, ending="keep"),
    _ok("no_done_and_a_folded_trailer", OPEN + framed(STOP) + b"0\r\nX: y\r\n  z\r\n\r\n"),
    _ok("json_lines", HEAD.replace(SSE, NDJSON) + framed(LINES[0]) + framed(LINES[1]) + LAST),
    _ok("json_document", length(len(JSON_ANSWER), b"") + JSON_ANSWER, ending="keep"),
    _ok(
        "event_of_1_mb",
        HEAD + framed(said("x" * (1 << 20))) + ENDED + LAST,
        text="x" * (1 << 20),
        ending="keep",
    ),
    _ok(
        "many_events",
        HEAD + framed(said("a") * 20_000) + ENDED + LAST,
        text="a" * 20_000,
        ending="keep",
    ),
    _ok("nul_in_text", HEAD + framed(said("a\x00b")) + ENDED + LAST, text="a\x00b", ending="keep"),
    _bad("no_end", "early_close", OPEN + LAST),
    _bad("empty_stream", "empty_answer", HEAD + LAST),
    _bad("only_comments", "empty_answer", HEAD + COMMENT * 3 + LAST),
    _bad("event_that_is_cut", "early_close", OPEN + framed(b'data: {"choi') + LAST),
    _bad("body_without_end", "too_large", PLAIN, Flood(said("a") * 700)),
    _bad("json_without_end", "too_large", OK + b"\r\n[", Flood(b'"x",' * 16_000)),
    _bad("event_without_end", "too_large", OPEN, Flood(framed(b"x" * 65_536))),
    _bad("line_without_end", "too_large", PLAIN + b"data: ", Flood(b"x" * 65_536)),
    _bad("comment_without_end", "too_large", PLAIN + b": ", Flood(b"x" * 65_536)),
    _bad("lines_without_event", "too_large", PLAIN, Flood(b"data: x\n" * 8_000)),
    _bad("chunks_without_end", "too_large", HEAD, Flood(framed(said("a") * 400))),
    _late("comments_for_ever", "timeout", HEAD, Flood(COMMENT, 0.05)),
    _late("events_for_ever", "timeout", HEAD, Flood(framed(said("a")), 0.05)),
    _late("stall", "stall", OPEN),
    _late("whole_without_its_end", "no_end", OPEN + framed(STOP)),
    _late("drip", "timeout", HEAD, Flood(framed(b" "), 0.05)),
)


def _wire(name: str, wire: WireName, *parts: Part, text: str = "text") -> Mode:
    return Mode(name, parts, "ok", None, text, "hold", wire, 3.0)


_DELTA = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "text"},
}
_MESSAGE = HEAD + framed(
    event({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 3}}})
    + event(_DELTA)
    + event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 1},
        }
    )
)
_RESPONSE = HEAD + framed(
    event({"type": "response.created", "response": {"status": "in_progress"}})
    + event({"type": "response.output_text.delta", "output_index": 0, "delta": "text"})
)
OTHER_WIRES = (
    _wire("stop_then_silence", "messages", _MESSAGE, 0.02, framed(event({"type": "message_stop"}))),
    _wire(
        "stop_then_pings",
        "messages",
        _MESSAGE,
        0.02,
        framed(event({"type": "message_stop"}, "message_stop")),
        Flood(framed(event({"type": "ping"}, "ping")), 0.05),
    ),
    _wire(
        "completed_then_silence",
        "responses",
        _RESPONSE,
        0.02,
        framed(event({"type": "response.completed", "response": {"status": "completed"}})),
    ),
    _wire(
        "completed_in_parts",
        "responses",
        _RESPONSE,
        framed(b'data: {"type": "response.comp'),
        0.02,
        framed(b'leted", "response": {"status": "completed"}}\n\n'),
        Flood(COMMENT, 0.05),
    ),
    Mode(
        "error_then_silence",
        (_MESSAGE, 0.02, framed(event({"type": "error", "error": {"message": "no"}}, "error"))),
        "error",
        "error_event",
        ending="hold",
        wire="messages",
    ),
    Mode(
        "failed_then_silence",
        (
            _RESPONSE,
            0.02,
            framed(event({"type": "response.failed", "response": {"error": {"message": "no"}}})),
        ),
        "error",
        "error_event",
        ending="hold",
        wire="responses",
    ),
)
MODES = (*AFTER_THE_END, *FRAMING, *HEADS, *REFUSALS, *STREAMS, *OTHER_WIRES)
FEW = frozenset(
    {
        "done_then_comments",
        "done_then_text",
        "second_response",
        "length_and_chunked",
        "unequal_lengths",
        "head_without_end",
        "error_without_end",
        "event_without_end",
    }
)
"""One of each kind, for every test run."""
