"""One odd event must not fail an answer: what is unambiguous is read, the oddity is counted and named."""

import json

import pytest

from observatory.quality.answer_text import without_reasoning
from observatory.wires.streams.sse import split_events
from observatory.wires.streams.stream_reading import ONE_LINE_END
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import SENT, delta, event, head, named, read, stream, usage, whole

DONE = b"data: [DONE]\n\n"
TEXT = [event(delta(content=text)) for text in ("one", " two")]
STOP = event(delta(finish_reason="stop"))


@pytest.mark.parametrize(
    "odd",
    [
        b"data: : PROCESSING\n\n",
        b"data: :keep-alive\n\n",
        b"data:\n\n",
        b"data: \n\n",
        b"data\n\n",
        b"data: ping\n\n",
        b"data: keep-alive\n\n",
        b"data: null\n\n",
        b"data: true\n\n",
        b"data: []\n\n",
        b'data: "ping"\n\n',
        b"data: 1764412345.5\n\n",
        b"data: 2026-11-29T10:00:00Z\n\n",
        b"event: ping\ndata: 2026-11-29 10:00:00.1+00:00\n\n",
    ],
)
@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_an_odd_event_costs_an_answer_nothing(odd: bytes, wire: WireName) -> None:
    texts = {
        "openai": [*TEXT, STOP, DONE],
        "messages": [
            named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}})
            for text in ("one", " two")
        ]
        + [named({"type": "message_stop"})],
        "responses": [
            named({"type": "response.output_text.delta", "output_index": 0, "delta": text})
            for text in ("one", " two")
        ]
        + [named({"type": "response.completed", "response": {"status": "completed"}})],
    }[wire]
    answer = read(stream([odd, texts[0], odd, *texts[1:]]), wire=wire)
    attempt = answer.attempt
    assert (attempt.outcome, answer.text, len(attempt.event_ns)) == ("ok", "one two", 2)
    assert attempt.first_token == SENT + 30_000_000
    assert attempt.odd_events == 2
    assert attempt.odd_event is not None
    assert attempt.odd_event in odd.decode() or attempt.odd_event == "an event without data"


@pytest.mark.parametrize(
    "quiet",
    [b": OPENROUTER PROCESSING\n\n", b"event: ping\n\n", b"id: 7\n\n", b"retry: 100\n\n"],
)
def test_what_the_standard_passes_over_is_not_odd(quiet: bytes) -> None:
    attempt = read(stream([quiet, *TEXT, quiet, STOP, DONE])).attempt
    assert (attempt.outcome, attempt.odd_events) == ("ok", 0)


@pytest.mark.parametrize("done", [b"[done]", b'"[DONE]"', b" [DONE] ", b"DONE"])
def test_the_end_written_otherwise_is_the_end(done: bytes) -> None:
    attempt = read(stream([*TEXT, b"data: " + done + b"\n\n"])).attempt
    assert (attempt.outcome, attempt.saw_done) == ("ok", True)


@pytest.mark.parametrize("odd", [{0}, {1}, {0, 1}, {0, 1, 2}, {3}, {0, 1, 2, 3}])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_wrapped_once_more_in_data_are_read(odd: set[int], times: int, end: bytes) -> None:
    sound = [*TEXT, STOP, DONE]
    pieces = [
        b"data: " * (times if place in odd else 0) + piece for place, piece in enumerate(sound)
    ]
    answer = read(stream([piece.replace(b"\n", end) for piece in pieces]))
    attempt = answer.attempt
    assert (attempt.outcome, answer.text, attempt.saw_done) == ("ok", "one two", True)
    assert attempt.event_ns == [SENT + 20_000_000, SENT + 30_000_000]
    assert attempt.odd_events >= len(odd) and attempt.odd_event is not None


def test_a_wrapped_error_is_an_error_and_wrapped_messages_are_read() -> None:
    wrapped = b"data: " + event({"error": {"message": "boom"}})
    attempt = read(stream([*TEXT, wrapped, DONE])).attempt
    assert (attempt.outcome, attempt.error_kind) == ("error", "error_event")
    fields = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}
    pieces = [b"data: " + event(fields), b"data: " + event({"type": "message_stop"})]
    answer = read(stream(pieces), wire="messages")
    assert (answer.attempt.outcome, answer.text) == ("ok", "a")


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        (b'{"choices":[{"delta":{"content":"a\tb"}}]}', "a\tb"),
        (b'{"choices":[{"delta":{"content":"a\x01,}"}}]}', "a\x01,}"),
        (b'{"choices":[{"delta":{"content":"ab",},},],}', "ab"),
        (b'{"choices":[{"delta":{"content":",}\\",]\t"}, } ] }', ',}",]\t'),
        (
            b'{"choices":[{"delta":{"content":"a"}}]}{"choices":[{"delta":{"content":"b"}}]}',
            "ab",
        ),
        (
            b'{"choices":[{"delta":{"content":"a"}}]} {"choices":[{"delta":{"content":"b"}}]} ',
            "ab",
        ),
    ],
)
@pytest.mark.parametrize("end", [b"\n\n", b"\n", b"\r\n\r\n"])
def test_json_with_one_plain_fault_is_read(odd: bytes, text: str, end: bytes) -> None:
    answer = read(stream([TEXT[0], b"data: " + odd + end, TEXT[1], STOP, DONE]))
    assert (answer.attempt.outcome, answer.text) == ("ok", f"one{text} two")
    assert answer.attempt.odd_events >= 1


@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_a_whole_answer_with_one_plain_fault_is_read(wire: WireName) -> None:
    bodies = {
        "openai": '{"choices":[{"message":{"content":"a\tb"},"finish_reason":"stop",}]}',
        "messages": '{"content":[{"type":"text","text":"a\tb"}],"stop_reason":"end_turn",}',
        "responses": '{"status":"completed","output":[{"type":"message","content":'
        '[{"type":"output_text","text":"a\tb"}]}],}',
    }
    body = bodies[wire].encode()
    raw = head(f"Content-Length: {len(body)}", kind="application/json") + body
    answer = read([raw], wire=wire, streaming=False)
    assert (answer.attempt.outcome, answer.text, answer.attempt.odd_events) == ("ok", "a\tb", 1)


def test_several_objects_are_no_whole_answer() -> None:
    """Their instants are not known: a time to first token would be that of the last."""
    body = b"".join(json.dumps(delta(content=text)).encode() for text in ("a", "b"))
    raw = head(f"Content-Length: {len(body)}", kind="application/x-ndjson") + body
    assert read([raw]).attempt.error_kind == "bad_json"


@pytest.mark.parametrize(
    "broken",
    [
        b'{"choices": [{"del',
        b'{"choices":[{"delta":{"content":"a"}}]}{"choi',
        b'{"choices":[{"delta":{"content":"a}}]}',
        b"{'choices': []}",
        b'{"a": 1} and more',
    ],
)
def test_json_that_may_have_lost_text_still_fails(broken: bytes) -> None:
    attempt = read(stream([*TEXT, b"data: " + broken + b"\n\n", STOP, DONE])).attempt
    assert (attempt.outcome, attempt.error_kind) == ("error", "bad_json")


def test_events_in_a_list_are_read() -> None:
    answer = read(stream([event([delta(content="one"), delta(content=" two")]), STOP, DONE]))
    assert (answer.attempt.outcome, answer.text) == ("ok", "one two")


def test_broken_json_still_fails_and_odd_words_alone_are_no_answer() -> None:
    broken = read(stream([*TEXT, b'data: {"choices": [{"del\n\n', STOP, DONE])).attempt
    assert (broken.outcome, broken.error_kind) == ("error", "bad_json")
    words = read(stream([b"data: hello there\n\n", DONE])).attempt
    assert (words.outcome, words.error_kind) == ("error", "empty_answer")
    assert "hello there" in (words.error_text or "")


LINES = [
    f"data: {json.dumps(one)}".encode()
    for one in (delta(content="a"), delta(content="b"), delta(content="c", finish_reason="stop"))
] + [b"data: [DONE]"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_one_line_end_between_events(end: bytes, last: bytes) -> None:
    pieces = [line + end for line in LINES]
    pieces[-1] += end if last else b""
    answer = read(stream(pieces))
    attempt = answer.attempt
    assert (attempt.outcome, answer.text, attempt.saw_done) == ("ok", "abc", True)
    assert attempt.event_ns == [SENT + 10_000_000 * number for number in (2, 3, 4)]
    assert attempt.odd_event == ONE_LINE_END and attempt.odd_events >= 3


def test_one_line_end_now_and_then_and_names_between() -> None:
    body = [LINES[0] + b"\n", LINES[1] + b"\n\n", LINES[2] + b"\n\n", DONE]
    mixed = read(stream(body)).attempt
    assert (mixed.outcome, len(mixed.event_ns), mixed.odd_events) == ("ok", 3, 1)
    with_names = [
        f"event: {one['type']}\ndata: {json.dumps(one)}\n".encode()
        for one in (
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}},
            {"type": "message_stop"},
        )
    ]
    answer = read(stream([*with_names, b"\n"]), wire="messages")
    assert (answer.attempt.outcome, answer.text, len(answer.attempt.event_ns)) == ("ok", "ab", 2)
    assert len(set(answer.attempt.event_ns)) == 2


def test_a_cut_in_the_last_of_them_drops_only_that_one() -> None:
    reads = [head("Connection: close"), LINES[0] + b"\n", LINES[1] + b"\n", LINES[2][:-20]]
    answer = read(reads, closes=True)
    assert (answer.attempt.outcome, answer.attempt.error_kind) == ("error", "early_close")
    assert answer.text == "ab"


def test_json_over_several_lines_stays_one_event() -> None:
    text = json.dumps(delta(content="x"), indent=1)
    data = "".join(f"data: {line}\n" for line in text.splitlines())
    assert len(list(split_events(f"{data}\n".encode()))) == 1
    parts = b'data: {"choices":[{"delta":{"content":"x"}}]\ndata: }\n\n'
    assert len(list(split_events(parts))) == 1


def test_lines_that_are_events_and_one_that_is_not_name_the_missing_blank_line() -> None:
    attempt = read(stream([LINES[0] + b"\n" + b'data: {"choices": [{"del\n\n', STOP, DONE])).attempt
    assert (attempt.outcome, attempt.error_kind) == ("error", "bad_json")
    assert "blank line" in (attempt.error_text or "")


THOUGHTS = ["The user", " asks about the sea"]


@pytest.mark.parametrize(
    "expected",
    [
        lambda text: {"reasoning_details": [{"type": "reasoning.text", "text": text}]},
        lambda text: {"reasoning_details": [{"type": "reasoning.summary", "summary": text}]},
        lambda text: {
            "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}, {"text": text}]
        },
        lambda text: {"reasoning_text": text},
        lambda text: {"reasoning": {"content": text}},
        lambda text: {"thinking_content": text},
        lambda text: {"thoughts": [{"text": text}]},
        lambda text: {"role": "assistant", "content": "", "internalReasoning": text},
        lambda text: {"reasoning_signature": "abc", "thinking_blocks": [{"thinking": text}]},
        lambda text: {"content": [{"type": "thinking", "thinking": [{"text": text}]}]},
        lambda text: {"reasoning": text, "reasoning_details": [{"text": text}]},
        lambda text: {"provider_specific_fields": {"reasoning_content": text}},
        lambda text: {
            "content": "",
            "provider_specific_fields": {"thinking_blocks": [{"thinking": text}]},
        },
        lambda text: {"cot": text},
        lambda text: {"chain_of_thought": text},
        lambda text: {"channel": "analysis", "content": text},
        lambda text: {"content": [{"type": "reasoning", "text": text}]},
        lambda text: {"content": [{"type": "reasoning", "reasoning": text}]},
        lambda text: {"content": [{"type": "thought", "text": text}, {"type": "text", "text": ""}]},
    ],
)
def test_thinking_under_every_name_is_thinking(expected: object) -> None:
    assert callable(expected)
    counts = usage(5, 9, completion_tokens_details={"reasoning_tokens": 7})
    pieces = [event({"choices": [{"delta": expected(text)}]}) for text in THOUGHTS]
    answer = read(stream([*pieces, event(delta(content="Salt.")), STOP, event(counts), DONE]))
    attempt = answer.attempt
    assert (answer.reasoning, answer.text) == ("".join(THOUGHTS), "Salt.")
    assert attempt.reasoning_characters == 27
    assert attempt.first_token == attempt.first_reasoning == SENT + 20_000_000
    assert attempt.first_answer == SENT + 40_000_000


@pytest.mark.parametrize(
    "expected",
    [
        {"reasoning_signature": "abc"},
        {"thought_signature": "abc"},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "abc"}]},
        {"reasoning_id": "rs_1", "reasoning_encrypted_content": "abc"},
        {"reasoning_content": None, "reasoning": ""},
        {"thought": True},
        {"reasoning_mode": "auto"},
        {"thinking_level": "high"},
        {"reasoningEffort": "low"},
        {"stop_reason": "none"},
        {"refusal_reason": "it may harm"},
        {"thinking": {"type": "enabled"}, "thinking_budget": "2048"},
        {"enable_thinking": "auto"},
        {"reasoning_model": "o9"},
        {"reasoning_provider": "acme"},
        {"thinking_started": "2026-11-29T10:00:00Z"},
    ],
)
def test_what_only_speaks_of_thinking_is_no_text(expected: dict[str, object]) -> None:
    answer = read(stream([event({"choices": [{"delta": expected}]}), *TEXT, STOP, DONE]))
    assert (answer.reasoning, answer.text, answer.attempt.first_reasoning) == ("", "one two", None)


def test_thinking_on_the_other_wires() -> None:
    pieces = [{"type": "reasoning_delta", "text": "hm"}, {"type": "text_delta", "text": "Yes"}]
    events = [named({"type": "content_block_delta", "delta": piece}) for piece in pieces]
    messages = read(stream([*events, named({"type": "message_stop"})]), wire="messages")
    assert (messages.reasoning, messages.text) == ("hm", "Yes")
    stated = [
        {"type": "response.reasoning.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "Yes"},
        {"type": "response.completed", "response": {"status": "completed"}},
    ]
    responses = read(stream([named(one) for one in stated]), wire="responses")
    assert (responses.reasoning, responses.text) == ("hm", "Yes")


@pytest.mark.parametrize("field", ["delta", "message", "text"])
def test_texts_that_repeat_all_before_are_taken_apart(field: str) -> None:
    so_far = ["A", "A sea", "A sea is", "A sea is salt", "A sea is salt"]
    pieces = [
        {"choices": [{"text": text} if field == "text" else {field: {"content": text}}]}
        for text in so_far
    ]
    answer = read(stream([*map(event, pieces), STOP, event(usage(3, 4)), DONE]))
    attempt = answer.attempt
    assert answer.text == "A sea is salt"
    assert attempt.event_characters == [1, 4, 3, 5]
    assert attempt.event_ns == [SENT + 10_000_000 * number for number in (2, 3, 4, 5)]
    assert attempt.event_tokens == [1, 1, 1, 1]
    assert attempt.odd_events == 1


def test_cumulative_thinking_before_an_answer_in_pieces() -> None:
    thoughts = [event(delta(reasoning_text=text)) for text in ("a", "ab", "abc")]
    answer = read(stream([*thoughts, *TEXT, STOP, DONE]))
    assert (answer.reasoning, answer.text) == ("abc", "one two")
    assert answer.attempt.event_characters == [1, 1, 1, 3, 4]


def test_reasoning_in_the_choice_next_to_its_delta() -> None:
    pieces = [{"choices": [{"delta": {}, "reasoning_content": text}]} for text in ("I ", "think")]
    answer = read(stream([*map(event, pieces), *TEXT, STOP, DONE]))
    assert (answer.reasoning, answer.text) == ("I think", "one two")
    assert answer.attempt.first_reasoning == SENT + 20_000_000


def test_the_channel_final_is_the_answer() -> None:
    stated = [("analysis", "I need"), ("analysis", " this"), ("final", "ans"), (None, "wer")]
    pieces = [event(delta(content=text, channel=channel)) for channel, text in stated]
    answer = read(stream([*pieces, STOP, DONE]))
    assert (answer.reasoning, answer.text) == ("I need this", "answer")
    assert answer.attempt.first_answer == SENT + 40_000_000


@pytest.mark.parametrize(
    ("texts", "reasoning", "text", "first_answer"),
    [
        (["<think>", "hm ", "so", "</think>", "\n\n", "The", " end"], "hm so", "\n\nThe end", 7),
        (["<th", "ink>hm", "</thi", "nk>\n", "Four", "."], "hm", "\nFour.", 6),
        (["<thought>I think", " hard", "</thought>ans", "wer"], "I think hard", "answer", 4),
        (["\n", "<think>\n\n</think>\n\n", "Four"], "\n\n\n", "\n\nFour", 4),
        (["<THINKING>", "a", "</THINKING>", " 7"], "a", " 7", 5),
        (["<reasoning>a</reasoning>", " b"], "a", " b", 3),
        (["<seed:think>a", "</seed:think>b"], "a", "b", 3),
        (["<think>a<think>b</think>", "c</think>", "d"], "abc", "d", 4),
        (["<think>a</think>\n<think>b", "</think>", "c"], "a\nb", "c", 4),
        # Cut off while it thinks.
        (["<think>", "and so", " on"], "and so on", "", None),
        # Not at the start, or no such tag: the text is the answer's.
        (["Use ", "<think>", "a", "</think>"], "", "Use <think>a</think>", 2),
        (["<", "thinker>", " is one"], "", "<thinker> is one", 2),
        # No thinking: the template opened the block, and the model closed it.
        (["</think>", "7"], "", "7", 3),
        (["<div>", "a", "</div>"], "", "<div>a</div>", 2),
    ],
)
@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_a_block_of_thinking_at_the_start_of_the_answer_is_reasoning(
    texts: list[str], reasoning: str, text: str, first_answer: int | None, wire: WireName
) -> None:
    bodies = {
        "openai": [*(event(delta(content=one)) for one in texts), STOP, DONE],
        "messages": [
            *(
                named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": one}})
                for one in texts
            ),
            named({"type": "message_stop"}),
        ],
        "responses": [
            *(
                named({"type": "response.output_text.delta", "output_index": 0, "delta": one})
                for one in texts
            ),
            named({"type": "response.completed", "response": {"status": "completed"}}),
        ],
    }
    answer = read(stream(bodies[wire]), wire=wire)
    attempt = answer.attempt
    assert (answer.reasoning, answer.text) == (reasoning, text)
    assert attempt.answer_characters == len(text)
    assert attempt.first_token == SENT + 20_000_000
    first = None if first_answer is None else SENT + 10_000_000 * first_answer
    assert attempt.first_answer == first
    assert (attempt.first_reasoning is not None) == bool(reasoning)
    assert attempt.event_characters == [len(one) for one in texts]
    assert without_reasoning("".join(texts)).strip() in (text.strip(), "7", "Use")


def test_thinking_in_a_whole_answer_and_its_tokens() -> None:
    counts = usage(5, 9, completion_tokens_details={"reasoning_tokens": 7})["usage"]
    choice = {"message": {"content": "<think>hm</think>\n7"}, "finish_reason": "stop"}
    answer = read(whole({"choices": [choice], "usage": counts}), streaming=False)
    assert (answer.reasoning, answer.text) == ("hm", "\n7")
    assert answer.attempt.first_answer is not None
    # What was streamed as thinking is not hidden.
    assert answer.attempt.tokens.streamed == 9


def test_a_tool_call_after_thinking_is_the_first_answer() -> None:
    call = delta(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{}"}}])
    pieces = [event(delta(content="<think>hm")), event(delta(content="</think>\n"))]
    attempt = read(stream([*pieces, event(call), STOP, DONE])).attempt
    assert attempt.first_answer == SENT + 40_000_000


@pytest.mark.parametrize(
    ("texts", "text", "events"),
    [
        (["Hello ", "big ", "world", "Hello big world"], "Hello big world", 3),
        (["Hello ", "big ", "world ", "Hello big world"], "Hello big world ", 3),
        (["Hello ", "Hello big ", "Hello big world!", "Hello big world"], "Hello big world!", 3),
        (["Hello ", "Hello big ", "Hello big world ", "Hello big world"], "Hello big world ", 3),
    ],
)
def test_a_last_text_that_repeats_all_others_adds_nothing(
    texts: list[str], text: str, events: int
) -> None:
    answer = read(stream([*(event(delta(content=one)) for one in texts), STOP, DONE]))
    assert (answer.text, len(answer.attempt.event_ns)) == (text, events)
    assert answer.attempt.odd_events == 1


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "ab"],
        ["1", "1", "1"],
        ["a", "ab", "b"],
        ["ha", "ha", "ha", "hahaha"],
        ["no", " no", " no no"],
        ["a", "ab", "abc", "a"],
        ["Hello ", "big ", "world", " Hello big world, again"],
    ],
)
def test_texts_that_only_look_alike_stay(texts: list[str]) -> None:
    answer = read(stream([*(event(delta(content=text)) for text in texts), STOP, DONE]))
    assert answer.text == "".join(texts)
