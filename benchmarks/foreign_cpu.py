"""What other work on the machine does to an engine and to a client: the evidence for `foreign_cpu`.

`python -m benchmarks.foreign_cpu [--target engine|engine-2|client ...] [--cores 0 0.25 0.5 1 2]` runs the
tool next to busy loops that use so many cores, each in a session of its own, and prints one row a run: the
foreign share in the samples, throughput and the client's times. Other work
on the machine is part of the measured share. docs/verdicts.md has the resulting table.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from observatory.analysis.checks.client_checks import stall_p99_s
from observatory.analysis.checks.foreign_cpu import foreign_cpu_of
from observatory.store.folder.manifest import read_manifest

LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0)
PERIOD_S = 0.05
NOMINAL_TTFT_S = 0.2
BURN = """
import sys, time
share, period = float(sys.argv[1]), float(sys.argv[2])
while True:
    end = time.monotonic() + share * period
    while time.monotonic() < end: pass
    if share < 1: time.sleep((1 - share) * period)
"""
SCENARIO: dict[str, Any] = {
    "description": "A stage beside other work.",
    "seed": 3,
    "workload": {
        "kind": "synthetic",
        "items": 64,
        "prompt_tokens": {"distribution": "fixed", "tokens": 64},
        "output_tokens": {"distribution": "fixed", "tokens": 32},
    },
    "arrivals": {"kind": "closed"},
    "stages": [{"concurrency": 4}],
    "timing": {"warmup": "2s", "steady": "12s", "drain": "10s"},
    "telemetry": {"interval": "500ms", "codecarbon": False, "idle": "0s"},
}
TARGETS: dict[str, dict[str, Any]] = {
    "engine": {"kind": "llamacpp", "name": "engine", "parallel": 4, "context": 512, "threads": 1},
    "engine-2": {
        "kind": "llamacpp",
        "name": "engine-2",
        "parallel": 4,
        "context": 512,
        "threads": 2,
    },
    "vllm": {
        "kind": "vllm",
        "name": "vllm",
        "model": "smollm2-135m-instruct-bf16-dequantised",
        "served_model_name": "smollm2-135m-instruct",
        "max_model_len": 1024,
        "environment": {"VLLM_CPU_KVCACHE_SPACE": "1"},
    },
    "client": {
        "kind": "emulated",
        "name": "emulated-client",
        "profile": {
            "ttft_median": f"{NOMINAL_TTFT_S:g}s",
            "ttft_p95": f"{NOMINAL_TTFT_S * 1.001:g}s",
            "inter_token_median": "20ms",
            "inter_token_p95": "20.1ms",
            "output_tokens_median": 32,
            "output_tokens_p95": 32,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Row:
    """One run. Cores on average; times of the client against those set for the emulated service."""

    target: str
    stress: float
    foreign: float
    own: float
    engine: float
    share: float
    slowed: float | None
    tokens_per_s: float | None
    ttft_p50_s: float | None
    ttft_p90_s: float | None
    client_late_s: float | None
    codes: str


def main() -> None:
    """Run every target at every level, print the rows, and append them to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", nargs="+", choices=list(TARGETS), default=["engine", "client"])
    parser.add_argument("--cores", nargs="+", type=float, default=list(LEVELS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    for _ in range(given.repeats):
        for target in given.target:
            for cores in given.cores:
                row = measure(target, cores)
                print(json.dumps(asdict(row)), flush=True)
                if given.out is not None:
                    with given.out.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(asdict(row)) + "\n")


def measure(target: str, cores: float) -> Row:
    """Measure one run next to busy loops on `cores` cores in all."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foreign-")))
        path = folder / "beside.yaml"
        path.write_text(json.dumps({"name": "beside", **SCENARIO, "targets": [TARGETS[target]]}))
        left = cores
        while left > 0:
            stack.callback(_end, _burn(min(left, 1.0)))
            left -= 1.0
        command = [sys.executable, "-m", "observatory", "run", str(path), "--force"]
        done = subprocess.run(
            [*command, "--results", str(folder / "results")],
            capture_output=True,
            text=True,
            check=False,
        )
        runs = sorted((folder / "results" / "runs").glob("*"))
        if not runs:
            raise RuntimeError(done.stdout + done.stderr)
        return _row(target, cores, runs[-1])


def _burn(share: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", BURN, str(share), str(PERIOD_S)], start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _row(target: str, cores: float, run: Path) -> Row:
    manifest = read_manifest(run)
    (stage,) = manifest.stages
    assert stage.steady_started is not None
    assert stage.steady_ended is not None
    samples = pl.read_parquet(run / "samples.parquet")
    found = foreign_cpu_of(manifest, samples, stage.steady_started, stage.steady_ended)
    if isinstance(found, str):
        raise RuntimeError(f"the foreign share is not known: {found}")
    engine = samples.filter(
        (pl.col("metric") == "cpu_cores")
        & pl.col("device").str.starts_with("engine:")
        & pl.col("at_ns").is_between(stage.steady_started, stage.steady_ended)
    )
    attempts = pl.read_parquet(run / "attempts.parquet").filter(pl.col("outcome") == "ok")
    inside = pl.col("ended_ns").is_between(stage.steady_started, stage.steady_ended)
    answers = attempts.filter(inside)
    ttft = (answers.get_column("first_token_ns") - answers.get_column("sent_ns")) / 1e9
    seconds = (stage.steady_ended - stage.steady_started) / 1e9
    tokens = int(answers.get_column("output_tokens").sum())

    def quantile(share: float) -> float | None:
        value = ttft.quantile(share)
        return None if value is None else round(value, 5)

    return Row(
        target=target,
        stress=cores,
        foreign=round(found.foreign, 3),
        own=round(found.own, 3),
        engine=round(float(engine.get_column("value").to_numpy().mean()), 3),
        share=round(found.fraction, 3),
        slowed=None if found.slowed is None else round(found.slowed, 3),
        tokens_per_s=round(tokens / seconds, 1) if len(answers) else None,
        ttft_p50_s=quantile(0.5),
        ttft_p90_s=quantile(0.9),
        client_late_s=_client_late_s(run),
        codes=" ".join(manifest.verdict.codes) if manifest.verdict else "",
    )


def _client_late_s(run: Path) -> float:
    """The load generator's own lateness at p99, as `client_delay` has it for its event loop."""
    ticks = pl.read_parquet(run / "ticks.parquet").filter(pl.col("kind") == "tick")
    return round(stall_p99_s(ticks), 5)


if __name__ == "__main__":
    main()
