"""Where a stream ends on its wire, however the body is cut; and which reads can never hold that place."""

import json
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.load.reading.keeping import keeps_of
from observatory.load.reading.kept_reads import make_head
from observatory.wires.streams.odd_events import _DONE
from observatory.wires.streams.stream_end import StreamEnd
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import read, stream


def event(data: Any, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{f'event: {name}{chr(10)}' if name else ''}data: {text}\n\n".encode()


def content(text: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


TEXT: dict[WireName, list[bytes]] = {
    "openai": [
        content("a"),
        content("data: [DONE]"),
        content("\n\ndata: [DONE]\n\n"),
        b": [DONE]\n\n",
        event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        event({"choices": []}, "endpoint"),
        content("[DONE]\nevent: done\n\n"),
        b": event: done\n\n",
    ],
    "messages": [
        event({"type": "content_block_delta", "delta": {"text": '{"type":"message_stop"}'}}),
        event(
            {"type": "content_block_start", "content_block": {"input": {"type": "message_stop"}}}
        ),
        event({"type": "ping"}, "ping"),
        b": message_stop\n\n",
    ],
    "responses": [
        event({"type": "response.created", "response": {"status": "in_progress", "error": None}}),
        event({"type": "response.output_text.delta", "delta": '"type":"response.completed"'}),
        event({"type": "response.output_text.done", "text": "response.completed"}),
    ],
}
ENDS: dict[WireName, list[bytes]] = {
    "openai": [
        b"data: [DONE]\n\n",
        b"data:[DONE]\r\n\r\n",
        b"data: [DONE]\n",
        b"data: [DONE]",
        b'data: "[DONE]"\n\n',
        b"data: '[DONE]'\n\n",
        b"data: [done]\n\n",
        b"data:   [DONE]\n\n",
        b"data: [DONE]\t\n\n",
        b"data: [DONE] \t \r\n\r\n",
        b"data: DONE\n\n",
        b'data: "Done"\n\n',
        b"data: [END]\n\n",
        b"data: [stop]\n\n",
        b"data: data: [DONE]\n\n",
        b"[DONE]\n\n",
        b"[DONE]\r\n\r\n",
        b"[DONE]",
        b"[done]\n\n",
        b"event: done\ndata: {}\n\n",
        b"event: done\r\ndata: {}\r\n\r\n",
        b"event:done\ndata: ok\n\n",
        b"event: done\ndata: [DONE]\n\n",
        b"event: done\n\n",
        b"event: [DONE]\ndata:\n\n",
        b"event: end\nid: 7\ndata: \n\n",
        b'event: done\ndata: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
    ],
    "messages": [
        event({"type": "message_stop"}, "message_stop"),
        b'data: {"type":"message_stop"      }\n\n',
        b'data: data: {"type":"message_stop"}\n\n',
        b'data: {"type":"message_stop",}\n\n',
        b'data: {"type":"message_stop","x":"\t"}\n\n',
        b'data: {"type":"ping"}{"type":"message_stop"}\n\n',
        b'data: [{"type":"message_stop"}]\n\n',
        event({"type": "error", "error": {"type": "overloaded_error"}}, "error"),
    ],
    "responses": [
        event({"type": "response.completed", "response": {"output": ["x" * 3000]}}),
        event({"type": "response.incomplete", "response": {}}, "response.incomplete"),
        event({"type": "response.failed", "response": {"error": {"code": "server_error"}}}),
        event({"type": "error", "message": "no"}, "error"),
    ],
}
USUAL: dict[WireName, bytes] = {
    "openai": content("a"),
    "messages": event({"type": "content_block_delta", "delta": {"text": "a"}}),
    "responses": event({"type": "response.output_text.delta", "delta": "a"}),
}
CASES = [(wire, end) for wire in get_args(WireName) for end in ENDS[wire]]


@pytest.mark.parametrize(("wire", "end"), CASES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_end_is_found_however_the_body_is_cut(
    wire: WireName, end: bytes, data: st.DataObject
) -> None:
    body = b"".join(data.draw(st.lists(st.sampled_from(TEXT[wire]), max_size=4)))
    cuts = data.draw(st.lists(st.integers(0, len(body) + len(end)), max_size=8))
    after = data.draw(st.sampled_from([b"", b": keep-alive\n\n", content("another answer")]))
    if after and not end.endswith((b"\n\n", b"\r\n\r\n")):
        after = b""
    whole = body + end
    stream = StreamEnd(wire)
    places = [0, *sorted(cuts), len(whole)]
    found = None
    for start, stop in pairwise(places):
        assert found is None or not whole[start:].strip(b"\r\n"), "it was found before it came"
        last = stop == len(whole)
        found = stream.found(whole[start:stop] + (after if last and found is None else b""))
        if found is not None:
            break
    assert found == (len(after) if last else 0)


@pytest.mark.parametrize(("wire", "end"), CASES)
def test_the_decoder_takes_each_of_these_ends(wire: WireName, end: bytes) -> None:
    """And so its forms are those that StreamEnd has to find."""
    answer = read(stream([USUAL[wire], end]), wire=wire)
    assert answer.attempt.saw_done or answer.attempt.error_kind == "error_event"


@pytest.mark.parametrize("form", sorted(_DONE))
def test_every_form_of_done_that_the_decoder_knows_is_found(form: bytes) -> None:
    assert StreamEnd("openai").found(content("a") + b"data: " + form.upper() + b"\n\n: x\n\n") == 5


def test_a_word_that_goes_on_is_no_end_yet() -> None:
    end = StreamEnd("openai")
    assert end.found(b"data: done") is None
    assert end.found(b" with the first part\n\n") is None
    assert end.found(b"data: done") is None
    assert end.found(b"\n\n") == 0


@pytest.mark.parametrize("wire", get_args(WireName))
def test_what_only_speaks_of_the_end_is_none(wire: WireName) -> None:
    stream = StreamEnd(wire)
    assert [stream.found(each) for each in TEXT[wire]] == [None] * len(TEXT[wire])
    assert StreamEnd(wire).found(b"".join(TEXT[wire])) is None


def test_a_long_line_is_not_copied_with_each_of_its_parts() -> None:
    stream = StreamEnd("openai")
    for _ in range(1_000):
        assert stream.found(b"x" * 50_000) is None
    assert stream.found(b"\n\ndata: [DO") is None
    assert stream.found(b"NE]\n") == 0


def test_of_a_line_without_end_no_more_than_an_event_is_kept() -> None:
    stream = StreamEnd("openai")
    part = b"x" * (1 << 20)
    for _ in range(40):
        assert stream.found(part) is None
    assert len(stream._line) <= (17 << 20)
    assert stream.found(b"data: [DONE]") is None, "in the middle of a line"
    assert stream.found(b"\ndata: [DONE]") == 0


@pytest.mark.parametrize(("wire", "end"), CASES)
def test_no_read_with_the_end_is_kept_unparsed(wire: WireName, end: bytes) -> None:
    """Nor one that an end was cut in, so that its second part is read together with the first."""
    keeps = keeps_of(wire)

    def kept(payload: bytes) -> bool:
        chunk = b"%x\r\n%s\r\n" % (len(payload), payload)
        return keeps(make_head(len(chunk), bytes(16)) + chunk)

    assert kept(USUAL[wire])
    assert not kept(end)
    if wire == "openai":
        assert not any(kept(content("a") + end[:cut]) for cut in range(1, len(end)))
