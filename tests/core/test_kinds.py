"""Code outside a kind's own files reads traits: no kind of arrivals, stages or targets is compared by name, and no
provider of the catalogue."""

import ast
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

import observatory
from observatory.core.arrivals.catalogue import ARRIVALS, arrival_label
from observatory.core.plan import PRIMING
from observatory.core.targets.catalogue import TARGETS, kind_traits
from observatory.core.targets.identity import TargetIdentity
from observatory.providers.catalogue import PROVIDERS

ROOT = Path(observatory.__file__).parent
OWN = ("core/arrivals/", "core/targets/", "providers/")
OF_KINDS = {
    "ApiTarget": ("endpoints/api.py",),
    "VllmTarget": ("endpoints/vllm.py", "engines/vllm_executable.py"),
}
"""Files of a kind other than its model, which may compare it with others."""


def kinds(models: tuple[type[BaseModel], ...]) -> set[str]:
    """Return the words that select the models, from their schemas."""
    return {str(model.model_json_schema()["properties"]["kind"]["const"]) for model in models}


NAMES = kinds(ARRIVALS) | kinds(TARGETS) | {PRIMING}
CLASSES = {model.__name__ for model in TARGETS}


def compared(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that compare a kind with a name or test a target's class, with the compared values."""
    text = path.read_text(encoding="utf-8")
    if "kind" not in text and not any(name in text for name in CLASSES):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            found = words(node) & NAMES
            if found and "kind" in ast.unparse(node).lower():
                yield from ((node.lineno, word) for word in found)
        elif isinstance(node, ast.Match) and "kind" in ast.unparse(node.subject).lower():
            for case in node.cases:
                yield from ((node.lineno, word) for word in words(case.pattern) & NAMES)
        elif isinstance(node, ast.MatchClass) and ast.unparse(node.cls) in CLASSES:
            yield node.lineno, ast.unparse(node.cls)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "isinstance"
        ):
            reported = {one.id for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)}
            yield from ((node.lineno, name) for name in reported & CLASSES)


def compared_providers(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that compare a provider with a name of the catalogue, with that name."""
    text = path.read_text(encoding="utf-8")
    if "provider" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and "provider" in ast.unparse(node).lower():
            yield from ((node.lineno, word) for word in words(node) & set(PROVIDERS))
        elif isinstance(node, ast.Match) and "provider" in ast.unparse(node.subject).lower():
            for case in node.cases:
                yield from ((node.lineno, word) for word in words(case.pattern) & set(PROVIDERS))


def words(node: ast.AST) -> set[str]:
    """Return the strings in a part of the program."""
    found = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
    return {one for one in found if isinstance(one, str)}


def test_the_search_finds_what_it_is_for(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(
        'a = stage.kind != "closed"\n'
        'b = run["target_kind"] in ("vllm", "other")\n'
        "c = isinstance(target, ApiTarget | Other)\n"
        'd = row.kind == "input"\n'
        'e = word == "closed"\n'
        'match target.kind:\n    case "url" | "else":\n        pass\n'
        "match target:\n    case VllmTarget():\n        pass\n"
        'f = stage.kind == "prime"\n'
    )
    found = sorted(compared(path))
    assert found == [
        (1, "closed"),
        (2, "vllm"),
        (3, "ApiTarget"),
        (6, "url"),
        (10, "VllmTarget"),
        (12, "prime"),
    ]


def test_the_search_finds_compared_providers(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(
        'a = 1 if provider == "groq" else 2\n'
        'b = target.provider in ("together", "other")\n'
        'c = wire == "openai"\n'
        'd = provider == "of nobody"\n'
        'match run.provider:\n    case "mistral":\n        pass\n'
    )
    assert sorted(compared_providers(path)) == [(1, "groq"), (2, "together"), (5, "mistral")]


def test_no_kind_is_compared_outside_its_own_files() -> None:
    found = [
        f"{name}:{line}: {what}"
        for path in sorted(ROOT.rglob("*.py"))
        if not (name := str(path.relative_to(ROOT))).startswith(OWN)
        for line, what in (*compared(path), *compared_providers(path))
        if name not in OF_KINDS.get(what, ())
    ]
    assert found == []


def test_stored_kinds_have_the_traits_of_their_models() -> None:
    assert {kind: kind_traits(kind) for kind in kinds(TARGETS)} == {
        "llamacpp": TARGETS[0],
        "vllm": TARGETS[1],
        "url": TARGETS[2],
        "api": TARGETS[3],
        "emulated": TARGETS[4],
    }
    assert kind_traits("of a later version") is TargetIdentity
    assert not kind_traits("of a later version").emulated


def test_arrivals_are_named_for_pages() -> None:
    assert {kind: arrival_label(kind) for kind in kinds(ARRIVALS)} == {
        "closed": "closed loop: each user sends again when answered",
        "constant": "open loop, evenly spaced",
        "poisson": "open loop, Poisson",
    }
    assert arrival_label("of a later version") == ""
