"""The package's structure: no import cycles, small files, functions and folders, declared and owned libraries.

A list of exceptions shrinks: an entry that is not needed any more fails its test, too.
"""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("structure")  # one process parses the package
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "observatory"
FILES = sorted(PACKAGE.rglob("*.py"))

MOST_LINES, MOST_FUNCTION_LINES, MOST_FILES = 400, 60, 25
TABLES = {"store/schema/tables.py"}
"""Files that are one table, and longer for that."""
LONG_FUNCTIONS: set[str] = set()
"""Functions that are still to be cut: none."""
OTHER_ENVIRONMENTS = {"gguf", "torch", "transformers"}
"""Libraries of vLLM's own environment, in which the programs of models/conversion run."""
OWNERS = {"altair": "site", "jinja2": "site", "markupsafe": "site", "vl_convert": "site"}
"""Libraries that one room alone may import."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports_of(node: ast.AST) -> Iterator[str]:
    """Yield every module that is imported in a tree, in functions too, but for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from imports_of(other)
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                yield inner if inner in MODULES else child.module
        yield from imports_of(child)


@cache
def imports() -> dict[str, set[str]]:
    """Return what each module imports; made by the first test that asks, as every process collects this file."""
    return {module: set(imports_of(tree_of(path))) for module, path in MODULES.items()}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of two or more modules (Tarjan 1972)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for other in graph[module]:
            if other not in numbers:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], numbers[other])
        if lowest[module] == numbers[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in numbers:
            visit(module)
    return found


def test_cycles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"a"}}
    assert cycles(graph) == [["b", "c"]]


def test_no_import_cycle() -> None:
    graph = {
        module: {other for other in others if other in MODULES and other != module}
        for module, others in imports().items()
    }
    assert cycles(graph) == []


def test_no_file_is_long_but_for_tables() -> None:
    long = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }
    assert long == TABLES


def test_no_function_is_long() -> None:
    long = {
        f"{path.relative_to(PACKAGE).as_posix()}:{node.name}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION_LINES
    }
    assert long == LONG_FUNCTIONS


def test_no_folder_is_large() -> None:
    counts = Counter(
        path.parent.relative_to(ROOT).as_posix() for path in FILES if path.name != "__init__.py"
    )
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_every_folder_is_a_package_whose_init_is_empty() -> None:
    for path in FILES:
        init = path.with_name("__init__.py")
        assert init.is_file() and init.read_text(encoding="utf-8") == "", init


def test_no_module_lists_names_for_others_to_import() -> None:
    hubs = [
        module
        for module, path in MODULES.items()
        if any(
            isinstance(node, ast.Name) and node.id == "__all__" for node in ast.walk(tree_of(path))
        )
    ]
    assert hubs == []


def foreign() -> dict[str, set[str]]:
    """Return the top-level packages of others that are imported, and the modules that do it."""
    found: dict[str, set[str]] = {}
    for module, others in imports().items():
        for other in others:
            top = other.partition(".")[0]
            if top != "observatory" and top not in sys.stdlib_module_names:
                found.setdefault(top, set()).add(module)
    return found


def test_every_imported_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        re.split(r"[^\w.-]", line, maxsplit=1)[0].lower().replace("_", "-")
        for line in project["dependencies"]
    }
    providers = packages_distributions()
    undeclared = {
        name
        for name in foreign().keys() - OTHER_ENVIRONMENTS
        if not any(one.lower().replace("_", "-") in declared for one in providers.get(name, [name]))
    }
    assert undeclared == set()


def test_what_runs_elsewhere_is_imported_by_its_programs_alone() -> None:
    used = foreign()
    assert used.keys() >= OTHER_ENVIRONMENTS
    for name in OTHER_ENVIRONMENTS:
        assert all(module.startswith("observatory.models.conversion.") for module in used[name])


@pytest.mark.parametrize(("library", "room"), OWNERS.items())
def test_a_library_has_one_owner(library: str, room: str) -> None:
    users = foreign()[library]
    assert users and {module.split(".")[1] for module in users} == {room}


def test_vllm_is_imported_nowhere() -> None:
    assert "vllm" not in foreign()


def test_the_site_is_imported_only_to_build_and_serve_it() -> None:
    entries = {"observatory.site.build", "observatory.site.serve"}
    for module, others in imports().items():
        room = module.split(".")[1] if "." in module else ""
        used = {other for other in others if other.startswith("observatory.site")}
        if room != "site" and used:
            assert room in ("cli", "runner") and used <= entries, module
        if room == "runner":
            assert used <= {"observatory.site.build"}, module
