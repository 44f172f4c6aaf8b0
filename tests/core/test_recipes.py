"""The files that the recipes of docs/development.md name are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "development.md"
FILE = re.compile(r"`((?:observatory|tests|site|docs|scenarios)/[\w./]+)`")


def recipes() -> dict[str, list[str]]:
    """Recipe -> the files that it names."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## Recipes\n")
    section, _, _ = section.partition("\n## ")
    titles = re.split(r"^### (.+)$", section, flags=re.MULTILINE)[1:]
    return {
        title: FILE.findall(text) for title, text in zip(titles[::2], titles[1::2], strict=True)
    }


def test_every_recipe_names_files_that_are_there() -> None:
    found = recipes()
    assert {"A sensor", "A metric", "A provider", "A page"} <= set(found)
    for title, names in found.items():
        assert len(names) >= 3, title
        for name in names:
            path = ROOT / name
            place = path.parent if "NAME" in path.name else path
            assert place.exists(), f"{title}: {name}"
