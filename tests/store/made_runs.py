"""Run folders made by hand: journals as workers write them, manifests as the runner does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from observatory.analysis.stage_metrics import run_figures
from observatory.core.clock import Anchor
from observatory.core.journal import encode_entry
from observatory.core.record import (
    Attempt,
    JournalEntry,
    RequestRecord,
    Tokens,
    WorkerEnd,
    WorkerStart,
    WorkerTick,
)
from observatory.core.run import (
    MANIFEST_FORMAT,
    AppliedThreshold,
    Finding,
    Manifest,
    StageTimes,
    TargetFacts,
    Verdict,
)
from observatory.core.sample import EnergyRow, Sample
from observatory.core.workspace import Workspace, open_workspace
from observatory.store.folder.manifest import create_run
from observatory.store.folder.sealing import seal
from observatory.store.frames import RunFigures, RunFrames, frame_of, polars_schema
from observatory.store.schema.tables import BILLED_TOKENS, STAGE_COSTS, STAGE_METRICS

S = 1_000_000_000
ANCHOR_UNIX_NS = 1_763_000_000 * S
PRICE = {
    "rows": [
        {"kind": "input", "usd": 1.0, "basis": "emulated", "source": "made up"},
        {"kind": "output", "usd": 10.0, "basis": "emulated", "source": "made up"},
    ],
    "basis": "emulated",
}


def workspace_in(folder: Path) -> Workspace:
    """A workspace whose results lie in `folder`/results."""
    return open_workspace(folder / "results", root=folder)


def facts(name: str = "emulated-api", **changes: Any) -> TargetFacts:
    given: dict[str, Any] = {
        "name": name,
        "kind": "emulated",
        "hosting": "managed",
        "weights": "closed",
        "billing": "tokens",
        "model": "stand-in",
        "emulated": True,
        "price": PRICE,
        **changes,
    }
    return TargetFacts(**given)


def stage(index: int = 0, **changes: Any) -> StageTimes:
    """Ten seconds a stage, fifteen apart; steady from the second to the ninth second."""
    begin = index * 15 * S
    given: dict[str, Any] = {
        "index": index,
        "kind": "closed",
        "concurrency": 2,
        "rate_per_s": None,
        "started": begin,
        "steady_started": begin + 2 * S,
        "steady_ended": begin + 9 * S,
        "ended": begin + 10 * S,
        "issued": 3,
        **changes,
    }
    return StageTimes(**given)


def manifest(run_id: str = "run-1", **changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "format": MANIFEST_FORMAT,
        "run_id": run_id,
        "campaign_id": "campaign-1",
        "scenario_name": "quickstart",
        "scenario": {"name": "quickstart"},
        "seed": 7,
        "target": facts(),
        "comparison_key": "0123456789abcdef",
        "comparison_fields": {"seed": 7},
        "plan_sha256": "ab" * 32,
        "anchor": Anchor(ANCHOR_UNIX_NS, 5),
        "created_utc": "2026-11-20T09:00:00Z",
        "ended_utc": "2026-11-20T09:01:00Z",
        "status": "complete",
        "stages": [stage()],
        "environment": {"cpu": {"cores": 2}},
        "software": {"python": "3.11"},
        "verdict": Verdict("degraded", ["client_cpu"], "Degraded: the client was busy."),
        "findings": [Finding("client_cpu", "degraded", "a worker was busy", 0, 0.85, 0.8)],
        "thresholds": [AppliedThreshold("client_cpu", "share of a core", 0.8, 0.95)],
        "energy": [
            EnergyRow(0, "target", "cpu", "estimated", "codecarbon cpu_load", 2 * S, 9 * S, 70.0)
        ],
        **changes,
    }
    return Manifest(**given)


def answer(sent: int, *, events: int = 4, **changes: Any) -> Attempt:
    """A whole answer: first token 100 ms after sent, then one token every 10 ms."""
    arrivals = [sent + 100_000_000 + 10_000_000 * i for i in range(events)]
    given: dict[str, Any] = {
        "number": 0,
        "connect_started": sent - 1_000_000,
        "sent": sent,
        "headers": sent + 50_000_000,
        "first_event": arrivals[0],
        "first_token": arrivals[0],
        "first_answer": arrivals[0],
        "last_token": arrivals[-1],
        "ended": arrivals[-1] + 5_000_000,
        "http_status": 200,
        "provider_request_id": "chatcmpl-1",
        "finish_reason": "stop",
        "event_ns": arrivals,
        "event_tokens": [1] * events,
        "event_characters": [4] * events,
        "event_shared": [False] * events,
        "tokens": Tokens(
            prompt=100,
            cached=0,
            output=events,
            streamed=events,
            output_from="usage",
            streamed_from="usage",
        ),
        **changes,
    }
    return Attempt(**given)


def record(index: int = 0, stage: int = 0, **changes: Any) -> RequestRecord:
    """One request, sent 1 ms after its scheduled instant, in the steady window."""
    scheduled = stage * 15 * S + 3 * S + index * S // 10
    given: dict[str, Any] = {
        "index": index,
        "stage": stage,
        "prompt_id": f"item-{index % 3}",
        "prompt_sha256": "cd" * 32,
        "scheduled": scheduled,
        "released": scheduled,
        "outcome": "ok",
        "attempts": [answer(scheduled + 1_000_000)],
        "score": 1.0,
        "scorer": "exact",
        "task": "arithmetic",
        **changes,
    }
    return RequestRecord(**given)


def tick(at: int, **changes: Any) -> WorkerTick:
    given: dict[str, Any] = {
        "at": at,
        "issued": 3,
        "recorded": 2,
        "in_flight": 1,
        "errors": 0,
        "cpu_ns": 10_000_000,
        "loop_lag_ns": 20_000,
        "offset_change_ns": 5,
        "clock_step": False,
        **changes,
    }
    return WorkerTick(**given)


def heartbeat(stage: int = 0, worker: int = 0, *, ended: bool = True) -> list[JournalEntry]:
    """A worker's words over its stage."""
    begin = stage * 15 * S
    words: list[JournalEntry] = [
        WorkerStart(worker=worker, pid=4242, stage=stage, at=begin - 1, stage_started=begin),
        tick(begin + S),
        tick(begin + 2 * S, cpu_ns=30_000_000),
    ]
    if ended:
        words.append(WorkerEnd(begin + 10 * S, 3, 3, 0, 40_000_000, "complete"))
    return words


def write_journal(
    folder: Path, entries: Sequence[JournalEntry], kind: str, stage: int = 0, worker: int = 0
) -> Path:
    """Append entries to a worker's journal."""
    path = folder / "journal" / f"stage-{stage:02d}" / f"worker-{worker}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(encode_entry(entry) for entry in entries)
    return path


def write_samples(path: Path, samples: Sequence[Sample]) -> Path:
    """A campaign's samples journal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(encode_entry(sample) for sample in samples))
    return path


def sealed_run(
    workspace: Workspace,
    made: Manifest | None = None,
    records: Sequence[RequestRecord] | None = None,
    samples: Sequence[Sample] = (),
) -> Path:
    """A sealed run folder of three requests (or the given ones) in the manifest's stages."""
    chosen = made or manifest()
    folder = create_run(workspace, chosen)
    if records is None:
        records = [record(i, times.index) for times in chosen.stages for i in range(3)]
    for times in chosen.stages:
        mine = [entry for entry in records if entry.stage == times.index]
        write_journal(folder, mine, "requests", times.index)
        write_journal(folder, heartbeat(times.index), "ticks", times.index)
    journal = write_samples(workspace.campaigns / chosen.campaign_id / "samples.journal", samples)
    seal(folder, chosen, journal)
    return folder


def stage_rows(manifest: Manifest, frames: RunFrames | None = None) -> RunFigures:
    """Stage metrics made up, but a function of the run alone, and its true costs; serves as `summarise`."""
    metrics = _made_metrics(manifest)
    if frames is None:
        return RunFigures(metrics, frame_of(BILLED_TOKENS, []), frame_of(STAGE_COSTS, []))
    return replace(run_figures(manifest, frames), stage_metrics=metrics)


def _made_metrics(manifest: Manifest) -> pl.DataFrame:
    names = polars_schema(STAGE_METRICS)
    rows = []
    for times in manifest.stages:
        common = {"stage": times.index, "n": 3, "basis": "emulated"}
        rows += [
            {
                **common,
                "metric": "ttft_s",
                "statistic": "p50",
                "value": 0.1 + times.index,
                "low": 0.05,
                "high": float("inf"),
                "needs_n": 11,
            },
            {
                **common,
                "metric": "ttft_s",
                "statistic": "p99",
                "value": None,
                "bound": 0.2,
                "needs_n": 662,
                "reason": "sample_floor",
            },
            {
                **common,
                "metric": "goodput_rps",
                "statistic": "value",
                "value": 1.5,
                "low": 1.0,
                "high": 2.0,
            },
            {**common, "metric": "gpu_util_fraction", "statistic": "value", "value": 0.5},
            {**common, "metric": "gpu_util_fraction", "statistic": "p95", "value": 0.9},
            {
                **common,
                "metric": "energy_j",
                "statistic": "value",
                "value": 70.0,
                "basis": "estimated",
            },
            {**common, "metric": "cost_usd", "statistic": "value", "value": 0.25},
        ]
    columns = [name for name in names if name != "run_id"]
    return pl.DataFrame(
        [{name: row.get(name) for name in columns} for row in rows],
        schema={name: names[name] for name in columns},
    )
