"""The short ways that most answers take come to what the long ways come to."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observatory.connect.masking import Masker
from observatory.wires import token_split
from observatory.wires.answer_headers import kept_headers
from observatory.wires.answer_json import Usage, read_plain_chunk
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.apis.chat_reading import ChatReading
from observatory.wires.streams.http_response import ResponseReader
from tests.endpoints.wire_streams import delta, head, usage

PLAIN = [
    delta(role="assistant", content=""),
    delta(content="x"),
    delta(reasoning_content="x", content=None),
    delta(content="", finish_reason="stop"),
    usage(10, 128, total_tokens=138),
    usage(10, 128, prompt_tokens_details={"cached_tokens": 3, "audio_tokens": 0}),
    {"object": "text_completion", "created": 1, "choices": [{"index": 0, "text": "x"}]},
]
"""Events as OpenAI, vLLM and llama.cpp send them."""


@pytest.mark.parametrize("event", PLAIN)
def test_the_usual_events_are_plain(event: dict[str, Any]) -> None:
    assert read_plain_chunk(json.dumps(event).encode()) is not None


@pytest.mark.parametrize(
    "event",
    [
        {**PLAIN[0], "error": {"message": "x"}},
        {**PLAIN[4], "status": 500},
        {**PLAIN[4], "object": "error"},
        delta(thought="x"),
        delta(reasoning_details=[{"text": "x"}]),
        {"choices": [{"index": 0, "delta": {}, "cot": "x"}]},
        {"choices": [{"index": 0, "message": {"thought": "x"}}]},
    ],
)
def test_what_may_state_more_is_not_plain(event: dict[str, Any]) -> None:
    assert read_plain_chunk(json.dumps(event).encode()) is None


TEXTS = st.sampled_from([None, "", "x", "error", "stop", '"', "\u00e9"])
SAID = (
    "content",
    "reasoning_content",
    "reasoning",
    "thinking",
    "refusal",
    "role",
    "thought",
    "channel",
)
DELTAS = st.dictionaries(st.sampled_from(SAID), TEXTS, max_size=3)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 1),
        "delta": DELTAS,
        "message": st.none() | DELTAS,
        "text": TEXTS,
        "finish_reason": st.sampled_from([None, "stop", "length", "abort", "tool_calls"]),
        "logprobs": st.none() | st.just({"content": []}),
        "cot": TEXTS,
        "error": st.none() | st.just({"message": "x"}),
    },
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXTS,
        "object": st.sampled_from(["chat.completion.chunk", "error", "text_completion", None]),
        "model": TEXTS,
        "choices": st.none() | st.lists(CHOICES, max_size=2),
        "usage": st.none() | st.just({"prompt_tokens": 3, "completion_tokens": 2, "detail": "x"}),
        "error": st.sampled_from([None, {}, "x"]),
        "code": st.sampled_from([0, 500, "x"]),
        "message": TEXTS,
        "timings": st.just({"error": 1}),
        "type": TEXTS,
    },
)


@given(st.lists(st.sampled_from(PLAIN) | EVENTS, max_size=8))
@example([PLAIN[0], PLAIN[1], PLAIN[3], PLAIN[4]])
def test_plain_events_are_read_as_any(events: list[dict[str, Any]]) -> None:
    read_both_ways([json.dumps(payload).encode() for payload in events])


ODD_VALUES = (
    b"null", b"true", b"12.0", b"1.5", b"NaN", b"1e999", b'"12"', b'""', b'"x"', b'"\\ud83d"', b'"\xff"',
    b"{}", b"[]", b"[null]", b'{"error": "x"}', b'[{"text": "x"}]', b'{"delta": {"thought": "x"}}',
)  # fmt: skip
FIELDS = (
    "choices",
    "usage",
    "error",
    "object",
    "message",
    "model",
    "detail",
    "id",
    "th\\u006fught",
)


@given(
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(ODD_VALUES)), max_size=3),
    st.lists(
        st.tuples(st.sampled_from([*SAID, "tool_calls"]), st.sampled_from(ODD_VALUES)), max_size=3
    ),
    st.booleans(),
)
def test_fields_that_come_twice_and_values_of_any_type_are_read_as_any(
    outer: list[tuple[str, bytes]], inner: list[tuple[str, bytes]], first: bool
) -> None:
    delta_fields = b", ".join(b'"%s": %s' % (name.encode(), value) for name, value in inner)
    choices = b'"choices": [{"index": 0, "delta": {%s}}]' % delta_fields
    fields = [b'"%s": %s' % (name.encode(), value) for name, value in outer]
    fields.insert(0 if first else len(fields), choices)
    read_both_ways([b"{" + b", ".join(fields) + b"}", json.dumps(PLAIN[3]).encode()])


def read_both_ways(events: list[bytes]) -> None:
    """Compare two readings of the events, of which one may take short ways."""
    readings = [ChatReading(), ChatReading()]
    readings[1]._plain_tries = 0
    for number, event in enumerate(events):
        for reading in readings:
            reading.event(event, b"", number, number, True)
    names = {*AnswerReading.__slots__, *ChatReading.__slots__} - {"_plain_tries"}
    states = [{name: getattr(reading, name) for name in names - {"usage"}} for reading in readings]
    assert repr(states[0]) == repr(states[1])  # NaN is not equal to itself
    assert readings[0].usage == readings[1].usage
    assert readings[0].stated_its_end == readings[1].stated_its_end


COUNTS = st.none() | st.sampled_from([-1, 0, 1, 2, 7, 10**9, 10**9 + 1]) | st.integers(0, 50)


@given(COUNTS, COUNTS, st.none() | st.integers(-2, 100), COUNTS, st.sampled_from([None, "gemini"]))
def test_plain_usage_counts_as_any(
    prompt: int | None, output: int | None, more: int | None, cached: int | None, model: str | None
) -> None:
    for total in (more, (prompt or 0) + (output or 0)):
        for of in (None, cached):
            one = Usage(prompt, output, total, cached_tokens=of)
            assert token_split._reported(one, model) == token_split._reported_in_full(one, model)


def test_usage_begins_with_the_three_counts_that_are_plain() -> None:
    assert Usage.__struct_fields__[:3] == ("prompt_tokens", "completion_tokens", "total_tokens")
    assert token_split._is_plain(Usage(10, 128, 138)) and token_split._is_plain(Usage(10, 128))
    assert not token_split._is_plain(Usage(10, 128, 139))


def test_of_several_headers_the_same_are_kept_whoever_sent_them_before() -> None:
    lines = ["cf-ray: c", "x-request-id: ", "request-id: r1", "request-id: r2", "Retry-After: 3"]
    lines += ["x-ratelimit-limit-requests: 5", "server-timing: a;dur=3, b;dur=4", "Foo: bar"]
    for _ in range(2):
        response = ResponseReader()
        response.feed(head(*lines, "Content-Length: 0"), 1)
        kept = kept_headers(response, Masker(), 1_760_000_000.0)
        assert kept.provider_request_id == "r2"
        assert kept.rate_limit_headers == {"retry-after": "3", "x-ratelimit-limit-requests": "5"}
        assert (kept.retry_after_s, kept.processing_ms) == (3.0, 4.0)
        later = ResponseReader()
        later.feed(head("x-litellm-call-id: 7", "Content-Length: 0"), 1)
        assert kept_headers(later, Masker(), 1.0).gateway_call_id == "7"
