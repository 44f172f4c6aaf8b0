"""Opening the database: the storage version, and other processes that are in the way."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed, ExitCode
from observatory.core.workspace import Workspace
from observatory.store.database import DatabaseBusy, connect
from observatory.store.ingest.warehouse import ingest, ingest_pending, pending_runs
from tests.store.made_runs import manifest, sealed_run, stage_rows

HOLD = """
import sys, duckdb
from observatory.core.system.processes import die_with_parent
die_with_parent()
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("open", flush=True)
sys.stdin.readline()
connection.close()
"""


@contextmanager
def _held(workspace: Workspace, how: str) -> Iterator[subprocess.Popen[str]]:
    """The database held open by another process, as an analyst's client does."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace.database), how],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "open\n"
        try:
            yield child
        finally:
            child.kill()


def test_the_file_is_of_the_storage_version_that_1_5_reads(workspace: Workspace) -> None:
    for reopened in range(2):
        with connect(workspace, read_only=False) as connection:
            tags = connection.execute(
                "SELECT tags FROM duckdb_databases() WHERE database_name = current_database()"
            ).fetchone()
            assert tags is not None and tags[0]["storage_version"].startswith("v1.5.0"), reopened


def test_without_a_database_the_message_says_what_makes_one(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="there is no database yet — observatory rebuild"):
        connect(workspace)
    assert not workspace.database.exists()


def test_a_damaged_database_is_named(workspace: Workspace) -> None:
    workspace.results.mkdir()
    workspace.database.write_text("not a database" * 1000)
    with pytest.raises(
        EnvironmentFailed, match=r"observatory.duckdb: the database cannot be opened"
    ):
        connect(workspace)


def test_a_database_of_a_newer_version_is_refused(workspace: Workspace) -> None:
    with connect(workspace, read_only=False) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    for read_only in (True, False):
        with pytest.raises(BadInput, match="too new: its schema is 99"):
            connect(workspace, read_only=read_only)


@pytest.mark.parametrize("how", ["read", "write"])
def test_an_analyst_who_holds_it_open_never_costs_a_run(stocked: Workspace, how: str) -> None:
    folder = sealed_run(stocked)
    with _held(stocked, how) as analyst:
        result = ingest(stocked, folder, stage_rows(manifest()), wait_s=0.1)
        assert result.ingested == ()
        assert result.message is not None
        assert f"(process {analyst.pid})" in result.message
        assert "run-1: sealed on disk, waiting for the database" in result.message
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == [folder]
    assert ingest_pending(stocked, stage_rows).ingested == ("run-1",)
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == []
        assert connection.execute("SELECT count(*) FROM request_metrics").fetchall() == [(3,)]


def test_the_next_ingest_takes_the_waiting_runs_too(stocked: Workspace) -> None:
    waiting = sealed_run(stocked, manifest("r1"))
    with _held(stocked, "read"):
        assert ingest(stocked, waiting, stage_rows, wait_s=0.1).ingested == ()
    result = ingest(stocked, sealed_run(stocked, manifest("r2")), stage_rows)
    assert result.ingested == ("r2", "r1") and result.message is None


def test_ingest_waits_out_a_short_query(stocked: Workspace) -> None:
    folder = sealed_run(stocked)
    with _held(stocked, "read") as analyst:
        assert analyst.stdin is not None
        analyst.stdin.write("close\n")
        analyst.stdin.flush()
        assert ingest(stocked, folder, stage_rows, wait_s=30).ingested == ("run-1",)


def test_a_reader_is_told_who_writes(stocked: Workspace) -> None:
    with _held(stocked, "write") as writer:
        with pytest.raises(
            DatabaseBusy, match=rf"held open by \S+ \(process {writer.pid}\)"
        ) as busy:
            connect(stocked, wait_s=0.1)
        assert busy.value.exit_code == ExitCode.TARGET_OR_ENVIRONMENT_FAILED
        assert "close it there, or try again" in str(busy.value)


def test_readers_do_not_disturb_each_other(stocked: Workspace) -> None:
    with _held(stocked, "read"), connect(stocked, wait_s=0) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(0,)]


def test_a_connection_of_this_process_is_named_as_such(stocked: Workspace) -> None:
    with connect(stocked), pytest.raises(DatabaseBusy, match="held open by this very process"):
        connect(stocked, read_only=False, wait_s=0)


def test_a_disk_that_fails_at_ingest_does_not_cost_the_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("Could not write file: No space left on device")

    folder = sealed_run(workspace)
    with monkeypatch.context() as patch:
        patch.setattr("observatory.store.ingest.warehouse.load_run", full)
        message = ingest(workspace, folder, stage_rows(manifest())).message
    assert message is not None and "No space left on device" in message
    assert ingest(workspace, folder, stage_rows).ingested == ("run-1",)
