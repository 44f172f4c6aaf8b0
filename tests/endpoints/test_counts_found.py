"""Token counts wherever servers put them, and what contradicts itself enters no count of output."""

import json
from typing import Any

import pytest

from observatory.core.record import Attempt, Tokens
from observatory.economics.cost import request_cost_usd
from observatory.economics.counts import billable, contradicted, counts_of
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import SENT, delta, event, head, named, read, stream, usage, whole

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
        (
            {"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 19, "output_tokens": 13},
            None,
            None,
        ),
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
        # As xAI counts, with cached tokens inside the prompt.
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


@pytest.mark.parametrize(
    ("given", "prompt", "output", "reasoning"),
    [
        # SGLang, issue 39826: one reasoning token more than output tokens, and a total without room for them.
        (
            {
                "prompt_tokens": 164, "completion_tokens": 23_870, "total_tokens": 24_034,
                "completion_tokens_details": {"reasoning_tokens": 23_871},
            },
            164, 23_870, 23_871,
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18, "reasoning_tokens": 20},
            10, 8, 20,
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 17, "reasoning_tokens": 20},
            10, 8, 20,
        ),
        # Without a total they were counted apart.
        ({"prompt_tokens": 10, "completion_tokens": 8, "reasoning_tokens": 20}, 10, 28, 20),
        # Media outside the prompt tokens.
        (
            {
                "prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 285,
                "prompt_tokens_details": {"image_tokens": 258},
            },
            277, 8, None,
        ),
        (
            {
                "prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 35,
                "prompt_tokens_details": {"audio_tokens": 8},
            },
            27, 8, None,
        ),
        (
            {
                "prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 385,
                "prompt_tokens_details": {"image_tokens": 258, "audio_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 70},
            },
            307, 78, 70,
        ),
        # Media inside them.
        (
            {
                "prompt_tokens": 277, "completion_tokens": 8, "total_tokens": 285,
                "prompt_tokens_details": {"image_tokens": 258},
            },
            277, 8, None,
        ),
        # One token may be the one that ended the answer; more than that is not known to be output.
        ({"prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 28}, 19, 8, None),
        ({"prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 29}, 19, None, None),
        ({"prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 22_027}, 19, None, None),
        (
            {
                "prompt_tokens": 19, "completion_tokens": 8, "total_tokens": 127,
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            19, None, 5,
        ),
    ],
)  # fmt: skip
def test_a_total_neither_adds_nor_denies_output_without_a_reason(
    given: dict[str, Any], prompt: int, output: int | None, reasoning: int | None
) -> None:
    attempt = read(stream([*TEXT, STOP, event({"choices": [], "usage": given}), DONE])).attempt
    tokens = attempt.tokens
    assert (tokens.prompt, tokens.output, tokens.reasoning) == (prompt, output, reasoning)
    assert billable(counts_of(attempt)) == (output is not None)
    hidden = reasoning or 0
    if output is None:
        assert (tokens.output_from, tokens.streamed) == (None, 8 - hidden)


def test_a_surplus_of_gemini_is_its_thinking() -> None:
    counts = {"prompt_tokens_details": {"cached_tokens": 100}, "total_tokens": 387 + 200}
    for model, output in (("google/gemini-2.5-flash", 219), ("some-alias", None)):
        texts = [event({**delta(content="w "), "model": model}) for _ in range(4)]
        last = event({**usage(368, 19, **counts), "model": model})
        tokens = read(stream([*texts, STOP, last, DONE])).attempt.tokens
        assert (tokens.prompt, tokens.cached, tokens.output) == (368, 100, output)


LONG = [event(delta(content="w " * 300)), event(delta(content="x " * 78))]


@pytest.mark.parametrize(
    ("counts", "output"),
    [
        (None, None),
        ({"prompt_tokens": 19}, None),
        ({"prompt_tokens": 19, "completion_tokens": None, "total_tokens": 179}, None),
        ({"prompt_tokens": 19, "completion_tokens": -1, "total_tokens": 18}, None),
        ({"prompt_tokens": 19, "completion_tokens": 10**30}, None),
        ({"prompt_tokens": 19, "completion_tokens": True}, None),
        ({"prompt_tokens": 19, "completion_tokens": "many"}, None),
        ({"prompt_tokens": "19", "completion_tokens": "160", "total_tokens": "179"}, 160),
        ({"prompt_tokens": 19, "completion_tokens": "160"}, 160),
    ],
)
def test_a_count_of_events_is_no_bill(counts: dict[str, Any] | None, output: int | None) -> None:
    last = [] if counts is None else [event({"choices": [], "usage": counts})]
    attempt = read(stream([*LONG, STOP, *last, DONE])).attempt
    assert attempt.tokens.output == (output or 2)
    assert attempt.tokens.output_from == ("usage" if output else "events")
    assert billable(counts_of(attempt)) == (output is not None)


@pytest.mark.parametrize(
    ("last", "prompt", "output", "cached", "reasoning"),
    [
        ({"usageMetadata": {"promptTokenCount": 19, "candidatesTokenCount": 13}}, 19, 13, None, None),
        (
            {
                "usageMetadata": {
                    "promptTokenCount": 19, "candidatesTokenCount": 13, "thoughtsTokenCount": 40,
                    "cachedContentTokenCount": 8, "totalTokenCount": 72,
                }
            },
            19, 53, 8, 40,
        ),
        ({"done": True, "prompt_eval_count": 19, "eval_count": 13}, 19, 13, None, None),
        ({"usage": {"promptTokens": 19, "completionTokens": 13, "totalTokens": 32}}, 19, 13, None, None),
        ({"usage": {"inputTokens": "19", "outputTokens": "13"}}, 19, 13, None, None),
        ({"usage": {"inputTokens": 19, "outputTokens": 13, "cacheReadInputTokens": 900}}, None, 13, None, None),
        ({"message": {"usage": COUNTS}}, 19, 13, None, None),
        (
            {"response": {"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 8}}}},
            19, 13, 8, None,
        ),
        ({"timings": {"prompt_n": 11, "cache_n": 8, "predicted_n": 13}}, 19, 13, None, None),
        ({"timings": {"prompt_n": 11, "predicted_n": 13}}, None, 13, None, None),
        (
            {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 19, "outputTokenCount": 13}},
            19, 13, None, None,
        ),
    ],
)  # fmt: skip
def test_counts_under_the_names_of_other_apis(
    last: dict[str, Any],
    prompt: int | None,
    output: int,
    cached: int | None,
    reasoning: int | None,
) -> None:
    tokens = chat(STOP, event({"choices": [], **last}))
    assert (tokens.prompt, tokens.output, tokens.output_from) == (prompt, output, "usage")
    assert (tokens.cached, tokens.reasoning) == (cached, reasoning)
    choice = {"message": {"content": "a b"}, "finish_reason": "stop"}
    assert read(whole({"choices": [choice], **last})).attempt.tokens.output == output


@pytest.mark.parametrize(
    ("delta_usage", "stop", "output"),
    [
        (None, {}, None),
        ({"output_tokens": -1}, {}, None),
        ({"output_tokens": "160"}, {}, 160),
        ({"output_tokens": 160.0}, {}, 160),
        ({"input_tokens": 19}, {}, None),
        (
            None,
            {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 19, "outputTokenCount": 160}},
            160,
        ),
    ],
)
def test_what_message_start_counts_is_no_answers_count(
    delta_usage: dict[str, Any] | None, stop: dict[str, Any], output: int | None
) -> None:
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 19, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "w " * 160}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": delta_usage},
        {"type": "message_stop", **stop},
    ]
    attempt = read(stream([named(one) for one in events]), wire="messages").attempt
    assert attempt.tokens.prompt == 19
    assert attempt.tokens.output == (output or 1)
    assert billable(counts_of(attempt)) == (output is not None)


def test_a_json_document_behind_a_byte_order_mark() -> None:
    body = {"choices": [{"message": {"content": "a b"}, "finish_reason": "stop"}], "usage": COUNTS}
    data = b"\xef\xbb\xbf" + json.dumps(body).encode()
    answer = read([head(f"Content-Length: {len(data)}", kind="application/json") + data])
    assert (answer.attempt.outcome, answer.text, answer.attempt.tokens.output) == ("ok", "a b", 13)


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
    assert contradicted(counts_of(answer(**fields))) == found


@pytest.mark.parametrize(
    ("last", "outcome", "whole_count"),
    [
        ([STOP], "ok", True),
        ([], "error", False),
        ([event({"error": {"message": "boom", "code": 500}})], "error", False),
        ([event(delta(finish_reason="error"))], "error", True),
    ],
)
def test_counts_up_to_where_an_answer_broke_off_are_no_bill(
    last: list[bytes], outcome: str, whole_count: bool
) -> None:
    texts = [
        event({**delta(content="w "), "usage": usage(19, number + 1)["usage"]})
        for number in range(4)
    ]
    attempt = read(stream([*texts, *last])).attempt
    assert (attempt.outcome, attempt.tokens.output) == (outcome, 4)
    assert billable(counts_of(attempt)) == whole_count


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


MS = 1_000_000
PROSE = "The quick brown fox jumps over the lazy dog and keeps running. " * 6


def arriving(*came: tuple[int, dict[str, Any]], output: int | None) -> Attempt:
    """The attempt of a stream with each delta this many ms after the request was sent."""
    last = [] if output is None else [event(usage(19, output))]
    rest = b"".join([STOP, *last, DONE])
    reads: list[bytes] = [head()]
    stamps: list[int] = [SENT + MS]
    for at_ms, stated in came:
        if stamps[-1] == SENT + at_ms * MS:
            reads[-1] += event(delta(**stated))
        else:
            reads.append(event(delta(**stated)))
            stamps.append(SENT + at_ms * MS)
    reads.append(rest)
    stamps.append(stamps[-1] + MS)
    return read(reads, stamps=stamps, closes=True).attempt


def text_delta(text: str) -> dict[str, Any]:
    return {"content": text}


def think(text: str) -> dict[str, Any]:
    return {"reasoning_content": text}


@pytest.mark.parametrize(
    ("came", "output", "streamed"),
    [
        # All the text in one event, and a newline after it or before it.
        ([(300, text_delta(PROSE)), (320, text_delta("\n"))], 80, False),
        ([(300, text_delta(PROSE)), (320, text_delta("\n"))], None, False),
        ([(100, text_delta("\n")), (300, text_delta(PROSE))], 80, False),
        ([(300, text_delta("A")), (302, text_delta(PROSE))], 80, False),
        ([(300, text_delta("Hello big world, this is the whole answer at once")), (300, text_delta("\n"))], 20, False),
        # Two large events in one read, or nearly in one.
        ([(300, text_delta(PROSE)), (300, text_delta(PROSE))], 160, False),
        ([(300, text_delta(PROSE)), (302, text_delta(PROSE))], 160, False),
        ([(300, text_delta(PROSE)), (300, text_delta(PROSE))], None, False),
        # A count that is not of this text makes nothing small.
        ([(300, text_delta(PROSE)), (300, text_delta(PROSE))], 2, False),
        # Whole thinking, then the whole answer.
        ([(300, think(PROSE)), (301, text_delta(PROSE))], 160, False),
        ([(300, think(PROSE)), (900, text_delta(PROSE))], 160, False),
        ([(300, think(PROSE)), (900, text_delta(PROSE)), (910, text_delta("\n"))], None, False),
        # A first token came before the rest.
        ([(300, text_delta("The")), (600, text_delta(PROSE))], 80, True),
        ([(300, think("Hm")), (900, text_delta(PROSE))], 80, True),
        ([(300, think(PROSE)), *((900 + 20 * n, text_delta("word ")) for n in range(6))], 90, True),
        # Large events over time: a coarse stream.
        ([(300, text_delta(PROSE)), (400, text_delta(PROSE)), (500, text_delta(PROSE))], 240, True),
        # Steps of an engine, one or several in a read: speculative decoding, or a stream held back.
        ([(300, text_delta("Bern")), (300, text_delta(" is")), (300, text_delta(" it"))], 3, True),
        ([(300, text_delta("The answer is plainly four ")), (300, text_delta("because two and two are four"))], 12, True),
        ([(300, text_delta("The answer is plainly four ")), (310, text_delta("because two and two are four"))], 12, True),
        ([(300, text_delta("word ")) for _ in range(14)], 14, True),
        ([(300, text_delta("word ")) for _ in range(40)], 40, True),
        ([(300, text_delta("word ")) for _ in range(14)], None, True),
        # Short answers.
        ([(300, text_delta("Yes"))], 1, True),
        ([(300, text_delta("Yes.")), (301, text_delta("\n"))], 3, True),
    ],
)  # fmt: skip
def test_a_stream_is_judged_by_how_its_text_arrived(
    came: list[tuple[int, dict[str, Any]]], output: int | None, streamed: bool
) -> None:
    assert arriving(*came, output=output).streamed is streamed


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


@pytest.mark.parametrize(
    ("counts", "prompt", "cached", "written"),
    [
        # Alibaba Cloud Model Studio, "Context cache": parts of the prompt, also what is written to it.
        (
            {
                "prompt_tokens": 2_059,
                "completion_tokens": 19,
                "total_tokens": 2_078,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 2_048},
            },
            2_059,
            0,
            2_048,
        ),
        (
            {
                "input_tokens": 1_524,
                "output_tokens": 19,
                "total_tokens": 1_543,
                "prompt_tokens_details": {
                    "cached_tokens": 1_305,
                    "cache_creation_input_tokens": 213,
                },
            },
            1_524,
            1_305,
            213,
        ),
        # Anthropic's names and no total: apart where they do not fit, else not known.
        ({"input_tokens": 10, "output_tokens": 19, "cache_read_input_tokens": 30}, 40, 30, None),
        ({"input_tokens": 10, "output_tokens": 19, "cache_read_input_tokens": 8}, None, 8, None),
        (
            {"input_tokens": 10, "output_tokens": 19, "cache_creation_input_tokens": 8},
            None,
            None,
            8,
        ),
        ({"input_tokens": 10, "output_tokens": 19, "cache_read_input_tokens": 0}, 10, 0, None),
        # The total decides.
        (
            {
                "input_tokens": 10,
                "output_tokens": 19,
                "cache_read_input_tokens": 8,
                "total_tokens": 29,
            },
            10,
            8,
            None,
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 19,
                "cache_read_input_tokens": 8,
                "total_tokens": 37,
            },
            18,
            8,
            None,
        ),
    ],
)
def test_cached_tokens_inside_and_outside_the_input_tokens(
    counts: dict[str, Any], prompt: int | None, cached: int | None, written: int | None
) -> None:
    tokens = chat(STOP, event({"choices": [], "usage": counts}))
    assert (tokens.prompt, tokens.cached, tokens.cache_write) == (prompt, cached, written)
    assert tokens.output == 19


@pytest.mark.parametrize(
    "given",
    [
        {"prompt_tokens_details": {"cached_tokens": 30}},
        {"prompt_tokens_details": {"cached_tokens": 30}, "total_tokens": 29},
        {"cached_tokens": 30},
        {"prompt_cache_hit_tokens": 30, "total_tokens": 29},
        {"prompt_tokens_details": {"cached_tokens": 6, "cache_creation_input_tokens": 6}},
    ],
)
def test_more_cached_than_prompt_tokens_are_a_contradiction_and_no_bill(
    given: dict[str, Any],
) -> None:
    attempt = read(stream([*TEXT, STOP, event(usage(10, 19, **given)), DONE])).attempt
    assert (attempt.outcome, attempt.tokens.prompt) == ("ok", 10)
    assert contradicted(counts_of(attempt))
    tokens = attempt.tokens
    rows = [PriceRow("input", 1.0, "example", "here"), PriceRow("output", 1.0, "example", "here")]
    prices = AppliedPrices(rows)
    assert (
        request_cost_usd(prices, tokens.prompt, tokens.cached, tokens.output, tokens.cache_write)
        is None
    )
