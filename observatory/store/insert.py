"""Rows of a frame into a table of an open database."""

import duckdb
import polars as pl

from observatory.store.schema import Table


def insert_frame(
    connection: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame, run_id: str
) -> None:
    """The rows of a frame without run_id, a list a column."""
    if not frame.height:
        return
    columns = [column for column in table.columns if column.name in frame.columns]
    names = ", ".join(column.name for column in columns)
    values = ", ".join(f"unnest(?::{column.type}[])" for column in columns)
    connection.execute(
        f"INSERT INTO {table.name} (run_id, {names}) SELECT ?, {values}",
        [run_id, *(frame.get_column(column.name).to_list() for column in columns)],
    )
