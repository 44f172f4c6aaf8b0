"""An open warehouse as the site reads it: rows in a fixed order, hosts masked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from observatory.core.system.private_folders import private_folder
from observatory.core.workspace import Workspace
from observatory.site.queries.hosts import HostMask, host_named, host_names
from observatory.site.queries.run_row import RunRow
from observatory.store.library_paths import library_path
from observatory.store.queries.typed_rows import Typed, columns_of, rows_of
from observatory.store.schema.migrations import quote

VIEWS = (
    "target_comparison",
    "matrix_comparison",
    "matrix_figures",
    "run_summary",
    "stage_summary",
    "throttling",
    "money_per_run",
    "cost_components",
    "request_costs",
    "request_metrics",
)
OF_CAMPAIGNS = frozenset({"matrix_comparison", "matrix_figures"})
"""Views whose rows are made of several runs and name none."""
CHOOSING = "target_comparison"
"""A view that chooses one of several campaigns: on a published site one of those that it shows."""
UNSHOWN = frozenset(
    {"answer", "reasoning", "environment", "endpoint", "target_facts", "scenario_json", "folder"}
)
"""Columns that never enter a download: text of answers, and what may name a host."""


@dataclass(frozen=True, slots=True)
class Reader:
    """An open warehouse; mask hides the host names that no row may carry, scratch is a folder."""

    connection: Any
    scratch: Path
    mask: HostMask
    only_published: bool

    def typed(self, row_type: type[Typed], sql: str, **parameters: Any) -> list[Typed]:
        """Return a query's rows as a row type; TypeError where its columns are not the type's fields.

        $name in the query is bound from the keyword arguments.
        """
        return rows_of(row_type, self._rows(sql, parameters))

    def values(self, sql: str) -> list[Any]:
        """Return the values of a query's single column."""
        return [value for row in self._rows(sql, {}) for value in row.values()]

    def _rows(self, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        with self._cursor(sql) as cursor:
            cursor.execute(sql, self._bound(parameters))
            names = [column[0] for column in cursor.description]
            return [self.mask.row(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    def frame(self, sql: str, **parameters: Any) -> pl.DataFrame:
        """Return the same as a frame.

        By way of a Parquet file: DuckDB's Arrow stream leaks references into Polars and reports it on
        the terminal, and rows as Python objects would be too many.
        """
        path = self.scratch / "answer.parquet"
        with library_path(path, write=True) as file:
            with self._cursor(sql) as cursor:
                options = "(FORMAT parquet, USE_TMP_FILE false)"
                cursor.execute(f"COPY ({sql}) TO {quote(file)} {options}", parameters or None)
            frame = pl.read_parquet(file, memory_map=False)
        return self.mask.frame(frame.with_columns(pl.col(pl.Binary).cast(pl.String)))

    def _cursor(self, sql: str) -> Any:
        """Return a cursor; where the query is of CHOOSING, one whose table runs holds the published runs alone."""
        cursor = self.connection.cursor()
        if self.only_published and CHOOSING in sql:
            [(name,)] = cursor.execute("SELECT current_database()").fetchall()
            main = f'"{name}".main.runs'
            cursor.execute(f"CREATE TEMP VIEW runs AS SELECT * FROM {main} WHERE publish")
        return cursor

    def _bound(self, parameters: dict[str, Any]) -> dict[str, Any] | None:
        return {name: self.mask.unmasked(value) for name, value in parameters.items()} or None

    @property
    def shown(self) -> str:
        """Return the SQL condition on a table with run_id that keeps the runs this site shows."""
        return _PUBLISHED if self.only_published else "true"


_PUBLISHED = "run_id IN (SELECT run_id FROM runs WHERE publish)"


@contextmanager
def open_reader(
    workspace: Workspace, *, only_published: bool = False, show_host: bool = False
) -> Iterator[Reader | None]:
    """Yield the workspace's warehouse, read-only, for as long as the block runs; None where it is missing.

    EnvironmentFailed where another process holds it for writing.
    """
    if not workspace.database.is_file():
        yield None
        return
    from observatory.store.database import connect

    with private_folder("site") as scratch:
        connection = connect(workspace, read_only=True)
        try:
            reader = Reader(connection, scratch, HostMask((), active=False), only_published)
            if show_host:
                yield reader
                return
            seen = shown_runs(reader)
            mask = HostMask(
                host_names(seen),
                workspace=(workspace.results, workspace.root),
                aliases=host_named(seen),
            )
            yield replace(reader, mask=mask)
        finally:
            connection.close()


def shown_runs(reader: Reader) -> list[RunRow]:
    """Return the runs that this site shows, the latest first."""
    return reader.typed(
        RunRow,
        f"SELECT {columns_of(RunRow)} FROM (SELECT * REPLACE (coalesce(sound, false) AS sound, "
        "coalesce(whole, false) AS whole), (SELECT list(g.stage) FROM stages g "
        "WHERE g.run_id = runs.run_id AND g.streamed IS FALSE) AS not_streamed FROM runs) "
        f"WHERE {reader.shown} ORDER BY created_at DESC, run_id DESC",
    )
