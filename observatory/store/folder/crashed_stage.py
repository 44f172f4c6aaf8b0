"""A stage whose own entry was never written, because the runner died in it: made from journals.

Times and counts come from the workers' entries and records, the level from the scenario.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from pydantic import ValidationError

from observatory.core.caps_spent import NOTHING_SPENT, CapsSpent
from observatory.core.plan import PRIMING
from observatory.core.record import NEVER_SENT, RequestRecord, WorkerEnd, WorkerStart, WorkerTick
from observatory.core.run import Manifest, StageTimes
from observatory.core.scenario import Scenario
from observatory.core.stage_counts import issued_by_worker
from observatory.store.folder.journals import JOURNAL_FOLDER, entries, worker_journals


@dataclass(slots=True)
class _Heard:
    started: list[int] = field(default_factory=list)
    instants: list[int] = field(default_factory=list)
    issued: dict[int, int] = field(default_factory=dict)
    recorded: dict[int, int] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    priming: bool = False


def crashed_stage(folder: Path, manifest: Manifest, index: int) -> StageTimes:
    """Return the stage as far as it came; its steady window ends no later than the last sign of life."""
    heard = _listen(folder, index)
    counted = issued_by_worker(journal_of(folder, index))
    for worker in heard.issued.keys() | heard.recorded.keys() | counted.keys():
        known = heard.issued.get(worker, 0), counted.get(worker, 0), heard.recorded.get(worker, 0)
        heard.issued[worker] = max(known)
    begun = min(heard.started, default=None)
    ended = max(heard.instants, default=None)
    bare = StageTimes(
        index=index,
        kind=PRIMING if heard.priming else "unknown",
        concurrency=None,
        rate_per_s=None,
        started=begun,
        ended=ended,
        issued=sum(heard.issued.values()),
        counted=bool(counted),
        lost_workers=heard.silent,
    )
    return bare if heard.priming else _with_level(bare, manifest)


def journal_of(folder: Path, index: int) -> Path:
    """Return a stage's journal folder."""
    return folder / JOURNAL_FOLDER / f"stage-{index:02d}"


def with_spent(spent: CapsSpent | None, more: CapsSpent | None) -> CapsSpent | None:
    """Return what the stages before had spent of the caps and the one that was running; unknown stays out."""
    return spent if more is None else (spent or NOTHING_SPENT).plus(more)


def _listen(folder: Path, index: int) -> _Heard:
    heard = _Heard()
    for journal in worker_journals(folder, "ticks"):
        if journal.stage != index:
            continue
        latest: WorkerTick | WorkerEnd | None = None
        for entry in entries(journal.path):
            if isinstance(entry, WorkerStart):
                heard.started.append(
                    entry.at if entry.stage_started is None else entry.stage_started
                )
            elif isinstance(entry, WorkerTick | WorkerEnd):
                latest = entry
        if latest is not None:
            heard.instants.append(latest.at)
            heard.issued[journal.worker] = latest.issued
        if not isinstance(latest, WorkerEnd):
            heard.silent.append(f"worker {journal.worker}")
    for journal in worker_journals(folder, "requests"):
        if journal.stage != index:
            continue
        for entry in entries(journal.path):
            if isinstance(entry, RequestRecord):
                heard.priming = heard.priming or entry.phase == "prime"
                if entry.outcome not in NEVER_SENT:
                    heard.recorded[journal.worker] = heard.recorded.get(journal.worker, 0) + 1
                heard.instants.extend(a.ended for a in entry.attempts[-1:] if a.ended is not None)
    return heard


def _with_level(stage: StageTimes, manifest: Manifest) -> StageTimes:
    primed = sum(times.priming for times in manifest.stages)
    place = stage.index - primed
    try:
        scenario = Scenario.model_validate(manifest.scenario)
    except ValidationError:
        return stage
    if not 0 <= place < len(scenario.stages):
        return stage
    level, timing = scenario.stages[place], scenario.timing_of(place)
    known = msgspec.structs.replace(
        stage, kind=scenario.arrivals.kind, concurrency=level.concurrency, rate_per_s=level.rate
    )
    if stage.started is None or stage.ended is None:
        return known
    steady = stage.started + round(timing.warmup * 1e9)
    if stage.ended <= steady:
        return known
    end = min(steady + round(timing.steady * 1e9), stage.ended)
    return msgspec.structs.replace(known, steady_started=steady, steady_ended=end)
