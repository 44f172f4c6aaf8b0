"""Ingest: a sealed run in its tables, once however often it is taken in; and rebuild, the same."""

from datetime import datetime
from pathlib import Path
from typing import get_args

import duckdb
import polars as pl
import pytest

from observatory.analysis.stage_metrics import run_figures
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.run import Manifest, Verdict
from observatory.core.sample import Sample
from observatory.core.workspace import Workspace
from observatory.economics.ledger_book import ledger_book
from observatory.store.database import DatabaseBusy, connect
from observatory.store.folder.manifest import create_run, read_manifest, write_manifest
from observatory.store.folder.run_folder import set_label
from observatory.store.frames import RunFrames
from observatory.store.ingest import rebuild as rebuild_module
from observatory.store.ingest.housekeeping import label_runs
from observatory.store.ingest.rebuild import rebuild
from observatory.store.ingest.warehouse import ingest, pending_runs
from observatory.store.queries.export import NAMES, Format, export_tables
from observatory.store.queries.query import open_for_query
from observatory.store.schema.content_digest import content_digest
from observatory.store.schema.tables import TABLES
from tests.store.made_runs import S, facts, manifest, record, sealed_run, stage, stage_rows


def _contents(workspace: Workspace) -> dict[str, list[str]]:
    """Every table as its sorted rows."""
    with connect(workspace) as connection:
        return {
            table.name: sorted(map(repr, connection.execute(f"FROM {table.name}").fetchall()))
            for table in TABLES
        }


def _two_runs(workspace: Workspace) -> None:
    reading = Sample(4 * S, "host", "shared_host", "", "cpu_util_fraction", 0.5)
    sealed_run(workspace, manifest("r1", stages=[stage(0), stage(1)]), samples=[reading])
    own = facts("llama", kind="llamacpp", emulated=False, billing="hours", price=None)
    sealed_run(workspace, manifest("r2", target=own, verdict=None, label="tryout"))
    for name in ("r1", "r2"):
        assert ingest(workspace, workspace.runs / name, stage_rows).message is None


def test_a_database_that_was_brought_up_to_date_holds_the_same(stocked: Workspace) -> None:
    """Its newer columns are last; rows must find them by name."""
    _two_runs(stocked)
    named = _named_contents(stocked)
    with duckdb.connect(stocked.database) as connection:
        for column in ("engine_sha256", "weight_format", "factors", "idle_start_ns"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        connection.execute("ALTER TABLE energy DROP COLUMN low_j")
        connection.execute("UPDATE schema_version SET version = 2")
        connection.execute("DELETE FROM runs")
    for name in ("r1", "r2"):
        assert ingest(stocked, stocked.runs / name, stage_rows).message is None
    assert _named_contents(stocked) == named


def _named_contents(workspace: Workspace) -> dict[str, list[list[str]]]:
    contents: dict[str, list[list[str]]] = {}
    with connect(workspace) as connection:
        for table in ("runs", "energy"):
            found = connection.execute(f"FROM {table}")
            names = [column[0] for column in found.description or []]
            contents[table] = sorted(
                sorted(f"{name}={value!r}" for name, value in zip(names, row, strict=True))
                for row in found.fetchall()
            )
    return contents


def test_every_table_holds_the_run(stocked: Workspace) -> None:
    _two_runs(stocked)
    counts = {name: len(rows) for name, rows in _contents(stocked).items()}
    assert counts == {
        "runs": 2,
        "stages": 3,
        "requests": 9,
        "attempts": 9,
        "samples": 1,
        "ticks": 12,
        "energy": 2,
        "prices": 2,
        "findings": 2,
        "thresholds": 2,
        "stage_metrics": 21,
        "billed_tokens": 18,
        "stage_costs": 4,
        "cost_lines": 0,
        "price_book": len(ledger_book().rows),
    }


def test_the_manifest_becomes_rows(stocked: Workspace) -> None:
    folder = sealed_run(stocked, manifest(label="night"))
    ingest(stocked, folder, stage_rows)
    with connect(stocked) as connection:
        run = connection.execute("FROM runs").fetchone()
        assert run is not None
        named = dict(zip((c[0] for c in connection.description or []), run, strict=True))
        assert (
            named
            | {
                "run_id": "run-1",
                "target": "emulated-api",
                "target_kind": "emulated",
                "emulated": True,
                "verdict": "degraded",
                "verdict_codes": ["client_cpu"],
                "created_at": datetime(2026, 11, 20, 9, 0),
                "environment": '{"cpu":{"cores":2}}',
                "label": "night",
                "folder": "run-1",
                "publish": False,
            }
            == named
        )
        cores = connection.execute("SELECT environment->'cpu'->>'cores' FROM runs").fetchall()
        assert cores == [("2",)]
        assert connection.execute(
            "SELECT kind, usd, basis FROM prices ORDER BY kind"
        ).fetchall() == [
            ("input", 1.0, "emulated"),
            ("output", 10.0, "emulated"),
        ]
        assert connection.execute(
            "SELECT subject, scope, energy_j, window_end_ns FROM energy"
        ).fetchall() == [("target", "cpu", 70.0, 9 * S)]
        assert connection.execute("SELECT code, stage, value FROM findings").fetchall() == [
            ("client_cpu", 0, 0.85)
        ]
        assert connection.execute("SELECT code, degraded, invalid FROM thresholds").fetchall() == [
            ("client_cpu", 0.8, 0.95)
        ]
        high = connection.execute(
            "SELECT high FROM stage_metrics WHERE metric = 'ttft_s' AND statistic = 'p50'"
        ).fetchone()
        assert high == (float("inf"),)


def test_twice_is_once(stocked: Workspace) -> None:
    _two_runs(stocked)
    once = _contents(stocked)
    ingest(stocked, stocked.runs / "r1", stage_rows)
    assert _contents(stocked) == once


def test_a_newer_manifest_replaces_the_older_rows(stocked: Workspace) -> None:
    folder = sealed_run(stocked, manifest(verdict=None, findings=[]))
    ingest(stocked, folder, stage_rows)
    made = read_manifest(folder)
    judged = Verdict("invalid", ["lost_records"], "Invalid.")
    write_manifest(folder, _replace(made, verdict=judged))
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == [folder]
    ingest(stocked, folder, stage_rows)
    with connect(stocked) as connection:
        assert connection.execute("SELECT verdict FROM runs").fetchall() == [("invalid",)]
        assert pending_runs(stocked, connection) == []


def test_an_ingest_that_fails_leaves_what_was_there(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_runs(stocked)
    before = _contents(stocked)

    def fail(*_: object) -> None:
        raise RuntimeError("half-way")

    with monkeypatch.context() as patch:
        patch.setattr("observatory.store.ingest.loading._price_rows", fail)
        with pytest.raises(RuntimeError, match="half-way"):
            ingest(stocked, stocked.runs / "r1", stage_rows(manifest()))
    assert _contents(stocked) == before


def test_an_unsealed_run_is_refused(stocked: Workspace) -> None:
    folder = create_run(stocked, manifest())
    with pytest.raises(BadInput, match="the run is not sealed yet"):
        ingest(stocked, folder, stage_rows(manifest()))


def test_a_file_changed_since_is_named_and_not_taken_in(workspace: Workspace) -> None:
    folder = sealed_run(workspace)
    (folder / "requests.parquet").write_bytes(b"forged")
    with pytest.raises(
        EnvironmentFailed, match=r"requests.parquet: has changed since it was sealed"
    ):
        ingest(workspace, folder, stage_rows(manifest()))
    assert not workspace.database.exists()


def test_a_column_that_an_older_version_did_not_write_is_null(stocked: Workspace) -> None:
    folder = sealed_run(stocked)
    path = folder / "requests.parquet"
    pl.read_parquet(path).drop("score_note").write_parquet(path)
    made = read_manifest(folder)
    from observatory.store.files import sha256_of

    write_manifest(
        folder, _replace(made, sealed={**made.sealed, "requests.parquet": sha256_of(path)})
    )
    assert ingest(stocked, folder, stage_rows).ingested == ("run-1",)
    with connect(stocked) as connection:
        assert connection.execute("SELECT DISTINCT score_note FROM requests").fetchall() == [
            (None,)
        ]


def test_rebuild_gives_the_same_content(stocked: Workspace) -> None:
    _two_runs(stocked)
    label_runs(stocked, ["r1"], "baseline")
    before = _contents(stocked)
    assert "'baseline'" in "".join(before["runs"]) and "'tryout'" in "".join(before["runs"])
    stocked.database.unlink()
    lines: list[str] = []
    result = rebuild(stocked, stage_rows, report=lines.append)
    assert result.ingested == ("r1", "r2") and result.left_out == ()
    assert _contents(stocked) == before
    assert lines == ["taking in r1", "taking in r2"]
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == []


def test_two_rebuilds_have_one_digest_and_equal_exports(stocked: Workspace, tmp_path: Path) -> None:
    """DuckDB's own file differs: 16 random bytes of its header, and padding that is not cleared."""
    _two_runs(stocked)
    digests, exports = [], []
    for name in ("first", "second"):
        digests.append(rebuild(stocked, run_figures).digest)
        with open_for_query(stocked, files=True) as connection:
            assert content_digest(connection) == digests[-1]
            for file_format in get_args(Format):
                export_tables(connection, NAMES, None, tmp_path / name, file_format)
        exports.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert digests[0] == digests[1]
    assert len(digests[0]) == 64
    assert [name for name in exports[0] if exports[0][name] != exports[1][name]] == []
    with connect(stocked, read_only=False) as connection:
        connection.execute("UPDATE requests SET cost_usd = cost_usd + 1e-12 WHERE request = 0")
        assert content_digest(connection) != digests[0], "one value of one row"


def test_rebuild_leaves_out_and_names_what_was_changed(stocked: Workspace) -> None:
    _two_runs(stocked)
    (stocked.runs / "r1" / "ticks.parquet").write_bytes(b"forged")
    create_run(stocked, manifest("r3", status="running"))
    result = rebuild(stocked, stage_rows)
    assert result.ingested == ("r2",) and result.unsealed == ("r3",)
    assert "r1/ticks.parquet: has changed" in result.left_out[0]


def test_a_rebuild_that_dies_leaves_the_old_database(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_runs(stocked)
    before = _contents(stocked)

    def die(manifest: Manifest, frames: RunFrames) -> pl.DataFrame:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(stocked, die)
    assert _contents(stocked) == before
    names = {path.name for path in stocked.results.iterdir()}
    assert names == {"runs", "campaigns", "prices", "observatory.duckdb", rebuild_module.LOCK_NAME}


def test_rebuild_mends_a_damaged_database_and_drops_its_log(stocked: Workspace) -> None:
    _two_runs(stocked)
    before = _contents(stocked)
    stocked.database.write_bytes(b"broken" * 5000)
    stocked.database.with_name("observatory.duckdb.wal").write_bytes(b"stale log")
    assert rebuild(stocked, stage_rows).ingested == ("r1", "r2")
    assert _contents(stocked) == before


def test_rebuild_takes_the_place_under_a_readers_feet(stocked: Workspace) -> None:
    _two_runs(stocked)
    with connect(stocked) as reader:
        rebuild(stocked, stage_rows)
        assert reader.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
    assert len(_contents(stocked)["runs"]) == 2


def test_rebuild_does_not_pull_the_file_from_under_a_writer(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_runs(stocked)
    before = stocked.database.read_bytes()
    real = duckdb.connect

    def busy(path: str, **settings: object) -> duckdb.DuckDBPyConnection:
        if path == str(stocked.database):
            raise duckdb.IOException(
                "Could not set lock on file: Conflicting lock is held in /bin/duckdb (PID 7)."
            )
        return real(path, **settings)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", busy)
        with pytest.raises(DatabaseBusy, match=r"held open by duckdb \(process 7\)"):
            rebuild(stocked, stage_rows, wait_s=0)
    assert stocked.database.read_bytes() == before


def test_a_label_set_while_the_database_was_away_is_found_pending(stocked: Workspace) -> None:
    _two_runs(stocked)
    set_label(stocked.runs / "r2", "later")
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == [stocked.runs / "r2"]


def test_a_run_that_never_sent_anything_is_there_too(stocked: Workspace) -> None:
    folder = sealed_run(stocked, manifest(stages=[], energy=[], findings=[]), records=[])
    assert ingest(stocked, folder, stage_rows).ingested == ("run-1",)
    with connect(stocked) as connection:
        row = connection.execute("SELECT run_id, requests, stages FROM run_summary").fetchall()
    assert row == [("run-1", 0, 0)]


def test_stored_text_and_every_kind_of_request_is_kept(stocked: Workspace) -> None:
    unsent = record(1, outcome="not_issued", reason="budget", attempts=[])
    folder = sealed_run(stocked, records=[record(0, answer="42", reasoning="so"), unsent])
    ingest(stocked, folder, stage_rows)
    with connect(stocked) as connection:
        rows = connection.execute("SELECT answer, reasoning, reason FROM requests").fetchall()
    assert rows == [("42", "so", None), (None, None, "budget")]


def _replace(made: Manifest, **changes: object) -> Manifest:
    import msgspec

    return msgspec.structs.replace(made, **changes)


def test_paths_with_quotes_are_no_trouble(tmp_path: Path) -> None:
    from tests.store.made_runs import workspace_in

    workspace = workspace_in(tmp_path / "it's here")
    assert ingest(workspace, sealed_run(workspace), stage_rows).message is None
