"""A person's SQL: run read-only unless writing is allowed.

By default DuckDB itself holds the walls: the database is opened read-only, and no file or network
can be reached, so that a pasted query neither changes a run nor writes over one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.schema.migrations import quote

_ROWS_A_FETCH = 10_000
_ZONED = "WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query gave: columns as (name, SQL type), and its rows, still to be fetched, once."""

    columns: list[tuple[str, str]]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def open_for_query(
    workspace: Workspace,
    *,
    write: bool = False,
    files: bool = False,
    out: str | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for a person's SQL.

    write: the database may be changed. files: queries may read and write files (read_parquet,
    COPY). out: the one file that may be written without `files` (library_path's name of it). A DuckDB error inside becomes
    BadInput in one line.
    """
    settings = {"python_enable_replacements": False, "autoinstall_known_extensions": False}
    connection = connect(workspace, read_only=not write, settings=settings)
    try:
        if not files:
            if out is not None:
                connection.execute(f"SET allowed_paths = [{quote(out)}]")
            connection.execute("SET enable_external_access = false")
        yield connection
    except duckdb.Error as error:
        raise BadInput(one_line(error), fix=_fix(error)) from error
    finally:
        connection.close()


def run_query(connection: duckdb.DuckDBPyConnection, text: str) -> QueryResult:
    """Run every statement of `text`; the answer is the last one's.

    Times with a zone come as text, because their Python type needs a package of its own.
    """
    statements = connection.extract_statements(text)
    if not statements:
        raise BadInput("the query is empty", fix='observatory sql "from run_summary"')
    for statement in statements[:-1]:
        connection.execute(statement)
    last = statements[-1]
    connection.execute(last)
    columns = _columns(connection)
    if last.type == duckdb.StatementType.SELECT and any(_ZONED in kind for _, kind in columns):
        connection.abort()
        connection.execute(_with_zoned_as_text(_bare(last.query), columns))
        columns = _columns(connection)
    return QueryResult(columns, _rows(connection))


def write_parquet(connection: duckdb.DuckDBPyConnection, text: str, file: str) -> int:
    """Write the rows of one query as Parquet (zstd); answers how many there were."""
    statements = connection.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise BadInput("parquet takes exactly one query, a SELECT")
    row = connection.execute(
        f"COPY (\n{_bare(statements[0].query)}\n) TO {quote(file)}"
        " (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
    ).fetchone()
    return int(row[0]) if row else 0


def one_line(error: duckdb.Error) -> str:
    """Return DuckDB's message without the quoted query, on one line."""
    text = str(error).split("\nLINE ")[0]
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _fix(error: duckdb.Error) -> str | None:
    text = str(error)
    if "attached in read-only mode" in text:
        return "add --write to change the database (rebuild brings it back)"
    if isinstance(error, duckdb.PermissionException):
        return "add --files to let the query reach files, or --out to write its answer to one"
    if isinstance(error, duckdb.CatalogException):
        return "observatory schema lists tables, views and columns"
    return None


def _columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return [(str(column[0]), str(column[1])) for column in connection.description or []]


def _bare(query: str) -> str:
    """Return the statement without its semicolon and what follows, so that it can be put in brackets."""
    text = query.encode()
    for offset, kind in duckdb.tokenize(query):
        if kind == duckdb.token_type.operator and text[offset : offset + 1] == b";":
            return text[:offset].decode()
    return query


def _with_zoned_as_text(query: str, columns: list[tuple[str, str]]) -> str:
    picks = []
    for place, (name, kind) in enumerate(columns, start=1):
        text = (
            f"#{place}::{kind.replace('TIMESTAMP ' + _ZONED, 'VARCHAR')}"
            if _ZONED in kind
            else f"#{place}"
        )
        escaped = name.replace('"', '""')
        picks.append(f'{text} AS "{escaped}"')
    return f"SELECT {', '.join(picks)} FROM (\n{query}\n)"


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while chunk := connection.fetchmany(_ROWS_A_FETCH):
        yield from chunk
