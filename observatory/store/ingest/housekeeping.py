"""What a person does to kept runs: give them a label, or remove them for good."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from observatory.core.errors import BadInput, ObservatoryError
from observatory.core.workspace import Workspace
from observatory.store.database import WAIT_S, DatabaseBusy, connect, transaction
from observatory.store.files import disk_error
from observatory.store.folder.annotations import annotate
from observatory.store.folder.campaigns import campaign_folder
from observatory.store.folder.manifest import read_manifest, run_folders
from observatory.store.folder.run_folder import set_label
from observatory.store.folder.run_lock import hold_lock, is_running
from observatory.store.ingest.loading import remove_run


def label_runs(
    workspace: Workspace, run_ids: Sequence[str], label: str | None, *, wait_s: float = WAIT_S
) -> str | None:
    """Set or take away (None) the label of runs, on disk and in the database.

    Answers why the database has it not yet where another process holds it; ingest and rebuild
    take labels from disk. Raises BadInput for an impossible label.
    """
    for run_id in run_ids:
        set_label(workspace.runs / run_id, label)
    return _keep(workspace, run_ids, "label", label, wait_s)


def publish_runs(workspace: Workspace, run_ids: Sequence[str], publish: bool) -> str | None:
    """Show runs on the published site, or no longer, on disk and in the database; answers as label_runs."""
    for run_id in run_ids:
        annotate(workspace.runs / run_id, publish=publish)
    return _keep(workspace, run_ids, "publish", publish, WAIT_S)


def _keep(
    workspace: Workspace, run_ids: Sequence[str], column: str, value: object, wait_s: float
) -> str | None:
    if not workspace.database.exists():
        return None
    try:
        connection = connect(workspace, read_only=False, wait_s=wait_s)
    except DatabaseBusy as busy:
        return f"it is kept on disk; the database has it after the next ingest ({busy.what})"
    with connection, transaction(connection):
        connection.execute(
            f"UPDATE runs SET {column} = ? WHERE list_contains(?, run_id)", [value, list(run_ids)]
        )
    return None


def delete_runs(workspace: Workspace, run_ids: Sequence[str], *, wait_s: float = WAIT_S) -> None:
    """Remove runs from the database, then from disk; nothing where one of them is being written.

    An unfinished matrix of which no run is left is forgotten too.

    Raises EnvironmentFailed where a run is live or the database is held open elsewhere: then
    nothing was removed.
    """
    known = {folder.name: folder for folder in run_folders(workspace)}
    for run_id in run_ids:
        if run_id not in known:
            raise BadInput("is not a run folder", where=str(workspace.runs / run_id))
    folders = [known[run_id] for run_id in run_ids]
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(hold_lock(folder))
        if workspace.database.exists():
            with (
                connect(workspace, read_only=False, wait_s=wait_s) as connection,
                transaction(connection),
            ):
                for run_id in run_ids:
                    remove_run(connection, run_id)
        campaigns = _campaigns_of(folders)
        for folder in folders:
            _remove(folder)
    left = _campaigns_of(run_folders(workspace))
    for campaign_id in campaigns - left:
        folder = campaign_folder(workspace, campaign_id)
        if not is_running(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _campaigns_of(folders: Sequence[Path]) -> set[str]:
    found = set()
    for folder in folders:
        with suppress(ObservatoryError):
            found.add(read_manifest(folder).campaign_id)
    return found


def _remove(folder: Path) -> None:
    """Hide it first: a removal that dies half-way leaves no half of a run in sight."""
    hidden = folder.with_name(f".{folder.name}")
    try:
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise disk_error(error, folder) from error
