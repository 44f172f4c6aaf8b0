"""Runs the observatory's own command line against a server, pinned to given cores, and reads its run.

Only public files are read: the run folder's manifest and Parquet. The workspace is temporary.
"""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from benchmarks.machine import cpu_times, started_on
from observatory.core.errors import EnvironmentFailed

_MEASURED = (0, 3, 7)
"""Exit codes of a run that was measured to its end, or to its budget's, with any verdict."""


@dataclass(frozen=True, slots=True)
class Load:
    """One stage: `users` (closed loop) or `rate_per_s` with its arrivals; times in seconds."""

    tokens: int
    steady_s: float
    users: int | None = None
    rate_per_s: float | None = None
    arrivals: str = "closed"
    warmup_s: float = 1.0
    drain_s: float = 10.0
    prompts: int = 64
    processes: int = 1
    requests: int | None = None
    telemetry: dict[str, Any] | None = None
    transport: str = "lean"

    def scenario(self) -> dict[str, Any]:
        """Return the scenario file's content: everything that is not set has the product's default."""
        level = {"concurrency": self.users} if self.users else {"rate": f"{self.rate_per_s:g}/s"}
        arrivals: dict[str, Any] = {"kind": self.arrivals}
        if self.users is None:
            arrivals["max_in_flight"] = 4096
        budget = {} if self.requests is None else {"budget": {"requests": self.requests}}
        return {
            "name": "bench",
            "workload": {
                "kind": "synthetic",
                "items": self.prompts,
                "prompt_tokens": {"distribution": "fixed", "tokens": 32},
                "output_tokens": {"distribution": "fixed", "tokens": self.tokens},
            },
            "arrivals": arrivals,
            "stages": [level],
            "timing": {
                "warmup": f"{self.warmup_s:g}s",
                "steady": f"{self.steady_s:g}s",
                "drain": f"{self.drain_s:g}s",
            },
            "processes": self.processes,
            **({} if self.telemetry is None else {"telemetry": self.telemetry}),
            **budget,
        }


@dataclass(frozen=True, slots=True)
class ClientRun:
    """What came of it. tree_cpu_s: of the command and all its children. others_cpu_s: CPU-seconds that
    neither it nor the server (server_cpu_s) used while it ran, stolen_s what the host took away."""

    began_unix_ns: int
    wall_s: float
    tree_cpu_s: float
    server_cpu_s: float
    others_cpu_s: float
    stolen_s: float
    manifest: dict[str, Any]
    requests: pl.DataFrame
    attempts: pl.DataFrame
    ticks: pl.DataFrame

    @property
    def anchor_ns(self) -> int:
        """Realtime of the instants' zero."""
        return int(self.manifest["anchor"]["realtime_ns"])

    @property
    def window(self) -> tuple[int, int]:
        """The steady window of the only stage, nanoseconds from the anchor."""
        stage = self.manifest["stages"][0]
        return int(stage["steady_started"]), int(stage["steady_ended"])

    @property
    def verdict(self) -> str:
        """The run's own verdict, in its words."""
        return str(self.manifest["verdict"]["sentence"])


def run_observatory(
    load: Load,
    url: str,
    workspace: Path,
    cores: set[int],
    server_cpu: Callable[[], float],
    beside: Callable[[int, threading.Event], None] | None = None,
) -> ClientRun:
    """Run `observatory run` to its end. Raise EnvironmentFailed where it was not measured to its end.

    beside runs in a thread of its own meanwhile, with the command's pid and an event that is set when
    the command has ended.
    """
    (workspace / "scenarios").mkdir(parents=True)
    (workspace / "scenarios" / "bench.yaml").write_text(yaml.safe_dump(load.scenario()))
    target = {"kind": "url", "name": "truth", "url": url, "model": "m", "transport": load.transport}
    (workspace / "scenarios" / "targets.yaml").write_text(yaml.safe_dump({"targets": [target]}))
    command = [sys.executable, "-m", "observatory", "run", "bench", "--target", "truth"]
    before, children_before, server_before = cpu_times(), _children_cpu_s(), server_cpu()
    began, started = time.time_ns(), time.monotonic()
    with started_on(cores), (workspace / "err").open("w") as err:
        child = subprocess.Popen(
            [*command, "--json"],
            cwd=workspace,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
    over = threading.Event()
    other = threading.Thread(target=beside, args=(child.pid, over)) if beside else None
    if other:
        other.start()
    try:
        code = child.wait(timeout=900)
    finally:
        over.set()
        if child.poll() is None:
            child.terminate()
            child.wait()
        if other:
            other.join()
    wall = time.monotonic() - started
    after, tree = cpu_times(), _children_cpu_s() - children_before
    server = server_cpu() - server_before
    if code not in _MEASURED:
        stated = (workspace / "err").read_text()[-2000:]
        raise EnvironmentFailed(
            f"observatory run ended with {code}: {stated}", where=str(workspace)
        )
    (folder,) = (workspace / "results" / "runs").iterdir()
    return ClientRun(
        began_unix_ns=began,
        wall_s=wall,
        tree_cpu_s=tree,
        server_cpu_s=server,
        others_cpu_s=max(0.0, after.busy_s - before.busy_s - tree - server),
        stolen_s=after.stolen_s - before.stolen_s,
        manifest=json.loads((folder / "manifest.json").read_text()),
        requests=pl.read_parquet(folder / "requests.parquet"),
        attempts=pl.read_parquet(folder / "attempts.parquet"),
        ticks=pl.read_parquet(folder / "ticks.parquet"),
    )


def _environment() -> dict[str, str]:
    """Ours, without what would steer the product elsewhere."""
    steering = (
        "OBSERVATORY_RESULTS",
        "OBSERVATORY_CACHE",
        "OBSERVATORY_HANDOFF",
        "LOCUST_",
        "OPENAI_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def _children_cpu_s() -> float:
    """Of all children of this process that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
