"""The table of reasons has every code that is given, and none that is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import observatory
from observatory.core.reasons import REASONS

PACKAGE = Path(observatory.__file__).parent
CODE = re.compile(r"[a-z]+(_[a-z]+)+|failures|emulated")
LIMITS = "limit_"
"""Modules of analysis whose reasons are those of `observatory limits`, with a table of their own."""
TABLES = ("core/reasons.py", "analysis/comparison/compare.py")


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if not str(path).endswith(TABLES):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def codes_in(node: ast.AST) -> set[str]:
    texts = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}


def given(node: ast.AST) -> Iterator[ast.AST]:
    """What a call gives as a reason: absent's first argument, or the keyword."""
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "absent":
        yield from node.args[:1]
    if name in ("absent", "replace", "Estimate", "Cost", "Component", "Figure"):
        yield from (one.value for one in node.keywords if one.arg == "reason")


def test_every_code_that_is_given_has_its_wording() -> None:
    missing = {
        (code, path.name)
        for path, tree in trees()
        if not path.name.startswith(LIMITS)
        for node in ast.walk(tree)
        for reason in given(node)
        for code in codes_in(reason)
        if code not in REASONS
    }
    assert missing == set()


def test_every_wording_is_of_a_code_that_is_given() -> None:
    used = {code for _, tree in trees() for code in codes_in(tree)}
    used |= set(
        re.findall(
            r"[a-z]+(?:_[a-z]+)+", (PACKAGE / "store" / "views" / "money_views.py").read_text()
        )
    )
    assert sorted(set(REASONS) - used) == []
    assert len(REASONS) > 30
