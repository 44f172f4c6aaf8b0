"""Runs whose process died are sealed, judged and kept, by whoever comes next."""

from pathlib import Path

from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.runner.finish import judge
from observatory.store.run_folder import read_frames, recover_crashed, write_manifest
from observatory.store.warehouse import ingest


def recover_crashed_runs(workspace: Workspace) -> list[str]:
    """Seal and judge what nobody writes any more; answers a line for each run that was saved."""
    folders: list[Path] = []

    def judge_and_keep(folder: Path, sealed: Manifest) -> None:
        write_manifest(folder, judge(sealed, read_frames(folder)))
        folders.append(folder)

    lines = recover_crashed(workspace, judge_and_keep)
    for folder in folders:
        ingest(workspace, folder, stage_metrics)
    return lines
