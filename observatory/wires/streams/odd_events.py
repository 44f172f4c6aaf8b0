"""What an event that is no JSON object may be, by its data alone: what is unambiguous is read. Pure.

Gateways wrap comments, pings and time stamps in `data:` (OpenRouter's ": OPENROUTER PROCESSING"
through a relay that does not support comments); one of them must not fail an answer that is whole.
"""

import json
import re
from typing import Any, Literal, NamedTuple

from observatory.wires.failures.failures import names_failure, speaks_of_failure

Odd = Literal["done", "nothing", "error", "unreadable"]

_DONE = frozenset({b"[done]", b'"[done]"', b"'[done]'", b"done", b'"done"', b"[end]", b"[stop]"})
_BARE_DONE = frozenset({b"[done]", b"[end]"})
"""On a line without `data:`; a word alone may be anything."""
_DONE_NAMES = frozenset({b"done", b"[done]", b"end"})
_BROKEN = (b"{", b"[", b'"')
"""What begins so was meant to be JSON: text may be lost with it."""


_MOST_MENDED = 1 << 20
"""Bytes of broken JSON that are read leniently."""
_LENIENT = json.JSONDecoder(strict=False)
_COMMA = re.compile(r'"(?:[^"\\]|\\.)*+"|,(?=\s*[}\]])', re.DOTALL)
"""A string, or a comma before a closing bracket."""


class OddEvent(NamedTuple):
    """Events in the data of an odd one, each to be read as an event, and how the oddity is named."""

    events: list[bytes]
    what: str


_LONGEST_NAME = 200


def is_error_name(name: bytes) -> bool:
    """Return whether an event is an error by its name alone."""
    return bool(name) and names_failure(name[:_LONGEST_NAME].decode("utf-8", "replace"))


def is_done(data: bytes) -> bool:
    """Return whether the data of an event is the end of a stream, however it is written."""
    return _undoubled(data).lower() in _DONE


def is_bare_done(line: bytes) -> bool:
    """Return whether a line without `data:` is the end of a stream."""
    return line[:1] == b"[" and line.strip().lower() in _BARE_DONE


def is_done_name(name: bytes) -> bool:
    """Return whether an event of that name is a stream's last: `event: done`, with any data or none."""
    return name.strip().lower() in _DONE_NAMES


def _undoubled(data: bytes) -> bytes:
    """Return the data without the field's name in front of it, once or more often: some relays wrap whole lines."""
    bare = data.strip()
    while bare.startswith(b"data:"):
        bare = bare[5:].strip()
    return bare


def read_odd(data: bytes) -> Odd | OddEvent:
    """Return what the data of an event is that is no JSON object.

    Found: what is unambiguous all the same: lines wrapped once more in `data:`, the objects of a JSON array
    (Gemini puts errors into one), or what `mended` reads. done: the end of the stream, written otherwise.
    nothing: a comment, a ping, a time stamp, a scalar or no data. error: words about a failure. unreadable:
    JSON that is broken.
    """
    bare = data.strip()
    if not bare or bare.startswith(b":"):
        return "nothing"
    if bare.lower() in _DONE:
        return "done"
    if bare.startswith(b"data:"):
        lines = bare.splitlines()
        if all(line.startswith(b"data:") for line in lines):
            return OddEvent([_undoubled(line) for line in lines], "data: within data")
    try:
        value = json.loads(bare)
    except (ValueError, RecursionError):
        if bare.startswith(_BROKEN):
            return mended(bare) or "unreadable"
        return "error" if speaks_of_failure(bare.decode("utf-8", "replace")) else "nothing"
    if isinstance(value, list):
        objects = [json.dumps(one).encode() for one in value if isinstance(one, dict)]
        return OddEvent(objects, "events in a list") if objects else "nothing"
    if isinstance(value, str) and speaks_of_failure(value):
        return "error"
    return "nothing"


def mended(data: bytes) -> OddEvent | None:
    """Read JSON objects that one fault makes invalid and nothing makes ambiguous; None where that fails.

    The faults: a raw control character in a string, a comma before a closing bracket, objects one after the
    other.
    """
    if len(data) > _MOST_MENDED:
        return None
    text = data.decode("utf-8", "replace").strip()
    try:
        objects = _objects(text)
        what = "several objects in one event" if len(objects) > 1 else "a control character in JSON"
    except (ValueError, RecursionError):
        try:
            objects = _objects(_COMMA.sub(_without_comma, text))
            what = "a comma before a closing bracket"
        except (ValueError, RecursionError):
            return None
    return OddEvent([json.dumps(one).encode() for one in objects], what) if objects else None


def _without_comma(match: re.Match[str]) -> str:
    return "" if match[0] == "," else match[0]


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects that the whole text is; raise ValueError where it is anything else."""
    objects: list[dict[str, Any]] = []
    at = 0
    while at < len(text):
        value, at = _LENIENT.raw_decode(text, at)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        objects.append(value)
        while text[at : at + 1].isspace():
            at += 1
    return objects
