"""Reads a page in Prometheus' text format, or OpenMetrics': text in, series out, nothing else.

Only the lines of wanted series are taken apart, because an engine's page is mostly histogram buckets
and is read once a second beside a load. It knows no names and no units.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[ \t]*([a-zA-Z_:][\w:]*|(?=\{))", re.ASCII)
_LABELS = re.compile(r'\{((?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\}')
_PAIR = re.compile(
    r'[ \t]*(?:([a-zA-Z_]\w*)|"((?:[^"\\]|\\.)*)")[ \t]*'
    r'(?:=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*)?(?:,|$)',
    re.ASCII,
)
_REST = re.compile(r"[ \t]*(\S+)(?:[ \t]+([-+]?[\d.]+(?:[eE][-+]?\d+)?))?[ \t]*(?:#[ \t].*)?\r?$")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf|nan)", re.I)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name (with _sum, _count or _bucket where it is of a histogram), labels, value.

    value may be NaN or infinite. timestamp is as it stands on the page: milliseconds in Prometheus'
    format, seconds in OpenMetrics'; None where the page has none.
    """

    name: str
    labels: dict[str, str]
    value: float
    timestamp: float | None = None


def read_page(page: str, wanted: Callable[[str], bool] | None = None) -> Iterator[Series]:
    """The series whose name is wanted (default: all), in the page's order.

    ValueError names the line where a wanted one cannot be read, and a page whose last line has no
    end: it was cut off, and a number that was cut is another number.
    """
    if page and not page.endswith("\n"):
        raise ValueError("the page was cut off: its last line has no end")
    for number, line in enumerate(page.split("\n"), start=1):
        if not line or line[0] == "#":
            continue
        head = _NAME.match(line)
        if head is None:
            if line.strip():
                raise ValueError(f"line {number} of the page is no series")
            continue
        if head[1] and wanted is not None and not wanted(head[1]):
            continue
        series = _series(head[1], line[head.end() :].lstrip(" \t"))
        if series is None:
            raise ValueError(f"line {number} of the page is no series")
        if head[1] or wanted is None or wanted(series.name):
            yield series


def _series(name: str, rest: str) -> Series | None:
    labels: dict[str, str] = {}
    if rest.startswith("{"):
        block = _LABELS.match(rest)
        read = None if block is None else _pairs(block[1])
        if block is None or read is None:
            return None
        quoted, labels = read
        if bool(quoted) == bool(name):  # either before the braces or, in quotes, first in them
            return None
        name = name or quoted
        rest = rest[block.end() :]
    told = _REST.match(rest)
    if not name or told is None or not _NUMBER.fullmatch(told[1]):
        return None
    return Series(name, labels, float(told[1]), None if told[2] is None else float(told[2]))


def _pairs(text: str) -> tuple[str, dict[str, str]] | None:
    """A quoted name, "" where there is none, and the labels; None where they cannot be read."""
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
    """Label text as it was meant; a backslash before anything else stands for itself."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text)


@dataclass(frozen=True, slots=True)
class Selector:
    """A name, and the values that some labels must have: `name{label="x"}`."""

    name: str
    labels: Mapping[str, str]

    def fits(self, series: Series) -> bool:
        """Whether a series is one of those meant."""
        return series.name == self.name and all(
            series.labels.get(label) == value for label, value in self.labels.items()
        )


def selector(text: str) -> Selector:
    """Read one as a person writes it; ValueError where it is none (only = is known, no patterns)."""
    head = _NAME.match(text)
    rest = "" if head is None else text[head.end() :].strip()
    block = _LABELS.fullmatch(rest) if rest else None
    read = ("", dict[str, str]()) if not rest else None if block is None else _pairs(block[1])
    if head is None or not head[1] or read is None or read[0]:
        raise ValueError(f'{text!r} is no series: write name or name{{label="value"}}')
    return Selector(head[1], read[1])
