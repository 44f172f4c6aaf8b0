"""An emulated answer's bytes in every shape: what a strict reader finds in them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.emulator.script import WriteStep
from tests.endpoints.emulated_streams import EXACT, Read, asked, profile, read, steps_of

ROLE = {"role": "assistant", "content": ""}


def shaped(asks: bool = False, reasoning: dict[str, Any] | None = None, **shape: Any) -> Read:
    behaviour = profile(shape=shape, reasoning=reasoning or {})
    eol = "\r\n" if shape.get("line_end") == "crlf" else "\n"
    return read(steps_of(behaviour, asked(usage=asks)), eol)


def test_a_chat_is_a_role_the_tokens_a_reason_usage_and_done() -> None:
    stream = shaped(asks=True)
    assert stream.ended and stream.done
    assert stream.deltas[0] == ROLE
    assert stream.deltas[-1] == {}
    assert [set(delta) for delta in stream.deltas[1:-1]] == [{"content"}] * 6
    assert len(stream.text().split()) == 6
    reasons = [c["finish_reason"] for event in stream.objects for c in event["choices"]]
    assert reasons == [None] * 7 + ["stop"]
    assert stream.usages[:-1] == [None] * 8
    assert stream.objects[-1]["choices"] == []
    assert stream.usages[-1] == {
        "prompt_tokens": 3,
        "completion_tokens": 6,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert {event["id"] for event in stream.objects} == {"chatcmpl-emulated-00000007"}
    assert {event["object"] for event in stream.objects} == {"chat.completion.chunk"}


def test_a_completion_has_text_and_no_role() -> None:
    stream = read(steps_of(profile(), asked("completions", usage=True)))
    texts = [choice["text"] for event in stream.objects for choice in event["choices"]]
    assert len("".join(texts).split()) == 6
    assert texts[-1] == ""
    assert {event["object"] for event in stream.objects} == {"text_completion"}


def test_where_the_role_stands() -> None:
    with_content = shaped(role="with_content")
    assert with_content.deltas[0]["role"] == "assistant"
    assert with_content.deltas[0]["content"]
    assert not any("role" in delta for delta in with_content.deltas[1:])
    assert not any("role" in delta for delta in shaped(role="absent").deltas)


@pytest.mark.parametrize(
    ("usage", "asks", "counts"),
    [
        ("asked", False, []),
        ("asked", True, [None] * 8 + [6]),
        ("always", False, [6]),
        ("with_finish", False, [6]),
        ("every_event", False, [0, 1, 2, 3, 4, 5, 6, 6, 6]),
        ("never", True, []),
    ],
)
def test_where_usage_stands(usage: str, asks: bool, counts: list[int | None]) -> None:
    stream = shaped(asks, usage=usage)
    assert [one and one["completion_tokens"] for one in stream.usages] == counts
    if usage == "with_finish":
        assert stream.objects[-1]["choices"][0]["finish_reason"] == "stop"


def test_several_tokens_an_event() -> None:
    stream = shaped(tokens_per_event=4)
    assert [len(delta["content"].split()) for delta in stream.deltas[1:-1]] == [4, 2]
    assert stream.text() == shaped().text()


def test_line_ends_comments_padding_and_a_missing_done() -> None:
    stream = shaped(line_end="crlf", comments=True, padding_bytes=1000, done=False)
    assert stream.text() == shaped().text()
    assert stream.comments == ["emulated"] * 8
    assert all(len(event["padding"]) == 1000 for event in stream.objects)
    assert stream.ended and not stream.done


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_streamed_reasoning_comes_first_under_its_name(name: str) -> None:
    stream = shaped(asks=True, reasoning={"tokens_median": 4, "tokens_p95": 4, "stream": name})
    assert [next(iter(delta)) for delta in stream.deltas[1:-1]] == [name] * 4 + ["content"] * 6
    usage = stream.usages[-1]
    assert usage is not None
    assert usage["completion_tokens"] == 10
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 4}


def test_reasoning_under_both_names_is_the_same_text() -> None:
    stream = shaped(reasoning={"tokens_median": 4, "tokens_p95": 4, "stream": "both"})
    assert stream.text("reasoning") == stream.text("reasoning_content")
    assert len(stream.text("reasoning").split()) == 4


def test_the_first_event_of_the_answer_can_hold_reasoning_too() -> None:
    thinks = {"tokens_median": 4, "tokens_p95": 4, "stream": "reasoning", "meets_answer": True}
    stream = shaped(reasoning=thinks)
    keys = [sorted(delta) for delta in stream.deltas[1:-1]]
    assert keys == [["reasoning"]] * 3 + [["content", "reasoning"]] + [["content"]] * 5
    assert len(stream.text().split()) == 6
    assert len(stream.text("reasoning").split()) == 4


def test_hidden_reasoning_is_billed_and_waited_for_but_not_seen() -> None:
    behaviour = profile(reasoning={"tokens_median": 2000, "tokens_p95": 2000})
    steps = steps_of(behaviour, asked(usage=True))
    stream = read(steps)
    assert [sorted(delta) for delta in stream.deltas[1:-1]] == [["content"]] * 6
    usage = stream.usages[-1]
    assert usage is not None
    assert usage["completion_tokens"] == 2006
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 2000}
    first = next(at for at, step in enumerate(steps) if step.tokens)
    assert sum(step.gap_s for step in steps[: first + 1]) == pytest.approx(0.1 + 2000 * 0.01)


def test_a_tool_call_comes_in_pieces_and_is_json_in_the_end() -> None:
    stream = shaped(answer="tool_call")
    calls = [delta["tool_calls"][0] for delta in stream.deltas if "tool_calls" in delta]
    assert calls[0]["id"].startswith("call_emulated_")
    assert calls[0]["function"]["name"] == "look_up"
    arguments = json.loads("".join(call["function"]["arguments"] for call in calls))
    assert len(arguments["query"].split()) == 5
    assert stream.objects[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_whole_answer_says_what_the_stream_says() -> None:
    for shape in ({}, {"answer": "tool_call"}):
        [wait, step] = steps_of(profile(shape=shape), asked(stream=False))
        body = json.loads(step.data.partition(b"\r\n\r\n")[2])
        message = body["choices"][0]["message"]
        streamed = read(steps_of(profile(shape=shape), asked()))
        if shape:
            pieces = [d["tool_calls"][0] for d in streamed.deltas if "tool_calls" in d]
            text = "".join(piece["function"]["arguments"] for piece in pieces)
            assert message["tool_calls"][0]["function"]["arguments"] == text
        else:
            assert message["content"] == streamed.text()
        assert body["usage"]["completion_tokens"] == 6
        assert wait.gap_s + step.gap_s == pytest.approx(0.1 + 5 * 0.01)


def test_cached_tokens_are_told() -> None:
    behaviour = profile(prompt_cache={"kind": "fraction", "fraction": 0.7})
    usage = read(steps_of(behaviour, asked(usage=True))).usages[-1]
    assert usage is not None
    assert usage["prompt_tokens_details"] == {"cached_tokens": 2}


SHAPES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["own_event", "with_content", "absent"]),
        "tokens_per_event": st.integers(1, 9),
        "events_per_write": st.integers(1, 9),
        "usage": st.sampled_from(["asked", "always", "with_finish", "every_event", "never"]),
        "comments": st.booleans(),
        "line_end": st.sampled_from(["lf", "crlf"]),
        "pieces": st.integers(1, 5),
        "padding_bytes": st.integers(0, 50),
        "text": st.sampled_from(["question", "multibyte"]),
        "answer": st.sampled_from(["text", "tool_call"]),
    }
)
THINKING = st.fixed_dictionaries(
    {
        "tokens_median": st.integers(1, 20),
        "stream": st.sampled_from(["hidden", "reasoning_content", "reasoning", "both"]),
        "meets_answer": st.booleans(),
    }
).map(lambda fields: {**fields, "tokens_p95": fields["tokens_median"]})


@given(
    shape=SHAPES, thinks=st.one_of(st.none(), THINKING), tokens=st.integers(1, 30), body=st.binary()
)
def test_every_shape_carries_the_same_answer_in_the_same_time(
    shape: dict[str, Any], thinks: dict[str, Any] | None, tokens: int, body: bytes
) -> None:
    fields = {"output_tokens_median": tokens, "output_tokens_p95": tokens}
    behaviour = profile(shape=shape, reasoning=thinks or {}, **fields)
    steps = steps_of(behaviour, asked(), body)
    stream = read(steps, "\r\n" if shape["line_end"] == "crlf" else "\n")
    assert stream.ended and stream.done
    reasoning = thinks["tokens_median"] if thinks else 0
    hidden = reasoning if not thinks or thinks["stream"] == "hidden" else 0
    assert sum(step.tokens for step in steps) == reasoning + tokens - hidden
    assert all(step.gap_s >= 0 for step in steps)
    meets = bool(thinks) and not hidden and thinks is not None and thinks["meets_answer"]
    total = sum(step.gap_s for step in steps)
    # The events that open the answer cost the first token's delay, with any content.
    most = 0.1 + (reasoning + tokens) * 0.01
    assert 0.1 <= total <= most + 1e-9 or meets
    if shape["answer"] == "text":
        plain = profile(shape={"text": shape["text"]}, reasoning=thinks or {}, **fields)
        assert stream.text() == read(steps_of(plain, asked(), body)).text()


def test_events_are_coalesced_into_writes_and_wait_for_the_last() -> None:
    steps = steps_of(profile(shape={"events_per_write": 2}), asked())
    text = [step for step in steps if step.tokens]
    assert [step.events for step in text] == [1, 2, 2, 1]
    assert [step.gap_s for step in text] == pytest.approx([0.1, 0.02, 0.02, 0.01])


def cut(steps: list[WriteStep]) -> list[bytes]:
    return [step.data for step in steps]


def test_events_are_cut_anywhere_and_nothing_is_lost() -> None:
    fields: dict[str, Any] = {"text": "multibyte"}
    whole = steps_of(profile(shape=fields), asked())
    pieces = steps_of(profile(shape=fields | {"pieces": 8, "piece_pause": "1ms"}), asked())
    assert b"".join(cut(pieces)) == b"".join(cut(whole))
    assert len(pieces) > 4 * len(whole)
    assert all(step.alone for step in pieces if step.data)
    assert sum(step.gap_s for step in pieces) == pytest.approx(
        sum(step.gap_s for step in whole), abs=0.02
    )

    def broken(data: bytes) -> bool:
        try:
            data.decode()
        except UnicodeDecodeError:
            return True
        return False

    assert any(broken(data) for data in cut(pieces))


def test_six_tokens_take_what_the_profile_says() -> None:
    steps = steps_of(profile(), asked())
    assert EXACT["output_tokens_median"] == sum(step.tokens for step in steps)
    assert [step.gap_s for step in steps] == pytest.approx([0, 0.1] + [0.01] * 5 + [0])
