"""However the network cuts an answer into reads, the record is the same but for its instants, and
each instant is that of the read which brought the completing byte."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.wires.http_attempt import DecodedAnswer
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import chunked, delta, event, head, read, stream, usage, whole

CORPUS = {
    path.name: path.read_bytes()
    for path in sorted(Path(__file__).with_name("corpus").glob("*.http"))
}


def wire_in(name: str) -> WireName:
    """Return the wire of a recording, which its name contains unless it is OpenAI's."""
    parts = name.split("-")
    return "messages" if "messages" in parts else "responses" if "responses" in parts else "openai"


INSTANTS = (
    "headers",
    "first_event",
    "first_token",
    "first_reasoning",
    "first_answer",
    "last_token",
    "usage_event",
    "ended",
)


def fed(raw: bytes, cuts: Sequence[int], wire: WireName = "openai") -> DecodedAnswer:
    """Decoded from `raw` cut at those places; a read's stamp is the bytes that had come by then."""
    ends = sorted({cut for cut in cuts if 0 < cut < len(raw)} | {len(raw)})
    reads = [raw[start:end] for start, end in itertools.pairwise([0, *ends])]
    return read(reads, stamps=ends, closes=True, wire=wire)


def without_instants(answer: DecodedAnswer) -> Any:
    """All of it but instants."""
    fields = msgspec.structs.asdict(answer.attempt)
    for name in (*INSTANTS, "event_ns"):
        fields.pop(name)
    return fields, answer.text, answer.reasoning, answer.tool_text


def check(raw: bytes, cuts: Sequence[int], wire: WireName = "openai") -> None:
    """Against the same bytes read one by one, where every stamp is the completing byte's place."""
    exact = fed(raw, range(1, len(raw)), wire)
    answer = fed(raw, cuts, wire)
    assert without_instants(answer) == without_instants(exact)
    ends = sorted({cut for cut in cuts if 0 < cut < len(raw)} | {len(raw)})

    def completing(place: int | None) -> int | None:
        return place if place is None else next(end for end in ends if end >= place)

    for name in INSTANTS:
        assert getattr(answer.attempt, name) == completing(getattr(exact.attempt, name)), name
    assert answer.attempt.event_ns == [completing(place) for place in exact.attempt.event_ns]


TEXTS = st.text(min_size=0, max_size=6)
FIELDS = st.sampled_from(["content", "reasoning_content", "reasoning", "thinking", "refusal"])


@st.composite
def payloads(draw: st.DrawFn) -> Any:
    """One event's JSON."""
    match draw(st.integers(0, 6)):
        case 0:
            return delta(role="assistant", content=draw(st.none() | st.just("")))
        case 1:
            call = {"index": draw(st.integers(0, 2)), "function": {"arguments": draw(TEXTS)}}
            return delta(tool_calls=[call])
        case 2:
            return {"choices": [{"text": draw(TEXTS), "finish_reason": None}]}
        case 3:
            return usage(draw(st.integers(0, 50)), draw(st.integers(0, 50)))
        case 4:
            return {
                **delta(content=draw(TEXTS)),
                "usage": usage(1, draw(st.integers(0, 50)))["usage"],
            }
        case _:
            return delta(**{draw(FIELDS): draw(TEXTS)})


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A whole response: any events, noise between them, any line end, any framing."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    pieces = []
    for payload in draw(st.lists(payloads(), max_size=8)):
        pieces.append(event(payload, end=end, prefix=draw(st.sampled_from(["data: ", "data:"]))))
        noise = [
            "",
            "",
            "",
            f": ping{end}{end}",
            end,
            f"event: ping{end}{end}",
            f"data: {{{end}{end}",
        ]
        pieces.append(draw(st.sampled_from(noise)).encode())
    pieces.append(draw(st.sampled_from([b"", f"data: [DONE]{end}{end}".encode(), b"data: [DONE]"])))
    body = b"".join(pieces)
    match draw(st.integers(0, 2)):
        case 0:
            places = draw(st.lists(st.integers(0, len(body)), max_size=6))
            bounds = sorted({0, len(body), *places})
            parts = [body[a:b] for a, b in itertools.pairwise(bounds)]
            raw = head("Transfer-Encoding: chunked") + b"".join(chunked(parts))
        case 1:
            raw = head(f"Content-Length: {len(body)}") + body
        case _:
            raw = head("Connection: close") + body
    # Some end too early.
    return raw[: len(raw) - draw(st.sampled_from([0, 0, 0, 1, 2, 7, 40]))]


@given(raw=streams(), data=st.data())
def test_any_cutting_of_any_stream_gives_the_same_record(raw: bytes, data: st.DataObject) -> None:
    check(raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))


@given(text=st.text(min_size=1, max_size=40), data=st.data())
def test_a_character_cut_in_two_is_whole_in_the_record(text: str, data: st.DataObject) -> None:
    raw = b"".join(stream([event(delta(content=text)), b"data: [DONE]\n\n"]))
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=20))
    assert fed(raw, cuts).text == text


@given(cuts=st.lists(st.integers(0, 400), max_size=10))
def test_any_cutting_of_an_answer_in_one_piece(cuts: list[int]) -> None:
    payload = {"choices": [{"message": {"content": "Zürich"}, "finish_reason": "stop"}]}
    check(b"".join(whole(payload, "x-request-id: r-1")), cuts)


@pytest.mark.parametrize("name", CORPUS)
@settings(max_examples=20)
@given(data=st.data())
def test_any_cutting_of_a_recorded_stream(name: str, data: st.DataObject) -> None:
    raw = CORPUS[name]
    check(raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=30)), wire_in(name))


@pytest.mark.parametrize(
    ("name", "outcome", "prompt", "output", "streamed", "usage_from"),
    [
        ("llama-cpp-chat-stream.http", "ok", 41, 19, 18, "usage"),
        ("llama-cpp-chat-stream-no-usage.http", "ok", 41, 8, 8, "usage"),
        ("llama-cpp-chat-whole.http", "ok", 41, 8, 8, "usage"),
        ("llama-cpp-completions-stream.http", "ok", 7, 16, 16, "usage"),
        ("llama-cpp-completions-whole.http", "ok", 7, 8, 8, "usage"),
        ("llama-cpp-bad-request.http", "error", None, None, 0, None),
        ("llama-cpp-not-found.http", "error", None, None, 0, None),
        ("llama-cpp-messages-stream.http", "ok", 22, 17, 16, "usage"),
        ("llama-cpp-messages-whole.http", "ok", 35, 8, 8, "usage"),
        ("llama-cpp-messages-bad-request.http", "error", None, None, 0, None),
        ("llama-cpp-responses-stream.http", "ok", 22, 17, 16, "usage"),
        ("llama-cpp-responses-whole.http", "ok", 35, 8, 8, "usage"),
        ("llama-cpp-responses-bad-request.http", "error", None, None, 0, None),
    ],
)
def test_recorded_llama_cpp_answers(
    name: str,
    outcome: str,
    prompt: int | None,
    output: int | None,
    streamed: int,
    usage_from: str | None,
) -> None:
    attempt = fed(CORPUS[name], [], wire_in(name)).attempt
    assert attempt.outcome == outcome
    tokens = attempt.tokens
    assert (tokens.prompt, tokens.output, tokens.streamed) == (prompt, output, streamed)
    assert tokens.output_from == usage_from
    assert (attempt.model_reported is None) == (outcome != "ok")


@given(raw=st.binary(max_size=300), data=st.data())
def test_no_bytes_whatever_raise(raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([b"", head("Connection: close"), head(kind="text/html")]))
    answer = fed(start + raw or b"x", [len(start)])
    assert answer.attempt.outcome in ("ok", "error", "throttled")
    msgspec.msgpack.encode(answer.attempt)
