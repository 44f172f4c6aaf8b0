"""Server-sent events out of a whole body, each with the offset at which it was complete.

Pure. It gets the body in one piece, so that how the network cut it cannot matter; the caller turns
offsets into instants. Rules: WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice

from observatory.wires.streams.odd_events import (
    is_bare_done,
    is_done,
    is_done_name,
    is_error_name,
    mended,
)

BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_QUIET = frozenset({b"", b"id", b"retry"})
"""Fields of the standard that hold nothing of the answer; an empty one is a comment."""
_BARE_NAME = re.compile(rb"[A-Za-z][\w .\-]{0,80}")
_ERROR_FIELD = re.compile(rb"(?i)error|exception|fail|fatal|panic|traceback")
"""A field that is an error's; `timeout: 30` may be a setting."""
_NO_ERROR = frozenset({b"null", b"none", b"false", b"0"})
NO_FIELD = b"\0no field"
"""The name of an event of a JSON object, or of [DONE], on a line without `data:`."""


Event = tuple[bytes, bytes, int, bool]
"""(data, name, end, whole): data's lines joined by LF; end is the offset just after the byte that
completed it, where a line ends at its LF, or at its CR with any byte after it. whole is False for text
at the end of the body without the blank line that dispatches it, which the standard drops and
some servers rely on."""


def split_events(body: bytes) -> Iterator[Event]:
    """Return every event with data, be it empty, in order, and an error or an end without; comments, ids and retry fields
    are passed over. A line that is no field is an event where it is a JSON object or [DONE] (named NO_FIELD), or
    where the word before its colon names a failure.

    Where only one line end separates events, the standard joins them into one event, whose data has one
    line for each. Data of which every line is a complete JSON object (or [DONE]) can only be that, so
    each line is an event, complete at its line end (`lacks_blank_line` finds them).
    """
    start = len(BOM) if body.startswith(BOM) else 0
    if b"\r" in body:
        return _by_lines(body, start)
    return _by_blank_lines(body, start)


def lacks_blank_line(body: bytes, end: int) -> bool:
    """Return whether the whole event that ended there was ended by one line end alone."""
    return body[end - 2 : end - 1] not in (b"\n", b"\r") and body[end - 1 : end] in (b"\n", b"\r")


def _by_blank_lines(body: bytes, start: int) -> Iterator[Event]:
    """Yield the events of a body with LF alone, the usual one: blocks between blank lines, found in C."""
    blocks = body[start:].split(b"\n\n") if start else body.split(b"\n\n")
    last = len(blocks) - 1
    at = start
    for number, block in enumerate(blocks):
        begin, at = at, at + len(block) + 2
        # A body that ends in one line end lacks only the blank line.
        end, complete = (at, True) if number < last else (len(body), False)
        if block.startswith(b"data: ") and b"\n" not in block:
            yield block[6:], b"", end, complete
        elif block:
            lines = block.split(b"\n")
            ends = accumulate((len(line) + 1 for line in lines), initial=begin)
            yield from _events_of(lines, ends, end, complete)


def _by_lines(body: bytes, start: int) -> Iterator[Event]:
    lines: list[bytes] = []
    ends = [start]
    at = start
    for match in _LINE_END.finditer(body, start):
        line = body[at : match.start()]
        at = match.end()
        if line:
            lines.append(line)
            ends.append(match.start() + 1)
            continue
        yield from _events_of(lines, ends, match.start() + 1, True)
        lines.clear()
        ends = [at]
    lines.append(body[at:])
    ends.append(len(body))
    yield from _events_of(lines, ends, len(body), False)


def _events_of(
    lines: list[bytes], ends: Iterable[int], end: int, complete: bool
) -> Iterator[Event]:
    """Yield the event of a block's lines, complete at `end`, or one for each of its lines of data.

    ends: where the block begins, then where each line ended, the LF or CR included.
    """
    if len(lines) > 1 and sum(line.startswith(b"data:") for line in lines) > 1:
        events = _one_a_line(lines, ends, end, complete)
        if events:
            yield from events[:-1]
            for data, name in _outside(_fields(lines)[2], alone=False):
                yield data, name, end, complete
            yield events[-1]
            return
    found, named, others = _fields(lines)
    if others:  # before the data, which may be the stream's end
        for data, name in _outside(others, alone=found is None):
            yield data, name, end, complete
    if found is not None or is_error_name(named) or is_done_name(named):
        yield found or b"", named, end, complete


def _outside(lines: list[bytes], *, alone: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield data and name of what lines state that are no field of the standard: JSON objects, errors, and [DONE].

    llama.cpp sends `error: {...}`, some gateways their error's JSON alone. alone: no line of the block is data.
    """
    joined = b"\n".join(lines)
    if alone and len(lines) > 1 and _is_complete(joined.strip()):
        yield joined, NO_FIELD
        return
    for line in lines:
        if line.startswith(b"{"):
            if _is_complete(line.rstrip()):
                yield line, NO_FIELD
            continue
        if is_bare_done(line):
            yield b"[DONE]", NO_FIELD
            continue
        field, colon, value = line.partition(b":")
        value = value.strip()
        if not _BARE_NAME.fullmatch(field) or value.lower() in _NO_ERROR:
            continue
        if is_error_name(field) and (not colon or _ERROR_FIELD.search(field)):
            yield value or field, b"error"


def _one_a_line(lines: list[bytes], ends: Iterable[int], end: int, complete: bool) -> list[Event]:
    """Return an event for each line of data, where each is an event's whole data; else none.

    In a body that is cut off the last line may be a part of one.
    """
    events: list[Event] = []
    name = b""
    last = len(lines) - 1
    for number, (line, stop) in enumerate(zip(lines, islice(ends, 1, None), strict=False)):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value
        if field != b"data":
            continue
        sound = complete or number < last
        if sound and not _is_complete(value):
            return []
        events.append((value, name, stop if number < last else end, sound))
        name = b""
    if complete:
        data, name, _, _ = events.pop()
        events.append((data, name, end, True))
    return events


def _is_complete(data: bytes) -> bool:
    """Return whether a line of data is an event's whole data."""
    if data == b"[DONE]" or is_done(data):
        return True
    if not (data.startswith(b"{") and data.endswith(b"}")):
        return False
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return mended(data) is not None


def _fields(lines: list[bytes]) -> tuple[bytes | None, bytes, list[bytes]]:
    """Return the data, None where there is none, name, and the lines that are no field of the standard."""
    data: list[bytes] = []
    others: list[bytes] = []
    name = b""
    for line in lines:
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif field not in _QUIET:
            others.append(line)
    return b"\n".join(data) if data else None, name, others
