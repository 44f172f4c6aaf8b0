"""Whether an answer is JSON, and how many of its fields are right."""

import json
from collections import Counter
from typing import Any

from observatory.quality.answer_text import fenced_blocks, folded

_MOST_STARTS = 8
"""Opening brackets tried in a text with prose round its JSON: each attempt may read all of the text."""
_MOST_FIELDS = 20_000
_DEEPEST = 64

Path = tuple[str | None, ...]
"""Names from the outside in; None is any place in a list."""
Leaf = tuple[Path, tuple[str, object]]


def json_fields(expected: Any, answer: str) -> tuple[float, str | None]:
    """Return the F1 over the fields of `expected` and of the answer's JSON, 0.0 where it has none, and a note.

    A field is a path to a leaf and its value; members of a list share one path, so their order is
    not judged. Values match by type: texts folded (case, white space), numbers by value (3 is
    3.0), and "3" is not 3. A null is as good as an absent field. `expected` may be the text of a
    JSON document. Notes: wrapped (a code fence or prose surrounds the JSON),
    invalid_json. Raise ValueError where `expected` is neither an object, a list, nor a text of one.
    """
    wanted = parse_reference(expected)
    found, wrapped = find_json(answer, type(wanted))
    if found is None:
        return 0.0, "invalid_json"
    return _f1(_leaves(wanted), _leaves(found)), "wrapped" if wrapped else None


def parse_reference(expected: Any) -> dict[str, Any] | list[Any]:
    """Return the reference's object or list; raise ValueError where it is none."""
    if isinstance(expected, str):
        expected = _decoded(expected)
    if not isinstance(expected, dict | list) or not expected:
        raise ValueError("a JSON reference must be an object or a list with something in it")
    return expected


def find_json(answer: str, kind: type) -> tuple[Any, bool]:
    """Return the answer's JSON value of `kind` (dict or list) and whether other text surrounds it.

    Try the whole text first, then each fenced block, then the text from the first opening brackets;
    (None, False) where none of them can be read.
    """
    document = _decoded(answer)
    if isinstance(document, kind):
        return document, False
    for block in fenced_blocks(answer):
        inside = _decoded(block)
        if isinstance(inside, kind):
            return inside, True
    bracket = "{" if kind is dict else "["
    at = answer.find(bracket)
    for _ in range(_MOST_STARTS):
        if at < 0:
            break
        try:
            value, end = _DECODER.raw_decode(answer, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, kind):
                return value, True
        at = answer.find(bracket, end)
    return None, False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _decoded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _f1(wanted: Counter[Leaf], found: Counter[Leaf]) -> float:
    total = sum(wanted.values()) + sum(found.values())
    return 2 * sum((wanted & found).values()) / total if total else 1.0


def _leaves(document: Any) -> Counter[Leaf]:
    """Return every leaf that is not null with its path, at most _MOST_FIELDS of them."""
    counted: Counter[Leaf] = Counter()
    waiting: list[tuple[Path, Any]] = [((), document)] if document else []
    while waiting and len(counted) < _MOST_FIELDS:
        path, value = waiting.pop()
        if isinstance(value, dict) and value and len(path) < _DEEPEST:
            waiting.extend(((*path, name), member) for name, member in value.items())
        elif isinstance(value, list) and value and len(path) < _DEEPEST:
            waiting.extend(((*path, None), member) for member in value)
        elif value is not None:
            counted[path, _comparable(value)] += 1
    return counted


def _comparable(value: Any) -> tuple[str, object]:
    """Return a leaf so that equal means right; an empty container, or one too deep, is its kind."""
    match value:
        case bool():
            return "boolean", value
        case int() | float():
            return "number", value
        case str():
            return "text", folded(value)
        case _:
            return type(value).__name__, None
