"""What becomes of a run when its load is over: sealed, judged, written down, ingested.

Each step leaves the folder readable, so that a death between two of them costs nothing.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl

from observatory.analysis.checks.identity_checks import with_identity
from observatory.analysis.checks.judge import judge_run
from observatory.analysis.checks.thresholds import as_applied
from observatory.analysis.energy.energy_ledger import energy_ledger
from observatory.analysis.stage_metrics import run_figures, stage_metrics
from observatory.core.run import Manifest
from observatory.core.sample import Sample
from observatory.core.workspace import Workspace
from observatory.runner.earlier import earlier_run
from observatory.runner.finished_run import FinishedRun
from observatory.store.folder.manifest import read_manifest, write_manifest
from observatory.store.folder.sealing import seal
from observatory.store.folder.seals import keep_judged
from observatory.store.frames import RunFigures, RunFrames, read_frames
from observatory.store.ingest.warehouse import IngestResult, ingest


def finish_run(
    workspace: Workspace, folder: Path, manifest: Manifest, samples_journal: Path | None
) -> FinishedRun:
    """Seal, judge and ingest a run whose status and stages are final in `manifest`."""
    if manifest.ended_utc is None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        manifest = msgspec.structs.replace(manifest, ended_utc=now)
    write_manifest(folder, manifest)
    sealed = seal(folder, manifest, samples_journal)
    frames = read_frames(folder)
    sealed = msgspec.structs.replace(sealed, earlier=earlier_run(workspace, sealed))
    judged = keep_judged(folder, judge(sealed, frames))
    figures = run_figures(judged, frames)

    def summarise(other: Manifest, its_frames: RunFrames) -> RunFigures:
        """Return a run's figures: this one's are there already; ingest also takes in runs that were waiting."""
        return figures if other.run_id == judged.run_id else run_figures(other, its_frames)

    ingested = ingest(workspace, folder, summarise)
    return FinishedRun(folder, judged, figures.stage_metrics, ingested, *_bill(frames))


def reread(folder: Path) -> FinishedRun:
    """Return a sealed run as it was when it finished, from its folder alone."""
    manifest = read_manifest(folder)
    frames = read_frames(folder)
    metrics = stage_metrics(manifest, frames)
    ingested = IngestResult((manifest.run_id,))
    return FinishedRun(folder, manifest, metrics, ingested, *_bill(frames))


def _bill(frames: RunFrames) -> tuple[float | None, int]:
    """Return cost_usd and without_cost of a finished run; a run that sent nothing cost nothing."""
    if not frames.attempts.height:
        return 0.0, 0
    costs = frames.requests.get_column("cost_usd").drop_nulls()
    answered = frames.attempts.filter(pl.col("final") & pl.col("first_event_ns").is_not_null())
    unknown = frames.requests.filter(pl.col("cost_usd").is_null()).join(
        answered, on=["stage", "request"], how="semi"
    )
    return (float(costs.sum()) if len(costs) else None), unknown.height


def judge(manifest: Manifest, frames: RunFrames) -> Manifest:
    """Return the manifest with its energy rows, findings, verdict and the thresholds that made them.

    All are functions of the sealed facts.
    """
    energy = energy_ledger(manifest, frames, samples_of(frames.samples))
    weighed = with_identity(msgspec.structs.replace(manifest, energy=energy), frames)
    findings, verdict = judge_run(weighed, frames)
    return msgspec.structs.replace(
        weighed, findings=findings, verdict=verdict, thresholds=as_applied()
    )


def samples_of(frame: pl.DataFrame) -> list[Sample]:
    """Return the rows of a samples frame as samples."""
    names = ("at_ns", "sensor", "subject", "device", "metric", "value", "reason")
    return [Sample(*row) for row in frame.select(names).iter_rows()]
