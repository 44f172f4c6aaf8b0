"""Rows of a query as frozen dataclasses: a field a column, of the same name."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Protocol, TypeVar

Typed = TypeVar("Typed")
"""A frozen dataclass whose fields are the columns of a query."""


class Cursor(Protocol):
    """What a query of DuckDB returns."""

    @property
    def description(self) -> Any:
        """(name, type, ...) of each column."""

    def fetchall(self) -> list[Any]:
        """Return every row as a tuple."""


def columns_of(row_type: type[Any], table: str = "") -> str:
    """Return the columns that a row type has fields for, as a SELECT lists them, each of `table`."""
    before = f"{table}." if table else ""
    return ", ".join(f"{before}{field.name}" for field in fields(row_type))


def typed_rows(row_type: type[Typed], found: Cursor) -> list[Typed]:
    """Return the rows of a query; TypeError where its columns are not the fields of the row type."""
    names = [column[0] for column in found.description or []]
    return rows_of(row_type, (dict(zip(names, row, strict=True)) for row in found.fetchall()))


def rows_of(row_type: type[Typed], rows: Iterable[Mapping[str, Any]]) -> list[Typed]:
    """Return rows by name as a row type; TypeError where their names are not its fields."""
    return [row_type(**row) for row in rows]
