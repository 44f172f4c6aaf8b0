"""YAML as scenario files may use it, with the line of every key: a strict part of YAML 1.2.

It is independent of scenarios. Duplicate keys, merge keys, tags and keys that are not text are
errors; only true and false are booleans, and 1:30 or 2026-01-01 are text.

PyYAML parses; the rules are ours. ruamel.yaml was measured on the set of tools/odd_yaml.py instead: it
reads 152 of 544 files that must be refused (merge keys, tags, infinite numbers, unlimited aliases), gives
dates where 23 files have text, and takes 2.5 times as long, so that the same rules would be written over it.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from observatory.core.errors import BadInput
from observatory.inputs.text_files import read_text, shown_path

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
"""Values after aliases are expanded; a small file can otherwise unfold into gigabytes."""
_TAG = "tag:yaml.org,2002:"

Place = tuple[str | int, ...]
"""Keys and list positions from the top of a file down to a value."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A file's value as JSON would have it, and the line of each part."""

    name: str
    value: Any
    lines: dict[Place, int]

    def line_of(self, place: Place) -> int:
        """Return the line of a value's key, or of the nearest thing around it that is written there."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's few implicit types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
    ("merge", r"^<<$", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


def read_yaml(path: Path) -> YamlDocument:
    """Read one YAML document; BadInput names file and line."""
    return parse_yaml(read_text(path, MAX_BYTES), shown_path(path))


def parse_yaml(text: str, name: str) -> YamlDocument:
    """Return the document in `text`; `name` is the file's name in errors."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise BadInput(f"not YAML: {error.reason}", where=f"{name}:{line}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise BadInput(
            f"not YAML: {error.problem or error.context}",
            where=f"{name}:{line}",
            fix=_syntax_fix(str(error.problem)),
        ) from error
    except RecursionError as error:
        raise BadInput("not YAML: nested too deep", where=f"{name}:1") from error
    if node is None:
        raise BadInput("the file is empty", where=f"{name}:1")
    reader = _Reader(name)
    return YamlDocument(name, reader.value(node, ()), reader.lines)


def _syntax_fix(problem: str) -> str | None:
    if "'\\t'" in problem:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in problem:
        return "check the indentation, and put text with a colon in quotes"
    if "expected a single document" in problem:
        return "write one document a file, without a second ---"
    return None


class _Reader:
    """Turns nodes into values and remembers lines; every refusal names one."""

    def __init__(self, name: str) -> None:
        self.lines: dict[Place, int] = {}
        self._name = name
        self._values = 0
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._refusal(node, f"more than {MAX_VALUES:,} values, aliases expanded")
        if any(node is outer for outer in self._open):
            raise self._refusal(node, "an alias to something that contains it")
        self.lines.setdefault(place, node.start_mark.line + 1)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode):
                self._expect_tag(node, "seq")
                return [self.value(part, (*place, at)) for at, part in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        self._expect_tag(node, "map")
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                raise self._refusal(key_node, "merge keys (<<) are not read", "write the keys out")
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
                raise self._refusal(key_node, "a key that is not text", "put it in quotes")
            key = key_node.value
            here = (*place, key)
            if key in result:
                raise self._refusal(
                    key_node, f"{key!r} is written twice, first in line {self.lines[here]}"
                )
            self.lines[here] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, here)
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" if _is_unicode(text):
                return text
            case "str":
                raise self._refusal(node, "half of a surrogate pair is not text")
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" | "float" as kind:
                return self._number(node, text, kind)
        raise self._refusal(node, f"the tag {node.tag!r} is not read", "remove it")

    def _number(self, node: yaml.Node, text: str, kind: str) -> int | float:
        try:
            number = int(text) if kind == "int" else float(text)
        except ValueError:
            number = math.nan
        if isinstance(number, int):
            if not -(2**63) <= number < 2**63:
                raise self._refusal(node, "a whole number has more than 64 bits")
        elif kind == "int" and text.strip("+-").isdigit():  # more digits than Python reads
            raise self._refusal(node, "a whole number has more than 64 bits")
        elif not math.isfinite(number):
            raise self._refusal(node, f"{text[:40]!r} is not a finite number")
        return number

    def _expect_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            raise self._refusal(node, f"the tag {node.tag!r} is not read", "remove it")

    def _refusal(self, node: yaml.Node, what: str, fix: str | None = None) -> BadInput:
        return BadInput(what, where=f"{self._name}:{node.start_mark.line + 1}", fix=fix)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
