"""A line on standard error for each run whose folder is not as it was sealed, next to what is shown of it."""

from collections.abc import Iterable

from observatory.cli.console import echo
from observatory.core.workspace import Workspace


def changes_of(workspace: Workspace, run_ids: Iterable[str]) -> dict[str, str]:
    """Return run_id -> what is not as it was sealed, in words; only runs of which something is not.

    Every sealed file is read.
    """
    from observatory.store.folder.seals import changed_since_sealed, in_words

    found = {}
    for run_id in dict.fromkeys(run_ids):
        folder = workspace.runs / run_id
        if folder.is_dir() and (what := changed_since_sealed(folder, thorough=True)):
            found[run_id] = in_words(what)
    return found


def note_changes(workspace: Workspace, run_ids: Iterable[str]) -> dict[str, str]:
    """Print them, and answer them."""
    found = changes_of(workspace, run_ids)
    for run_id, words in found.items():
        echo(f"note: {run_id}: {words}", err=True)
    return found
