"""Anthropic's Messages API: its documented HTTP attempts, what engines make of it, and broken ones.

Texts follow platform.claude.com/docs/en/build-with-claude/streaming (its three example streams),
/en/api/errors, /en/build-with-claude/extended-thinking and /en/build-with-claude/prompt-caching.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.wires.http_attempt import DecodedAnswer
from tests.endpoints.test_wire_cuts import check, fed
from tests.endpoints.wire_streams import event, head, named, read, stream, whole

STEP = 10_000_000


def start(**usage: Any) -> dict[str, Any]:
    """message_start, with the usage of the documentation's first example."""
    counts = {"input_tokens": 25, "output_tokens": 1} | usage
    message = {
        "id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-opus-4-7",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts,
    }
    return {"type": "message_start", "message": message}


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, kind: str, **text: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **text}}


def ended(reason: str, **usage: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


TEXT = [
    start(),
    opened(0, type="text", text=""),
    {"type": "ping"},
    piece(0, "text_delta", text="Hello"),
    piece(0, "text_delta", text="!"),
    {"type": "content_block_stop", "index": 0},
    *ended("end_turn", output_tokens=15),
]


def answer(events: Sequence[dict[str, Any]], **options: Any) -> DecodedAnswer:
    return read(stream([named(one) for one in events]), wire="messages", **options)


def test_the_documented_text_stream() -> None:
    got = answer(TEXT)
    attempt = got.attempt
    assert (attempt.outcome, attempt.saw_done, attempt.finish_reason) == ("ok", True, "stop")
    assert (got.text, got.reasoning, got.tool_text) == ("Hello!", "", "")
    assert attempt.model_reported == "claude-opus-4-7"
    tokens = attempt.tokens
    assert (tokens.prompt, tokens.cached, tokens.output, tokens.cache_write) == (25, None, 15, None)
    assert (tokens.streamed, tokens.output_from) == (15, "usage")
    assert attempt.event_characters == [5, 1] and sum(attempt.event_tokens) == 15
    # The head and then one read an event: message_start is in the second.
    assert attempt.first_event == 1_000 + 2 * STEP
    assert attempt.event_ns == [1_000 + 5 * STEP, 1_000 + 6 * STEP]
    assert attempt.first_token == attempt.first_answer == attempt.event_ns[0]
    assert attempt.usage_event == 1_000 + 8 * STEP


def test_cached_and_written_tokens_are_part_of_the_prompt() -> None:
    """prompt-caching: total_input_tokens = cache_read + cache_creation + input_tokens."""
    counts = {"cache_read_input_tokens": 100_000, "cache_creation_input_tokens": 248}
    got = answer([start(input_tokens=50, service_tier="priority", **counts), *TEXT[1:]])
    tokens = got.attempt.tokens
    assert (tokens.prompt, tokens.cached, tokens.cache_write) == (100_298, 100_000, 248)
    assert got.attempt.service_tier == "priority"


def test_counts_of_message_delta_win_over_those_of_message_start() -> None:
    got = answer([*TEXT[:-2], *ended("max_tokens", input_tokens=472, output_tokens=89)])
    assert (got.attempt.tokens.prompt, got.attempt.tokens.output) == (472, 89)
    assert got.attempt.finish_reason == "length"


def test_the_documented_tool_call() -> None:
    pieces = ["", '{"location":', ' "San', " Francisc", 'o, CA"', "}"]
    got = answer(
        [
            start(),
            opened(0, type="text", text=""),
            piece(0, "text_delta", text="Okay"),
            opened(1, type="tool_use", id="toolu_01T1x", name="get_weather", input={}),
            *[piece(1, "input_json_delta", partial_json=text) for text in pieces],
            *ended("tool_use", output_tokens=89),
        ]
    )
    assert got.text == "Okay" and got.tool_text == 'get_weather({"location": "San Francisco, CA"})'
    assert got.attempt.finish_reason == "tool_calls" and got.attempt.tool_calls == 1
    assert got.attempt.event_characters == [4, 11, 12, 5, 9, 6, 1]


def thinking(text: str, **details: Any) -> list[dict[str, Any]]:
    return [
        start(),
        opened(0, type="thinking", thinking="", signature=""),
        *([piece(0, "thinking_delta", thinking=text)] if text else []),
        piece(0, "signature_delta", signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxB"),
        opened(1, type="text", text=""),
        piece(1, "text_delta", text="27 * 453 is "),
        piece(1, "text_delta", text="12231."),
        *ended("end_turn", output_tokens=110, **details),
    ]


def test_thinking_shown_in_full_by_an_engine_is_counted_like_text() -> None:
    got = answer(thinking("Let me solve this step by step"))
    tokens = got.attempt.tokens
    assert got.reasoning == "Let me solve this step by step"
    assert got.attempt.first_reasoning == got.attempt.first_token
    assert got.attempt.first_answer == got.attempt.event_ns[1]
    assert (tokens.output, tokens.reasoning, tokens.streamed) == (110, None, 110)


def test_summarised_thinking_has_billed_tokens_but_no_streamed_ones() -> None:
    """extended-thinking: billed are the full thinking tokens, not those of the summary."""
    got = answer(thinking("A summary", output_tokens_details={"thinking_tokens": 100}))
    tokens = got.attempt.tokens
    assert (tokens.output, tokens.reasoning, tokens.streamed) == (110, 100, None)
    assert got.attempt.event_tokens == [] and len(got.attempt.event_ns) == 3
    assert tokens.streamed_from is None


def test_omitted_thinking_is_known_where_it_is_counted_and_unknown_where_not() -> None:
    counted = answer(thinking("", output_tokens_details={"thinking_tokens": 100})).attempt
    assert (counted.tokens.output, counted.tokens.reasoning) == (110, 100)
    assert counted.tokens.streamed == 10 == sum(counted.event_tokens)
    assert counted.first_reasoning is None
    uncounted = answer(thinking("")).attempt
    assert (uncounted.tokens.output, uncounted.tokens.reasoning) == (110, None)
    assert (uncounted.tokens.streamed, uncounted.event_tokens) == (None, [])


@pytest.mark.parametrize(
    ("reason", "common"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_stop_reasons_in_the_common_words(reason: str, common: str) -> None:
    got = answer([*TEXT[:-2], *ended(reason, output_tokens=2)])
    assert got.attempt.finish_reason == common


def test_an_error_in_a_200_stream() -> None:
    """errors: "it's possible that an error can occur after returning a 200 response"."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    got = answer([*TEXT[:5], overloaded])
    attempt = got.attempt
    assert (attempt.outcome, attempt.error_phase, attempt.error_kind) == (
        "error",
        "stream",
        "error_event",
    )
    assert attempt.error_text == "Overloaded (overloaded_error)"
    assert got.text == "Hello!" and attempt.tokens.prompt == 25
    # The output tokens of message_start are no total.
    assert (attempt.tokens.output, attempt.tokens.output_from) == (2, "events")


def test_a_stream_without_message_stop_is_cut_off() -> None:
    for events in (TEXT[:1], TEXT[:5], TEXT[:-1]):
        attempt = answer(events).attempt
        assert (attempt.outcome, attempt.error_kind) == ("error", "early_close")
        assert attempt.error_text == "the stream ended without message_stop"
        assert not attempt.saw_done
    assert answer([]).attempt.error_kind == "empty_answer"


def test_a_connection_lost_after_message_stop_harms_nothing() -> None:
    raw = b"".join([head("Connection: close"), *(named(one) for one in TEXT)])
    assert read([raw], closes=True, wire="messages").attempt.outcome == "ok"


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        ("429 Too Many Requests", "rate_limit_error", "throttled"),
        ("529 Overloaded", "overloaded_error", "throttled"),
        ("500 Internal Server Error", "api_error", "error"),
        ("400 Bad Request", "invalid_request_error", "error"),
    ],
)
def test_error_answers(status: str, kind: str, outcome: str) -> None:
    body = {"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_011"}
    got = read(
        whole(body, "request-id: req_011", "retry-after: 3", status=status), wire="messages"
    ).attempt
    assert (got.outcome, got.error_kind) == (outcome, "http_status")
    assert got.error_text == f"HTTP {status.split()[0]}: No. ({kind})"
    assert (got.provider_request_id, got.retry_after_s) == ("req_011", 3.0)


def test_a_whole_answer() -> None:
    message = {
        **start(input_tokens=5, cache_read_input_tokens=7, output_tokens=12)["message"],
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"},
            {"type": "text", "text": "Hi there"},
            {"type": "tool_use", "id": "t", "name": "look_up", "input": {"query": "é"}},
        ],
        "stop_reason": "tool_use",
    }
    got = read(whole(message), wire="messages", streaming=False)
    assert (got.text, got.reasoning, got.tool_text) == ("Hi there", "Hm.", 'look_up({"query":"é"})')
    assert got.attempt.event_characters == [3 + 8 + 7 + 13]
    assert (got.attempt.tokens.prompt, got.attempt.tokens.output) == (12, 12)
    assert got.attempt.finish_reason == "tool_calls" and got.attempt.outcome == "ok"
    refused = read(whole({"detail": "no"}), wire="messages", streaming=False).attempt
    assert (refused.outcome, refused.error_kind) == ("error", "error_event")
    error = {"type": "error", "error": {"type": "api_error", "message": "Bad."}}
    failed = read(whole(error), wire="messages", streaming=False).attempt
    assert (failed.error_kind, failed.error_text) == ("error_event", "Bad. (api_error)")


def test_half_a_surrogate_pair_in_a_tools_input_never_raises() -> None:
    block = {"type": "tool_use", "name": "f", "input": {"q": "\ud83d"}}
    message = {"type": "message", "content": [block], "stop_reason": "tool_use"}
    begun = json.dumps({"type": "content_block_start", "index": 0, "content_block": block})
    for raw in (whole(message), stream([event(begun), named({"type": "message_stop"})])):
        answer = read(raw, wire="messages")
        assert (answer.attempt.outcome, answer.tool_text) == ("ok", 'f({"q":"\ufffd"})')


def test_odd_types_are_passed_over_and_the_rest_is_read() -> None:
    odd = json.loads(json.dumps(TEXT))
    odd[0]["message"]["usage"] = {"input_tokens": "25", "output_tokens": None}
    odd[3]["index"] = "zero"
    odd[3]["delta"]["stop_reason"] = 7
    odd[-2]["usage"] = {"input_tokens": 25.0, "output_tokens": 15.0, "server_tool_use": []}
    odd[-2]["delta"]["stop_reason"] = ["end_turn"]
    got = answer([*odd[:-1], {"type": "something_new", "delta": "text"}, odd[-1]])
    assert got.attempt.outcome == "ok" and got.text == "Hello!"
    assert (got.attempt.tokens.prompt, got.attempt.tokens.output) == (25, 15)
    assert got.attempt.finish_reason is None


@given(cuts=st.lists(st.integers(0, 3000), max_size=12), keep=st.integers(0, len(TEXT)))
def test_any_cutting_gives_the_same_record(cuts: list[int], keep: int) -> None:
    events = thinking("Zürich\u2028é") if keep % 2 else TEXT[:keep]
    check(b"".join(stream([named(one) for one in events])), cuts, "messages")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "index", "delta", "text", "thinking", "usage", "message", "content", "error",
             "content_block", "input_tokens", "output_tokens", "stop_reason", "partial_json",
             "response", "output", "item", "status", "summary", "output_index", "name", "arguments"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
TYPES = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "message_delta", "error",
     "response.completed", "response.output_text.delta", "response.output_item.added",
     "response.failed", "response.reasoning_summary_text.delta"]
)  # fmt: skip


@given(
    parts=st.lists(st.tuples(TYPES, JSON) | st.binary(max_size=40), max_size=8),
    wire=st.sampled_from(["messages", "responses"]),
    sort=st.sampled_from(["text/event-stream", "application/json"]),
)
def test_garbage_never_raises(parts: list[Any], wire: Any, sort: str) -> None:
    pieces = []
    for part in parts:
        if isinstance(part, bytes):
            pieces.append(b"data: " + part + b"\n\n")
            continue
        kind, value = part
        fields = value if isinstance(value, dict) else {"delta": value, "response": value}
        if sort == "application/json":
            pieces.append(json.dumps(fields).encode())
        else:
            pieces.append(event({"type": kind, **fields}))
    raw = head("Connection: close", kind=sort) + b"".join(pieces)
    got = fed(raw, [len(raw) // 2], wire)
    assert got.attempt.outcome in ("ok", "error")
