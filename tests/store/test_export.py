"""Export: files that other tools read, of some runs or all."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace
from observatory.store.ingest.warehouse import ingest
from observatory.store.queries.export import NAMES, check_ingested, export_tables
from observatory.store.queries.query import open_for_query
from tests.store.made_runs import manifest, sealed_run, stage_rows


@pytest.fixture
def two(stocked: Workspace) -> Workspace:
    for name in ("r1", "r2"):
        ingest(stocked, sealed_run(stocked, manifest(name)), stage_rows)
    return stocked


def test_every_table_and_view_of_a_run(two: Workspace, tmp_path: Path) -> None:
    with open_for_query(two, files=True) as connection:
        written = export_tables(connection, NAMES, ["r2"], tmp_path / "out", "parquet")
    assert [path.name for path, _ in written] == [f"{name}.parquet" for name in NAMES]
    for path, rows in written:
        frame = pl.read_parquet(path)
        assert frame.height == rows
        assert set(frame["run_id"] if "run_id" in frame.columns else []) <= {"r2"}
    counts = {path.stem: rows for path, rows in written}
    assert (counts["requests"], counts["request_metrics"], counts["runs"]) == (3, 3, 1)


def test_a_matrix_is_exported_by_its_campaigns(stocked: Workspace, tmp_path: Path) -> None:
    for campaign in ("c1", "c2"):
        made = manifest(campaign, campaign_id=campaign, cell=0, block=0, factors={"parallel": 1})
        ingest(stocked, sealed_run(stocked, made), stage_rows)
    with open_for_query(stocked, files=True) as connection:
        names = ["matrix_comparison", "matrix_figures"]
        written = export_tables(connection, names, ["c2"], tmp_path / "out", "parquet")
    assert [rows for _, rows in written] == [1, 7]
    for path, _ in written:
        assert set(pl.read_parquet(path)["campaign_id"]) == {"c2"}


def test_one_table_of_all_runs_in_each_format(two: Workspace, tmp_path: Path) -> None:
    with open_for_query(two, files=True) as connection:
        for file_format in ("csv", "json"):
            export_tables(connection, ["run_summary"], None, tmp_path, file_format)
    with (tmp_path / "run_summary.csv").open(newline="") as file:
        assert [row["run_id"] for row in csv.DictReader(file)] == ["r1", "r2"]
    parsed = json.loads((tmp_path / "run_summary.json").read_text())
    assert [row["requests"] for row in parsed] == [3, 3]


def test_a_file_is_not_replaced_unasked(two: Workspace, tmp_path: Path) -> None:
    with open_for_query(two, files=True) as connection:
        export_tables(connection, ["runs"], None, tmp_path, "csv")
        with pytest.raises(BadInput, match=r"runs.csv: exists already — add --force"):
            export_tables(connection, ["findings", "runs"], None, tmp_path, "csv")
        assert not (tmp_path / "findings.csv").exists()
        export_tables(connection, ["runs"], ["r1"], tmp_path, "csv", replace=True)
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 2


def test_unknown_names_and_missing_runs_are_told(two: Workspace, tmp_path: Path) -> None:
    with open_for_query(two, files=True) as connection:
        with pytest.raises(BadInput, match=r"no table or view is called 'request' — one of"):
            export_tables(connection, ["request"], None, tmp_path, "csv")
        with pytest.raises(BadInput, match=r"r9: is not in the database yet — observatory rebuild"):
            check_ingested(connection, ["r1", "r9"])
