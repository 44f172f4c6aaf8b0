"""The idle baseline: engines loaded, no requests, sensors reading, before the load; reported with its figures.

Nothing is subtracted from anything here: a window is written down, and the ledger weighs it.
"""

import time
from collections.abc import Callable, Iterable

import msgspec

from observatory.core.journal import decode_samples
from observatory.core.run import IdleWindow
from observatory.core.sample import Sample
from observatory.core.sensor_config import Telemetry
from observatory.runner.campaign_execution import CampaignExecution
from observatory.store.folder.manifest import write_manifest
from observatory.telemetry.sampler_process import READY_WITHIN_S, SamplerHandle
from observatory.telemetry.sensors.probe import NOT_READ_YET

COUNTERS_WITHIN_S = 10.0
"""codecarbon starts in 1.6 s on a quiet machine; a busy one is given several times that."""
POLL_S = 0.25
_NOT_YET = ("starting", NOT_READ_YET)
ENERGY_METRICS = frozenset({"energy_j", "gpu_energy_j", "gpu_power_w"})


def rest(execution: CampaignExecution) -> None:
    """Leave the opened targets idle for `telemetry.idle` and record when, in the manifest of each.

    Not where none of them has energy that a sensor here reads (emulated, a closed API, a distant
    host without a probe, no counter), and not for one that died meanwhile.
    """
    telemetry, sampler = execution.campaign.request.scenario.telemetry, execution.sampler
    members = [
        member
        for member in execution.members
        if member.opened is not None and member.target.energy == "sensed"
    ]
    if not telemetry.idle or sampler is None or not members:
        return
    sampler.wait_until_ready(READY_WITHIN_S)
    read = _first_readings(sampler, telemetry)
    here = [member for member in members if member.manifest.target.on_this_host]
    members = members if any(sample.subject == "target" for sample in read) else here
    if not read or not members:
        return
    names = ", ".join(member.target.name for member in members)
    execution.campaign.observer.report(
        f"{names}: at rest for {telemetry.idle:g} s, the idle baseline"
    )
    started = execution.anchor.now()
    _wait(telemetry.idle, lambda: sampler.alive() is not None)
    window = IdleWindow(started, execution.anchor.now())
    for member in members:
        if member.opened is not None and member.opened.alive() is None:
            member.manifest = msgspec.structs.replace(member.manifest, idle=window)
            write_manifest(member.folder, member.manifest)


def energy_readings(samples: Iterable[Sample]) -> list[Sample]:
    """Return those that energy is counted from."""
    return [s for s in samples if s.metric in ENERGY_METRICS and s.value is not None]


def counters_settled(
    samples: Iterable[Sample], codecarbon: bool, probes: Iterable[str] = ()
) -> bool:
    """Return whether every counter that starts late has a reading or has failed.

    codecarbon and each of probes: it read some energy; a probe that was just started reports its
    host's processors before its GPUs.
    """
    readings = list(samples)
    carbon = [sample for sample in readings if sample.sensor == "codecarbon"]
    if codecarbon and not energy_readings(carbon) and not any(map(_gave_up, carbon)):
        return False
    return all(
        any(
            _gave_up(sample) if sample.sensor == "probe" else bool(energy_readings([sample]))
            for sample in readings
            if sample.device.partition(":")[0] == probe
        )
        for probe in probes
    )


def _gave_up(sample: Sample) -> bool:
    return sample.metric == "up" and sample.value == 0 and sample.reason not in _NOT_YET


def _first_readings(sampler: SamplerHandle, telemetry: Telemetry) -> list[Sample]:
    """Return the energy readings that are there when all counters have spoken, or time is up."""
    samples: list[Sample] = []
    probes = [probe.name for probe in telemetry.probes]

    def settled() -> bool:
        if sampler.journal.exists():
            samples[:] = decode_samples(sampler.journal.read_bytes())
        return sampler.alive() is not None or counters_settled(
            samples, telemetry.codecarbon, probes
        )

    _wait(COUNTERS_WITHIN_S, settled)
    return energy_readings(samples)


def _wait(seconds: float, over: Callable[[], bool]) -> None:
    """Wait so long, or until it is over before."""
    until = time.monotonic() + seconds
    while not over() and (left := until - time.monotonic()) > 0:
        time.sleep(min(POLL_S, left))
