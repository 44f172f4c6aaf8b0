"""Token counts wherever servers put them, and what contradicts itself enters no count of output."""

from typing import Any

import pytest

from observatory.core.record import Attempt, Tokens
from observatory.economics.counts import contradicted
from observatory.endpoints.wires import WireName
from tests.endpoints.wire_streams import delta, event, named, read, stream, usage, whole

DONE = b"data: [DONE]\n\n"
TEXT = [event(delta(content="w ")) for _ in range(4)]
STOP = event(delta(finish_reason="stop"))
COUNTS = usage(19, 13, total_tokens=32)["usage"]


def chat(*last: bytes) -> Tokens:
    return read(stream([*TEXT, *last, DONE])).attempt.tokens


@pytest.mark.parametrize(
    "last",
    [
        event({"choices": [], "usage": COUNTS}),
        event({"choices": [{"delta": {}, "finish_reason": "stop", "usage": COUNTS}]}),
        event({"choices": [{"delta": {"usage": COUNTS}, "finish_reason": "stop"}]}),
        event(
            {"choices": [{"delta": {"content": ""}, "usage": {**COUNTS, "prompt_tokens": 19.0}}]}
        ),
        event({"choices": [], "x_groq": {"usage": COUNTS}}),
    ],
)
def test_usage_is_found_where_servers_put_it(last: bytes) -> None:
    tokens = chat(last)
    assert (tokens.prompt, tokens.output, tokens.output_from) == (19, 13, "usage")


@pytest.mark.parametrize("place", ["top", "choice"])
def test_usage_of_whole_answers(place: str) -> None:
    choice: dict[str, Any] = {"message": {"content": "a b"}, "finish_reason": "stop"}
    body: dict[str, Any] = {"choices": [choice]}
    (body if place == "top" else choice)["usage"] = COUNTS
    tokens = read(whole(body)).attempt.tokens
    assert (tokens.prompt, tokens.output) == (19, 13)


def test_a_later_zero_or_null_never_replaces_an_earlier_count() -> None:
    first = event({"choices": [], "usage": {"prompt_tokens": 15, "completion_tokens": 1}})
    for later in ({"prompt_tokens": 0, "completion_tokens": 7}, {"completion_tokens": 7}):
        assert read(stream([first, *TEXT, STOP, event({"usage": later}), DONE])).attempt.tokens == (
            Tokens(prompt=15, output=7, streamed=7, output_from="usage", streamed_from="characters")
        )
    details = event({"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 5}}})
    zero = event({"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 0}}})
    assert chat(details, zero).cached == 5


@pytest.mark.parametrize(
    ("given", "cached", "reasoning"),
    [
        # LiteLLM before an API that caches (BerriAI/litellm issue 11789).
        ({"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 11}, 11, None),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 11}, 11, None),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 0}, 0, None),
        ({"completion_tokens_details": {"reasoning_tokens": 0}, "reasoning_tokens": 5}, None, 5),
    ],
)
def test_a_zero_under_one_name_does_not_hide_the_count_under_another(
    given: dict[str, Any], cached: int | None, reasoning: int | None
) -> None:
    tokens = chat(STOP, event({"usage": {**COUNTS, **given}}))
    assert (tokens.prompt, tokens.output) == (19, 13)
    assert (tokens.cached, tokens.reasoning) == (cached, reasoning)


@pytest.mark.parametrize(
    ("start", "end", "prompt", "output"),
    [
        ({"input_tokens": 15, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 7}, 15, 7),
        ({"input_tokens": 15}, {"output_tokens": 7}, 15, 7),
        ({"input_tokens": 0}, {"input_tokens": 15, "output_tokens": 7}, 15, 7),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 10},
            {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 7},
            15,
            7,
        ),
        ({"input_tokens": 15, "output_tokens": 7}, {"output_tokens": 0}, 15, 7),
    ],
)
def test_the_same_of_messages(
    start: dict[str, int], end: dict[str, int], prompt: int, output: int
) -> None:
    events = [
        {"type": "message_start", "message": {"usage": start}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end},
        {"type": "message_stop"},
    ]
    attempt = read(stream([named(one) for one in events]), wire="messages").attempt
    assert (attempt.tokens.prompt, attempt.tokens.output) == (prompt, output)
    assert attempt.streamed


@pytest.mark.parametrize(
    ("counts", "prompt", "output"),
    [
        # Anthropic's counts, handed on by a gateway: the cached ones are not in the prompt.
        ({"total_tokens": 387 + 10_536, "cache_read_input_tokens": 10_536}, 10_904, 19),
        ({"total_tokens": 387 + 900, "cache_creation_input_tokens": 900}, 1_268, 19),
        (
            {
                "total_tokens": 1_387,
                "cache_read_input_tokens": 600,
                "cache_creation_input_tokens": 400,
            },
            1_368,
            19,
        ),
        ({"total_tokens": 387 + 500, "prompt_tokens_details": {"cached_tokens": 500}}, 868, 19),
        # Cached and thinking apart.
        (
            {
                "total_tokens": 387 + 500 + 70,
                "prompt_tokens_details": {"cached_tokens": 500},
                "completion_tokens_details": {"reasoning_tokens": 70},
            },
            868,
            89,
        ),
        # Neither explains the total: no surplus is output.
        ({"total_tokens": 10_000, "cache_read_input_tokens": 10_536}, 368, 19),
        ({"cache_read_input_tokens": 10_536}, 368, 19),
        # As Gemini and xAI count, with cached tokens inside the prompt.
        ({"total_tokens": 387 + 200, "prompt_tokens_details": {"cached_tokens": 100}}, 368, 219),
        (
            {
                "total_tokens": 387 + 64,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 64},
            },
            368,
            83,
        ),
    ],
)
def test_a_surplus_in_the_total_is_first_tried_as_cached_tokens(
    counts: dict[str, Any], prompt: int, output: int
) -> None:
    last = event(usage(368, 19, **counts))
    tokens = chat(STOP, last)
    assert (tokens.prompt, tokens.output) == (prompt, output)


def answer(**fields: Any) -> Attempt:
    counts = {"prompt": 10, "output": 4, "output_from": "usage", **fields.pop("tokens", {})}
    given = {"event_ns": [1, 2, 3, 4], "answer_characters": 16, **fields}
    return Attempt(number=0, tokens=Tokens(**counts), **given)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, False),
        ({"tokens": {"prompt": 0, "output": 0}}, True),
        ({"tokens": {"prompt": 0}}, True),
        ({"tokens": {"prompt": None}}, False),
        ({"tokens": {"output": 3}}, True),
        ({"tokens": {"output": 0, "output_from": "events"}}, False),
        ({"answer_characters": 65}, True),
        ({"tokens": {"cached": 11}}, True),
        ({"tokens": {"cached": 6, "cache_write": 5}}, True),
        ({"tokens": {"cached": 10}}, False),
        ({"event_ns": [], "answer_characters": 0, "tokens": {"output": 0}}, False),
    ],
)
def test_counts_that_the_answer_contradicts(fields: dict[str, Any], found: bool) -> None:
    assert contradicted(answer(**fields)) == found


@pytest.mark.parametrize(
    ("body", "streamed"),
    [
        (whole({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}), False),
        (stream([event(delta(content="w " * 10)), STOP, event(usage(5, 10)), DONE]), False),
        (stream([event(delta(content="w" * 40)), STOP, DONE]), False),
        (stream([event(delta(content="w" * 40)), STOP, event(usage(5, 30)), DONE]), False),
        (stream([event(delta(content="Bern")), STOP, event(usage(5, 1)), DONE]), True),
        (stream([event(delta(content="hi")), STOP, event(usage(5, 7)), DONE]), True),
        (stream([event(delta(content="a few words")), STOP, DONE]), True),
        (stream([*TEXT, STOP, DONE]), True),
        (
            stream(
                [
                    event(delta(tool_calls=[{"function": {"name": "f", "arguments": "{}" * 30}}])),
                    DONE,
                ]
            ),
            True,
        ),
        (stream([STOP, DONE]), None),
    ],
)
def test_whether_an_answer_came_as_a_stream(body: list[bytes], streamed: bool | None) -> None:
    assert read(body).attempt.streamed is streamed
    if streamed is not None:
        assert read(body, streaming=False).attempt.streamed is False


@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_a_json_document_is_no_stream_on_any_wire(wire: WireName) -> None:
    bodies = {
        "openai": {"choices": [{"text": "a b c", "finish_reason": "stop"}]},
        "messages": {"content": [{"type": "text", "text": "a b c"}], "stop_reason": "end_turn"},
        "responses": {
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "a b c"}]}],
        },
    }
    attempt = read(whole(bodies[wire]), wire=wire).attempt
    assert (attempt.outcome, attempt.streamed) == ("ok", False)


def test_what_a_gateway_states_stands_in_columns_of_its_own() -> None:
    lines = [
        "x-litellm-call-id: call-1",
        "x-litellm-response-cost: 0.00021",
        "x-litellm-overhead-duration-ms: 3.5",
        "x-litellm-attempted-fallbacks: 1",
    ]
    attempt = read(stream([*TEXT, STOP, event(usage(5, 4)), DONE], *lines)).attempt
    assert (attempt.gateway_call_id, attempt.gateway_cost_usd) == ("call-1", 0.00021)
    assert (attempt.gateway_overhead_ms, attempt.gateway_fallbacks) == (3.5, 1)
    for cost in (0.0005, {"total_cost": 0.0005, "input_tokens_cost": 0.0001}):
        stated = event(usage(5, 4, cost=cost))
        assert read(stream([*TEXT, STOP, stated, DONE], *lines)).attempt.gateway_cost_usd == 0.0005
    plain = read(stream([*TEXT, STOP, DONE])).attempt
    assert plain.gateway_cost_usd is plain.gateway_call_id is plain.gateway_fallbacks is None
