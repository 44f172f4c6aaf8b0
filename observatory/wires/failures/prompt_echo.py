"""Removes from an error's text the parts of the prompt that a server repeats: a prompt is stored only where the scenario sets it.

Pure; called for failed answers alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MARK = "(prompt not kept)"
_LEAST = 24
"""Characters in common with the prompt that are taken for a part of it."""
_LEAST_LENGTH = 8
"""Characters of a whole message that is looked for."""
_STEP = _LEAST // 2


def without_prompt(text: str, body: Mapping[str, Any]) -> str:
    """Return the text with MARK in place of each piece of the request's messages, but for their short ends.

    White space is compared as single spaces, as in an error's text.
    """
    for piece in {" ".join(raw.split()) for raw in _texts(body)}:
        if len(piece) >= _LEAST_LENGTH:
            text = text.replace(piece, MARK)
            text = _without_pieces(text, piece)
    return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _without_pieces(text: str, prompt: str) -> str:
    """Replace common pieces: each of _LEAST characters holds a whole window of half as many at one of the steps."""
    at = 0
    while at + _STEP <= len(text):
        if text[at : at + _STEP] not in prompt:
            at += _STEP
            continue
        start, end = _widened(text, prompt, at, at + _STEP)
        if end - start >= _LEAST:
            text = text[:start] + MARK + text[end:]
            at = start + len(MARK)
        else:
            at += _STEP
    return text


def _widened(text: str, prompt: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and text[start - 1 : end] in prompt:
        start -= 1
    while end < len(text) and text[start : end + 1] in prompt:
        end += 1
    return start, end
