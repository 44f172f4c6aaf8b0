"""Doubts about the sensors: values they could not give, values that cannot be, what they cost.

Each check takes a window's data and yields findings; numbers to hold against are in
thresholds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from observatory.analysis.checks.findings import as_found, over_limit
from observatory.analysis.stage_data import StageData
from observatory.core.counted_nouns import count_of
from observatory.core.run import Finding
from observatory.telemetry.plausible import IMPLAUSIBLE
from observatory.telemetry.sensors.table import missing_words, sensor_words

NOTED_CPU_SHARE = 0.05
"""Of a core: readings at the usual second take a tenth of it."""
CONFIGURED_SENSORS = frozenset({"probe", "prometheus", "dcgm"})
"""Sensors that a scenario names: one that never worked is missed as much as one that died."""
_NO_SENSOR = "process"
"""Its `up` is of the process that is watched, and that may end."""
LATE_READINGS = 2.5
"""A sensor is silent where this many intervals passed without a reading."""


@dataclass(frozen=True, slots=True)
class SensorOutage:
    """How long a sensor was down within a window, at the longest, and its reason.

    start_s: seconds from the window's start to the first reading that failed.
    """

    seconds: float
    device: str
    reason: str
    start_s: float = 0.0


def tolerated_s(data: StageData) -> float:
    """Return the time without a reading that the interval, as it was configured, explains."""
    return LATE_READINGS * data.manifest.stored.telemetry.interval_s


def host_of(device: str, probes: set[str]) -> str:
    """Return the probe whose host a device is of; "" for this one."""
    name = device.partition(":")[0]
    return name if name in probes else ""


def probes_of(samples: pl.DataFrame) -> set[str]:
    """Return the names of the probes that were read, or should have been."""
    return set(samples.filter(sensor="probe").get_column("device").unique())


def sensor_outages(data: StageData) -> dict[tuple[str, str], SensorOutage]:
    """Return (sensor, host) -> its longest time down in the window, longer than an interval explains.

    Only sensors that worked before, or that the scenario names. A sensor that hangs is down with
    all its devices; one that lied is `sensor_lies`' matter.
    """
    probes = probes_of(data.samples)
    own = f"engine:{data.manifest.target.name}"
    states: dict[tuple[str, str], list[tuple[int, str, float, str]]] = {}
    so_far = pl.col("at_ns") < data.window.end_ns
    rows = data.samples.filter(so_far, pl.col("sensor") != _NO_SENSOR, metric="up").sort("at_ns")
    names = ("sensor", "device", "at_ns", "value", "reason")
    for sensor, device, at, value, reason in rows.select(names).iter_rows():
        if not device.startswith("engine:") or device == own:
            key = (sensor, host_of(device, probes))
            states.setdefault(key, []).append((at, device, value, reason or "no reason given"))
    found: dict[tuple[str, str], SensorOutage] = {}
    for (sensor, host), readings in states.items():
        devices = {device for _, device, _, _ in readings}
        silent = [
            _longest(data, sensor, device, [row for row in readings if row[1] in (device, host)])
            for device in sorted(devices - {host}) or [host]
        ]
        worst = max(silent, key=lambda one: one.seconds)
        if worst.seconds > tolerated_s(data):
            found[sensor, host] = worst
    return found


def _longest(
    data: StageData, sensor: str, device: str, readings: list[tuple[int, str, float, str]]
) -> SensorOutage:
    window = data.window
    worst = SensorOutage(0.0, device, "")
    worked = sensor in CONFIGURED_SENSORS
    since: int | None = None
    why = ""
    for at, _, value, reason in [*readings, (window.end_ns, device, 1.0, "")]:
        if value == 0 and not reason.startswith(IMPLAUSIBLE):
            if worked:
                since, why = at if since is None else since, reason
            continue
        if since is not None:
            start = max(since, window.start_ns)
            seconds = (at - start) / 1e9
            if seconds > worst.seconds:
                worst = SensorOutage(seconds, device, why, (start - window.start_ns) / 1e9)
            since = None
        worked = True
    return worst


def sensor_down(data: StageData) -> Iterator[Finding]:
    """Yield sensors that worked and then reported a failure, or that were configured and never worked."""
    for (sensor, _), outage in sorted(sensor_outages(data).items()):
        what = f"{sensor} of {outage.device}" if outage.device else sensor
        end_s = outage.start_s + outage.seconds
        message = (
            f"sensor {what} ({sensor_words(sensor)}) gave no reading from {outage.start_s:.1f} to "
            f"{end_s:.1f} s of the window's {data.window.seconds:.1f} s: {outage.reason}; missing there: "
            f"{missing_words(sensor)}"
        )
        yield from over_limit("sensor_down", outage.seconds, message, data.window.stage)


def sensor_lies(data: StageData) -> Iterator[Finding]:
    """Yield values that cannot be; they are null in the samples, with the value in the reason."""
    lies = (
        data.samples.filter(
            data.window.holds("at_ns"),
            pl.col("value").is_null(),
            pl.col("reason").str.starts_with(IMPLAUSIBLE),
        )
        .group_by("sensor", "device", "metric")
        .agg(pl.len().alias("readings"), pl.col("reason").first())
        .sort(["readings", "sensor", "device", "metric"], descending=[True, False, False, False])
    )
    if lies.is_empty():
        return
    sensor, device, metric, readings, reason = lies.row(0)
    others = "" if lies.height == 1 else f", and {lies.height - 1} more series"
    message = (
        f"{sensor} {device} {metric}: {reason.removeprefix(IMPLAUSIBLE)}, "
        f"in {count_of(readings, 'reading')}{others}"
    )
    yield as_found("sensor_lies", message, data.window.stage, float(readings))


def sampler_cpu(data: StageData) -> Iterator[Finding]:
    """Yield what sampling took of a core over the window."""
    inside = data.samples.filter(data.window.holds("at_ns"))
    read = inside.filter(sensor="sampler", metric="cpu_fraction", device="")
    share = read.get_column("value").mean()
    if isinstance(share, float) and share > NOTED_CPU_SHARE:
        message = f"sampling took {share:.0%} of a core"
        yield as_found("sampler_cpu", message, data.window.stage, share, NOTED_CPU_SHARE)
