"""One level of a calibration, as a run would carry it: plan, hand-off, Locust child, seal, verdict.

It is held if the verdict finds nothing against the client. Nothing of it is kept.
"""

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import psutil

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.frames import CLIENT_LAG_S, request_frame
from observatory.calibration.ceiling import Trial
from observatory.calibration.replay import BUSY_LIMIT, ReplayShape, Servers, ServerWindow
from observatory.core.clock import new_anchor
from observatory.core.connection import Connection
from observatory.core.errors import EnvironmentFailed, Interrupted
from observatory.core.run import MANIFEST_FORMAT, Finding, Manifest, StageTimes, TargetFacts
from observatory.core.scenario import Scenario
from observatory.core.units import format_duration
from observatory.core.workspace import Workspace
from observatory.emulator.replay_answer import MODEL
from observatory.load.handoff import Handoff
from observatory.runner.checks.stored_calibration import OTHERS_LIMIT, LevelFigures
from observatory.runner.stage_execution import StageExecution, run_stage_execution
from observatory.store.folder.manifest import create_run
from observatory.store.folder.sealing import seal
from observatory.store.frames import RunFrames, read_frames
from observatory.telemetry.sensors.host import busy_seconds, total_seconds
from observatory.workload.planning import make_plan

CLIENT_CODES = (
    "lost_records",
    "lost_worker",
    "no_requests",
    "client_cpu",
    "client_delay",
    "shared_stamps",
    "offered_rate",
    "errors",
)
"""What the verdict may find against a load generator; a level with one of these is not held."""
PROMPT_TOKENS = 32


@dataclass(slots=True)
class Bench:
    """What the trials of a calibration have in common. loadtests: where the locustfiles lie."""

    folder: Path
    loadtests: Path
    processes: int
    client_cores: list[int]
    stopping: Callable[[], bool]
    warmup_s: float
    steady_s: float
    done: int = field(default=0)


def closed(shape: ReplayShape, level: int, bench: Bench) -> Scenario:
    """Return the scenario of so many users at once."""
    return _scenario(shape, {"kind": "closed"}, {"concurrency": level}, bench)


def open_loop(shape: ReplayShape, level: int, bench: Bench) -> Scenario:
    """Return a scenario of so many requests a second, evenly spaced, with any number in flight."""
    return _scenario(shape, {"kind": "constant"}, {"rate": f"{level}/s"}, bench)


def _scenario(
    shape: ReplayShape, arrivals: dict[str, str], stage: dict[str, int | str], bench: Bench
) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "calibration",
            "workload": {
                "kind": "synthetic",
                "prompt_tokens": {"distribution": "fixed", "tokens": PROMPT_TOKENS},
                "output_tokens": {"distribution": "fixed", "tokens": shape.tokens},
                "items": 16,
            },
            "arrivals": arrivals,
            "stages": [stage],
            "timing": {
                "warmup": format_duration(bench.warmup_s),
                "steady": format_duration(bench.steady_s),
                "drain": "10s",
            },
            "processes": bench.processes,
        }
    )


def run_trial(bench: Bench, scenario: Scenario, servers: Servers, level: int) -> Trial:
    """Load the servers with it and return whether the client held it.

    Raise Interrupted on a signal to stop; EnvironmentFailed where the load did not run to its end.
    """
    bench.done += 1
    root = bench.folder / f"trial-{bench.done}"
    space = Workspace(root=root, results=root / "results")
    manifest = _manifest(scenario)
    try:
        folder = create_run(space, manifest)
        handoff = _handoff(scenario, servers, manifest, folder / "journal" / "stage-00")
        machine = _Machine(servers)
        result = run_stage_execution(
            StageExecution(handoff, folder / "logs" / "locust.log", bench.loadtests),
            stopping=bench.stopping,
            failed=servers.alive,
            started=lambda process: _pin(process, bench.client_cores),
            moment=lambda beats: None,
        )
        others = machine.others()
        times = result.times
        if result.outcome == "interrupted":
            raise Interrupted("stopped; nothing was stored")
        if result.outcome != "complete" or not times.steady_started or not times.steady_ended:
            raise EnvironmentFailed(
                f"the trial failed: {result.reason or 'it never reached its window'}"
            )
        complete = msgspec.structs.replace(manifest, status="complete", stages=[times])
        sealed = seal(folder, complete, None)
        frames = read_frames(folder)
        findings, _ = judge_run(sealed, frames)
        zero = manifest.anchor.realtime_ns
        window = servers.window(zero + times.steady_started, zero + times.steady_ended)
        figures = figures_of(frames, times, window, others)
        return judged(level, findings, window, figures)
    finally:
        shutil.rmtree(root, ignore_errors=True)


class _Machine:
    """The machine's processors from now on, to know what others took of them."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._before = psutil.cpu_times()
        self._own_s = self._ours()

    def others(self) -> float:
        """Return the share of all cores that was neither ours nor a child's, once the client has ended."""
        now = psutil.cpu_times()
        total = total_seconds(now) - total_seconds(self._before)
        busy = busy_seconds(now) - busy_seconds(self._before)
        return max(0.0, busy - (self._ours() - self._own_s)) / total if total > 0 else 0.0

    def _ours(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + ended.ru_utime + ended.ru_stime + self._servers.cpu_s()


def judged(
    level: int, findings: list[Finding], server: ServerWindow, figures: LevelFigures
) -> Trial:
    """Return the trial of a level: whether it was held, and the party at fault if not.

    A busy client is always the client's own fault; anything else may be the
    server's where that did not keep up, and then even a level without a finding proves nothing.
    Where other programs were busy, what came late may be theirs.
    """
    doubts = {
        finding.code: finding.message
        for finding in reversed(findings)
        if finding.code in CLIENT_CODES and finding.severity != "note"
    }
    disturbed = figures.others_busy > OTHERS_LIMIT
    if "client_cpu" in doubts:
        return Trial(level, False, f"client_cpu: {doubts['client_cpu']}", figures=figures)
    if server.saturated is not None and ((server.busy or 0.0) > BUSY_LIMIT or not disturbed):
        return Trial(level, False, server.saturated, "server", figures)
    late = server.saturated or next(
        (f"{code}: {message}" for code, message in doubts.items()), None
    )
    if late is None and figures.client_busy is None:
        late = "too few of the client's heartbeats came to judge it"
    if late is None:
        return Trial(level, True, figures=figures)
    if disturbed:
        late = f"other programs took {figures.others_busy:.0%} of its cores; {late}"
        return Trial(level, False, late, "others", figures)
    return Trial(level, False, late, figures=figures)


def figures_of(
    frames: RunFrames, times: StageTimes, server: ServerWindow, others_busy: float
) -> LevelFigures:
    """Return the figures of the heartbeats between the window's first and last, worker by worker, and of the requests."""
    in_window = pl.col("at_ns").is_between(times.steady_started, times.steady_ended)
    workers = (
        frames.ticks.filter((pl.col("kind") == "tick") & in_window)
        .sort("at_ns")
        .group_by("worker")
        .agg(
            *(
                (pl.col(name).last() - pl.col(name).first()).alias(name)
                for name in ("at_ns", "cpu_ns", "recorded", "streamed_tokens")
            ),
            pl.col("rss_bytes").max(),
        )
        .filter(pl.col("at_ns") > 0)
    )
    sums = {
        name: int(workers.get_column(name).sum())
        for name in ("cpu_ns", "recorded", "streamed_tokens")
    }
    cpu_s, requests, events = sums["cpu_ns"] / 1e9, sums["recorded"], sums["streamed_tokens"]
    busy = (
        (workers.get_column("cpu_ns") / workers.get_column("at_ns")).max()
        if workers.height
        else None
    )
    counted = request_frame(frames).filter(
        pl.col("scheduled_ns").is_between(times.steady_started, times.steady_ended)
    )
    stamped = int(counted.get_column("a_events").sum())
    most = workers.get_column("rss_bytes").max()
    lags = counted.select(CLIENT_LAG_S).to_series().drop_nulls()
    return LevelFigures(
        requests_per_s=_per_second(workers, "recorded"),
        events_per_s=_per_second(workers, "streamed_tokens"),
        client_busy=busy if isinstance(busy, float) else None,
        server_busy=server.busy,
        server_late=server.late,
        others_busy=others_busy,
        shared_stamps=int(counted.get_column("a_shared_events").sum()) / stamped
        if stamped
        else 0.0,
        lag_p99_s=float(np.quantile(lags.to_numpy(), 0.99)) if len(lags) >= 100 else None,
        cpu_s_per_1000_requests=1000 * cpu_s / requests if requests else None,
        cpu_s_per_1000_events=1000 * cpu_s / events if events else None,
        worker_rss_bytes=most if isinstance(most, int) else None,
    )


def _per_second(workers: pl.DataFrame, count: str) -> float | None:
    """Return the rate of all workers together; None where none reported twice."""
    if not workers.height:
        return None
    return float((workers.get_column(count) / workers.get_column("at_ns")).sum()) * 1e9


def _manifest(scenario: Scenario) -> Manifest:
    """Return a trial's manifest: what its verdict needs, nothing of who we are."""
    return Manifest(
        format=MANIFEST_FORMAT,
        run_id="trial",
        campaign_id="calibration",
        scenario_name=scenario.name,
        scenario=scenario.model_dump(mode="json", exclude={"targets"}),
        seed=scenario.seed,
        target=TargetFacts("replay", "url", "self", "open", "hours", on_this_host=True),
        comparison_key="",
        comparison_fields={},
        plan_sha256="",
        anchor=new_anchor(),
        created_utc="",
        status="running",
        stages=[],
        environment={},
        software={},
    )


def _handoff(scenario: Scenario, servers: Servers, manifest: Manifest, journal: Path) -> Handoff:
    plan = make_plan(scenario, journal)
    [stage] = plan.stages
    return Handoff(
        run_id=manifest.run_id,
        target=manifest.target.name,
        anchor=manifest.anchor,
        connection=Connection("http", "127.0.0.1", servers.port, "/v1", MODEL),
        request=plan.request,
        stream=plan.stream,
        cache=plan.cache,
        seed=plan.seed,
        items=plan.items,
        stage=stage,
        journal=str(journal),
        workers=scenario.processes,
    )


def _pin(process: int, cores: list[int]) -> None:
    """Keep the client, which has only just begun, and all that it starts on its own cores."""
    if cores and sys.platform == "linux":
        os.sched_setaffinity(process, cores)
