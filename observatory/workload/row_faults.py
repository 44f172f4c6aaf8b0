"""What is wrong with one row of a file beyond the types of its columns: all of it, not the first alone.

A row is a mapping of columns as JSON has them. A check of several columns is left out where one of them
is wrong already.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from observatory.inputs.validation_errors import FieldError

ROLES = ("system", "developer", "user", "assistant", "tool")


def row_faults(
    line: int, row: Mapping[str, Any], known: Collection[str], bad: Collection[str]
) -> Iterator[FieldError]:
    """Yield every fault of a row that its columns' types do not show; bad: columns that are wrong already.

    known are the names of all columns; an unknown one may be a misspelt prompt.
    """
    for column, value in row.items():
        yield from _text_faults(line, column, value)
    messages = row.get("messages")
    if isinstance(messages, list) and "messages" not in bad:
        for place, message in enumerate(messages):
            if isinstance(message, dict) and (what := _message_fault(place, message)):
                yield FieldError(line, "messages", what)
    yield from (FieldError(line, "", what) for what in _question_faults(row, known, bad))


def _text_faults(line: int, column: str, value: Any) -> Iterator[FieldError]:
    """Yield what cannot be text or a number of 64 bits in one column."""
    try:
        msgspec.msgpack.encode([column, value])
    except UnicodeEncodeError:
        yield FieldError(line, column, "half of a surrogate pair is not text")
    except OverflowError:
        yield FieldError(line, column, "a whole number has more than 64 bits")
    text = value if isinstance(value, str) else repr(value)
    if column == "metadata" or not ("\x00" in text or "\\x00" in text or "\ufffd" in text):
        return
    parts = list(_texts(value))
    if any("\x00" in part for part in parts):
        yield FieldError(line, column, "holds the character U+0000", "remove it")
    if any("\ufffd" in part for part in parts):
        what = "holds the character U+FFFD, which replaced bytes that could not be read"
        yield FieldError(line, column, what, "write the file again from its source, as UTF-8")


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from (key, *_texts(inner))
        case list():
            for inner in value:
                yield from _texts(inner)


def _message_fault(place: int, message: Mapping[str, Any]) -> str | None:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        return f"message {place + 1}: role {role!r} is not one of {', '.join(ROLES)}"
    if isinstance(content, list):
        fine = bool(content) and all(isinstance(part, dict) and "type" in part for part in content)
    elif content is None:
        fine = role == "assistant" and bool(message.get("tool_calls")) and place > 0
    else:
        fine = isinstance(content, str) and (bool(content) or place > 0)
    return (
        None if fine else f"message {place + 1}: content must be text, or a list of parts with type"
    )


def _question_faults(
    row: Mapping[str, Any], known: Collection[str], bad: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong between columns."""
    none = row.get("prompt") is None and row.get("messages") is None
    both = row.get("prompt") is not None and row.get("messages") is not None
    misspelt = none and any(name not in known for name in row)
    if (none or both) and not misspelt and not {"prompt", "messages"} & set(bad):
        yield "give prompt or messages, one of the two"
    scorer, expected, labels = row.get("scorer"), row.get("expected"), row.get("labels")
    if scorer not in (None, "none") and expected is None and not {"scorer", "expected"} & set(bad):
        yield f"scorer {scorer} needs expected"
    readable = isinstance(labels, list) and isinstance(expected, str) and "labels" not in bad
    if readable and labels and expected not in labels:
        yield f"expected {expected!r} is not one of the labels"
