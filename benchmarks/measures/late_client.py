"""The null test: a client that is stopped for 200 ms every second must be found out.

If these checks fail, the comparison of `truth-N` cannot fail, and proves nothing.
"""

import contextlib
import signal
import threading

import psutil

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.joining import join
from benchmarks.measures.truth import SCHEDULE, TOKENS, errors
from benchmarks.processes import load_processes
from benchmarks.results import Check, Measurement

STREAMS = 64
STOPPED_S = 0.2
EVERY_S = 1.0


def measure(bench: Bench) -> Measurement:
    """Gap errors, shared stamps, and the product's own verdict."""
    load = Load(tokens=TOKENS, users=STREAMS, steady_s=bench.window_s(8), warmup_s=1)
    stops = 0

    def hurt(command: int, over: threading.Event) -> None:
        nonlocal stops
        while not over.wait(EVERY_S):
            stopped = load_processes(command)
            for process in stopped:
                _signal(process, signal.SIGSTOP)
            over.wait(STOPPED_S)
            for process in stopped:
                _signal(process, signal.SIGCONT)
            stops += bool(stopped)

    run, log = bench.observe(SCHEDULE, load, beside=hurt)
    joined = join(log, run.requests, run.attempts, run.anchor_ns, TOKENS)
    found = errors(joined)
    verdict = run.manifest["verdict"]
    blamed = {"client_delay", "shared_stamps", "client_cpu"} & set(verdict["codes"])
    return Measurement(
        "late-client",
        values={"streams": STREAMS, "stops": stops, **found, **loaded(run, log)},
        checks=[
            Check("stops of 200 ms made", stops, low=3),
            Check("gap error max is seen", found["gap"]["max_ms"], low=150, unit="ms"),
            Check("gap error p99 misses its target", found["gap"]["p99_ms"], low=0.3, unit="ms"),
            Check("shared stamps are counted", found["shared_fraction"] * 100, low=1, unit="%"),
            Check("events seen before they were written", found["before_written"], high=0),
            Check("codes of the verdict that blame the client", len(blamed), low=1),
        ],
    )


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
