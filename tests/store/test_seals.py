"""A run folder is as it was sealed, or its changes are reported; one from before there were seals is not."""

import json
import shutil
from pathlib import Path

import pytest

from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.folder import seals
from observatory.store.folder.annotations import ANNOTATIONS_NAME, LABEL_NAME, annotate
from observatory.store.folder.manifest import MANIFEST_NAME, read_manifest
from observatory.store.folder.run_folder import list_runs, set_label
from observatory.store.folder.run_lock import hold_lock
from observatory.store.folder.seals import (
    INDEX_NAME,
    NEVER_SEALED,
    SEAL_NAME,
    broken_lines,
    changed_since_sealed,
    enter_missing,
    keep_judged,
    read_index,
    write_seal,
)
from observatory.store.ingest.housekeeping import label_runs, publish_runs
from observatory.store.ingest.rebuild import rebuild
from observatory.store.ingest.warehouse import ingest
from tests.store.made_runs import manifest, sealed_run, stage_rows, workspace_in


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    space = workspace_in(tmp_path)
    for name in ("r1", "r2", "r3"):
        sealed_run(space, manifest(name))
        folder = space.runs / name
        write_seal(folder, read_manifest(folder))
    return space


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_an_untouched_folder_is_as_it_was_sealed(space: Workspace) -> None:
    for name in ("r1", "r2", "r3"):
        assert changed_since_sealed(space.runs / name, thorough=True) is None
    assert broken_lines(space.results / INDEX_NAME) == []
    assert set(read_index(space.results / INDEX_NAME)) == {"r1", "r2", "r3"}


def test_what_people_say_later_changes_no_seal(space: Workspace) -> None:
    folder = space.runs / "r1"
    before = (folder / MANIFEST_NAME).read_bytes()
    set_label(folder, "base line")
    annotate(folder, publish=True, notes="the fan was broken")
    assert changed_since_sealed(folder, thorough=True) is None
    assert (folder / MANIFEST_NAME).read_bytes() == before
    assert json.loads((folder / ANNOTATIONS_NAME).read_text()) == {
        "label": "base line", "publish": True, "notes": "the fan was broken",
    }  # fmt: skip


def test_a_changed_manifest_is_told_wherever_the_run_is_shown(space: Workspace) -> None:
    folder = space.runs / "r2"
    edit(folder / MANIFEST_NAME, '"seed": ', '"seed": 1')
    assert changed_since_sealed(folder) == MANIFEST_NAME
    reported = {entry.run_id: entry.changed for entry in list_runs(space)}
    assert reported == {"r1": None, "r2": MANIFEST_NAME, "r3": None}
    result = rebuild(space, stage_rows)
    assert result.changed == (f"r2: changed since it was sealed: {MANIFEST_NAME}",)
    with connect(space, read_only=True) as connection:
        for table in ("runs", "run_summary"):
            rows = connection.execute(
                f"SELECT run_id, changed_since_sealed FROM {table} ORDER BY 1"
            ).fetchall()
            assert rows == [("r1", None), ("r2", MANIFEST_NAME), ("r3", None)]


def reseal(folder: Path) -> None:
    """What somebody does who knows the seal, too."""
    (folder / SEAL_NAME).unlink()
    write_seal(folder, read_manifest(folder))


def test_a_seal_that_was_made_anew_is_not_the_one_of_the_index(space: Workspace) -> None:
    folder = space.runs / "r2"
    edit(folder / MANIFEST_NAME, '"seed": ', '"seed": 1')
    reseal(folder)
    assert changed_since_sealed(folder) == "its seal is not the one that it got"
    (folder / SEAL_NAME).unlink()
    assert changed_since_sealed(folder) == "its seal is missing"
    (folder / SEAL_NAME).write_text("{")
    assert changed_since_sealed(folder) == "its seal cannot be read"


def test_a_line_of_the_index_cannot_be_rewritten_unseen(space: Workspace) -> None:
    index, folder = space.results / INDEX_NAME, space.runs / "r2"
    edit(folder / MANIFEST_NAME, '"seed": ', '"seed": 1')
    lines = index.read_text().splitlines(keepends=True)
    index.write_text(lines[0] + lines[2])
    reseal(folder)
    assert broken_lines(index) == [2]
    assert any(INDEX_NAME in line for line in rebuild(space, stage_rows).changed)


def test_a_file_that_changed_with_its_hash_in_the_manifest_is_told(space: Workspace) -> None:
    folder = space.runs / "r1"
    shutil.copyfile(space.runs / "r2" / "ticks.parquet", folder / "ticks.parquet")
    other = read_manifest(space.runs / "r2").sealed["ticks.parquet"]
    edit(folder / MANIFEST_NAME, read_manifest(folder).sealed["ticks.parquet"], other)
    assert changed_since_sealed(folder, thorough=True) == f"{MANIFEST_NAME}, ticks.parquet"


def test_a_folder_of_before_there_were_seals_is_taken_in_without_a_word(tmp_path: Path) -> None:
    space = workspace_in(tmp_path)
    sealed_run(space, manifest("old", label="night"))
    (space.runs / "old" / LABEL_NAME).write_text("day\n")
    result = rebuild(space, stage_rows)
    assert (result.ingested, result.left_out, result.changed) == (("old",), (), ())
    assert [(entry.label, entry.changed, entry.problem) for entry in list_runs(space)] == [
        ("day", None, None)
    ]
    enter_missing([space.runs / "old"])
    assert not (space.results / INDEX_NAME).exists()


def test_a_copied_run_is_as_it_was_sealed_elsewhere(space: Workspace, tmp_path: Path) -> None:
    other = workspace_in(tmp_path / "elsewhere")
    shutil.copytree(space.runs / "r1", other.runs / "r1")
    assert changed_since_sealed(other.runs / "r1", thorough=True) is None
    enter_missing([other.runs / "r1"])
    assert set(read_index(other.results / INDEX_NAME)) == {"r1"}
    shutil.copytree(space.runs / "r1", space.runs / "r9")
    assert changed_since_sealed(space.runs / "r9") == "the folder is r1's"


def test_a_death_between_the_seal_and_its_line_is_made_good(space: Workspace) -> None:
    index = space.results / INDEX_NAME
    whole = index.read_bytes()
    index.write_bytes(whole[: whole.rindex(b'{"run_id"') + 20])  # half a line of r3
    assert set(read_index(index)) == {"r1", "r2"}
    enter_missing(space.runs / name for name in ("r1", "r2", "r3"))
    assert set(read_index(index)) == {"r1", "r2", "r3"}
    assert broken_lines(index) == []
    folder = space.runs / "r3"
    write_seal(folder, read_manifest(folder))  # twice is as good as once
    assert len(index.read_bytes().splitlines()) == 4


def test_publish_and_label_reach_the_database_at_once_and_after_a_rebuild(space: Workspace) -> None:
    for name in ("r1", "r2"):
        assert ingest(space, space.runs / name, stage_rows).message is None
    assert publish_runs(space, ["r1"], True) is None
    assert label_runs(space, ["r1"], "shown") is None
    for again in (False, True):
        if again:
            rebuild(space, stage_rows)
        with connect(space, read_only=True) as connection:
            rows = connection.execute(
                "SELECT run_id, publish, label FROM runs ORDER BY 1"
            ).fetchall()
        assert rows[0] == ("r1", True, "shown") and not rows[1][1]


def test_a_damaged_file_of_annotations_stops_no_list(space: Workspace) -> None:
    (space.runs / "r1" / ANNOTATIONS_NAME).write_text("{")
    entries = list_runs(space)
    assert [entry.run_id for entry in entries if entry.problem] == ["r1"]
    assert "annotations.json" in str(entries[0].problem)


def test_a_death_between_the_judged_manifest_and_the_seal_leaves_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace_in(tmp_path)
    sealed_run(space, manifest("r1"))
    folder = space.runs / "r1"

    def killed(folder: Path, manifest: Manifest) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(seals, "write_seal", killed)
        keep_judged(folder, read_manifest(folder))
    assert changed_since_sealed(folder, thorough=True) == NEVER_SEALED
    assert [entry.changed for entry in list_runs(space)] == [NEVER_SEALED]
    assert rebuild(space, stage_rows).changed == (f"r1: {NEVER_SEALED}",)
    with connect(space, read_only=True) as connection:
        assert connection.execute("SELECT changed_since_sealed FROM runs").fetchall() == [
            (NEVER_SEALED,)
        ]
    keep_judged(folder, read_manifest(folder))
    assert changed_since_sealed(folder, thorough=True) is None


def test_a_run_that_is_being_finished_is_not_warned_of(tmp_path: Path) -> None:
    space = workspace_in(tmp_path)
    sealed_run(space, manifest("r1", seal_follows=True))
    with hold_lock(space.runs / "r1"):
        assert changed_since_sealed(space.runs / "r1") is None
    assert changed_since_sealed(space.runs / "r1") == NEVER_SEALED
