"""Faults as changes of a script: the output before each fault, and how the answer ends."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.emulation.profile import FAULT_KINDS
from observatory.emulator.events import BIG_EVENT_BYTES
from observatory.emulator.model import Prepared
from observatory.emulator.script import GARBAGE_HTTP, WriteStep
from tests.endpoints.emulated_streams import HEAD, asked, prepare, profile, read, steps_of

REFUSALS = {"http_429": 429, "http_503": 503, "http_529": 529}
BREAKS = {"reset": "reset", "stall": "close", "early_close": "close", "garbage_http": "close"}


def faulty(
    kind: str, *, stream: bool = True, body: bytes = b"body", **fields: Any
) -> list[WriteStep]:
    rest = {name: fields.pop(name) for name in list(fields) if name in ("shape", "reasoning")}
    behaviour = profile(faults={kind: 1.0, **fields}, **rest)
    return steps_of(behaviour, asked(stream=stream, usage=stream), body)


def data_of(steps: list[WriteStep]) -> bytes:
    return b"".join(step.data for step in steps)


@pytest.mark.parametrize(("kind", "status"), REFUSALS.items())
def test_overload_is_refused_at_once_without_a_slot(kind: str, status: int) -> None:
    reply, _, fault = prepare(profile(faults={kind: 1.0, "retry_after": "1500ms"}), asked())
    assert (reply.status, fault) == (status, kind)
    assert json.loads(reply.body)["error"]["message"]
    headers = dict(reply.headers)
    if kind == "http_429":
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "1500")
        assert headers["x-ratelimit-remaining-requests"] == "0"
    else:
        assert "retry-after" not in headers


@pytest.mark.parametrize("kind", ["chat", "completions", "messages", "responses"])
@pytest.mark.parametrize("limits", [{"requests_per_minute": 300}, {"tokens_per_minute": 9_000}])
def test_a_refusal_by_chance_does_not_contradict_real_limits(
    kind: str, limits: dict[str, int]
) -> None:
    reply, beside, _ = prepare(profile(faults={"http_429": 1.0}, limits=limits), asked(kind))
    names = [name for name, _ in (*reply.headers, *beside) if "ratelimit" in name]
    assert names
    assert len(names) == len(set(names))
    assert "60" not in dict((*reply.headers, *beside)).values()


@pytest.mark.parametrize("stream", [True, False])
def test_a_server_error_comes_after_the_time_to_first_token(stream: bool) -> None:
    [step] = faulty("http_500", stream=stream)
    assert step.gap_s == pytest.approx(0.1)
    assert step.data.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("kind", ["reset", "stall", "early_close", "error_event"])
def test_a_broken_stream_has_said_something_and_has_no_end(kind: str) -> None:
    steps = faulty(kind, stall_for="7s")
    stated = sum(step.tokens for step in steps)
    assert 1 <= stated < 6
    if kind == "error_event":
        stream = read(steps)
        assert stream.ended and not stream.done
        assert "error" in stream.objects[-1]
        assert all("error" not in event for event in stream.objects[:-1])
    else:
        assert not data_of(steps).endswith(b"0\r\n\r\n")
        assert steps[-1].ending == BREAKS[kind]
        assert [step.ending for step in steps[:-1]] == [None] * (len(steps) - 1)
        assert steps[-1].gap_s == (7.0 if kind == "stall" else 0.01)


def test_garbage_http_is_no_response() -> None:
    steps = faulty("garbage_http")
    assert data_of(steps) == GARBAGE_HTTP
    assert steps[-1].ending == "close"


def test_a_garbage_event_is_in_the_middle_and_the_stream_goes_on() -> None:
    steps = faulty("garbage_event")
    with pytest.raises(json.JSONDecodeError):
        read(steps)
    strange = next(at for at, step in enumerate(steps) if b'{"ind\n' in step.data)
    assert 0 < sum(step.tokens for step in steps[:strange]) < 6
    del steps[strange]
    assert read(steps).done


def test_a_big_event_holds_a_mebibyte_of_text() -> None:
    stream = read(faulty("big_event"))
    assert stream.done
    lengths = [len(delta.get("content") or "") for delta in stream.deltas]
    assert max(lengths) == BIG_EVENT_BYTES
    assert sum(length > 100 for length in lengths) == 1


def test_slow_headers_delay_everything() -> None:
    slow, usual = faulty("slow_headers", slow_headers_by="3s"), steps_of(profile(), asked())
    assert (slow[0].gap_s, slow[0].data, slow[0].stretch) == (3.0, b"", "fixed")
    assert data_of(slow[1:]).startswith(HEAD)
    assert [step.gap_s for step in slow[1:]] == [step.gap_s for step in usual]


def test_wrong_usage_a_swapped_model_and_a_missing_done_are_told_apart() -> None:
    wrong = read(faulty("wrong_usage", wrong_usage_factor=2)).usages[-1]
    assert wrong is not None
    assert (wrong["completion_tokens"], wrong["prompt_tokens"]) == (12, 6)
    swapped = read(faulty("model_swap"))
    assert {event["model"] for event in swapped.objects} == {"m-swapped"}
    elsewhere = read(faulty("fingerprint_swap"))
    assert {event["system_fingerprint"] for event in elsewhere.objects} == {"fp_emulated_other"}
    without = read(faulty("no_done"))
    assert without.ended and not without.done
    assert without.objects[-1]["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize("kind", ["reset", "stall", "early_close"])
def test_a_whole_answer_breaks_off_in_its_body(kind: str) -> None:
    steps = faulty(kind, stream=False)
    head, _, body = data_of(steps).partition(b"\r\n\r\n")
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < length
    assert steps[-1].ending == BREAKS[kind]


@pytest.mark.parametrize(("kind", "good"), [("error_event", True), ("garbage_event", False)])
def test_a_whole_answer_can_be_an_error_or_no_json(kind: str, good: bool) -> None:
    head, _, body = data_of(faulty(kind, stream=False)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    if good:
        assert "error" in json.loads(body)
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


@given(
    kind=st.sampled_from(FAULT_KINDS),
    body=st.binary(),
    tokens=st.integers(1, 20),
    per_event=st.integers(1, 4),
    per_write=st.integers(1, 4),
    pieces=st.integers(1, 4),
)
def test_whatever_happens_something_was_said_before_a_break_and_nothing_after(
    kind: str, body: bytes, tokens: int, per_event: int, per_write: int, pieces: int
) -> None:
    shape = {"tokens_per_event": per_event, "events_per_write": per_write, "pieces": pieces}
    fields = {"output_tokens_median": tokens, "output_tokens_p95": tokens}
    behaviour = profile(faults={kind: 1.0}, shape=shape, **fields)
    prepared = prepare(behaviour, asked(), body)
    if kind in REFUSALS:
        assert not isinstance(prepared, Prepared)
        return
    steps = list(prepared.steps())
    endings = [step.ending for step in steps]
    assert endings[-1] == BREAKS.get(kind)
    assert not any(endings[:-1])
    assert all(step.gap_s >= 0 for step in steps)
    stated = sum(step.tokens for step in steps)
    if kind in ("reset", "stall", "early_close", "error_event"):
        assert stated >= 1
    elif kind not in ("http_500", "garbage_http"):
        assert stated == tokens
