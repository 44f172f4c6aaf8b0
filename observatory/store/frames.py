"""The polars side of the schema: the type of every column, and a run's frames as they are read.

The frames' columns are exactly those of store.schema.tables, run_id included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from observatory.core.errors import EnvironmentFailed
from observatory.store.library_paths import library_path
from observatory.store.schema.tables import ATTEMPTS, REQUESTS, SAMPLES, TICKS, Table

_TYPES: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "JSON": pl.String(),
    "BIGINT": pl.Int64(),
    "INTEGER": pl.Int32(),
    "DOUBLE": pl.Float64(),
    "BOOLEAN": pl.Boolean(),
    "TIMESTAMP": pl.Datetime("us"),
    "DATE": pl.Date(),
    "TIME": pl.Time(),
}

SEALED_TABLES: dict[str, Table] = {
    "requests.parquet": REQUESTS,
    "attempts.parquet": ATTEMPTS,
    "samples.parquet": SAMPLES,
    "ticks.parquet": TICKS,
}
"""The files of a sealed run folder and the table that each holds."""


def polars_type(sql_type: str) -> pl.DataType:
    """Return the polars type of a column type of store.schema.tables; JSON is its text."""
    if sql_type.endswith("[]"):
        return pl.List(polars_type(sql_type[:-2]))
    return _TYPES[sql_type]


def polars_schema(table: Table) -> pl.Schema:
    """Return the column names and polars types of a table, in its order."""
    return pl.Schema({column.name: polars_type(column.type) for column in table.columns})


@dataclass(frozen=True, slots=True)
class RunFrames:
    """A sealed run's facts, one frame a table of the same name; ticks are the workers' heartbeats."""

    requests: pl.DataFrame
    attempts: pl.DataFrame
    samples: pl.DataFrame
    ticks: pl.DataFrame


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What the analysis of a sealed run adds to its facts, one frame a table of the same name.

    The columns are those of store.schema.tables without run_id.
    """

    stage_metrics: pl.DataFrame
    billed_tokens: pl.DataFrame
    stage_costs: pl.DataFrame


def frame_of(table: Table, rows: Sequence[Sequence[object]]) -> pl.DataFrame:
    """Return rows in the order of a table's columns without run_id."""
    schema = polars_schema(table)
    names = [name for name in schema if name != "run_id"]
    return pl.DataFrame(rows, schema={name: schema[name] for name in names}, orient="row")


def read_frames(folder: Path) -> RunFrames:
    """Return the frames of a sealed run folder; a column that its version did not know yet is null.

    EnvironmentFailed names a file that cannot be read.
    """
    return RunFrames(
        **{table.name: _read(folder / name, table) for name, table in SEALED_TABLES.items()}
    )


def _read(path: Path, table: Table) -> pl.DataFrame:
    try:
        with library_path(path) as file:
            frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise EnvironmentFailed(
            f"cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            fix="restore it from a copy; an unsealed run is sealed by the next `observatory run`",
        ) from error
    return frame.select(
        pl.col(column) if column in frame.columns else pl.lit(None, dtype=kind).alias(column)
        for column, kind in polars_schema(table).items()
    )
