"""A short burst of fast readings that shows how often each GPU's sensors really change.

It happens once, before the load, costs a bounded time whose processor share is a sample of its own,
and ends at once where the load begins; what the readings mean is freshness' part.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pynvml

from observatory.core.sample import Sample
from observatory.telemetry.freshness import update_period
from observatory.telemetry.sensors.nvml_readings import READINGS, error_name

BURST_S = 2.0
"""The slowest power sensor known changes every 0.1 s (arXiv 2312.02741): twenty changes."""
STEP_S = 0.005
"""The fastest changes every 15 to 20 ms there; three questions a change find it within a third."""
PATIENCE_S = 1.0
"""How much longer than the burst its thread may take: a call that hangs is left to hang."""
MEASURED = {
    "gpu_power_w": "gpu_power_update_period_s",
    "gpu_energy_j": "gpu_energy_update_period_s",
    "gpu_util_fraction": "gpu_util_update_period_s",
}
"""Reading -> the metric of its update period."""
CUT = "the load began before it was measured"

Sequences = dict[tuple[str, str], list[tuple[int, float]]]
"""(device, metric) -> (instant in monotonic nanoseconds, value)."""


def poll(
    gpus: Mapping[str, Any],
    stop: Callable[[], bool],
    *,
    seconds: float,
) -> tuple[Sequences, dict[tuple[str, str], str]]:
    """Read every GPU again and again; return the readings, and the errors of those never read."""
    calls = [
        (reading, place, metric)
        for reading in READINGS
        for place, metric in enumerate(reading.metrics)
        if metric in MEASURED
    ]
    found: Sequences = {}
    errors: dict[tuple[str, str], str] = {}
    begun = time.monotonic()
    turn = 0
    while time.monotonic() - begun < seconds and not stop():
        for name, handle in gpus.items():
            for reading, place, metric in calls:
                if (name, metric) in errors:
                    continue
                try:
                    value = reading.call(handle)[place]
                except pynvml.NVMLError as error:
                    errors[name, metric] = error_name(error)
                else:
                    found.setdefault((name, metric), []).append((time.monotonic_ns(), value))
        turn = max(turn + 1, int((time.monotonic() - begun) / STEP_S))
        time.sleep(max(0.0, begun + turn * STEP_S - time.monotonic()))
    return found, errors


def period_samples(
    now: int, gpus: Mapping[str, Any], found: Sequences, errors: Mapping[tuple[str, str], str]
) -> list[Sample]:
    """Return one sample a GPU and sensor; null with a reason where the sequence does not show a period."""
    samples = []
    for gpu in gpus:
        for metric, named in MEASURED.items():
            key = (gpu, metric)
            value: float | None = None
            reason: str | None
            if key in errors:
                reason = errors[key]
            elif key not in found:
                reason = CUT
            else:
                period = update_period(found[key])
                value, reason = period.period_s, period.reason
            samples.append(Sample(now, "nvml", "shared_host", gpu, named, value, reason))
    return samples


def measure_update_periods(
    gpus: Mapping[str, Any], now: Callable[[], int], stop: Callable[[], bool]
) -> list[Sample]:
    """Run the burst in a thread of its own; its samples, and what it cost (sampler, burst_cpu_s).

    No GPU: no samples. A driver that hangs in it gives none either; the next reading reports it.
    """
    if not gpus:
        return []
    answer: list[Sample] = []

    def work() -> None:
        spent = time.thread_time()
        found, errors = poll(gpus, stop, seconds=BURST_S)
        spent = time.thread_time() - spent
        samples = period_samples(now(), gpus, found, errors)
        cost = Sample(now(), "sampler", "client", "nvml", "burst_cpu_s", spent)
        answer.extend([*samples, cost])

    thread = threading.Thread(target=work, name="update-periods", daemon=True)
    thread.start()
    thread.join(BURST_S + PATIENCE_S)
    return list(answer)
