"""An answer that ended badly is no success, on every wire; one that ended well under any name is."""

from typing import Any

import pytest

from observatory.core.record import Attempt
from observatory.wires.http_attempt import DecodedAnswer
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import delta, event, head, named, read, stream, usage, whole

DONE = b"data: [DONE]\n\n"
TEXT = [event(delta(content=text)) for text in ("one", " two")]


def where(attempt: Attempt) -> tuple[str, str | None, str | None]:
    return attempt.outcome, attempt.error_phase, attempt.error_kind


def counting(output: int, finish: str | None = None, **said: str) -> bytes:
    """A chat event that counts along."""
    chunk = delta(**said, **({"finish_reason": finish} if finish else {}))
    return event({**chunk, "usage": usage(10, output)["usage"]})


def chat(reason: Any) -> DecodedAnswer:
    return read(stream([*TEXT, event(delta(finish_reason=reason)), DONE]))


@pytest.mark.parametrize(
    "reason",
    [
        "abort",
        "error",
        "cancelled",
        "canceled",
        "ABORT",
        "timeout",
        "insufficient_system_resource",
        "FinishReason.ERROR",
        {"type": "abort"},
        {"type": "abort", "message": "out of memory", "status_code": 500},
    ],
)
def test_a_finish_reason_that_means_failure_is_an_error(reason: Any) -> None:
    answer = chat(reason)
    assert answer.attempt.outcome == "error" and answer.attempt.error_phase == "stream"
    assert answer.attempt.error_kind in ("bad_finish", "error_event")
    assert answer.text == "one two" and len(answer.attempt.event_ns) == 2
    if isinstance(reason, dict) and "message" in reason:
        assert answer.attempt.error_text == "out of memory (abort)"


@pytest.mark.parametrize(
    "reason", ["content_filter", "CONTENT_FILTER", "SAFETY", "sensitive", "guardrail_intervened"]
)
def test_a_content_filter_is_an_outcome_of_its_own(reason: str) -> None:
    answer = chat(reason)
    assert where(answer.attempt) == ("filtered", "stream", "content_filter")
    assert answer.attempt.finish_reason == reason and answer.text == "one two"


@pytest.mark.parametrize(
    "reason",
    [
        "stop",
        "length",
        "eos",
        "eos_token",
        "stop_sequence",
        "tool_calls",
        "function_call",
        "COMPLETE",
        "repetition",
        "a name of its own",
        {"type": "length", "length": 8},
        {"type": "stop", "matched": 2},
    ],
)
def test_any_other_name_of_an_end_is_an_end(reason: Any) -> None:
    attempt = read(stream([*TEXT, event(delta(finish_reason=reason))])).attempt
    assert attempt.outcome == "ok"
    wanted = reason["type"] if isinstance(reason, dict) else reason
    assert attempt.finish_reason == wanted


def test_a_bad_end_is_not_undone_by_a_later_good_one() -> None:
    ends = [event(delta(finish_reason=reason)) for reason in ("abort", "stop")]
    assert chat("abort").attempt.outcome == "error"
    assert read(stream([*TEXT, *ends, DONE])).attempt.finish_reason == "abort"
    assert read(stream([*TEXT, *ends, DONE])).attempt.outcome == "error"


@pytest.mark.parametrize(
    ("reason", "outcome"), [("abort", "error"), ("content_filter", "filtered")]
)
@pytest.mark.parametrize("kind", ["message", "text"])
def test_whole_answers_and_completions_end_badly_too(kind: str, reason: str, outcome: str) -> None:
    fields = {"message": {"content": "ab"}} if kind == "message" else {"text": "ab"}
    choice = {"index": 0, **fields, "finish_reason": reason}
    answer = read(whole({"choices": [choice]}), streaming=False)
    assert where(answer.attempt)[:2] == (outcome, "body") and answer.text == "ab"
    streamed = [
        event({"choices": [choice | ({"message": None} if kind == "message" else {})]}),
        DONE,
    ]
    assert read(stream([*TEXT, *streamed])).attempt.outcome == outcome


def message_stream(reason: str) -> list[bytes]:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}
    piece = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "a"},
    }
    last = {
        "type": "message_delta",
        "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 4},
    }
    return [named(one) for one in (start, piece, last, {"type": "message_stop"})]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("refusal", "filtered"),
        ("error", "error"),
        ("abort", "error"),
        ("end_turn", "ok"),
        ("pause_turn", "ok"),
        ("anything", "ok"),
    ],
)
def test_messages(reason: str, outcome: str) -> None:
    streamed = read(stream(message_stream(reason)), wire="messages")
    assert (streamed.attempt.outcome, streamed.text) == (outcome, "a")
    assert streamed.attempt.tokens.output == 4  # billed all the same
    body = {"content": [{"type": "text", "text": "a"}], "stop_reason": reason}
    assert read(whole(body), wire="messages").attempt.outcome == outcome


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "filtered"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "ok"),
        ({"status": "failed", "error": {"code": "server_error", "message": "no"}}, "error"),
        ({"status": "failed"}, "error"),
        ({"status": "cancelled"}, "error"),
        ({"status": "completed"}, "ok"),
    ],
)
def test_responses(last: dict[str, Any], outcome: str) -> None:
    fields = {"type": "response.output_text.delta", "output_index": 0, "delta": "a"}
    output = [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]
    closing = {"type": f"response.{last['status']}", "response": {**last, "output": output}}
    streamed = read(stream([named(fields), named(closing)]), wire="responses")
    assert (streamed.attempt.outcome, streamed.text) == (outcome, "a")
    assert read(whole({**last, "output": output}), wire="responses").attempt.outcome == outcome


def test_a_failed_response_without_a_response_in_it_and_one_that_never_ended() -> None:
    fields = {"type": "response.output_text.delta", "output_index": 0, "delta": "a"}
    for last in ({"type": "response.failed"}, {"type": "response.cancelled", "response": None}):
        got = read(stream([named(fields), named(last)]), wire="responses").attempt
        assert where(got) == ("error", "stream", "error_event")
    queued = read(whole({"status": "in_progress", "output": []}), wire="responses").attempt
    assert queued.outcome == "error"


RUNNING = [counting(number, content="w ") for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "cut",
    [
        RUNNING,
        # The same counts in events of their own, without choices.
        [TEXT[0], event(usage(10, 1)), TEXT[1], event(usage(10, 2)), TEXT[1]],
        # In the choice, and in the delta.
        [event({"choices": [{"delta": {"content": "w"}, "usage": usage(1, 2)["usage"]}]})] * 3,
        # The finish reason in every event: one that text follows is none.
        [event(delta(content="w", finish_reason="stop")), event(delta(content="w"))],
        [event(delta(reasoning_content="w", finish_reason="stop"))] * 3,
        [event(delta(reasoning_content="w", finish_reason="stop"))],
        [counting(number, "stop", content="w ") for number in (1, 2, 3)]
        + [counting(4, content="w")],
        [event({"choices": [{"text": "w", "finish_reason": "stop"}]})] * 3,
    ],
)
@pytest.mark.parametrize("closes", [False, True])
def test_neither_running_usage_nor_a_repeated_finish_reason_proves_an_end(
    cut: list[bytes], closes: bool
) -> None:
    reads = [head("Connection: close"), *cut] if closes else stream(cut)
    answer = read(reads, closes=closes)
    assert where(answer.attempt) == ("error", "stream", "early_close")
    assert answer.attempt.event_ns
    assert read(stream([*cut, DONE])).attempt.outcome == "ok"


def test_a_cut_stream_that_counted_along_has_its_tokens_so_far() -> None:
    tokens = read(stream(RUNNING)).attempt.tokens
    assert (tokens.output, tokens.prompt, tokens.streamed) == (3, 10, 3)


@pytest.mark.parametrize(
    "end",
    [
        [event(usage(10, 2))],
        [event({"usage": usage(10, 2)["usage"]})],
        [event({"choices": [], "x_groq": {"usage": usage(1, 2)["usage"]}})],
        [event(delta(finish_reason="stop"))],
        [event(delta(finish_reason="stop")), event(usage(10, 2))],
        [event(delta(content="!", finish_reason="stop"))],
        # Some models stop in the middle of a thought; usage after that ends the stream.
        [event(delta(reasoning="hm", finish_reason="stop")), counting(3)],
        [event(delta(reasoning="hm", finish_reason="length"))],
    ],
)
def test_what_ends_a_stream_without_done(end: list[bytes]) -> None:
    attempt = read(stream([*TEXT, *end])).attempt
    assert (attempt.outcome, attempt.saw_done) == ("ok", False)


def test_of_two_choices_one_may_end_before_the_other() -> None:
    def of(index: int, finish: str | None = None) -> bytes:
        choice = {
            "index": index,
            "delta": {} if finish else {"content": "w"},
            "finish_reason": finish,
        }
        return event({"choices": [choice]})

    sound = [of(0), of(1), of(0), of(0, "stop"), of(1), of(1), of(1, "length")]
    assert read(stream(sound)).attempt.outcome == "ok"
    assert read(stream([*sound, of(1)])).attempt.outcome == "error"


@pytest.mark.parametrize(
    "lost",
    [
        b"event: error\n\n",
        b"event: error\ndata:\n\n",
        b"event:error\ndata:out of memory\n\n",
        b'event: Error\ndata: "out of memory"\n\n',
        b'event: exception\ndata: {"detail": "out of memory"}\n\n',
        b"data: out of memory\nevent: error\n\n",
        b'event: response.error\ndata: {"message": "out of memory"}\n\n',
        b"data: Internal Server Error\n\n",
        event([{"error": {"message": "out of memory"}}]),
    ],
)
@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_named_error_event_is_never_lost(lost: bytes, wire: WireName, end: str) -> None:
    ends = {"openai": DONE, "messages": named({"type": "message_stop"})}
    done = ends.get(
        wire, named({"type": "response.completed", "response": {"status": "completed"}})
    )
    pieces = [piece.replace(b"\n", end.encode()) for piece in (lost, done)]
    assert where(read(stream(pieces), wire=wire).attempt)[::2] == ("error", "error_event")


def test_a_named_error_that_the_bodys_end_cut_off_is_kept() -> None:
    attempt = read(stream([*TEXT, b"event: error\ndata: out of memory"])).attempt
    assert where(attempt) == ("error", "stream", "error_event")
    assert attempt.error_text == "out of memory"


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize(
    "error",
    [
        {"type": "overloaded_error", "message": "Overloaded"},
        {"type": "rate_limit_error", "message": "slow down"},
        {"code": 429, "message": "slow down"},
        {"code": "rate_limit_exceeded", "message": "slow down"},
        {"status": "RESOURCE_EXHAUSTED", "message": "quota"},
    ],
)
def test_overload_inside_a_200_is_throttled_before_any_text_and_a_failure_after(
    error: dict[str, Any],
) -> None:
    for wire in ("openai", "messages", "responses"):
        bad = b"event: error\n" + event({"type": "error", "error": error})
        first = read(stream([bad]), wire=wire).attempt
        kind = "overloaded" if error.get("type") == "overloaded_error" else "rate_limited"
        assert where(first) == ("throttled", "stream", kind), wire
    assert read(stream([*TEXT, event({"error": error})])).attempt.outcome == "error"
    assert read(whole({"error": error}), wire="openai").attempt.outcome == "throttled"


def test_a_failure_of_the_service_inside_a_200_is_no_throttle() -> None:
    for error in ({"code": 503, "message": "down"}, {"type": "api_error", "message": "429 apples"}):
        assert read(stream([event({"error": error})])).attempt.outcome == "error"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad Request", {"code": "content_filter", "message": "filtered"}),
        (
            "400 Bad Request",
            {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
        ),
        ("200 OK", {"code": "content_filter", "message": "filtered"}),
    ],
)
def test_a_filter_of_the_prompt_is_filtered(status: str, error: dict[str, Any]) -> None:
    assert read(whole({"error": error}, status=status)).attempt.outcome == "filtered"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'data: {"error": {"message": "bad  day", "code": 500}}\n\n', "bad day (500)"),
        (
            b'event: error\ndata: {"message": "bad day", "type": "server_error"}\n\n',
            "bad day (server_error)",
        ),
        (
            b'[{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}]',
            "Quota (429)",
        ),
        (
            b'{"detail": [{"loc": ["body", "n"], "msg": "too small", "type": "value"}]}',
            "body.n: too small (value)",
        ),
        (
            b'{"detail": [{"type": "missing", "loc": ["body", "messages", 0, "content"], "msg": "Field required"},'
            b' {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Not permitted"}]}',
            "body.messages.0.content: Field required; body.stream_options: Not permitted (missing)",
        ),
        (
            b'{"error": {"message": "Invalid value", "param": "temperature", "code": "invalid_value"}}',
            "temperature: Invalid value (invalid_value)",
        ),
        (b'{"error": {"message": "top_p is too high", "param": "top_p"}}', "top_p is too high"),
        (
            b'{"message": "Unprocessable", "errors": [{"field": "top_p", "message": "too high"}]}',
            "Unprocessable: top_p: too high",
        ),
        (
            b'{"error": {"code": 400, "message": "Invalid payload.", "details": [{"@type": "BadRequest",'
            b' "fieldViolations": [{"field": "seed", "description": "Unknown name"}]}]}}',
            "Invalid payload. (400): seed: Unknown name",
        ),
        (
            b'{"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw":'
            b' "{\\"error\\": {\\"message\\": \\"top_k is unknown\\"}}", "provider_name": "P"}}}',
            "Provider returned error (400): top_k is unknown",
        ),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"error": "no such model"}', "no such model"),
        (
            b'{"error": {"message": "{\\"error\\": {\\"message\\": \\"inner\\", \\"code\\": 7}}"}}',
            "inner (7)",
        ),
        (b'{"ok": false}', '{"ok": false}'),
        (b"plain words", "plain words"),
    ],
)
def test_error_bodies_are_put_into_words(body: bytes, words: str) -> None:
    raw = head(f"Content-Length: {len(body)}", status="500 No", kind="text/event-stream") + body
    assert read([raw]).attempt.error_text == f"HTTP 500: {words}"
