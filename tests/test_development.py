"""docs/development.md: every path that a recipe names exists, and every room is on the map."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### (An? [a-z ]+)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
WANTED = [
    "A metric",
    "A provider",
    "An engine",
    "A page",
    "An arrival process",
    "A sensor",
    "A verb",
]


@pytest.mark.parametrize("recipe", WANTED)
def test_the_paths_of_a_recipe_exist(recipe: str) -> None:
    """NAME stands for the new part's name: then its folder exists."""
    paths = re.findall(r"`((?:observatory|site|tests)/[\w./]+)`", RECIPES[recipe])
    assert len(paths) >= 3
    folders = [ROOT / path if "NAME" not in path else (ROOT / path).parent for path in paths]
    assert [path for path in folders if not path.exists()] == []


@pytest.mark.parametrize("recipe", WANTED)
def test_a_recipe_names_its_table(recipe: str) -> None:
    found = re.findall(r"`(observatory/[\w./]+)`:[^`]*`([A-Z]{3,})`", RECIPES[recipe])
    assert any(
        re.search(rf"^{table}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        for path, table in found
        if "NAME" not in path
    )


def test_the_map_has_every_room() -> None:
    rooms = {
        path.parent.name
        for path in (ROOT / "observatory").glob("*/__init__.py")
        if path.parent.name != "__pycache__"
    }
    named = set(re.findall(r"`([a-z]+)`", PAGE.split("## Rooms")[1].split("Three walls")[0]))
    assert rooms - named == set()
    assert len(rooms) >= 20
