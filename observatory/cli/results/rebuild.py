"""`observatory rebuild`: the database again, from the run folders alone."""

from observatory.cli.console import echo
from observatory.cli.options import ResultsOption
from observatory.core.counted_nouns import count_of
from observatory.core.errors import EnvironmentFailed
from observatory.core.workspace import open_workspace


def rebuild(results: ResultsOption = None) -> None:
    """Make the database again from the run folders; readers may keep the old one open.

    Runs whose process died are sealed and judged first, with all that their journals hold. A run whose files have changed since they were sealed is left out and named (exit code 4).

    The content digest is of the rows of all tables: two rebuilds of the same run folders print the same one, although DuckDB gives each file an identifier of its own.

    Example: observatory rebuild
    """
    from observatory.analysis.stage_metrics import run_figures
    from observatory.runner.recovery import seal_crashed_runs
    from observatory.store.folder.manifest import stray_folders
    from observatory.store.ingest.rebuild import rebuild as rebuild_database

    workspace = open_workspace(results)
    for line in seal_crashed_runs(workspace):
        echo(line)
    result = rebuild_database(workspace, run_figures, report=lambda line: echo(line, err=True))
    for folder in stray_folders(workspace):
        echo(f"note: {folder} is no run folder: it has no manifest.json", err=True)
    for run_id in result.unsealed:
        echo(f"{run_id} is not sealed: it is running, or could not be recovered", err=True)
    for line in result.changed:
        echo(f"warning: {line}", err=True)
    echo(f"{workspace.database}: {count_of(len(result.ingested), 'run')}")
    echo(f"content digest {result.digest}")
    if result.left_out:
        raise EnvironmentFailed(f"left out: {'; '.join(result.left_out)}")
