"""`observatory export`: runs, tables or views as files for other tools."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from observatory.cli.change_notes import note_changes
from observatory.cli.console import echo
from observatory.cli.options import ResultsOption
from observatory.core.counted_nouns import count_of
from observatory.core.workspace import open_workspace


class FileFormat(StrEnum):
    """What files are written."""

    parquet = "parquet"
    csv = "csv"
    json = "json"


def export(
    what: Annotated[
        str,
        typer.Argument(help="A run, campaign, label or `last`; or a table or view, of all runs."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write into (default: ./export-WHAT)."),
    ] = None,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="One file a table in this format.")
    ] = FileFormat.parquet,
    table: Annotated[
        list[str] | None,
        typer.Option(help="Of a run: only this table or view (repeatable)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    results: ResultsOption = None,
) -> None:
    """Write a run's rows of every table and view, or one table or view of all runs, as files.

    Answer texts are in them only where the scenario stored text.

    Example: observatory export last --format csv --to ./for-the-notebook
    """
    from observatory.store.folder.run_folder import resolve_runs
    from observatory.store.queries.export import NAMES, check_ingested, export_tables
    from observatory.store.queries.query import open_for_query

    workspace = open_workspace(results)
    folder = to or Path(f"export-{what}")
    if what in NAMES:
        names, runs = [what], None
    else:
        names, runs = table or list(NAMES), resolve_runs(workspace, what)
    with open_for_query(workspace, files=True) as connection:
        if runs is not None:
            check_ingested(connection, runs)
        held = connection.execute("SELECT run_id FROM runs ORDER BY created_at").fetchall()
        written = export_tables(connection, names, runs, folder, file_format.value, replace=force)
    note_changes(workspace, runs if runs is not None else [run_id for (run_id,) in held])
    for path, rows in written:
        echo(f"{count_of(rows, 'row'):>14}  {path}")
