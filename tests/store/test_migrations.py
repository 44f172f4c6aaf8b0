"""The schema's number: new files are made, old ones brought up, newer ones refused."""

import duckdb
import pytest

from observatory.core.errors import BadInput
from observatory.store.schema.migrations import (
    MIGRATIONS,
    Migration,
    check_version,
    migrate,
    version_of,
    views_sha256,
)
from observatory.store.schema.tables import SCHEMA_VERSION, TABLES
from observatory.store.views.catalogue import VIEWS


def _add_column(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN colour VARCHAR")


NEXT = (*MIGRATIONS, Migration(SCHEMA_VERSION + 1, "add_colour", _add_column))


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


def test_the_schema_number_is_the_last_migrations() -> None:
    assert [step.version for step in MIGRATIONS] == list(range(1, SCHEMA_VERSION + 1))


def test_an_empty_database_gets_everything_once(connection: duckdb.DuckDBPyConnection) -> None:
    assert version_of(connection) == 0
    assert migrate(connection, "x") == [step.name for step in MIGRATIONS]
    assert version_of(connection) == SCHEMA_VERSION
    assert migrate(connection, "x") == []
    names = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
    assert names == {t.name for t in TABLES} | {v.name for v in VIEWS} | {"schema_version"}


def test_every_table_view_and_column_has_a_comment(connection: duckdb.DuckDBPyConnection) -> None:
    migrate(connection, "x")
    bare = connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        " AND coalesce(comment, '') = ''"
        " UNION ALL SELECT view_name, '' FROM duckdb_views() WHERE NOT internal"
        " AND coalesce(comment, '') = ''"
        " UNION ALL SELECT table_name, '' FROM duckdb_tables() WHERE coalesce(comment, '') = ''"
    ).fetchall()
    assert bare == []


def test_an_older_database_is_brought_up_by_the_missing_steps(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    migrate(connection, "x")
    connection.execute("INSERT INTO runs (run_id) VALUES ('kept')")
    assert migrate(connection, "x", NEXT) == ["add_colour"]
    assert version_of(connection) == SCHEMA_VERSION + 1
    assert connection.execute("SELECT run_id, colour FROM runs").fetchall() == [("kept", None)]


def test_a_database_of_the_first_schema_gets_its_thresholds_table(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    migrate(connection, "x")
    connection.execute("DROP TABLE thresholds")
    connection.execute("INSERT INTO runs (run_id) VALUES ('kept')")
    connection.execute("UPDATE schema_version SET version = 1")
    assert migrate(connection, "x") == [step.name for step in MIGRATIONS[1:]]
    assert connection.execute("SELECT run_id FROM runs").fetchall() == [("kept",)]
    assert connection.execute("SELECT code FROM thresholds").fetchall() == []


@pytest.mark.parametrize("missing", [("cell", "turn"), ()])
def test_a_database_of_any_third_schema_gets_what_it_lacks(
    connection: duckdb.DuckDBPyConnection, missing: tuple[str, ...]
) -> None:
    """The views have its columns, and the columns have their current comments."""
    migrate(connection, "x")
    for name in missing:
        connection.execute(f"ALTER TABLE runs DROP COLUMN {name}")
    for name in ("counts", "coverage_fraction", "longest_gap_s", "limit_w"):
        connection.execute(f"ALTER TABLE energy DROP COLUMN {name}")
    connection.execute("ALTER TABLE stage_metrics DROP COLUMN scopes")
    connection.execute("COMMENT ON COLUMN energy.stage IS 'stage of the run, from 0'")
    connection.execute("INSERT INTO runs (run_id, campaign_id) VALUES ('kept', 'c')")
    connection.execute("UPDATE schema_version SET version = 3")
    assert migrate(connection, "x") == [step.name for step in MIGRATIONS[3:]]
    assert connection.execute("SELECT run_id, cell, turn FROM runs").fetchall() == [
        ("kept", None, None)
    ]
    assert connection.execute("SELECT count(*) FROM matrix_comparison").fetchall() == [(0,)]
    stated = connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
    ).fetchall()
    for table in TABLES:
        for column in table.columns:
            assert (table.name, column.name, column.comment) in stated


def test_too_new_and_too_old_give_different_messages(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    migrate(connection, "x", NEXT)
    with pytest.raises(
        BadInput,
        match=rf"file.db: the database is too new: its schema is {SCHEMA_VERSION + 1}.*update",
    ):
        migrate(connection, "file.db")
    reads = SCHEMA_VERSION + 1
    with pytest.raises(
        BadInput, match=rf"too old: its schema is 1, this version reads {reads}.*rebuild"
    ):
        check_version(1, "file.db", NEXT, writing=False)
    check_version(1, "file.db", NEXT, writing=True)


def test_a_step_that_fails_leaves_the_old_schema(connection: duckdb.DuckDBPyConnection) -> None:
    def fail(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("ALTER TABLE runs ADD COLUMN half VARCHAR")
        raise RuntimeError("half-way")

    migrate(connection, "x")
    with pytest.raises(RuntimeError, match="half-way"):
        migrate(connection, "x", (*MIGRATIONS, Migration(SCHEMA_VERSION + 1, "fails", fail)))
    assert version_of(connection) == SCHEMA_VERSION
    columns = {row[0] for row in connection.execute("DESCRIBE runs").fetchall()}
    assert "half" not in columns


def test_views_are_made_again_when_their_text_changed(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    migrate(connection, "x")
    connection.execute("CREATE OR REPLACE VIEW run_summary AS SELECT 1 AS old")
    connection.execute("UPDATE schema_version SET views_sha256 = 'of an older version'")
    assert migrate(connection, "x") == []
    assert connection.execute("SELECT run_id FROM run_summary").fetchall() == []
    stored = connection.execute("SELECT views_sha256 FROM schema_version").fetchall()
    assert stored == [(views_sha256(),)]


def test_somebody_elses_database_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE holiday_photos (id INTEGER)")
    with pytest.raises(BadInput, match="none of the observatory's"):
        migrate(connection, "x")


def test_a_database_of_the_seventh_schema_gets_the_fields_of_its_prices_details(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    migrate(connection, "x")
    added = ("provider", "model", "service_tier", "tiers", "accelerators", "commitment",
             "rate_includes", "usd_per_kwh", "pays_electricity")  # fmt: skip
    of_book = ("days", "not_counted")
    for table, names in (
        ("prices", added), ("price_book", of_book), ("runs", ("matrix_order",)),
    ):  # fmt: skip
        for view in VIEWS:
            connection.execute(f"DROP VIEW IF EXISTS {view.name}")
        for name in names:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    connection.execute("""INSERT INTO prices (run_id, kind, usd, details) VALUES
        ('bought', 'input', 3.0, '{"provider": "a", "ledger_provider": "b", "model": "m",
          "service_tier": "flex", "tiers": [{"above_prompt_tokens": 1000, "usd": 6.0}]}'),
        ('owned', 'machine_hour', 2.0, '{"owned": true, "accelerators": 4, "rate_includes": []}'),
        ('owned', 'electricity_kwh', 0.25, NULL),
        ('rented', 'machine_hour', 2.0, NULL)""")
    connection.execute("""INSERT INTO price_book (book, details) VALUES
        ('x', '{"days": "mon-fri", "not_counted": ["web_searches_kcount"]}'), ('y', NULL)""")
    connection.execute("INSERT INTO runs (run_id, turn) VALUES ('bought', NULL), ('owned', 3)")
    connection.execute("UPDATE schema_version SET version = 7, views_sha256 = NULL")
    assert migrate(connection, "x") == ["type_price_details"]
    orders = "SELECT matrix_order FROM runs ORDER BY run_id"
    assert connection.execute(orders).fetchall() == [(None,), (3,)]
    bought = "SELECT provider, model, service_tier, tiers FROM prices WHERE run_id = 'bought'"
    assert connection.execute(bought).fetchall() == [
        ("b", "m", "flex", [{"above_prompt_tokens": 1000, "usd": 6.0}])
    ]
    hours = """SELECT accelerators, commitment, rate_includes, usd_per_kwh, pays_electricity
        FROM prices WHERE kind = 'machine_hour' ORDER BY run_id"""
    assert connection.execute(hours).fetchall() == [
        (4, "owned", [], 0.25, True),
        (1, "on_demand", None, None, False),
    ]
    book = "SELECT days, not_counted FROM price_book ORDER BY book"
    assert connection.execute(book).fetchall() == [
        ("mon-fri", ["web_searches_kcount"]),
        (None, None),
    ]
