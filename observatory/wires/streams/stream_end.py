"""Finds the event that ends a stream on its wire, before HTTP ends the body. Pure.

Some servers never end the body after it, or send comments for ever. The load generator keeps reads
unparsed that cannot hold that event (`may_hold_end`).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from observatory.connect.bounds import EVENT
from observatory.wires.streams.odd_events import (
    OddEvent,
    is_bare_done,
    is_done,
    is_done_name,
    read_odd,
)
from observatory.wires.wires import WireName

RESPONSES_END = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
"""Types of the Responses API's last events."""
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MAYBE_WITHOUT_DATA = re.compile(rb"(?:^|[\r\n])(?:event:|\[)")
_MARKS = (b"done", b"[end]", b"[stop]", b"event: end", b"event:end")
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_CLOSED = (b"}", b"]", b'"', b"'")
_LONGEST_MARK = 16
_NO_FIELD = b"x"
"""What a line begins with that is too long to be an event's: its beginning is not kept."""


class _Typed(msgspec.Struct, gc=False):
    type: str | None = None


_decode = msgspec.json.Decoder(_Typed).decode


def _may_be_done(part: bytes | bytearray) -> bool:
    """Return whether the end may be in it, in any form that the decoder takes."""
    if b"[DONE]" in part:
        return True
    # The usual part has only data that begins as a JSON object, and is not made lower.
    if part.count(b"data:") == part.count(b"data: {") and not _MAYBE_WITHOUT_DATA.search(part):
        return False
    lower = part.lower()
    return any(mark in lower for mark in _MARKS)


def _is_done(line: bytes) -> bool:
    line = line.removeprefix(_BOM)
    return is_done(line) if line.startswith(b"data:") else is_bare_done(line)


def _names_done(line: bytes) -> bool:
    line = line.removeprefix(_BOM)
    return line.startswith(b"event:") and is_done_name(line[6:])


def _never_named(line: bytes) -> bool:
    return False


def _holds(*marks: bytes) -> Callable[[bytes | bytearray], bool]:
    """Return the test whether one of the marks is in a part."""
    return lambda part: any(mark in part for mark in marks)


def _is_of(ends: frozenset[str]) -> Callable[[bytes], bool]:
    """Return the test whether a line is the data of an event of one of these types."""

    def is_one(line: bytes) -> bool:
        line = line.removeprefix(_BOM)
        if not line.startswith(b"data:"):
            return False
        try:
            return _decode(line[5:]).type in ends
        except (ValueError, RecursionError):
            found = read_odd(line[5:])
        return isinstance(found, OddEvent) and any(map(is_one, map(b"data:".__add__, found.events)))

    return is_one


class _Rule(NamedTuple):
    """holds: whether a part of the body may hold such a line; is_end: whether a line is one; names_end: whether
    a line names its event as the last one, which is over at its blank line."""

    holds: Callable[[bytes | bytearray], bool]
    is_end: Callable[[bytes], bool]
    names_end: Callable[[bytes], bool] = _never_named


_RULES: dict[WireName, _Rule] = {
    "openai": _Rule(_may_be_done, _is_done, _names_done),
    "messages": _Rule(
        _holds(b"message_stop", b'"error"'), _is_of(frozenset({"message_stop", "error"}))
    ),
    "responses": _Rule(
        _holds(b'"response"', b'"error"'),
        _is_of(RESPONSES_END),
    ),
}


def may_hold_end(wire: WireName) -> Callable[[bytes | bytearray], bool]:
    """Return the test whether a part of a body may hold the stream's last event on that wire."""
    return _RULES[wire].holds


class StreamEnd:
    """One answer's: fed the body as it comes, it finds where the stream ended on its wire."""

    __slots__ = ("_holds", "_is_end", "_last", "_line", "_names_end")

    def __init__(self, wire: WireName) -> None:
        self._holds, self._is_end, self._names_end = _RULES[wire]
        self._line = bytearray()
        self._last: int | None = None

    def found(self, more: bytes) -> int | None:
        """Return how many of the bytes come so far lie after the last event; None where it has not come.

        A line without its line end counts where its JSON is complete. Its line ends and the blank line
        belong to the event. An event that is named as the last one is kept until its blank line.
        """
        line = self._line
        if line:
            line += more
            if not self._of_interest(line[-len(more) - _LONGEST_MARK :]):
                if len(line) > EVENT:
                    line[:] = _NO_FIELD + line[-_LONGEST_MARK:]
                return None
            more = bytes(line)
        if self._holds(more):
            after = self._after(more)
            if after is not None:
                return after
        begin, self._last = self._last, None
        if begin is None:
            begin = max(more.rfind(b"\n"), more.rfind(b"\r")) + 1
        rest = more[begin:]
        if rest or line:
            self._line = bytearray(rest)
        return None

    def _of_interest(self, part: bytearray) -> bool:
        """Return whether a part of a long line may complete it."""
        return b"\n" in part or b"\r" in part or self._holds(part)

    def _after(self, data: bytes) -> int | None:
        at = 0
        while at <= len(data):
            end = _LINE_END.search(data, at)
            stop = end.start() if end is not None else len(data)
            sure = end is not None or data.rstrip().endswith(_CLOSED)  # `data: done` may go on
            if sure and self._is_end(data[at:stop]):
                return len(data[stop:].lstrip(b"\r\n"))
            if end is None:
                break
            if self._names_end(data[at:stop]) and self._last is None:
                blank = _BLANK_LINE.search(data, stop)
                if blank is not None:
                    return len(data[blank.end() :].lstrip(b"\r\n"))
                self._last = at
            at = end.end()
        return None
