"""Run folders of an earlier version are taken in, and every view gives the figures that it gave then."""

import json
import lzma
import math
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from observatory.analysis.stage_metrics import run_figures
from observatory.core.workspace import Workspace, open_workspace
from observatory.store.database import connect
from observatory.store.folder.manifest import read_manifest, run_folders
from observatory.store.ingest.rebuild import rebuild

DATA = Path(__file__).resolve().parents[1] / "data"
EXPECTED: dict[str, list[dict[str, Any]]] = json.loads(
    lzma.decompress((DATA / "stored_runs_figures.json.xz").read_bytes())
)
SUMMED = ("request_metrics", "request_costs")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("stored")
    with tarfile.open(DATA / "stored_runs.tar.xz") as archive:
        archive.extractall(root / "results", filter="data")
    workspace = open_workspace(root / "results", root=root)
    result = rebuild(workspace, run_figures)
    assert len(result.ingested) == 12
    assert (result.left_out, result.changed) == ((), ())
    return workspace


@pytest.fixture(scope="module")
def database(stored: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(stored, read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("view", EXPECTED)
def test_a_view_gives_what_it_gave(database: duckdb.DuckDBPyConnection, view: str) -> None:
    expected = EXPECTED[view]
    assert expected
    found = _rows(database, _query(view, list(expected[0])))
    assert len(found) == len(expected)
    differ = [
        (name, then[name], now[name])
        for then, now in zip(_sorted(expected), _sorted(found), strict=True)
        for name in then
        if not _same(then[name], now[name])
    ]
    assert differ == []


def _query(view: str, columns: list[str]) -> str:
    if view not in SUMMED:
        return f"SELECT {', '.join(columns)} FROM {view}"
    sums = [
        f'count({name}) AS "{name} n", sum({name}::DOUBLE ORDER BY {name}::DOUBLE) AS "{name} sum"'
        for name in (column.removesuffix(" n") for column in columns if column.endswith(" n"))
    ]
    return f"SELECT run_id, stage, count(*) AS rows, {', '.join(sums)} FROM {view} GROUP BY run_id, stage"


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = connection.execute(query)
    names = [column[0] for column in result.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    plain: list[dict[str, Any]] = json.loads(json.dumps(rows, default=str))
    return plain


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By what a row is of, and not by its figures."""
    return sorted(
        rows, key=lambda row: [str(value) for value in row.values() if not _number(value)]
    )


def _number(value: object) -> bool:
    return isinstance(value, float)


def _same(then: object, now: object) -> bool:
    if isinstance(then, (int, float)) and isinstance(now, (int, float)):
        both_nan = math.isnan(then) and math.isnan(now)
        return both_nan or math.isclose(then, now, rel_tol=1e-9, abs_tol=1e-15)
    return then == now


def test_a_quote_is_typed_where_it_is_read_and_kept_as_it_was_written(stored: Workspace) -> None:
    manifests = [read_manifest(folder) for folder in run_folders(stored)]
    quoted = [one for one in manifests if one.quote is not None]
    assert len(quoted) == 11
    for manifest in quoted:
        assert msgspec.to_builtins(manifest.quoted) == manifest.quote
    assert [one.quoted for one in manifests if one.quote is None] == [None]
