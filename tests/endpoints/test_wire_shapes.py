"""What real servers send in a 200 answer, each shape with its known record."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.wires.answer_json import Usage
from observatory.wires.token_split import count_tokens
from tests.endpoints.wire_streams import (
    SENT,
    chunked,
    delta,
    event,
    head,
    read,
    stream,
    usage,
    whole,
)

ROLE = event(delta(role="assistant", content=None))
DONE = b"data: [DONE]\n\n"


def words(*texts: str) -> list[bytes]:
    return [event(delta(content=text)) for text in texts]


STOP = event(delta(finish_reason="stop"))


def test_a_plain_stream_gives_every_instant_and_count() -> None:
    answer = read(stream([ROLE, *words("Hel", "lo", " you"), STOP, event(usage(7, 3)), DONE]))
    attempt = answer.attempt
    ms = [SENT + 10_000_000 * number for number in range(1, 10)]
    assert answer.text == "Hello you"
    assert (attempt.outcome, attempt.error_kind, attempt.http_status) == ("ok", None, 200)
    assert attempt.headers == ms[0]
    assert attempt.first_event == ms[1]
    assert attempt.first_token == attempt.first_answer == ms[2]
    assert attempt.first_reasoning is None
    assert attempt.event_ns == ms[2:5]
    assert attempt.last_token == ms[4]
    assert attempt.usage_event == ms[6]
    assert attempt.ended == ms[8]
    assert attempt.event_tokens == [1, 1, 1]
    assert attempt.event_characters == [3, 2, 4]
    assert attempt.event_shared == [False] * 3
    assert attempt.saw_done and attempt.finish_reason == "stop"
    assert attempt.model_reported == "m-1"
    tokens = attempt.tokens
    assert (tokens.prompt, tokens.output, tokens.streamed) == (7, 3, 3)
    assert (tokens.output_from, tokens.streamed_from) == ("usage", "usage")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_arrives_under_each_of_its_names(name: str) -> None:
    answer = read(
        stream(
            [
                ROLE,
                *[event(delta(**{name: text})) for text in ("let", " me")],
                *words("42"),
                STOP,
                event(usage(3, 3, completion_tokens_details={"reasoning_tokens": 2})),
                DONE,
            ]
        )
    )
    attempt = answer.attempt
    assert (answer.reasoning, answer.text) == ("let me", "42")
    assert attempt.first_token == attempt.first_reasoning == attempt.event_ns[0]
    assert attempt.first_answer == attempt.event_ns[2]
    assert (attempt.reasoning_characters, attempt.answer_characters) == (6, 2)
    # Reasoning that was streamed is not hidden: all three tokens are visible.
    assert (attempt.tokens.streamed, attempt.event_tokens) == (3, [1, 1, 1])


def test_a_first_event_may_hold_reasoning_and_answer_both() -> None:
    both = event(delta(reasoning_content="hm", content="Yes"))
    attempt = read(stream([both, *words("!"), STOP, DONE])).attempt
    assert attempt.first_reasoning == attempt.first_answer == attempt.first_token
    assert attempt.event_characters == [5, 1]


def test_reasoning_under_two_names_at_once_counts_once() -> None:
    answer = read(stream([event(delta(reasoning="hm", reasoning_content="hm")), *words("a"), DONE]))
    assert answer.reasoning == "hm"


def test_hidden_reasoning_does_not_enter_tpot() -> None:
    """2,000 hidden reasoning tokens and 50 streamed ones 10 ms apart: a tpot of 10 ms."""
    details = {"completion_tokens_details": {"reasoning_tokens": 2000}}
    pieces = [ROLE, *words(*["x "] * 50), event(usage(9, 2050, **details)), DONE]
    attempt = read(stream(pieces)).attempt
    tokens = attempt.tokens
    assert (tokens.output, tokens.reasoning, tokens.streamed) == (2050, 2000, 50)
    assert tokens.streamed_from == "usage"
    assert attempt.first_token is not None and attempt.last_token is not None
    streamed = tokens.streamed
    assert streamed is not None
    span = attempt.last_token - attempt.first_token
    assert span / (streamed - attempt.event_tokens[0]) == 10_000_000


@pytest.mark.parametrize("apart", [{"total_tokens": 9 + 50 + 2000}, {}])
def test_reasoning_counted_beside_completion_tokens_is_added(apart: dict[str, int]) -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 2000}, **apart}
    attempt = read(stream([*words(*["x "] * 50), event(usage(9, 50, **details)), DONE])).attempt
    assert (attempt.tokens.output, attempt.tokens.streamed) == (2050, 50)
    assert attempt.event_tokens == [1] * 50


def test_a_final_token_without_text_still_means_one_token_an_event() -> None:
    attempt = read(stream([*words("a", "b", "c"), STOP, event(usage(1, 4)), DONE])).attempt
    assert (attempt.tokens.output, attempt.tokens.streamed) == (4, 3)
    assert attempt.event_tokens == [1, 1, 1]
    assert attempt.tokens.streamed_from == "usage"


def test_several_tokens_in_an_event_are_shared_out_by_characters() -> None:
    attempt = read(stream([*words("ab", "abcdef", "ab"), STOP, event(usage(1, 10)), DONE])).attempt
    assert attempt.event_tokens == [2, 6, 2]
    assert attempt.tokens.streamed == 10
    assert attempt.tokens.streamed_from == "characters"


def test_usage_in_every_event_gives_each_its_own_tokens() -> None:
    pieces = []
    for text, so_far in (("a", 1), ("bcd", 4), ("e", 5)):
        pieces.append(event({**delta(content=text), "usage": usage(7, so_far)["usage"]}))
    attempt = read(stream([*pieces, STOP, event(usage(7, 6)), DONE])).attempt
    assert attempt.event_tokens == [1, 3, 1]
    assert (attempt.tokens.streamed, attempt.tokens.streamed_from) == (5, "usage")


def test_a_total_repeated_in_every_event_is_no_running_count() -> None:
    pieces = [event({**delta(content=text), "usage": usage(7, 3)["usage"]}) for text in "abc"]
    assert read(stream([*pieces, DONE])).attempt.event_tokens == [1, 1, 1]


def test_without_usage_tokens_are_counted_by_events() -> None:
    tokens = read(stream([ROLE, *words("a", "b"), STOP, DONE])).attempt.tokens
    assert (tokens.streamed, tokens.streamed_from) == (2, "events")
    assert (tokens.output, tokens.output_from, tokens.prompt) == (2, "events", None)


def test_usage_that_denies_the_text_is_not_used_to_split_it() -> None:
    attempt = read(stream([*words("a", "b"), STOP, event(usage(1, 0)), DONE])).attempt
    assert (attempt.event_tokens, attempt.tokens.streamed_from) == ([1, 1], "events")
    assert (attempt.tokens.output, attempt.tokens.output_from) == (0, "usage")


def test_negative_counts_are_not_believed() -> None:
    tokens = read(stream([*words("a"), STOP, event(usage(-4, -1)), DONE])).attempt.tokens
    assert (tokens.prompt, tokens.output, tokens.output_from) == (None, 1, "events")


@pytest.mark.parametrize(
    ("extra", "cached", "written"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 5}}, 5, None),
        ({"prompt_cache_hit_tokens": 6}, 6, None),
        ({"cache_read_input_tokens": 7, "cache_creation_input_tokens": 2}, 7, 2),
        ({"prompt_tokens_details": None}, None, None),
    ],
)
def test_cached_tokens_under_each_of_their_names(
    extra: dict[str, Any], cached: int | None, written: int | None
) -> None:
    tokens = read(stream([*words("a"), STOP, event(usage(9, 1, **extra)), DONE])).attempt.tokens
    assert (tokens.cached, tokens.cache_write) == (cached, written)


def test_tool_calls_are_text_too() -> None:
    def call(index: int, **function: str) -> bytes:
        return event(delta(tool_calls=[{"index": index, "function": function}]))

    answer = read(
        stream(
            [
                ROLE,
                call(0, name="weather", arguments=""),
                call(0, arguments='{"city":'),
                call(0, arguments='"Rome"}'),
                call(1, name="time", arguments="{}"),
                event(delta(finish_reason="tool_calls")),
                DONE,
            ]
        )
    )
    assert answer.tool_text == 'weather({"city":"Rome"})\ntime({})'
    assert answer.attempt.tool_calls == 2
    assert answer.attempt.event_characters == [7, 8, 7, 6]
    assert answer.attempt.first_answer == answer.attempt.first_token
    assert answer.attempt.finish_reason == "tool_calls"
    assert answer.attempt.outcome == "ok"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_of_the_standard(end: str) -> None:
    pieces = [
        f": keep-alive{end}{end}".encode(),
        event(delta(role="assistant"), end=end),
        event(delta(content="Hi"), end=end),
        f"event: ping{end}id: 7{end}retry: 100{end}{end}".encode(),
        event(delta(content=" there"), end=end),
        event(delta(finish_reason="stop"), end=end),
        f"data: [DONE]{end}{end}".encode(),
    ]
    answer = read(stream(pieces))
    assert answer.text == "Hi there"
    assert answer.attempt.outcome == "ok" and answer.attempt.saw_done
    assert answer.attempt.first_event == SENT + 30_000_000


def test_data_without_its_space_and_over_several_lines() -> None:
    text = json.dumps(delta(content="split"), indent=1).replace("\n", "\ndata:")
    answer = read(stream([f"data:{text}\n\n".encode(), b"data:[DONE]\n\n"]))
    assert (answer.text, answer.attempt.saw_done) == ("split", True)


def test_a_byte_order_mark_before_the_first_event_is_passed_over() -> None:
    assert read(stream([b"\xef\xbb\xbf" + event(delta(content="x")), DONE])).text == "x"


def test_a_last_event_without_its_blank_line_counts() -> None:
    answer = read(stream([*words("a"), b"data: [DONE]\n"]))
    assert answer.attempt.saw_done and answer.attempt.outcome == "ok"


def test_a_mebibyte_in_one_event() -> None:
    text = "é" * (1 << 19)
    body = event(delta(content=text))
    assert len(body) > 1 << 20
    raw = b"".join(stream([body, STOP, DONE]))
    answer = read([raw[at : at + 65536] for at in range(0, len(raw), 65536)])
    assert answer.text == text
    assert answer.attempt.event_characters == [1 << 19]


def test_half_a_surrogate_pair_in_each_of_two_events() -> None:
    halves = [
        b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % half
        for half in (rb"\ud83d", rb"\ude00")
    ]
    assert read(stream([*halves, *words("!"), DONE])).text == "\N{GRINNING FACE}!"


def test_a_lone_surrogate_and_broken_utf8_become_replacement_characters() -> None:
    lone = b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
    broken = b'data: {"choices":[{"delta":{"content":"b\xff"}}]}\n\n'
    answer = read(stream([lone, broken, DONE]))
    assert answer.text == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert answer.attempt.outcome == "ok"


def test_content_in_parts_and_fields_of_unusual_types() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Bon"},
        {"type": "text", "text": "jour"},
    ]
    chunk = delta(content=parts, tool_calls="none")
    chunk["choices"][0]["index"] = "0"
    counts = event({**usage(4, 3), "system_fingerprint": 17})
    answer = read(stream([event(chunk), STOP, counts, DONE]))
    assert (answer.reasoning, answer.text) == ("hm", "Bonjour")
    assert answer.attempt.tokens.output == 3


@pytest.mark.parametrize(
    "odd",
    [
        '"choices": [{"index": true, "delta": {"content": "!"}}]',
        '"choices": [{"delta": {"tool_calls": [{"index": false, "function": {"name": "f"}}]}}]',
        '"usage": {"prompt_tokens": 7, "prompt_tokens_details": 5}',
        '"usage": {"completion_tokens_details": "5"}',
        '"x_groq": {"usage": {"output_tokens_details": 5.0}}',
        '"system_fingerprint": 1, "usage": {"cost": %s}' % ("9" * 400),
    ],
)
def test_a_field_of_a_wrong_type_costs_no_more_than_itself(odd: str) -> None:
    pieces = [*words("a", "b"), b"data: {%s}\n\n" % odd.encode(), STOP, event(usage(7, 3)), DONE]
    answer = read(stream(pieces))
    assert (answer.attempt.outcome, answer.attempt.error_kind) == ("ok", None)
    assert answer.text in ("ab", "ab!")
    tokens = answer.attempt.tokens
    assert (tokens.prompt, tokens.output) == (7, 3)
    assert answer.attempt.gateway_cost_usd is None


def test_completions_stream_their_text() -> None:
    pieces = [
        event({"model": "m", "choices": [{"index": 0, "text": text, "finish_reason": None}]})
        for text in ("def", " f()", ":")
    ]
    end = event({"choices": [{"index": 0, "text": "", "finish_reason": "length"}]})
    answer = read(stream([*pieces, end, event(usage(2, 3)), DONE]))
    assert answer.text == "def f():"
    assert answer.attempt.event_tokens == [1, 1, 1]
    assert (answer.attempt.finish_reason, answer.attempt.outcome) == ("length", "ok")


def test_a_message_repeated_at_the_end_is_not_counted_twice() -> None:
    last = {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}]}
    assert read(stream([*words("a", "b"), event(last), DONE])).text == "ab"


@pytest.mark.parametrize("streaming", [True, False])
def test_an_answer_in_one_piece_is_one_event(streaming: bool) -> None:
    payload = {
        "model": "m-2",
        "choices": [
            {"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "system_fingerprint": "fp",
        "service_tier": "default",
    }
    answer = read(whole(payload), streaming=streaming)
    attempt = answer.attempt
    assert (answer.text, attempt.outcome) == ("Hello", "ok")
    assert attempt.event_ns == [attempt.first_event] == [attempt.ended]
    assert (attempt.event_tokens, attempt.tokens.streamed_from) == ([2], "usage")
    assert (attempt.system_fingerprint, attempt.service_tier) == ("fp", "default")


def test_an_empty_answer_with_a_finish_reason_is_whole() -> None:
    attempt = read(stream([ROLE, STOP, event(usage(3, 1)), DONE])).attempt
    assert (attempt.outcome, attempt.first_token, attempt.event_ns) == ("ok", None, [])
    assert (attempt.tokens.output, attempt.tokens.streamed) == (1, 0)


def test_llama_cpps_timings_are_passed_over() -> None:
    last = {**usage(3, 2), "timings": {"predicted_n": 99, "predicted_per_token_ms": "x"}}
    attempt = read(stream([ROLE, *words("a", "b"), STOP, event(last), DONE])).attempt
    assert attempt.tokens.output == 2


def test_groqs_envelope_holds_the_usage() -> None:
    last = event({"choices": [], "x_groq": {"usage": usage(3, 2)["usage"]}})
    assert read(stream([*words("a", "b"), last, DONE])).attempt.tokens.prompt == 3


def test_a_missing_done_is_noted_and_no_error() -> None:
    attempt = read(stream([*words("a"), STOP])).attempt
    assert (attempt.outcome, attempt.saw_done) == ("ok", False)


@pytest.mark.parametrize("done", [True, False])
def test_a_body_that_ends_with_the_connection(done: bool) -> None:
    reads = [head("Connection: close"), *words("a"), STOP, *([DONE] if done else [])]
    attempt = read(reads, closes=True).attempt
    assert (attempt.outcome, attempt.saw_done) == ("ok", done)


def test_http_1_0_and_a_continue_before_the_answer() -> None:
    reads = [b"HTTP/1.1 100 Continue\r\n\r\n", head(version="1.0"), *words("a"), STOP, DONE]
    attempt = read(reads, closes=True).attempt
    assert (attempt.http_status, attempt.outcome) == (200, "ok")
    assert attempt.headers == SENT + 20_000_000


def test_events_of_merged_segments_share_a_stamp_and_a_burst_does_not() -> None:
    reads = [*stream([])[:1], b"".join(chunked(words("a", "b", "c"))[:3]), *chunked([DONE])]
    late = read(reads, merged=frozenset({1})).attempt
    assert late.event_shared == [True, True, False]
    assert late.shared_stamps == 2
    burst = read(reads).attempt
    assert burst.event_shared == [False, False, False]
    assert burst.shared_stamps == 0


def test_one_text_event_in_a_merged_read_shares_nothing() -> None:
    reads = [*stream([])[:1], b"".join(chunked([*words("a"), STOP, DONE]))]
    attempt = read(reads, merged=frozenset({1})).attempt
    assert attempt.event_shared == [False]


@given(
    characters=st.lists(st.integers(1, 400), min_size=1, max_size=60), surplus=st.integers(-20, 900)
)
def test_shared_out_tokens_sum_up_and_leave_no_event_without_one(
    characters: list[int], surplus: int
) -> None:
    tokens = max(1, len(characters) + surplus)
    counts, split = count_tokens(
        Usage(prompt_tokens=1, completion_tokens=tokens), characters, [], reasoning_streamed=False
    )
    if surplus in (0, 1):
        assert split == [1] * len(characters)  # the end of the sequence has no text
    else:
        assert sum(split) == tokens == counts.streamed
        assert min(split) >= (1 if tokens >= len(characters) else 0)
