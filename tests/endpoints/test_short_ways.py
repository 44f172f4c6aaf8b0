"""The short ways that most answers take come to what the long ways come to."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.connect.masking import Masker
from observatory.wires import token_split
from observatory.wires.answer_headers import kept_headers
from observatory.wires.answer_json import Usage
from observatory.wires.failures import failures
from observatory.wires.failures.plain_event import (
    PlainDetails,
    PlainEvent,
    PlainUsage,
    is_plain_event,
)
from observatory.wires.streams.http_response import ResponseReader
from tests.endpoints.wire_streams import head, usage

PLAIN = [
    usage(10, 128, total_tokens=138),
    usage(10, 128, prompt_tokens_details=None, completion_tokens_details={"reasoning_tokens": 0}),
    {"object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []},
]


@pytest.mark.parametrize("event", PLAIN)
def test_a_plain_event_is_one(event: dict[str, Any]) -> None:
    assert is_plain_event(json.dumps(event).encode())


def test_no_field_of_a_plain_event_can_state_a_failure() -> None:
    names = [
        name for one in (PlainEvent, PlainUsage, PlainDetails) for name in one.__struct_fields__
    ]
    fields = json.dumps(dict.fromkeys(names)).encode()
    assert failures._SUSPECT.search(fields) is None
    assert failures._SUSPECT.search(fields[:-1] + b', "status": 1}') is not None


NAMES = st.sampled_from(
    [
        *PlainEvent.__struct_fields__,
        *PlainUsage.__struct_fields__,
        "error",
        "code",
        "type",
        "x",
        "detail",
    ]
)
VALUES = st.recursive(
    st.none() | st.integers(-2, 600) | st.sampled_from(["", "ok", "error", '"error":1', "a\\"]),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_plain_event_states_no_failure(event: dict[str, Any]) -> None:
    data = json.dumps(event).encode()
    if is_plain_event(data):
        assert failures._SUSPECT.search(data) is None
        assert failures.failure_in(data) is None


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
