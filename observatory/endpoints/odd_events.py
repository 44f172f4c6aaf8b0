"""What an event that is no JSON object may be, by its data alone: what is unambiguous is read. Pure.

Gateways wrap comments, pings and time stamps in `data:` (OpenRouter's ": OPENROUTER PROCESSING"
through a relay that knows no comments); one of them must not fail an answer that is whole.
"""

import json
from typing import Literal

from observatory.endpoints.failures import names_failure, speaks_of_failure

Odd = Literal["done", "nothing", "error", "unreadable"]

_DONE = frozenset({b"[done]", b'"[done]"', b"'[done]'", b"done", b'"done"', b"[end]", b"[stop]"})
_BROKEN = (b"{", b"[", b'"')
"""What begins so was meant to be JSON: text may be lost with it."""


_LONGEST_NAME = 200


def is_error_name(name: bytes) -> bool:
    """Whether an event is an error by its name alone."""
    return bool(name) and names_failure(name[:_LONGEST_NAME].decode("utf-8", "replace"))


def read_odd(data: bytes) -> Odd | list[bytes]:
    """What the data of an event is that is no JSON object.

    A list: the objects of a JSON array, each to be read as an event (Gemini puts errors into one).
    done: the end of the stream, written otherwise. nothing: a comment, a ping, a time stamp, a scalar
    or no data. error: words about a failure. unreadable: JSON that is broken.
    """
    bare = data.strip()
    if not bare or bare.startswith(b":"):
        return "nothing"
    if bare.lower() in _DONE:
        return "done"
    try:
        value = json.loads(bare)
    except (ValueError, RecursionError):
        if bare.startswith(_BROKEN):
            return "unreadable"
        return "error" if speaks_of_failure(bare.decode("utf-8", "replace")) else "nothing"
    if isinstance(value, list):
        objects = [json.dumps(one).encode() for one in value if isinstance(one, dict)]
        return objects if objects else "nothing"
    if isinstance(value, str) and speaks_of_failure(value):
        return "error"
    return "nothing"
