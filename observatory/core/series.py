"""A series of Prometheus' text format: its name and labels as they are written, on a page or by a person.

Text in, values out; what a page is and what a series means is known elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

NAME = re.compile(r"[ \t]*([a-zA-Z_:][\w:]*|(?=\{))", re.ASCII)
"""A name, or nothing before braces that hold it in quotes."""
LABELS = re.compile(r'\{((?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\}')
_PAIR = re.compile(
    r'[ \t]*(?:([a-zA-Z_]\w*)|"((?:[^"\\]|\\.)*)")[ \t]*'
    r'(?:=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*)?(?:,|$)',
    re.ASCII,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Selector:
    """A name, and the values that some labels must have: `name{label="x"}`."""

    name: str
    labels: Mapping[str, str]

    def fits(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether a series is one of those meant."""
        return name == self.name and all(
            labels.get(label) == value for label, value in self.labels.items()
        )


def selector(text: str) -> Selector:
    """Read one as a person writes it; ValueError where it is none (only = is known, no patterns)."""
    head = NAME.match(text)
    rest = "" if head is None else text[head.end() :].strip()
    block = LABELS.fullmatch(rest) if rest else None
    read = ("", dict[str, str]()) if not rest else None if block is None else label_pairs(block[1])
    if head is None or not head[1] or read is None or read[0]:
        raise ValueError(f'{text!r} is no series: write name or name{{label="value"}}')
    return Selector(head[1], read[1])


def label_pairs(text: str) -> tuple[str, dict[str, str]] | None:
    """Return a quoted name, "" where there is none, and the labels; None where they cannot be read."""
    name, labels, at = "", dict[str, str](), 0
    while text[at:].strip(" \t"):
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        key = pair[1] if pair[1] is not None else _unescaped(pair[2])
        if pair[3] is None:
            if pair[1] is not None or name or labels:
                return None
            name = key
        elif key in labels:
            return None
        else:
            labels[key] = _unescaped(pair[3])
        at = pair.end()
    return name, labels


def _unescaped(text: str) -> str:
    """Return label text without its escapes; a backslash before another character is itself."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text)
