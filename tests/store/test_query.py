"""A person's SQL: what it may do, what it may not, and the error messages."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from observatory.core.errors import BadInput, ExitCode
from observatory.core.workspace import Workspace
from observatory.store.ingest.warehouse import ingest
from observatory.store.queries.query import open_for_query, run_query, write_parquet
from tests.store.made_runs import sealed_run, stage_rows


@pytest.fixture
def queried(stocked: Workspace) -> Workspace:
    ingest(stocked, sealed_run(stocked), stage_rows)
    return stocked


@pytest.fixture
def connection(queried: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_for_query(queried) as opened:
        yield opened


def test_the_last_statements_rows_are_the_answer(connection: duckdb.DuckDBPyConnection) -> None:
    answer = run_query(
        connection, "create temp table t as select 2 a; select a, 'x' b from t; -- z"
    )
    assert answer.columns == [("a", "INTEGER"), ("b", "VARCHAR")]
    assert list(answer.rows) == [(2, "x")]


def test_times_with_a_zone_need_no_further_package(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    query = "select to_timestamp(0) as at, [to_timestamp(1)] as l, 1 as at -- ; not the end"
    answer = run_query(connection, f"{query}\n;")
    assert answer.columns == [("at", "VARCHAR"), ("l", "VARCHAR[]"), ("at", "INTEGER")]
    assert list(answer.rows) == [("1970-01-01 00:00:00+00", ["1970-01-01 00:00:01+00"], 1)]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("update runs set label = 'x'", r"read-only mode! — add --write"),
        ("drop table runs", r"read-only mode"),
        ("create table mine (a int)", r"read-only mode"),
        ("copy runs to 'stolen.csv'", r"disabled by configuration — add --files"),
        ("from read_csv('/etc/passwd')", r"disabled by configuration"),
        ("from read_text('/etc/passwd')", r"disabled by configuration"),
        ("attach 'other.duckdb'", r"disabled by configuration"),
        ("export database 'somewhere'", r"disabled by configuration"),
        ("install httpfs", r"disabled by configuration"),
        ("set enable_external_access = true", r"Cannot enable external access"),
        ("set allowed_paths = ['/etc/passwd']", r"Cannot change allowed_paths"),
        ("from nowhere", r"does not exist! Did you mean .* — observatory schema lists"),
        ("select ttft from request_metrics", r'"ttft" not found .* Candidate bindings: "ttft_s"'),
        ("selec 1", r"syntax error at or near"),
        ("", r"the query is empty"),
        ("-- nothing", r"the query is empty"),
    ],
)
def test_what_is_refused_is_told_in_one_line(queried: Workspace, query: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught, open_for_query(queried) as connection:
        list(run_query(connection, query).rows)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert "\n" not in str(caught.value)


def test_python_objects_are_out_of_reach(queried: Workspace) -> None:
    secret = pl.DataFrame({"key": ["sk-canary"]})
    assert secret.height == 1
    with pytest.raises(BadInput, match="secret does not exist"), open_for_query(queried) as opened:
        run_query(opened, "from secret")


def test_an_error_while_rows_are_fetched_is_told_too(queried: Workspace) -> None:
    with pytest.raises(BadInput, match="Could not convert"), open_for_query(queried) as connection:
        list(run_query(connection, "select ('x' || range)::int from range(50000)").rows)


def test_write_lets_the_database_be_changed(queried: Workspace) -> None:
    with open_for_query(queried, write=True) as connection:
        answer = run_query(connection, "update runs set publish = true returning run_id")
        assert list(answer.rows) == [("run-1",)]
    with open_for_query(queried) as connection:
        assert list(run_query(connection, "select publish from runs").rows) == [(True,)]


def test_files_lets_files_be_read_and_still_not_the_database_changed(queried: Workspace) -> None:
    parquet = queried.runs / "run-1" / "requests.parquet"
    with open_for_query(queried, files=True) as connection:
        counted = run_query(connection, f"select count(*) from read_parquet('{parquet}')")
        assert list(counted.rows) == [(3,)]
    with pytest.raises(BadInput, match="read-only"), open_for_query(queried, files=True) as opened:
        run_query(opened, "delete from runs")


def test_parquet_goes_to_the_one_file_that_was_named(queried: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "answer.parquet"
    with open_for_query(queried, out=str(out)) as connection:
        assert write_parquet(connection, "from request_metrics; -- all", str(out)) == 3
        assert pl.read_parquet(out)["run_id"].to_list() == ["run-1"] * 3
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"copy runs to '{tmp_path / 'other.parquet'}'")
    for several in ("select 1; select 2", "drop table runs"):
        with (
            pytest.raises(BadInput, match="exactly one query"),
            open_for_query(queried, out=str(out)) as connection,
        ):
            write_parquet(connection, several, str(out))


def test_an_answer_is_not_held_in_memory(connection: duckdb.DuckDBPyConnection) -> None:
    rows = run_query(connection, "from range(100000000000)").rows
    assert [next(rows), next(rows)] == [(0,), (1,)]
