"""Names in the package: public classes are unique, and no identifier has a word that describes persons."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "observatory"

WORDS = re.compile(
    "say(s|ing)?|said|tells?|told|ask(s|ed|ing)?|stand(s|ing)?|stood|beside|whoever|whatever|nobody|anew|dearer"
    "|reckon(s|ed|ing)?|knows|ways?"
)
"""STYLE: a file, a number or a test does none of these."""
FROZEN = frozenset(
    {
        # Keys and values that people write, and the options that ask them.
        *("ask", "ask_above", "ask_above_usd", "AskAboveOption", "BESIDE_API"),
        # Fields of stored and of served documents: campaign.json, engine.json, a probe's /about.
        *("asked", "standing"),
        # Keys of JSON output: `prices models`, `target providers`.
        *("dearer_above", "says"),
        "tell",  # a file's position
        "stand_ins",
    }
)


def public_classes() -> dict[str, list[str]]:
    """Each public class at a module's top level, with the files that define one of that name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(PACKAGE)))
    return found


def identifiers(path: Path) -> Iterator[str]:
    """Yield the module's name and every name, attribute, parameter, function and class in it."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case (
                ast.Name(id=name)
                | ast.Attribute(attr=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.arg(arg=name)
                | ast.alias(name=name)
            ):
                yield name


def has_word(identifier: str) -> bool:
    parts = re.split(r"[_.]|(?<=[a-z0-9])(?=[A-Z])", identifier)
    return any(WORDS.fullmatch(part.lower()) for part in parts)


def test_public_class_names_are_unique() -> None:
    found = public_classes()
    assert len(found) > 400
    assert {name: files for name, files in found.items() if len(files) > 1} == {}


def test_identifiers_have_no_word_that_describes_persons() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in identifiers(path):
            if has_word(name):
                found[name].add(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in found.items() if name not in FROZEN} == {}
    assert set(found) == FROZEN
