"""The data dictionary, read from the comments of a database made for the purpose.

An analyst therefore reads the same words in DuckDB and in docs/schema.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import duckdb

from observatory.store.schema.migrations import migrate
from observatory.store.schema.tables import SCHEMA_VERSION, STORAGE_VERSION, TABLES, Column
from observatory.store.views.catalogue import STAGE_SUMMARY, TARGET_COMPARISON, VIEWS
from observatory.store.views.macro import Macro
from observatory.store.views.macro_catalogue import MACROS
from observatory.store.views.stage_columns import INTERVAL_ENDING


@dataclass(frozen=True, slots=True)
class Entry:
    """A table or view with its comment and columns, in their order."""

    name: str
    kind: Literal["table", "view"]
    comment: str
    columns: tuple[Column, ...]


def data_dictionary() -> list[Entry]:
    """Return every view, then every table."""
    with duckdb.connect(":memory:") as connection:
        migrate(connection, ":memory:")
        comments = dict(
            connection.execute(
                "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
                " UNION ALL SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal"
            ).fetchall()
        )
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns()"
            " WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
    kinds: list[tuple[str, Literal["table", "view"]]] = [(view.name, "view") for view in VIEWS]
    kinds += [(table.name, "table") for table in TABLES]
    return [
        Entry(
            name,
            kind,
            comments[name] or "",
            tuple(
                Column(column, sql_type, comment or "")
                for owner, column, sql_type, comment in columns
                if owner == name
            ),
        )
        for name, kind in kinds
    ]


def markdown(entries: Iterable[Entry]) -> str:
    """Return the dictionary as docs/schema.md has it: an interval's two ends share their figure's line.

    target_comparison repeats stage_summary's figures, which are written once.
    """
    listed = list(entries)
    summary = next((set(e.columns) for e in listed if e.name == STAGE_SUMMARY.name), set())
    parts = [_PREAMBLE]
    for entry in listed:
        own, note = entry.columns, ""
        if entry.name == TARGET_COMPARISON.name and summary:
            own = tuple(column for column in entry.columns if column not in summary)
            note = "\nIts other columns are those of the same name of `stage_summary`.\n"
        rows = "\n".join(_lines(own))
        parts.append(
            f"## {entry.name}\n\n{entry.kind.capitalize()}. {_cell(entry.comment)}\n\n"
            f"| column | type | what it holds |\n|---|---|---|\n{rows}\n{note}"
        )
    parts += [_of_macro(macro) for macro in MACROS]
    return "\n".join(parts)


def _of_macro(macro: Macro) -> str:
    kind = "Table macro: SELECT * FROM" if macro.table else "Macro:"
    rows = "".join(
        f"| `{p.name}` | {'must be given' if p.default is None else f'`{p.default}`'} | {_cell(p.comment)} |\n"
        for p in macro.parameters
    )
    table = f"\n| parameter | default | what it means |\n|---|---|---|\n{rows}" if rows else ""
    return f"## {macro.name}\n\n{kind} `{macro.signature}`. {_cell(macro.comment)}\n{table}"


def _lines(columns: Iterable[Column]) -> Iterable[str]:
    rows: list[tuple[str, str, str]] = []
    for column in columns:
        if column.comment.endswith(INTERVAL_ENDING) and rows:
            names, kind, comment = rows[-1]
            rows[-1] = (f"{names}, `{column.name}`", kind, comment)
        else:
            rows.append((f"`{column.name}`", column.type, _cell(column.comment)))
    return (f"| {names} | {kind} | {comment} |" for names, kind, comment in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_PREAMBLE = f"""# The data dictionary

Made by `observatory schema --markdown` from the comments in the database; a test keeps it current.
Schema {SCHEMA_VERSION}. In any DuckDB client the same words are in `duckdb_columns()`,
`duckdb_tables()` and `duckdb_views()`. docs/sql.md has queries to start from.

**Reading it.** Views first: `request_metrics`, `stage_summary`, `run_summary` hold every run,
of any status and verdict; `target_comparison` holds only what may be compared, and
`matrix_comparison` (with `matrix_figures`) the cells of a matrix over their blocks. Instants
(`*_ns`) are nanoseconds from the run's anchor, `*_unix_ns` Unix time, latencies seconds. A value
that is missing is null, never zero. A percentile that failures reach is infinite. Where a line names
three columns, the second and third are the ends of the first one's 95 % interval. Columns number stages,
blocks, cells and workers from 0; texts for people (verdicts, the terminal, pages) count stages, blocks and cells
from 1.

**The file's storage version is {STORAGE_VERSION}, on purpose.** DuckDB 2.0 by itself writes a format
that 1.5 cannot open, and analysts, notebooks and BI drivers still have 1.5. The observatory therefore
sets {STORAGE_VERSION} when it makes the file; it stays so after writes by 2.0, views and comments are
readable from 1.5, and `SELECT tags FROM duckdb_databases()` shows it.

**Versions.** `schema_version` holds one row. A database that is too old is brought up to date by the
next run (numbered migrations) or by `observatory rebuild`; one that is too new is refused with that
message. The database is derived: rebuilding it from the run folders, and `price_book` from results/prices,
gives the same content.

**Who may hold it open.** DuckDB lets several processes read, or one write. While an analyst's client
has the file open, a finished run stays sealed on disk and is taken in by the next run or by
`observatory rebuild`; the message names the process.
"""
