"""Seals, judges and keeps runs whose process died, before the next run.

Every run looks for them before its load, so that what judging needs (scipy above all) is imported only
where one is found.
"""

from functools import partial
from pathlib import Path

from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.runner.masked_logs import mask_logs_of_the_dead
from observatory.store.folder.manifest import run_folders
from observatory.store.folder.recovery import recover_crashed
from observatory.store.folder.seals import enter_missing, keep_judged


def recover_crashed_runs(workspace: Workspace) -> list[str]:
    """Seal, judge and ingest runs that no process writes any more; return a line for each run that was saved."""
    lines = seal_crashed_runs(workspace)
    if lines:
        from observatory.analysis.stage_metrics import run_figures
        from observatory.store.ingest.warehouse import ingest_pending

        ingest_pending(workspace, run_figures)
    return lines


def seal_crashed_runs(workspace: Workspace) -> list[str]:
    """Seal and judge them, without the database."""
    lines = recover_crashed(workspace, partial(_mask_judge_and_keep, workspace))
    enter_missing(run_folders(workspace))
    return lines


def _mask_judge_and_keep(workspace: Workspace, folder: Path, sealed: Manifest) -> None:
    from observatory.runner.finish import judge
    from observatory.store.frames import read_frames

    mask_logs_of_the_dead(workspace, sealed.campaign_id, folder)
    keep_judged(folder, judge(sealed, read_frames(folder)))
