"""Rows of a frame, or of a Parquet file, into a table of an open database."""

import tempfile
from pathlib import Path

import duckdb
import polars as pl

from observatory.store.library_paths import library_path
from observatory.store.schema.tables import Table

MANY = 10_000
"""Rows from which a Parquet file on the way is faster than Python's values."""


def insert_frame(
    connection: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame, run_id: str
) -> None:
    """Insert the rows of a frame without run_id, by the names of its columns."""
    if not frame.height:
        return
    columns = [column for column in table.columns if column.name in frame.columns]
    names = ", ".join(column.name for column in columns)
    insert = f"INSERT INTO {table.name} (run_id, {names}) SELECT ?, "
    if frame.height < MANY:
        values = ", ".join(f"unnest(?::{column.type}[])" for column in columns)
        lists = (frame.get_column(column.name).to_list() for column in columns)
        connection.execute(insert + values, [run_id, *lists])
        return
    with tempfile.TemporaryDirectory(prefix="observatory-insert-") as folder:
        path = Path(folder) / "rows.parquet"
        frame.write_parquet(path)
        with library_path(path) as file:
            connection.execute(f"{insert}{names} FROM read_parquet(?)", [run_id, file])


def insert_file(connection: duckdb.DuckDBPyConnection, table: Table, file: str) -> set[str]:
    """Insert the rows of a Parquet file by the names of its columns, which are returned; others are null.

    file: library_path's name of it.
    """
    described = connection.execute("SELECT name FROM parquet_schema(?)", [file]).fetchall()
    present = {name for (name,) in described}
    names = ", ".join(column.name for column in table.columns if column.name in present)
    connection.execute(
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM read_parquet(?)", [file]
    )
    return present
