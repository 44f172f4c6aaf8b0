"""The database's number and how it got there: one named function a step, run once each.

Views are no part of a step: they are made again whenever their text differs from what is stored.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from observatory.core.errors import BadInput
from observatory.store.schema.price_columns import fill_price_book, fill_prices
from observatory.store.schema.tables import TABLES, Column, Table, columns
from observatory.store.views.catalogue import VIEWS
from observatory.store.views.macro_catalogue import MACROS

VERSION_TABLE = Table(
    "schema_version",
    "The number of this database's schema: one row.",
    (),
    columns("""
        version INTEGER -- the last migration that was run
        migration VARCHAR -- its name
        views_sha256 VARCHAR -- hash of the views' text; they are made again if it differs
    """),
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: from version - 1 to version."""

    version: int
    name: str
    apply: Callable[[duckdb.DuckDBPyConnection], None]


def _complete(connection: duckdb.DuckDBPyConnection) -> None:
    """Add every table and column that is missing, null in older runs, and bring the comments up to date."""
    names = {
        name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    }
    for table in TABLES:
        if table.name not in names:
            create_table(connection, table)
    present = _comments(connection)
    for table in TABLES:
        for column in table.columns:
            if (table.name, column.name) not in present:
                connection.execute(
                    f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}"
                )
            if present.get((table.name, column.name)) != column.comment:
                _comment_on(connection, table, column)


def _store_costs(connection: duckdb.DuckDBPyConnection) -> None:
    """Add the tables of what a run was charged; every run is taken in again, to fill them."""
    _complete(connection)
    connection.execute("UPDATE runs SET manifest_sha256 = NULL")


def _type_price_details(connection: duckdb.DuckDBPyConnection) -> None:
    """Add columns for the fields of a price's details that queries read, and runs.matrix_order, all filled."""
    _complete(connection)
    connection.execute("UPDATE runs SET matrix_order = turn")
    fill_prices(connection)
    fill_price_book(connection)


def _comments(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str | None]:
    """Return the comment of every column of every table that is there, by table and column."""
    rows = connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND NOT internal"
    ).fetchall()
    return {(table, column): comment for table, column, comment in rows}


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "create_tables", _complete),
    Migration(2, "add_thresholds", _complete),
    Migration(3, "add_engines_and_energy", _complete),
    Migration(4, "add_energy_evidence", _complete),
    Migration(5, "add_apis_and_money", _complete),
    Migration(6, "mend", _complete),
    Migration(7, "store_costs", _store_costs),
    Migration(8, "type_price_details", _type_price_details),
)


def create_table(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Make a table with a comment on it and on each of its columns.

    Keys are written down, not enforced: an index over tens of millions of requests would cost more
    than all else, and ingest replaces whole runs.
    """
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    connection.execute(f"CREATE TABLE {table.name} ({columns})")
    key = f" Key: {', '.join(table.key)}." if table.key else ""
    connection.execute(f"COMMENT ON TABLE {table.name} IS {quote(table.comment + key)}")
    for column in table.columns:
        _comment_on(connection, table, column)


def _comment_on(connection: duckdb.DuckDBPyConnection, table: Table, column: Column) -> None:
    connection.execute(f"COMMENT ON COLUMN {table.name}.{column.name} IS {quote(column.comment)}")


def quote(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def version_of(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the schema's number; 0 in a database that holds nothing.

    Raises BadInput where the file holds tables and no number: it is somebody else's.
    """
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
        " AND NOT temporary"
    ).fetchall()
    if not names:
        return 0
    if (VERSION_TABLE.name,) not in names:
        raise BadInput("the database has tables, but is none of the observatory's")
    row = connection.execute(f"SELECT max(version) FROM {VERSION_TABLE.name}").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def check_version(
    version: int, where: str, migrations: Sequence[Migration] = MIGRATIONS, *, writing: bool
) -> None:
    """Raise BadInput where the schema is too new, or (reading, which cannot migrate) too old."""
    known = migrations[-1].version
    if version > known:
        raise BadInput(
            f"the database is too new: its schema is {version}, this version knows up to {known}",
            where=where,
            fix="update the observatory",
        )
    if version < known and not writing:
        raise BadInput(
            f"the database is too old: its schema is {version}, this version reads {known}",
            where=where,
            fix="observatory rebuild (the next run also brings it up to date)",
        )


def migrate(
    connection: duckdb.DuckDBPyConnection,
    where: str,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> list[str]:
    """Bring an open database up to date in one transaction; answers the names of the steps run."""
    version = version_of(connection)
    check_version(version, where, migrations, writing=True)
    steps = [step for step in migrations if step.version > version]
    if not steps and _stored_views(connection) == views_sha256():
        return []
    connection.begin()
    try:
        if version == 0:
            create_table(connection, VERSION_TABLE)
        for step in steps:
            step.apply(connection)
        create_views(connection)
        connection.execute(f"DELETE FROM {VERSION_TABLE.name}")
        connection.execute(
            f"INSERT INTO {VERSION_TABLE.name} VALUES (?, ?, ?)",
            [migrations[-1].version, migrations[-1].name, views_sha256()],
        )
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return [step.name for step in steps]


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create every view again, and the macros over them, each with its comments."""
    for view in VIEWS:
        connection.execute(view.sql)
        connection.execute(f"COMMENT ON VIEW {view.name} IS {quote(view.comment)}")
        for column in view.columns:
            connection.execute(
                f"COMMENT ON COLUMN {view.name}.{column.name} IS {quote(column.comment)}"
            )
    for macro in MACROS:
        connection.execute(macro.sql)
        kind = "MACRO TABLE" if macro.table else "MACRO"
        connection.execute(f"COMMENT ON {kind} {macro.name} IS {quote(macro.full_comment)}")


def views_sha256() -> str:
    """Return the identity of views and macros as this version defines them, comments included."""
    text = "\n".join(
        f"{view.sql}\n{view.comment}\n{[column.comment for column in view.columns]}"
        for view in VIEWS
    )
    text += "".join(f"\n{macro.sql}\n{macro.full_comment}" for macro in MACROS)
    return hashlib.sha256(text.encode()).hexdigest()


def _stored_views(connection: duckdb.DuckDBPyConnection) -> str | None:
    row = connection.execute(f"SELECT views_sha256 FROM {VERSION_TABLE.name}").fetchone()
    return None if row is None else row[0]
