"""`observatory sql`: query the database, read-only unless --write."""

import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, cast

import typer

from observatory.cli.answers import show_table, write_csv, write_json
from observatory.cli.console import EscapingStream, echo
from observatory.cli.options import ResultsOption
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, open_workspace
from observatory.store.files import replacing
from observatory.store.library_paths import library_path

if TYPE_CHECKING:
    import duckdb

    from observatory.store.queries.query import QueryResult


class AnswerFormat(StrEnum):
    """How an answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql(
    query: Annotated[str, typer.Argument(help="SQL, or - to read it from standard input.")],
    answer_format: Annotated[
        AnswerFormat | None,
        typer.Option("--format", help="Default: by --out's ending, else table."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the answer to this file.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows a table shows; 0 shows all.")] = 100,
    write: Annotated[bool, typer.Option("--write", help="Let it change the database.")] = False,
    files: Annotated[
        bool, typer.Option("--files", help="Let it read and write files (read_parquet, COPY).")
    ] = False,
    results: ResultsOption = None,
) -> None:
    """Query the database in SQL (DuckDB's dialect; docs/sql.md has examples).

    Read-only by default: DuckDB then refuses to change the database and to touch any file.

    Example: observatory sql "select target, count(*), quantile_cont(ttft_s, .5) from request_metrics where in_window group by all"
    """
    from observatory.store.queries.query import open_for_query, run_query, write_parquet

    text = _from_stdin() if query == "-" else query
    chosen = _format(answer_format, out)
    workspace = open_workspace(results)
    if out is not None and not out.resolve().parent.is_dir():
        raise BadInput("there is no such folder", where=str(out.resolve().parent))
    parquet = out if chosen is AnswerFormat.parquet else None
    with ExitStack() as stack:
        file = None
        if parquet is not None:
            file = stack.enter_context(library_path(parquet.resolve(), write=True))
        connection = stack.enter_context(
            open_for_query(workspace, write=write, files=files, out=file)
        )
        _note_pending(workspace, connection)
        _note_changed(connection)
        if file is not None:
            rows = write_parquet(connection, text, file)
            echo(f"{count_of(rows, 'row')} in {parquet}", err=True)
            return
        _write(run_query(connection, text), chosen, out, limit)


def _from_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"the query is not UTF-8 (byte {error.start})", where="standard input"
        ) from error


def _format(chosen: AnswerFormat | None, out: Path | None) -> AnswerFormat:
    endings = {f".{name}": name for name in AnswerFormat if name is not AnswerFormat.table}
    if chosen is None:
        if out is None:
            return AnswerFormat.table
        if out.suffix not in endings:
            raise BadInput(
                "the ending is of no known format", where=str(out), fix="add --format csv"
            )
        return endings[out.suffix]
    if chosen is AnswerFormat.parquet and out is None:
        raise BadInput("parquet is not for a terminal", where="--format", fix="add --out FILE")
    if chosen is AnswerFormat.table and out is not None:
        raise BadInput("a table is for reading", where="--out", fix="use csv, json or parquet")
    return chosen


def _write(answer: "QueryResult", chosen: AnswerFormat, out: Path | None, limit: int) -> None:
    names = [name for name, _ in answer.columns]
    if chosen is AnswerFormat.table:
        show_table(names, answer.rows, limit)
        return

    def write(stream: TextIO) -> None:
        if chosen is AnswerFormat.csv:
            write_csv(names, answer.rows, stream)
        else:
            write_json(answer.columns, answer.rows, stream)

    if out is None:
        terminal = sys.stdout.isatty()
        write(cast(TextIO, EscapingStream(sys.stdout)) if terminal else sys.stdout)
        return
    with replacing(out) as part, part.open("w", encoding="utf-8") as stream:
        write(stream)


def _note_pending(workspace: Workspace, connection: "duckdb.DuckDBPyConnection") -> None:
    from observatory.store.ingest.warehouse import pending_runs

    waiting = pending_runs(workspace, connection)
    if waiting:
        runs = count_of(len(waiting), "run is", "runs are")
        echo(
            f"note: {runs} sealed on disk and not in this answer (observatory rebuild): "
            + ", ".join(folder.name for folder in waiting[:3])
            + (" ..." if len(waiting) > 3 else ""),
            err=True,
        )


def _note_changed(connection: "duckdb.DuckDBPyConnection") -> None:
    """Print the runs that the database has with a mark: any of its figures may be of them."""
    from observatory.store.folder.seals import in_words

    query = (
        "SELECT run_id, changed_since_sealed FROM runs WHERE changed_since_sealed IS NOT NULL"
        " ORDER BY created_at DESC"
    )
    marked = connection.execute(query).fetchall()
    for run_id, what in marked[:3]:
        echo(f"note: {run_id}: {in_words(what)}", err=True)
    if len(marked) > 3:
        echo(
            f"note: {count_of(len(marked) - 3, 'more run')} changed (runs.changed_since_sealed)",
            err=True,
        )
