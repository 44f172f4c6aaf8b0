"""Runs whose process died are sealed, judged and kept, by whoever comes next.

Every run looks for them before its load, so that what judging needs (scipy above all) is imported only
where one is found.
"""

from pathlib import Path

from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.store.manifest import run_folders
from observatory.store.recovery import recover_crashed
from observatory.store.seals import enter_missing, keep_judged


def recover_crashed_runs(workspace: Workspace) -> list[str]:
    """Seal, judge and ingest what nobody writes any more; a line for each run that was saved."""
    lines = seal_crashed_runs(workspace)
    if lines:
        from observatory.analysis.stage_metrics import stage_metrics
        from observatory.store.warehouse import ingest_pending

        ingest_pending(workspace, stage_metrics)
    return lines


def seal_crashed_runs(workspace: Workspace) -> list[str]:
    """Seal and judge them, without the database."""
    lines = recover_crashed(workspace, _judge_and_keep)
    enter_missing(run_folders(workspace))
    return lines


def _judge_and_keep(folder: Path, sealed: Manifest) -> None:
    from observatory.runner.finish import judge
    from observatory.store.frames import read_frames

    keep_judged(folder, judge(sealed, read_frames(folder)))
