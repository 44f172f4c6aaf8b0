"""A folder may be called anything: what DuckDB and Polars would read as a pattern is a name here."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import CACHE_VARIABLE, open_workspace
from observatory.site.build import build_site
from observatory.store.database import connect
from observatory.store.ingest.rebuild import rebuild
from observatory.store.ingest.warehouse import ingest
from observatory.store.library_paths import database_file, library_path
from observatory.store.queries.export import export_tables
from observatory.store.queries.query import open_for_query
from observatory.store.schema.migrations import quote
from tests.store.made_runs import manifest, sealed_run, stage_rows, workspace_in

NAMES = [
    "a[b]", "a[!b-c]", "a]b", "a*b", "**", "a?b", "?", "a%20b", "100%", "a'b", 'a"b', "a b", "a\nb",
    "{a,b}", "a#b", "$HOME", "~", "-rf", "run_id=r9", "a\\b", "ü模😀", "file:", "s3:", "a;b", ":memory:",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_library_opens_the_file_that_is_meant(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "here" / name
    folder.mkdir(parents=True)
    path = folder / "a[1]?.parquet"
    with library_path(path, write=True) as file, duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 7 AS run_id) TO {quote(file)} (FORMAT parquet, USE_TMP_FILE false)"
        )
        assert connection.execute("FROM read_parquet(?)", [file]).fetchall() == [(7,)]
    with library_path(path) as file:
        assert pl.read_parquet(file)["run_id"].to_list() == [7]
    assert [entry.name for entry in (tmp_path / "here").iterdir()] == [name]


@pytest.mark.parametrize("name", ["a[b]*{c}'\"#$~,; ", "a?b\\c\nü😀", "run_id=r9"])
def test_a_run_is_kept_and_read_in_a_folder_of_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    root = tmp_path / "here" / name
    root.mkdir(parents=True)
    workspace = workspace_in(root)
    assert ingest(workspace, sealed_run(workspace, manifest("r1")), stage_rows).message is None
    assert rebuild(workspace, stage_rows).ingested == ("r1",)
    assert workspace.database.is_file()
    with open_for_query(workspace, files=True) as connection:
        assert connection.execute("SELECT run_id FROM requests").fetchall() == [("r1",)] * 3
        ((path, rows),) = export_tables(connection, ["requests"], None, root / "out", "parquet")
        assert (path, rows) == ((root / "out" / "requests.parquet").resolve(), 3)
        export_tables(connection, ["requests"], None, root / "out", "csv")
    with path.open("rb") as file:
        assert pl.read_parquet(file).height == 3
    assert [entry.name for entry in (tmp_path / "here").iterdir()] == [name]


def test_the_site_is_built_from_and_into_such_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "run_id=a[b]*?"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    scratch = tmp_path / f"tmp {name}"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    root = tmp_path / name
    root.mkdir()
    workspace = workspace_in(root)
    ingest(workspace, sealed_run(workspace, manifest("r1")), stage_rows)
    assert (build_site(workspace) / "runs.html").is_file()
    assert not list(scratch.iterdir())


def test_a_database_that_duckdb_cannot_keep_there_lies_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    workspace = workspace_in(tmp_path / "a?b")
    workspace.results.mkdir(parents=True)
    connect(workspace, read_only=False).close()
    assert workspace.database.is_symlink()
    assert workspace.database.resolve().is_relative_to(tmp_path / "cache")
    assert database_file(tmp_path / "plain.duckdb") == tmp_path / "plain.duckdb"
    # A folder that was renamed has its database with it.
    moved = workspace_in(tmp_path / "c?d")
    moved.results.mkdir(parents=True)
    workspace.database.resolve().rename(moved.database)
    connect(moved, read_only=False).close()
    assert moved.database.is_symlink()
    assert moved.database.resolve().is_relative_to(tmp_path / "cache")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "no?better"))
    with pytest.raises(EnvironmentFailed, match="OBSERVATORY_CACHE"):
        database_file(workspace.database)


def test_a_path_that_is_no_text_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(f"{tmp_path}/a\udcff")
    for call in (lambda: open_workspace(odd), lambda: open_workspace(root=odd)):
        with pytest.raises(BadInput, match=r"a\\xff: the path is not UTF-8"):
            call()
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    with pytest.raises(BadInput, match="TMPDIR"):
        open_workspace(tmp_path)


def test_a_current_folder_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(EnvironmentFailed, match="current folder"):
        open_workspace()
