"""The fast path through a stream gives the result of the full one, for any events."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from observatory.wires.answer_reading import AnswerReading
from observatory.wires.apis.chat_reading import ChatReading
from observatory.wires.streams.sse import split_events
from observatory.wires.streams.stream_reading import EVENTS_A_STEP, Arrivals, read_stream


def long_way(body: bytes, arrivals: Arrivals) -> AnswerReading:
    reading = ChatReading()
    for data, name, end, whole in split_events(body):
        read = next(number for number, come in enumerate(arrivals[0]) if come >= end)
        reading.event(data, name, arrivals[1][read], read, whole)
    return reading


def short_way(body: bytes, arrivals: Arrivals, pieces: Sequence[bytes] = ()) -> AnswerReading:
    reading = ChatReading()
    for _ in read_stream(body, arrivals, reading, pieces):
        pass
    return reading


def facts(reading: AnswerReading) -> dict[str, Any]:
    return {name: getattr(reading, name) for name in AnswerReading.__slots__ if name != "usage"}


WORDS = st.sampled_from(["a", "m", "x", "content", "é", '"', "\\", "\n", "null", "", "+", "a+"])


@st.composite
def alike(draw: st.DrawFn) -> bytes:
    """A stream of one server: the same event again and again, now and then another."""
    model, tag = draw(WORDS), draw(WORDS)
    field = draw(st.sampled_from(["content", "reasoning_content", "reasoning"]))
    spaced = draw(st.booleans())
    separators = (", ", ": ") if spaced else (",", ":")
    blocks = []
    for number in range(draw(st.integers(1, 20))):
        choice: dict[str, Any] = {"delta": {field: draw(WORDS)}, "finish_reason": None}
        chunk: dict[str, Any] = {"model": model, "choices": [choice], "tag": tag}
        match draw(st.integers(0, 12)):
            case 0:
                choice["finish_reason"] = "stop"
            case 1:
                choice["delta"] = {"content": "b", "reasoning": "r"}
            case 2:
                chunk["usage"] = {"completion_tokens": number}
            case 3:
                chunk["error"] = {"message": "no"}
            case 4:
                chunk["choices"] = [choice, choice]
            case 5:
                choice["text"] = "t"
            case 6:
                chunk["created"] = number
            case _:
                pass
        text = json.dumps(chunk, separators=separators, ensure_ascii=draw(st.booleans()))
        blocks.append(f"data: {text}\n\n".encode())
    return b"".join(blocks) + draw(st.sampled_from([b"", b"data: [DONE]\n\n", b"data: {"]))


@given(body=alike(), cuts=st.data())
def test_both_ways_read_the_same(body: bytes, cuts: st.DataObject) -> None:
    ends = sorted(cuts.draw(st.sets(st.integers(1, len(body)))) | {len(body)})
    arrivals = (ends, [7 * end for end in ends])
    assert facts(short_way(body, arrivals)) == facts(long_way(body, arrivals))
    # What was learnt from the first answer is tried on the next one.
    assert facts(short_way(body, arrivals)) == facts(long_way(body, arrivals))


@given(alike(), st.data())
def test_pieces_change_nothing_whatever_they_are(body: bytes, cuts: st.DataObject) -> None:
    """Whole events, as most servers send them, but for some that are joined or cut."""
    events = [event + b"\n\n" for event in body.split(b"\n\n")]
    events[-1] = events[-1][:-2]
    ends = [0]
    for event in events:
        ends.append(ends[-1] + len(event))
    odd = cuts.draw(st.lists(st.integers(0, len(body)), max_size=2))
    left_out = set(cuts.draw(st.lists(st.integers(1, len(events)), max_size=2)))
    kept = {end for place, end in enumerate(ends) if place not in left_out}
    marks = sorted({*kept, *odd, 0, len(body)})
    pieces = [body[start:end] for start, end in pairwise(marks)]
    arrivals = ([len(body)], [7])
    assert b"".join(pieces) == body
    assert facts(short_way(body, arrivals, pieces)) == facts(long_way(body, arrivals))


def test_pieces_that_are_the_events_are_taken_together() -> None:
    body = b"".join(
        b'data: {"choices":[{"delta":{"content":"w%d"}}]}\n\n' % number for number in range(300)
    )
    pieces = [event + b"\n\n" for event in body.split(b"\n\n")[:-1]]
    arrivals = ([len(body)], [7])
    steps = list(read_stream(body, arrivals, ChatReading(), pieces))
    assert len(steps) == 2
    assert facts(short_way(body, arrivals, pieces)) == facts(long_way(body, arrivals))


def test_a_text_that_stands_in_another_field_too_is_not_mistaken() -> None:
    def block(text: str) -> str:
        choice = {"delta": {"content": text}, "finish_reason": None}
        return f"data: {json.dumps({'choices': [choice], 'model': 'same'})}\n\n"

    body = "".join(map(block, ["same", "same", "other", "same"])).encode()
    reading = short_way(body, ([len(body)], [7]))
    assert reading.content_pieces == ["same", "same", "other", "same"]


def test_a_long_stream_is_read_in_steps() -> None:
    body = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n' * (3 * EVENTS_A_STEP)
    reading = ChatReading()
    assert len(list(read_stream(body, ([len(body)], [7]), reading))) >= 2
    assert len(reading.event_ns) == 3 * EVENTS_A_STEP
