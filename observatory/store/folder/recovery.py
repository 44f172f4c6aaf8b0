"""Runs whose process died: found by their free lock, sealed with what their journals hold."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.errors import ObservatoryError
from observatory.core.run import Manifest
from observatory.core.stage_counts import spent_of_caps
from observatory.core.workspace import Workspace
from observatory.store.folder.campaigns import holds_unfinished
from observatory.store.folder.crashed_stage import crashed_stage, journal_of, with_spent
from observatory.store.folder.journals import JOURNAL_FOLDER, worker_journals
from observatory.store.folder.manifest import (
    MANIFEST_NAME,
    NEWBORN_S,
    check_folder_name,
    read_manifest,
    run_folders,
)
from observatory.store.folder.run_lock import LOCK_NAME, hold_lock, is_running
from observatory.store.folder.seals import SEAL_NAME

CRASH_REASON = "its runner died before the run was over (killed, or the machine went down)"
SAMPLES_JOURNAL = "samples.journal"
"""What telemetry calls a campaign's journal, in results/campaigns/<campaign id>."""

Then = Callable[[Path, Manifest], None]


def recover_crashed(workspace: Workspace, then: Then | None = None) -> list[str]:
    """Seal every run folder that is neither being written nor sealed; return what was saved of each.

    A run that died while it ran gets status crashed; one that died while it was being sealed keeps
    its own. `then` is called with each folder and manifest while its lock is held (to judge it).
    What cannot be recovered is named in the result and left as it is.
    """
    sentences = []
    for folder in _unsealed(workspace):
        try:
            with hold_lock(folder):
                sentence = _recover(workspace, folder, then)
        except ObservatoryError as error:
            sentence = f"{folder.name} could not be recovered: {error}"
        if sentence is not None:
            sentences.append(sentence)
    _remove_finished_campaigns(workspace)
    return sentences


def _unsealed(workspace: Workspace) -> Iterator[Path]:
    for folder in run_folders(workspace):
        try:
            left = not is_running(folder) and not _is_being_made(folder)
            crashed = left and ((folder / JOURNAL_FOLDER).is_dir() or not _is_finished(folder))
        except OSError:
            crashed = True  # it may not be looked into: taking its lock gives the reason
        if crashed:
            yield folder


def _is_being_made(folder: Path) -> bool:
    """Return whether its runner may still be between making the folder and taking its lock."""
    if (folder / LOCK_NAME).exists():
        return False
    try:
        return time.time() - (folder / MANIFEST_NAME).stat().st_mtime < NEWBORN_S
    except OSError:
        return False


def _is_finished(folder: Path) -> bool:
    """Return whether it is sealed and judged."""
    try:
        manifest = read_manifest(folder)
    except ObservatoryError:
        return False
    return bool(manifest.sealed) and manifest.verdict is not None


def _recover(workspace: Workspace, folder: Path, then: Then | None) -> str | None:
    from observatory.store.folder.sealing import (
        seal,  # brings polars, which most runs need only later
    )

    manifest = read_manifest(folder)
    check_folder_name(folder, manifest)
    samples = workspace.campaigns / manifest.campaign_id / SAMPLES_JOURNAL
    if manifest.sealed:
        seal(folder, manifest, samples)
        if then is None or manifest.verdict is not None:
            return None
        then(folder, manifest)
        return f"{manifest.run_id} was left without a verdict: judged now"
    if manifest.status == "running":
        manifest = _as_crashed(folder, manifest)
    sealed = seal(folder, manifest, samples)
    if then is not None:
        then(folder, sealed)
    report = sealed.seal_report
    torn = sum(report.torn.values()) if report else 0
    cut = (
        f", {count_of(torn, 'byte')} of a record that was being written {'is' if torn == 1 else 'are'} lost"
        if torn
        else ""
    )
    return (
        f"{sealed.run_id} was left unsealed ({sealed.status_reason or sealed.status}): "
        f"{count_of(report.records if report else 0, 'request')} saved{cut}"
    )


def _as_crashed(folder: Path, manifest: Manifest) -> Manifest:
    """Return the manifest with its end and the stage that was running, by the journals."""
    known = {stage.index for stage in manifest.stages}
    for index in sorted({journal.stage for journal in worker_journals(folder, "ticks")} - known):
        stages = [*manifest.stages, crashed_stage(folder, manifest, index)]
        spent = with_spent(manifest.spent, spent_of_caps(journal_of(folder, index)))
        manifest = msgspec.structs.replace(manifest, stages=stages, spent=spent)
    ended = max((stage.ended for stage in manifest.stages if stage.ended is not None), default=None)
    utc = manifest.ended_utc
    if utc is None and ended is not None:
        moment = datetime.fromtimestamp((manifest.anchor.realtime_ns + ended) // 10**9, UTC)
        utc = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.structs.replace(
        manifest, status="crashed", status_reason=CRASH_REASON, ended_utc=utc
    )


def _has_seal(folder: Path) -> bool:
    try:
        return (folder / SEAL_NAME).is_file()
    except OSError:
        return False


def _remove_finished_campaigns(workspace: Workspace) -> None:
    """Remove campaign folders that no unsealed run needs: samples are in the sealed runs by then.

    An unfinished matrix keeps its folder, and what it will not need again goes from it.
    """
    if not workspace.campaigns.is_dir():
        return
    needed = set()
    for folder in run_folders(workspace):
        try:
            manifest = read_manifest(folder)
        except ObservatoryError:
            if _has_seal(folder):
                continue
            return  # it is not known which campaign's samples it needs
        if not manifest.sealed:
            needed.add(manifest.campaign_id)
    for folder in workspace.campaigns.iterdir():
        if not folder.is_dir() or folder.name in needed or is_running(folder):
            continue
        if holds_unfinished(folder):
            (folder / SAMPLES_JOURNAL).unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
