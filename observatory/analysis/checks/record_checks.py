"""Doubts about the records themselves: issued and not there, cut off, there twice, not sent at all.

From the manifest's counts, the seal's report and the sealed rows; the contents of the records are judged
elsewhere.
"""

from collections.abc import Iterator

import polars as pl

from observatory.analysis.checks.findings import as_found, over_limit
from observatory.core.caps_spent import CapsSpent
from observatory.core.counted_nouns import count_of
from observatory.core.record import NEVER_SENT
from observatory.core.run import REFUSED_ALIKE, Finding, Manifest, StageTimes
from observatory.store.frames import RunFrames


def lost_records(manifest: Manifest, frames: RunFrames) -> Iterator[Finding]:
    """Compare issued with recorded, by stage; in open loop also planned against issued + not issued.

    Where what a dead worker had issued was not counted to the last request (runs of before), its last
    heartbeat counts, which is up to a second old: fewer records than that are a loss, more are none.
    """
    sent = (~pl.col("outcome").is_in(NEVER_SENT)).sum().alias("sent")
    recorded = frames.requests.group_by("stage", "worker").agg(sent)
    for stage in manifest.stages:
        if stage.issued is None:
            continue
        of_stage = recorded.filter(stage=stage.index).select("worker", "sent")
        own = {worker: int(n) for worker, n in of_stage.iter_rows()}
        found = sum(own.values())
        lost = abs(stage.issued - found)
        message = (
            f"{count_of(stage.issued, 'request was', 'requests were')} issued and {found} recorded"
        )
        if stage.lost_workers:
            by_worker = sum(_lost_by_worker(stage, frames.ticks, own).values())
            lost = max(by_worker, lost) if stage.counted else by_worker
            message = f"{count_of(lost, 'request was', 'requests were')} issued and not recorded when {_names(stage)} died"
        yield from over_limit("lost_records", lost, message, stage.index)
        if stage.lost_workers or manifest.status != "complete":
            continue
        if stage.planned is not None and stage.not_issued is not None:
            missing = abs(stage.planned - stage.issued - stage.not_issued)
            message = (
                f"{count_of(stage.planned, 'request was', 'requests were')} planned, {stage.issued} issued and "
                f"{stage.not_issued} given up with a reason"
            )
            yield from over_limit("lost_records", missing, message, stage.index)


def refused_alike(manifest: Manifest) -> Iterator[Finding]:
    """Yield the finding that every request was refused in the same way: what was sent was wrong, and nothing
    was measured."""
    if is_refused_alike(manifest):
        reason = (manifest.status_reason or "").removeprefix(f"{REFUSED_ALIKE}: ")
        yield as_found(
            REFUSED_ALIKE, reason, manifest.stages[-1].index if manifest.stages else None
        )


def is_refused_alike(manifest: Manifest) -> bool:
    """Return whether the run ended because of that."""
    reason = manifest.status_reason or ""
    return manifest.status == "crashed" and reason.startswith(REFUSED_ALIKE)


def lost_workers(manifest: Manifest) -> Iterator[Finding]:
    """Yield worker processes that never reported how they ended."""
    for stage in manifest.stages:
        if stage.lost_workers:
            message = f"{_names(stage)} died: its part of the load was not offered any more"
            yield as_found("lost_worker", message, stage.index, len(stage.lost_workers), 0)


def torn_journals(manifest: Manifest) -> Iterator[Finding]:
    """Yield journals whose last entry a death cut off."""
    report = manifest.seal_report
    if report is not None and report.torn:
        names = ", ".join(sorted(report.torn))
        total = sum(report.torn.values())
        message = f"the last {count_of(total, 'byte')} of {names} {'is' if total == 1 else 'are'} no whole record, and left out"
        yield as_found("torn_journal", message, None, total, 0)


def duplicate_records(manifest: Manifest) -> Iterator[Finding]:
    """Yield records whose request had one already."""
    report = manifest.seal_report
    if report is not None and report.duplicates:
        message = f"{count_of(report.duplicates, 'record was', 'records were')} left out: the request had one already"
        yield as_found("duplicate_records", message, None, report.duplicates, 0)


_CAPS = (("usd", " USD", 1e-9), ("output_tokens", " output tokens", 0.0))


def cap_exceeded(manifest: Manifest) -> Iterator[Finding]:
    """Yield what was billed in all against the caps; it can be more only where a limit was not kept."""
    budget, spent = manifest.stored.budget, manifest.spent or CapsSpent()
    for name, unit, rounding in _CAPS:
        cap, counted = getattr(budget, name), getattr(spent, name)
        if cap is None or counted is None or counted <= cap + rounding:
            continue
        message = (
            f"{counted:.6g}{unit} were spent, {counted - cap:.6g} above the cap of {cap:g}: an answer "
            f"was billed up to {spent.overrun or 1.0:.3g} times its worst case"
        )
        yield as_found("cap_exceeded", message, None, counted, cap)


def _lost_by_worker(
    stage: StageTimes, ticks: pl.DataFrame, recorded: dict[int, int]
) -> dict[int, int]:
    """Count the requests that are known to be lost, by worker: exact for those that wrote their end entry."""
    latest = (
        ticks.filter((pl.col("stage") == stage.index) & (pl.col("kind") != "start"))
        .sort(pl.col("kind") == "end", "at_ns")
        .group_by("worker")
        .agg(pl.col("issued").last(), (pl.col("kind") == "end").any().alias("ended"))
    )
    lost = {}
    for worker, issued, ended in latest.select("worker", "issued", "ended").iter_rows():
        missing = (issued or 0) - recorded.get(worker, 0)
        lost[worker] = abs(missing) if ended else max(0, missing)
    return lost


def _names(stage: StageTimes) -> str:
    return ", ".join(stage.lost_workers)
