"""Reads a whole event stream into an AnswerReading: quickly what is usual, fully what is not. Pure.

Usual is an event of one choice with nothing but one piece of text; a decoding turn's time goes
there. Whatever else an event holds is left to AnswerReading.event.
"""

from collections.abc import Generator
from typing import Any

import msgspec

from observatory.endpoints.answer_reading import AnswerReading
from observatory.endpoints.sse import split_events

EVENTS_A_STEP = 64
"""Events read between two yields: some 60 us, a fifth of a decoding turn."""
Arrivals = tuple[list[int], list[int]]
"""The body bytes that had come after each read, and each read's instant."""


class _Choice(msgspec.Struct, gc=False):
    delta: dict[str, str | None] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.encode
_FIELDS = frozenset({"content", "reasoning_content", "reasoning"})
_NEVER = b"\n\n"
"""What no block starts with, for it lies between them."""
_LESSONS = 64
"""How often in one answer the usual event may be learnt anew: clocks in it tick, but some servers
put something random into each, and learning costs some 4 us."""


def read_stream(
    body: bytes, arrivals: Arrivals, reading: AnswerReading
) -> Generator[None, None, None]:
    """Take in every event, pausing after each EVENTS_A_STEP of them."""
    if b"\r" in body or body.startswith(b"\xef"):
        return _read_events(body, arrivals, reading)
    return _read_blocks(body, arrivals, reading)


def _read_blocks(
    body: bytes, arrivals: Arrivals, reading: AnswerReading
) -> Generator[None, None, None]:
    """Where lines end in LF alone, events lie between blank lines, found in C.

    Most events are the last one again with another text: those are handled here without a call,
    because this loop is the decoder's cost.
    """
    blocks = body.split(b"\n\n")
    tail = blocks.pop()
    ends, instants = arrivals
    events, sizes, reads = reading.event_ns, reading.event_characters, reading.event_reads
    field, before, after = _memory.usual
    pieces = reading.content_pieces if field == "content" else reading.reasoning_pieces
    start, stop, lessons = len(before) - 1, 1 - len(after), _LESSONS
    offset = reached = at = 0
    read, seen = -1, False
    for first in range(0, len(blocks), EVENTS_A_STEP):
        for block in blocks[first : first + EVENTS_A_STEP]:
            offset += len(block) + 2
            while reached < offset:
                read += 1
                reached = ends[read]
                at = instants[read]
            text = None
            if block.startswith(before) and block.endswith(after):
                try:
                    text = _decode_text(block[start:stop])
                except ValueError:
                    text = None
            if text and seen:
                pieces.append(text)
                events.append(at)
                sizes.append(len(text))
                reads.append(read)
                continue
            _any_event(block, at, read, reading)
            if text:
                seen = True  # now that the first one's instants and names are taken in
            elif lessons and (usual := _usual(block)) is not None:
                lessons, seen = lessons - 1, True
                _memory.usual = field, before, after = usual
                start, stop = len(before) - 1, 1 - len(after)
                pieces = reading.content_pieces if field == "content" else reading.reasoning_pieces
        yield
    for data, name, _, _ in split_events(tail):
        last = ends.index(len(body))
        reading.event(data, name, instants[last], last, False)


def _any_event(block: bytes, at: int, read: int, reading: AnswerReading) -> None:
    if block.startswith(b"data: ") and b"\n" not in block:
        reading.event(block[6:], b"", at, read, True)
        return
    for data, name, _, _ in split_events(block + b"\n\n"):
        reading.event(data, name, at, read, True)


class _Memory:
    """What the usual event was last: the next answer's is often the same. It saves learning, no more."""

    usual: tuple[str, bytes, bytes] = ("content", _NEVER, _NEVER)


_memory = _Memory()


def _usual(block: bytes) -> tuple[str, bytes, bytes] | None:
    """(field, bytes before, bytes after) of the text of an event that says nothing else.

    What lies between is a JSON string less its quotes: whatever other string stands there, the
    event still says nothing else. That is tried, not guessed.
    """
    said = _said(block)
    if said is None:
        return None
    field, text = said
    literal = _encode(text)
    at = block.rfind(literal)
    before, after = block[: at + 1], block[at + len(literal) - 1 :]
    if at < 0 or _said(before + _encode(text + "+")[1:-1] + after) != (field, text + "+"):
        return None  # not found as written, or the same string in another place
    return field, before, after


def _said(block: bytes) -> tuple[str, str] | None:
    """(field, text) of an event that says nothing else."""
    if block[:6] != b"data: " or b"\n" in block:
        return None
    try:
        event = _decode(block[6:])
        [choice] = event.choices
        field, text = "content", choice.text
        if choice.delta is not None:
            [(field, text)] = choice.delta.items()
    except (ValueError, RecursionError):  # odd types, or not one of each
        return None
    if (choice.delta is not None and choice.text is not None) or choice.finish_reason is not None:
        return None
    if event.usage is not None or event.error is not None or field not in _FIELDS or not text:
        return None
    return field, text


def _read_events(
    body: bytes, arrivals: Arrivals, reading: AnswerReading
) -> Generator[None, None, None]:
    """Any body, by its lines."""
    ends, instants = arrivals
    read = 0
    for number, (data, name, end, whole) in enumerate(split_events(body), start=1):
        while ends[read] < end:
            read += 1
        reading.event(data, name, instants[read], read, whole)
        if number % EVENTS_A_STEP == 0:
            yield
