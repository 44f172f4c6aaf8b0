"""OpenAI's Responses API: documented HTTP attempts, held against the openai package's own models.

Texts follow developers.openai.com/api/docs/guides/streaming-responses and the API reference's pages
"Responses" and "Streaming events".
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from observatory.wires.http_attempt import DecodedAnswer
from tests.endpoints.test_wire_cuts import check
from tests.endpoints.wire_streams import event, named, read, stream, whole

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def usage(prompt: int, output: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + output,
    }


def response(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654",
        "object": "response",
        "created_at": 1741290958,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "gpt-4.1-2025-04-14",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": "auto" if status == "in_progress" else "default",
        "usage": None,
        **fields,
    }


def message(*content: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_67c9",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": list(content),
    }


def text_event(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def text_delta(text: str) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": "msg_67c9",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "logprobs": [],
        "obfuscation": "kT3x0aBc",
    }


def closed(status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": response(status, **fields)}


BEGUN = [
    {"type": "response.created", "response": response("in_progress")},
    {"type": "response.in_progress", "response": response("in_progress")},
]
TEXT = [
    *BEGUN,
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**message(), "status": "in_progress"},
    },
    {
        "type": "response.content_part.added",
        "item_id": "msg_67c9",
        "output_index": 0,
        "content_index": 0,
        "part": text_event(""),
    },
    text_delta("Hi"),
    text_delta(" there"),
    text_delta("!"),
    {
        "type": "response.output_text.done",
        "item_id": "msg_67c9",
        "output_index": 0,
        "content_index": 0,
        "text": "Hi there!",
        "logprobs": [],
    },
    closed(output=[message(text_event("Hi there!"))], usage=usage(37, 4, cached=16)),
]


def answer(events: Sequence[dict[str, Any]], **options: Any) -> DecodedAnswer:
    """Decoded from these events, which the openai package takes for its own."""
    numbered = [{**one, "sequence_number": number} for number, one in enumerate(events)]
    for one in numbered:
        EVENTS.validate_python(one)
    return read(stream([named(one) for one in numbered]), wire="responses", **options)


def test_the_documented_text_stream() -> None:
    got = answer(TEXT)
    attempt, tokens = got.attempt, got.attempt.tokens
    assert (attempt.outcome, attempt.saw_done, attempt.finish_reason) == ("ok", True, "stop")
    assert got.text == "Hi there!"
    assert attempt.model_reported == "gpt-4.1-2025-04-14"
    assert attempt.service_tier == "default"  # the tier that served it, not the requested one
    assert (tokens.prompt, tokens.cached, tokens.output, tokens.reasoning) == (37, 16, 4, 0)
    assert (tokens.cache_write, tokens.streamed, attempt.event_tokens) == (0, 3, [1, 1, 1])
    assert attempt.event_characters == [2, 6, 1]
    assert attempt.first_token == attempt.event_ns[0] > (attempt.first_event or 0)


def test_hidden_reasoning_is_no_streamed_token() -> None:
    got = answer([*TEXT[:-1], closed(usage=usage(37, 1027, reasoning=1024))])
    tokens = got.attempt.tokens
    assert (tokens.output, tokens.reasoning, tokens.streamed) == (1027, 1024, 3)


def test_a_reasoning_summary_is_read_and_its_tokens_are_unknown() -> None:
    summary = {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_6878",
        "output_index": 0,
        "summary_index": 0,
        "delta": "**Responding to a greeting**",
    }
    got = answer([*BEGUN, summary, *TEXT[4:-1], closed(usage=usage(37, 1027, reasoning=1024))])
    attempt, tokens = got.attempt, got.attempt.tokens
    assert got.reasoning == "**Responding to a greeting**" and got.text == "Hi there!"
    assert attempt.first_reasoning == attempt.first_token != attempt.first_answer
    assert (tokens.output, tokens.reasoning, tokens.streamed) == (1027, 1024, None)
    assert attempt.event_tokens == [] and len(attempt.event_ns) == 4


def test_reasoning_text_of_an_open_model_is_streamed_tokens() -> None:
    thought = {
        "type": "response.reasoning_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "The user greets",
    }
    got = answer([*BEGUN, thought, *TEXT[4:-1], closed(usage=usage(9, 8, reasoning=5))])
    assert got.reasoning == "The user greets"
    assert (got.attempt.tokens.output, got.attempt.tokens.streamed) == (8, 8)


def test_the_documented_function_call() -> None:
    item = {
        "id": "fc_123",
        "type": "function_call",
        "status": "in_progress",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": "",
    }
    pieces = ['{"', "location", '":"', "Paris", '"}']
    deltas = [
        {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_123",
            "output_index": 0,
            "delta": text,
        }
        for text in pieces
    ]
    done = {
        "type": "response.function_call_arguments.done",
        "item_id": "fc_123",
        "name": "get_weather",
        "output_index": 0,
        "arguments": "".join(pieces),
    }
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    got = answer([*BEGUN, added, *deltas, done, closed(usage=usage(50, 6))])
    assert got.tool_text == 'get_weather({"location":"Paris"})'
    assert (got.attempt.finish_reason, got.attempt.tool_calls) == ("tool_calls", 1)
    assert got.attempt.event_tokens == [1] * 6


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    """As llama.cpp sends them (tools/server/server-task.cpp, to_json_oaicompat_resp)."""
    events: list[dict[str, Any]] = []
    for name in ("f", "g"):
        item = {"id": f"fc_{name}", "type": "function_call", "name": name, "arguments": ""}
        events.append({"type": "response.output_item.added", "item": item})
    for name, text in (("f", "{"), ("g", "["), ("f", "}"), ("g", "]")):
        kind = "response.function_call_arguments.delta"
        events.append({"type": kind, "item_id": f"fc_{name}", "delta": text})
    got = read(stream([named(one) for one in [*events, closed()]]), wire="responses")
    assert got.tool_text == "f({})\ng([])"


def test_incomplete_answers_say_why() -> None:
    for reason, common, outcome in (
        ("max_output_tokens", "length", "ok"),
        ("content_filter", "content_filter", "filtered"),
    ):
        got = answer(
            [*TEXT[:-1], closed("incomplete", incomplete_details={"reason": reason})]
        ).attempt
        assert (got.outcome, got.finish_reason, got.saw_done) == (outcome, common, True)


def test_a_refusal_is_an_answer_of_its_own_kind() -> None:
    refusal = {
        "type": "response.refusal.delta",
        "item_id": "msg_67c9",
        "output_index": 0,
        "content_index": 0,
        "delta": "I cannot.",
    }
    got = answer([*BEGUN, refusal, closed(usage=usage(9, 3))])
    assert (got.text, got.attempt.finish_reason) == ("I cannot.", "refusal")


def test_a_failed_response_and_an_error_event() -> None:
    failed = closed("failed", error={"code": "server_error", "message": "It failed."})
    got = answer([*TEXT[:6], failed])
    attempt = got.attempt
    assert (attempt.outcome, attempt.error_phase, attempt.error_kind) == (
        "error",
        "stream",
        "error_event",
    )
    assert attempt.error_text == "It failed. (server_error)" and got.text == "Hi there"
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None}
    limited = answer([*BEGUN, error]).attempt
    assert limited.error_text == "Slow down. (rate_limit_exceeded)"


def test_a_stream_without_its_last_event_is_cut_off() -> None:
    for events in (TEXT[:1], TEXT[:-1]):
        attempt = answer(events).attempt
        assert (attempt.outcome, attempt.error_kind) == ("error", "early_close")
        assert attempt.error_text == "the stream ended without response.completed"


def test_text_that_came_in_no_delta_is_taken_from_the_completed_response() -> None:
    got = answer([*BEGUN, TEXT[-1]])
    assert (got.text, got.attempt.outcome) == ("Hi there!", "ok")
    assert len(got.attempt.event_ns) == 1 and got.attempt.tokens.streamed == 4


def test_a_done_line_after_the_end_is_no_fault() -> None:
    raw = [named({**one, "sequence_number": 1}) for one in TEXT] + [event("[DONE]")]
    assert read(stream(raw), wire="responses").attempt.outcome == "ok"


def test_a_whole_answer() -> None:
    reasoning = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Why not"}],
    }
    call = {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": '{"a":1}',
    }
    body = response(
        "completed",
        output=[reasoning, message(text_event("Hi"), text_event(" you")), call],
        usage=usage(9, 30, reasoning=20),
    )
    Response.model_validate(body)
    got = read(whole(body), wire="responses", streaming=False)
    assert (got.text, got.reasoning, got.tool_text) == ("Hi you", "Why not", 'f({"a":1})')
    assert got.attempt.finish_reason == "tool_calls" and got.attempt.outcome == "ok"
    assert (got.attempt.tokens.output, got.attempt.tokens.reasoning) == (30, 20)
    failed = response("failed", error={"code": "server_error", "message": "No."})
    Response.model_validate(failed)
    attempt = read(whole(failed), wire="responses", streaming=False).attempt
    assert (attempt.error_kind, attempt.error_text) == ("error_event", "No. (server_error)")
    nothing = read(whole({"detail": "Not Found"}), wire="responses", streaming=False).attempt
    assert (nothing.outcome, nothing.error_text) == ("error", "Not Found")


def test_odd_types_are_passed_over_and_the_rest_is_read() -> None:
    odd = json.loads(json.dumps(TEXT))
    odd[4]["output_index"] = "0"
    odd[-1]["response"]["usage"]["input_tokens"] = 37.0
    odd[-1]["response"]["output"] = {"not": "a list"}
    odd[-1]["response"]["service_tier"] = 7
    got = read(stream([named(one) for one in odd]), wire="responses")
    assert (got.text, got.attempt.outcome) == ("Hi there!", "ok")
    assert (got.attempt.tokens.prompt, got.attempt.service_tier) == (37, "auto")


@given(cuts=st.lists(st.integers(0, 6000), max_size=12), keep=st.integers(0, len(TEXT)))
def test_any_cutting_gives_the_same_record(cuts: list[int], keep: int) -> None:
    check(b"".join(stream([named(one) for one in TEXT[:keep]])), cuts, "responses")


DONE_TEXT = {
    "type": "response.output_text.done",
    "output_index": 0,
    "content_index": 0,
    "text": "whole",
}
THINKING = {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "hm"}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "whole"}]}
LAST = {"type": "response.completed", "response": {"status": "completed"}}


@pytest.mark.parametrize(
    ("events", "text", "reasoning"),
    [
        ([DONE_TEXT, LAST], "whole", ""),
        ([THINKING, DONE_TEXT, LAST], "whole", "hm"),
        ([DONE_TEXT, {**DONE_TEXT, "content_index": 1, "text": " second"}, LAST], "whole second", ""),
        ([THINKING, {**LAST, "response": {"status": "completed", "output": [
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}, MESSAGE]}}], "whole", "hm"),
        ([{"type": "response.output_text.delta", "output_index": 0, "delta": "whole"}, DONE_TEXT,
          {**LAST, "response": {"status": "completed", "output": [MESSAGE]}}], "whole", ""),
        ([DONE_TEXT, {**LAST, "response": {"status": "completed", "output": [MESSAGE]}}], "whole", ""),
    ],
)  # fmt: skip
def test_a_text_that_comes_whole_is_taken_once(
    events: list[dict[str, Any]], text: str, reasoning: str
) -> None:
    answer = read(stream([named(one) for one in events]), wire="responses")
    assert (answer.attempt.outcome, answer.text, answer.reasoning) == ("ok", text, reasoning)
