"""Public class names are unique in the package: one word, one thing."""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "observatory"


def public_classes() -> dict[str, list[str]]:
    """Each public class at a module's top level, with the files that define one of that name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(PACKAGE)))
    return found


def test_public_class_names_are_unique() -> None:
    found = public_classes()
    assert len(found) > 400
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
