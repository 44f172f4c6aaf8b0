"""A run whose folder is not as it was sealed is marked next to its name on every page that shows it."""

from pathlib import Path
from typing import Any

import pytest

from observatory.core.workspace import Workspace
from observatory.site.build import build_site
from observatory.store.database import connect
from observatory.store.folder.manifest import MANIFEST_NAME
from observatory.store.folder.seals import write_seal
from tests.site.planting import Planted
from tests.site.reading import words
from tests.store.made_runs import manifest

PAGES = ("index.html", "money.html", "energy.html", "runs.html")
MARK = "not as sealed"


@pytest.fixture
def place(planter: Any, seeds: dict[str, Planted]) -> Workspace:
    found: Workspace = planter(seeds["smollm2-llamacpp"], seeds["emulated-api"])
    return found


def pages(site: Path, run_id: str) -> dict[str, str]:
    return {page: words(site / page) for page in (*PAGES, f"runs/{run_id}.html")}


def test_the_databases_mark_is_on_every_page(place: Workspace, seeds: dict[str, Planted]) -> None:
    run_id = seeds["smollm2-llamacpp"].run_id
    assert not any(MARK in text for text in pages(build_site(place), run_id).values())
    with connect(place, read_only=False) as connection:
        connection.execute(
            "UPDATE runs SET changed_since_sealed = ? WHERE run_id = ?", [MANIFEST_NAME, run_id]
        )
    for page, text in pages(build_site(place), run_id).items():
        stated = f"Changed since it was sealed: {MANIFEST_NAME}."
        assert MARK in text or stated in text, page


def test_a_folder_that_changed_after_it_was_taken_in_is_marked(
    place: Workspace, seeds: dict[str, Planted]
) -> None:
    run_id = seeds["emulated-api"].run_id
    folder = place.runs / run_id
    folder.mkdir(parents=True)
    (folder / MANIFEST_NAME).write_text("{}")
    write_seal(folder, manifest(run_id))
    assert MARK not in words(build_site(place) / "money.html")
    (folder / MANIFEST_NAME).write_text("{ }")
    assert MARK in words(build_site(place) / "money.html")
