"""A stream request that is answered by newline-delimited JSON, without `data:`."""

import json
from typing import Any

import pytest

from observatory.wires.streams.stream_reading import JSON_LINES
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import SENT, chunked, delta, head, read, usage, whole

TEXT = [delta(content="one"), delta(content=" two")]
STOP = delta(finish_reason="stop")


def lines(payloads: list[Any], kind: str, end: str = "\n", last: bytes = b"") -> list[bytes]:
    """A head, and a chunk for each line."""
    pieces = [(json.dumps(one) + end).encode() for one in payloads]
    return [head("Transfer-Encoding: chunked", kind=kind), *chunked([*pieces, last])]


@pytest.mark.parametrize(
    "kind", ["application/x-ndjson", "text/plain", "application/json", "text/event-stream"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("last", [b"", b"[DONE]\n"])
def test_each_line_is_an_event_with_its_instant(kind: str, end: str, last: bytes) -> None:
    answer = read(lines([*TEXT, STOP, usage(5, 2)], kind, end, last))
    attempt = answer.attempt
    assert (attempt.outcome, answer.text, attempt.finish_reason) == ("ok", "one two", "stop")
    assert attempt.event_ns == [SENT + 20_000_000, SENT + 30_000_000]
    assert (attempt.tokens.output, attempt.tokens.output_from) == (2, "usage")
    assert (attempt.streamed, attempt.saw_done) == (True, bool(last))
    assert (attempt.odd_events, attempt.odd_event) == (1, JSON_LINES)


def test_lines_in_one_read_and_cut_within_a_line() -> None:
    body = b"".join(json.dumps(one).encode() + b"\n" for one in [*TEXT, STOP])
    for cut in range(1, len(body)):
        reads = [head("Transfer-Encoding: chunked", kind="application/x-ndjson")]
        answer = read([*reads, *chunked([body[:cut], body[cut:]])])
        assert (answer.attempt.outcome, answer.text) == ("ok", "one two"), cut
    length = [head(f"Content-Length: {len(body)}", kind="application/x-ndjson") + body]
    assert read(length).text == "one two"


def test_lines_that_were_cut_off_are_an_early_close() -> None:
    attempt = read(lines(TEXT, "application/x-ndjson", last=b'{"choices":[{"del')).attempt
    assert (attempt.outcome, attempt.error_kind) == ("error", "early_close")
    assert JSON_LINES in (attempt.error_text or "")
    assert len(attempt.event_ns) == 2


def test_an_error_on_a_line_is_an_error() -> None:
    attempt = read(lines([*TEXT, {"error": {"message": "boom"}}], "application/x-ndjson")).attempt
    assert (attempt.outcome, attempt.error_kind, attempt.error_text) == (
        "error",
        "error_event",
        "boom",
    )


def test_lines_of_another_api_are_named() -> None:
    """Ollama's own /api/chat (github.com/ollama/ollama, docs/api.md)."""
    stated: list[Any] = [
        {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}
        for text in ("one", " two")
    ]
    attempt = read(lines([*stated, {"model": "m", "done": True}], "application/x-ndjson")).attempt
    assert (attempt.outcome, attempt.error_kind) == ("error", "not_sse")
    assert JSON_LINES in (attempt.error_text or "")


@pytest.mark.parametrize("wire", ["messages", "responses"])
def test_lines_on_the_other_wires(wire: WireName) -> None:
    body: dict[str, list[Any]] = {
        "messages": [
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "one"}},
            {"type": "message_stop"},
        ],
        "responses": [
            {"type": "response.output_text.delta", "output_index": 0, "delta": "one"},
            {"type": "response.completed", "response": {"status": "completed"}},
        ],
    }
    answer = read(lines(body[wire], "application/x-ndjson"), wire=wire)
    assert (answer.attempt.outcome, answer.text) == ("ok", "one")


@pytest.mark.parametrize("indent", [None, 2])
def test_one_document_is_no_stream_of_lines(indent: int | None) -> None:
    payload = {"choices": [{"message": {"content": "one {\n}"}, "finish_reason": "stop"}]}
    body = json.dumps(payload, indent=indent).encode() + b"\n"
    answer = read([head(f"Content-Length: {len(body)}", kind="application/json") + body])
    assert (answer.attempt.outcome, answer.attempt.streamed) == ("ok", False)
    assert answer.attempt.odd_events == 0
    assert read(whole(payload)).attempt.odd_events == 0
