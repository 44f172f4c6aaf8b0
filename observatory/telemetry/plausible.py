"""Sensors that lie: values that physics, or the device's own limits, exclude.

Pure but for what it remembers of the last readings. A value that cannot be becomes a null whose
reason holds it, and its device `up` = 0; no later code needs limits of a watt.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.sample import Sample

IMPLAUSIBLE = "implausible: "
"""How the reason of such a null, and of the `up` with it, begins."""
POWER_OVER_LIMIT = 1.5
"""Of the limit in force, which the firmware holds over tens of milliseconds, as the sensor averages:
excursions beyond it last microseconds."""
MOST_POWER_W = 20_000.0
"""Where no limit is known: no accelerator on the market has a tenth of it."""
STUCK_READINGS = 30
STUCK_S = 10.0
"""So many equal readings over so long a time, a hundred periods of the slowest power sensor known."""
UTIL_CHANGE = 0.2
"""A change of utilisation that no power sensor in working order leaves unseen."""
_Moment = tuple[str, str, int]
"""(sensor, device, instant): a probe's answer has several of one device."""
_CHECKED = frozenset({"nvml", "dcgm", "rapl", "codecarbon"})
_COUNTERS = (
    "gpu_energy_j",
    "energy_j",
    "gpu_nvlink_sent_bytes_total",
    "gpu_nvlink_received_bytes_total",
)
_JOULES = frozenset({"gpu_energy_j", "energy_j"})
COUNTER_BROKE = f"{IMPLAUSIBLE}the counter"
"""Begins the reason where a counter did not go on from its last reading: no difference across it counts."""
_STUCK = ("gpu_power_w", "gpu_energy_j")


def power_lie(power_w: float, limit_w: float | None) -> str | None:
    """Return what is wrong with a wattage; None where it may be true."""
    if power_w < 0:
        return f"{power_w:.6g} W is negative"
    if limit_w is not None and limit_w > 0:
        if power_w > POWER_OVER_LIMIT * limit_w:
            return f"{power_w:.6g} W is above {POWER_OVER_LIMIT:g} x the limit of {limit_w:.6g} W"
    elif power_w > MOST_POWER_W:
        return f"{power_w:.6g} W is above {MOST_POWER_W:g} W"
    return None


def fraction_lie(value: float) -> str | None:
    """Return what is wrong with a share of time."""
    return None if 0 <= value <= 1 else f"{value:.6g} is no share from 0 to 1"


def memory_lie(used: float, total: float | None) -> str | None:
    """Return what is wrong with an amount of memory in use."""
    if used < 0:
        return f"{used:.6g} bytes in use is negative"
    if total is not None and used > total:
        return f"{used:.6g} bytes in use of {total:.6g}"
    return None


def counter_lie(before: float, now: float) -> str | None:
    """Return what is wrong with a counter that only grows."""
    return f"the counter went back from {before:.6g} to {now:.6g}" if now < before else None


def jump_lie(grown_j: float, seconds: float, limit_w: float | None) -> str | None:
    """Return what is wrong with joules that were counted in at most so many seconds."""
    most_w = POWER_OVER_LIMIT * limit_w if limit_w is not None and limit_w > 0 else MOST_POWER_W
    if grown_j <= most_w * seconds:
        return None
    return f"the counter jumped by {grown_j:.6g} J in {seconds:.3g} s, more than {most_w:.6g} W"


def stuck_lie(readings: Sequence[tuple[int, float, float | None]]) -> str | None:
    """Return what is wrong with the last readings (instant, value, utilisation) of one sensor.

    All equal, enough of them and for long enough, while the utilisation changed.
    """
    if len(readings) < STUCK_READINGS:
        return None
    span_s = (readings[-1][0] - readings[0][0]) / 1e9
    used = [util for _, _, util in readings if util is not None]
    if span_s < STUCK_S or len({value for _, value, _ in readings}) > 1 or not used:
        return None
    if max(used) - min(used) < UTIL_CHANGE:
        return None
    return (
        f"{readings[-1][1]:.6g} for {count_of(len(readings), 'reading')} in {span_s:.0f} s while the utilisation "
        f"went from {min(used):.0%} to {max(used):.0%}"
    )


@dataclass(frozen=True, slots=True)
class _Counter:
    """A counter's last value: when it was first read, how long after the reading before, and read last."""

    value: float
    since: int
    before_ns: int
    last: int


@dataclass(slots=True)
class _Device:
    """What is remembered of one device."""

    counters: dict[str, "_Counter"] = field(default_factory=dict)
    limit_w: float | None = None
    recent: dict[str, deque[tuple[int, float, float | None]]] = field(default_factory=dict)
    stuck_at: dict[str, tuple[float, str]] = field(default_factory=dict)


class Plausibility:
    """Checks the samples of sensors, reading by reading, in their order."""

    def __init__(self) -> None:
        self._devices: dict[tuple[str, str], _Device] = {}

    def check(self, samples: list[Sample]) -> list[Sample]:
        """Return the samples with what cannot be made null; the same list where nothing is wrong."""
        groups: dict[_Moment, dict[str, Sample]] = {}
        for sample in samples:
            if sample.sensor in _CHECKED and sample.value is not None:
                moment = (sample.sensor, sample.device, sample.at)
                groups.setdefault(moment, {})[sample.metric] = sample
        lies: dict[tuple[_Moment, str], str] = {}
        for moment, readings in groups.items():
            known = self._devices.setdefault(moment[:2], _Device())
            for metric, lie in _lies(known, readings):
                lies[moment, metric] = IMPLAUSIBLE + lie
        return _with_nulls(samples, lies) if lies else samples


def _lies(known: _Device, readings: dict[str, Sample]) -> list[tuple[str, str]]:
    values = {
        metric: sample.value for metric, sample in readings.items() if sample.value is not None
    }
    known.limit_w = values.get("gpu_power_limit_w", known.limit_w)
    found: list[tuple[str, str]] = []
    for metric, value in values.items():
        lie = None
        if not math.isfinite(value):
            lie = f"{value} is no number"
        elif metric == "gpu_power_w":
            lie = power_lie(value, values.get("gpu_power_limit_w"))
        elif metric.endswith("_fraction"):
            lie = fraction_lie(value)
        elif metric == "gpu_memory_used_bytes":
            lie = memory_lie(value, values.get("gpu_memory_total_bytes"))
        elif metric in _COUNTERS:
            lie = _counted(known, metric, value, readings[metric].at)
        if lie is None and metric in _STUCK:
            lie = _stuck(known, readings[metric].at, metric, value, values.get("gpu_util_fraction"))
        if lie is not None:
            found.append((metric, lie))
    return found


def _counted(known: _Device, metric: str, value: float, at: int) -> str | None:
    """Return what is wrong with a counter's reading; the next one is compared with it in any case.

    A counter may be brought up to date less often than it is read (DCGM: every 30 s), so that its growth is
    of the time since its last value was first seen, and of the time between readings before that.
    """
    last = known.counters.get(metric)
    if last is None:
        known.counters[metric] = _Counter(value, at, 0, at)
        return None
    if value == last.value:
        known.counters[metric] = _Counter(value, last.since, last.before_ns, at)
        return None
    known.counters[metric] = _Counter(value, at, at - last.last, at)
    lie = counter_lie(last.value, value)
    if lie is None and metric in _JOULES:
        seconds = (at - last.since + max(last.before_ns, at - last.last)) / 1e9
        lie = jump_lie(value - last.value, seconds, known.limit_w)
    return lie


def _stuck(known: _Device, at: int, metric: str, value: float, util: float | None) -> str | None:
    """Return what is wrong with a stuck sensor; one that was found stuck stays so until its value changes."""
    if metric in known.stuck_at:
        stuck, lie = known.stuck_at[metric]
        if value == stuck:
            return lie
        del known.stuck_at[metric]
    recent = known.recent.setdefault(metric, deque())
    if recent and recent[-1][1] != value:
        recent.clear()
    recent.append((at, value, util))
    while len(recent) > STUCK_READINGS and recent[-1][0] - recent[1][0] >= STUCK_S * 1e9:
        recent.popleft()
    found = stuck_lie(recent)
    if found is not None:
        known.stuck_at[metric] = (value, found)
    return found


def _with_nulls(samples: list[Sample], lies: dict[tuple[_Moment, str], str]) -> list[Sample]:
    with_state = {(s.sensor, s.device, s.at) for s in samples if s.metric == "up"}
    states: dict[_Moment, str] = {}
    for (moment, metric), lie in lies.items():
        of_sensor = (moment[0], "", moment[2])  # one state for all devices of the sensor
        states.setdefault(moment if moment in with_state else of_sensor, f"{lie} ({metric})")

    def honest(sample: Sample) -> Sample:
        moment = (sample.sensor, sample.device, sample.at)
        lie = lies.get((moment, sample.metric))
        if lie is not None:
            return msgspec.structs.replace(sample, value=None, reason=lie)
        if sample.metric == "up" and (state := states.get(moment)) is not None:
            return msgspec.structs.replace(sample, value=0.0, reason=state)
        return sample

    return [honest(sample) for sample in samples]
