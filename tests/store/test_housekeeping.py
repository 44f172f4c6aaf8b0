"""Labels and removal, on disk and in the database."""

import shutil
from collections.abc import Sequence

import duckdb
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import Workspace
from observatory.store.database import DatabaseBusy, connect
from observatory.store.folder.run_folder import list_runs
from observatory.store.folder.run_lock import hold_lock
from observatory.store.ingest.housekeeping import delete_runs, label_runs
from observatory.store.ingest.warehouse import ingest, pending_runs
from tests.store.made_runs import manifest, sealed_run, stage_rows


@pytest.fixture
def two(stocked: Workspace) -> Workspace:
    for name in ("r1", "r2"):
        ingest(stocked, sealed_run(stocked, manifest(name)), stage_rows)
    return stocked


def _labels(workspace: Workspace) -> Sequence[tuple[str, str | None]]:
    with connect(workspace) as connection:
        assert pending_runs(workspace, connection) == []
        return connection.execute("SELECT run_id, label FROM run_summary ORDER BY ALL").fetchall()


def test_a_label_is_given_and_taken_in_both_places(two: Workspace) -> None:
    assert label_runs(two, ["r1", "r2"], "baseline") is None
    assert _labels(two) == [("r1", "baseline"), ("r2", "baseline")]
    label_runs(two, ["r2"], None)
    assert _labels(two) == [("r1", "baseline"), ("r2", None)]
    assert [entry.label for entry in list_runs(two)] == ["baseline", None]


def test_a_label_is_kept_on_disk_while_the_database_is_held(two: Workspace) -> None:
    with connect(two) as held:
        note = label_runs(two, ["r1"], "night", wait_s=0)
        assert note is not None and "after the next ingest" in note
        assert held.execute("SELECT label FROM runs WHERE run_id = 'r1'").fetchall() == [(None,)]
    ingest(two, two.runs / "r2", stage_rows)
    assert _labels(two) == [("r1", "night"), ("r2", None)]


def test_a_deleted_run_is_nowhere(two: Workspace) -> None:
    delete_runs(two, ["r1"])
    assert [path.name for path in two.runs.iterdir()] == ["r2"]
    with connect(two) as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_columns() WHERE column_name = 'run_id' AND NOT internal"
        ).fetchall()
        for (table,) in tables:
            assert connection.execute(
                f"SELECT count(*) FROM {table} WHERE run_id = 'r1'"
            ).fetchall() == [(0,)], table


def test_nothing_is_deleted_while_a_run_is_live_or_the_database_held(two: Workspace) -> None:
    with (
        hold_lock(two.runs / "r2"),
        pytest.raises(EnvironmentFailed, match="the run is being written"),
    ):
        delete_runs(two, ["r1", "r2"])
    with connect(two), pytest.raises(DatabaseBusy):
        delete_runs(two, ["r1"], wait_s=0)
    with connect(two) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
    assert len(list_runs(two)) == 2


def test_a_removal_that_dies_half_way_leaves_no_half_run(
    two: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(EnvironmentFailed, match="Input/output error"):
            delete_runs(two, ["r1"])
    assert [entry.run_id for entry in list_runs(two)] == ["r2"]


def test_only_run_folders_are_deleted(two: Workspace) -> None:
    for name in ("..", "r9", "../campaigns"):
        with pytest.raises(BadInput, match="is not a run folder"):
            delete_runs(two, [name])


def test_runs_without_a_database_can_be_deleted(workspace: Workspace) -> None:
    sealed_run(workspace)
    delete_runs(workspace, ["run-1"])
    assert list_runs(workspace) == []
    assert not workspace.database.exists()
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(workspace.database), read_only=True)
