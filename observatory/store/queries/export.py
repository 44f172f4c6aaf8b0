"""Tables and views as files that other tools read: Parquet, CSV or JSON, sorted, so that they diff."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import duckdb

from observatory.core.errors import BadInput
from observatory.store.files import disk_error
from observatory.store.library_paths import library_path
from observatory.store.schema.migrations import quote
from observatory.store.schema.tables import TABLES
from observatory.store.views.catalogue import VIEWS

Format = Literal["parquet", "csv", "json"]
NAMES: tuple[str, ...] = (*(view.name for view in VIEWS), *(table.name for table in TABLES))
"""What can be exported, views first."""

_OPTIONS: dict[Format, str] = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
}
_ORDER = (
    "run_id",
    "comparison_key",
    "campaign_id",
    "cell",
    "target",
    "block",
    "stage",
    "request",
    "attempt",
    "at_ns",
    "worker",
    "metric",
    "statistic",
)


def check_ingested(connection: duckdb.DuckDBPyConnection, run_ids: Sequence[str]) -> None:
    """Raise BadInput where a run is not in the database (yet)."""
    known = {row[0] for row in connection.execute("SELECT run_id FROM runs").fetchall()}
    missing = [run_id for run_id in run_ids if run_id not in known]
    if missing:
        raise BadInput(
            "is not in the database yet",
            where=missing[0],
            fix="observatory rebuild takes in what is sealed; a live run must end first",
        )


def export_tables(
    connection: duckdb.DuckDBPyConnection,
    names: Sequence[str],
    run_ids: Sequence[str] | None,
    folder: Path,
    file_format: Format,
    *,
    replace: bool = False,
) -> list[tuple[Path, int]]:
    """Write each named table or view as <folder>/<name>.<format>; answers files and row counts.

    run_ids: only rows of these runs (None: of all); of a view whose rows are of whole campaigns,
    those of their campaigns; of what belongs to no run, all. Raises BadInput for an unknown name, or where
    a file exists and may not be replaced.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise BadInput(
            f"no table or view is called {unknown[0]!r}", fix=f"one of {', '.join(NAMES)}"
        )
    paths = [(folder / f"{name}.{file_format}").resolve() for name in names]
    existing = next((path for path in paths if path.exists()), None)
    if existing is not None and not replace:
        raise BadInput("exists already", where=str(existing), fix="add --force to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    return [
        (path, _copy(connection, name, run_ids, path, file_format))
        for name, path in zip(names, paths, strict=True)
    ]


def _copy(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    run_ids: Sequence[str] | None,
    path: Path,
    file_format: Format,
) -> int:
    columns = {row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()}
    chosen = ""
    if run_ids is not None and columns & {"run_id", "campaign_id"}:
        of_runs = f"run_id IN ({', '.join(quote(run) for run in run_ids)})"
        of_campaigns = f"campaign_id IN (SELECT campaign_id FROM runs WHERE {of_runs})"
        chosen = f" WHERE {of_runs if 'run_id' in columns else of_campaigns}"
    keys = {table.name: table.key for table in TABLES}
    # A table's key, a view's other columns: without them rows that are equal so far come in any order.
    last = keys[name] if name in keys else sorted(columns)
    order = ", ".join(dict.fromkeys([*(c for c in _ORDER if c in columns), *last]))
    with library_path(path, write=True) as file:
        row = connection.execute(
            f"COPY (SELECT * FROM {name}{chosen} ORDER BY {order}) TO {quote(file)}"
            f" ({_OPTIONS[file_format]}, USE_TMP_FILE {file == str(path)})"
        ).fetchone()
    return int(row[0]) if row else 0
