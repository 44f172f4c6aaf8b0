"""Reads a whole event stream into an AnswerReading: quickly what is usual, fully what is not. Pure.

Usual is an event of one choice with nothing but one piece of text; a decoding turn's time goes
there. Whatever else an event holds is left to AnswerReading.event.
"""

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from observatory.endpoints.answer_reading import AnswerReading
from observatory.endpoints.sse import split_events

EVENTS_A_STEP = 64
"""Events read between two yields: some 60 us, a fifth of a decoding turn."""
Stamp = tuple[int, int, int]
"""(body bytes that had come, instant, number) of a read."""


class _Choice(msgspec.Struct, gc=False):
    delta: dict[str, str | None] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


def read_stream(
    body: bytes, stamps: list[Stamp], reading: AnswerReading
) -> Generator[None, None, None]:
    """Take in every event, pausing after each EVENTS_A_STEP of them."""
    if b"\r" in body or body.startswith(b"\xef"):
        return _read_events(body, stamps, reading)
    return _read_blocks(body, stamps, reading)


def _read_blocks(
    body: bytes, stamps: list[Stamp], reading: AnswerReading
) -> Generator[None, None, None]:
    """Where lines end in LF alone, events lie between blank lines, found in C.

    The usual event is handled here without a call, because this loop is the decoder's cost.
    """
    blocks = body.split(b"\n\n")
    tail = blocks.pop()
    arrivals = iter(stamps)
    decode = _decode
    events, sizes, reads = reading.event_ns, reading.event_characters, reading.event_reads
    begun = {"content": reading.content_pieces, "reasoning_content": reading.reasoning_pieces}
    begun["reasoning"] = reading.reasoning_pieces
    offset = reached = at = read = 0
    for first in range(0, len(blocks), EVENTS_A_STEP):
        for block in blocks[first : first + EVENTS_A_STEP]:
            offset += len(block) + 2
            while reached < offset:
                reached, at, read = next(arrivals)
            if block[:6] == b"data: ":
                try:
                    event = decode(block[6:])
                    [choice] = event.choices
                    field, text = "content", choice.text
                    delta = choice.delta
                    if delta is not None:
                        [(field, text)] = delta.items()
                except (ValueError, RecursionError):  # odd types, or not one of each
                    pass
                else:
                    pieces = begun.get(field)
                    if (
                        pieces
                        and text
                        and (delta is None or choice.text is None)
                        and choice.finish_reason is None
                        and event.usage is None
                        and event.error is None
                    ):
                        pieces.append(text)
                        events.append(at)
                        sizes.append(len(text))
                        reads.append(read)
                        continue
            for data, name, _, _ in split_events(block + b"\n\n"):
                reading.event(data, name, at, read, True)
        yield
    for data, name, _, _ in split_events(tail):
        _, at, read = next(stamp for stamp in stamps if stamp[0] == len(body))
        reading.event(data, name, at, read, False)


def _read_events(
    body: bytes, stamps: list[Stamp], reading: AnswerReading
) -> Generator[None, None, None]:
    """Any body, by its lines."""
    arrivals: Iterator[Stamp] = iter(stamps)
    reached = at = read = 0
    for number, (data, name, end, whole) in enumerate(split_events(body), start=1):
        while reached < end:
            reached, at, read = next(arrivals)
        reading.event(data, name, at, read, whole)
        if number % EVENTS_A_STEP == 0:
            yield
