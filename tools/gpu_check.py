"""Checks the NVML sensor and the probe against this machine's driver: `python -m tools.gpu_check`.

Three minutes idle, two under a PyTorch matmul, one of memory traffic. It compares the energy counter with
the trapezoid of power, utilisation and memory with nvidia-smi, and the probe with the sensor, names every
field that the driver refuses, and writes a recording (no serial numbers, no UUIDs) that the tests' driver
library replays (NVML_RECORDING of tests/telemetry/fake_nvml.c).

Exit code: 0 everything agrees, 1 something does not, 4 there is no GPU to check.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from observatory.core.clock import Anchor, new_anchor
from observatory.core.connection import Connection
from observatory.core.sample import Sample
from observatory.economics.window import counted, integrated
from observatory.telemetry.plausible import IMPLAUSIBLE, Plausibility
from observatory.telemetry.remote.remote_samples import ProbeAddress, RemoteHost
from observatory.telemetry.sensors.nvml import NvmlSensor
from observatory.telemetry.sensors.nvml_readings import METRICS
from observatory.telemetry.sensors.probe import ProbeSensor
from observatory.telemetry.sensors.update_periods import measure_update_periods

ENERGY_TOLERANCE = 0.03
UTIL_TOLERANCE = 0.10
"""Of the whole: two readers look at different moments, so that only the means of a phase are compared."""
MEMORY_TOLERANCE = 0.02
PROBE_TOLERANCE = 0.03
SMI_EVERY_S = 2.0
SMI_FIELDS = ("utilization.gpu", "memory.used", "memory.total", "power.draw")
LOADS = {
    "matmul": """
import torch
a = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
while True:
    for _ in range(20): b = a @ a
    torch.cuda.synchronize()
""",
    "memory": """
import torch
a = torch.zeros(1 << 30, device="cuda", dtype=torch.uint8)
b = torch.empty_like(a)
while True:
    for _ in range(20): b.copy_(a)
    torch.cuda.synchronize()
""",
}
RECORDED = {
    "gpu_energy_j": ("energy_mj", 1e3),
    "gpu_power_w": ("power_mw", 1e3),
    "gpu_power_limit_w": ("power_limit_mw", 1e3),
    "gpu_util_fraction": ("util_percent", 1e2),
    "gpu_memory_util_fraction": ("memory_util_percent", 1e2),
    "gpu_memory_used_bytes": ("memory_used_bytes", 1.0),
    "gpu_memory_total_bytes": ("memory_total_bytes", 1.0),
    "gpu_sm_clock_mhz": ("sm_clock_mhz", 1.0),
    "gpu_memory_clock_mhz": ("memory_clock_mhz", 1.0),
    "gpu_temperature_c": ("temperature_c", 1.0),
    "gpu_throttle_bits": ("throttle_bits", 1.0),
}
"""Metric -> its name in a recording, and what it is multiplied with."""


@dataclass(frozen=True, slots=True)
class Check:
    """ours against theirs, as a share of theirs or of the whole; note: why there is none."""

    phase: str
    device: str
    what: str
    ours: float | None
    theirs: float | None
    tolerance: float
    note: str | None = None

    @property
    def agrees(self) -> bool | None:
        """None where there was nothing to compare."""
        if self.ours is None or self.theirs is None:
            return None
        whole = 1.0 if self.what == "utilisation" else abs(self.theirs)
        return abs(self.ours - self.theirs) <= self.tolerance * max(whole, 1e-9)


@dataclass(slots=True)
class Phase:
    """What was read while one load ran. smi: instant, then GPUs by the fields of SMI_FIELDS."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    probed: list[Sample] = field(default_factory=list)
    smi: list[list[list[float | None]]] = field(default_factory=list)
    note: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the phases, print what was found, write report.json and gpu.recording into --out."""
    given = _parser().parse_args(arguments)
    anchor = new_anchor()
    sensor, plausibility = NvmlSensor(dict), Plausibility()
    first = sensor.read(anchor.now())
    if not sensor.gpus:
        print(f"no GPU to check: {first[0].reason if first else 'the driver gives no reading'}")
        return 4
    periods = measure_update_periods(sensor.gpus, anchor.now, lambda: False)
    phases = []
    with ExitStack() as stack:
        probe = stack.enter_context(_probe(given.interval, anchor))
        readers = Readers(anchor, sensor, plausibility, probe)
        for name in ("idle", *LOADS):
            phase = Phase(name)
            seconds = getattr(given, name)
            if seconds > 0:
                with _load(name, given.python, phase):
                    if phase.note is None:
                        _read(phase, readers, seconds, given.interval)
            else:
                phase.note = "left out"
            phases.append(phase)
    checks = [check for phase in phases for check in checks_of(phase, sorted(sensor.gpus))]
    everything = [sample for phase in phases for sample in phase.samples]
    report = {
        "gpus": len(sensor.gpus),
        "phases": {phase.name: phase.note or f"{len(phase.samples)} samples" for phase in phases},
        "refused": refused(everything),
        "implausible": sorted(
            {f"{s.device} {s.metric}: {s.reason}" for s in everything if _is_lie(s)}
        ),
        "update_periods": {
            f"{s.device} {s.metric}": s.value if s.value is not None else s.reason
            for s in periods
            if s.sensor == "nvml"
        },
        "checks": [asdict(check) | {"agrees": check.agrees} for check in checks],
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (given.out / "gpu.recording").write_text("".join(recording(everything)))
    _print(report, checks, given.out)
    wrong = bool(report["implausible"]) or any(check.agrees is False for check in checks)
    return 1 if wrong else 0


def checks_of(phase: Phase, gpus: Sequence[str]) -> Iterator[Check]:
    """Every comparison of a phase, GPU by GPU."""
    for index, gpu in enumerate(gpus):
        power, energy = (_series(phase.samples, gpu, m) for m in ("gpu_power_w", "gpu_energy_j"))
        if len(energy) > 1 and len(power) > 1:
            start, end = max(energy[0][0], power[0][0]), min(energy[-1][0], power[-1][0])
            own, other = counted(energy, start, end), integrated(power, start, end)
            note = own.reason or other.reason
            yield Check(phase.name, gpu, "energy", own.value, other.value, ENERGY_TOLERANCE, note)
        else:
            yield Check(
                phase.name, gpu, "energy", None, None, ENERGY_TOLERANCE, "no counter or no power"
            )
        yield from _against_smi(phase, gpu, index)
        probed = [value for _, value in _series(phase.probed, f"probe:{gpu}", "gpu_power_w")]
        mine = [value for _, value in power]
        yield Check(
            phase.name, gpu, "power by the probe", _mean(mine), _mean(probed), PROBE_TOLERANCE,
            None if probed else "the probe gave no reading",
        )  # fmt: skip


def _against_smi(phase: Phase, gpu: str, index: int) -> Iterator[Check]:
    for what, metric, place, factor, tolerance in (
        ("utilisation", "gpu_util_fraction", 0, 1e-2, UTIL_TOLERANCE),
        ("memory", "gpu_memory_used_bytes", 1, 2.0**20, MEMORY_TOLERANCE),
        ("memory in all", "gpu_memory_total_bytes", 2, 2.0**20, MEMORY_TOLERANCE),
        ("power", "gpu_power_w", 3, 1.0, ENERGY_TOLERANCE),
    ):
        reported = [
            value * factor
            for rows in phase.smi
            if index < len(rows) and (value := rows[index][place]) is not None
        ]
        mine = [value for _, value in _series(phase.samples, gpu, metric)]
        note = None if reported else "nvidia-smi gave no reading"
        yield Check(phase.name, gpu, what, _mean(mine), _mean(reported), tolerance, note)


def refused(samples: Sequence[Sample]) -> dict[str, str]:
    """ "gpu0 gpu_power_w" -> the driver's reason, of every field that was never read."""
    read = {(s.device, s.metric) for s in samples if s.value is not None}
    return {
        f"{s.device} {s.metric}": s.reason or "no reason given"
        for s in samples
        if s.metric in METRICS and (s.device, s.metric) not in read
    }


def recording(samples: Sequence[Sample]) -> Iterator[str]:
    """Lines "SECONDS GPU READING VALUE" of what changed, for NVML_RECORDING; nothing names the board."""
    yield "# SECONDS GPU READING VALUE, by tools/gpu_check.py\n"
    last: dict[tuple[str, str], int] = {}
    begun = samples[0].at if samples else 0
    for sample in samples:
        if (
            sample.value is None
            or sample.metric not in RECORDED
            or not sample.device.startswith("gpu")
        ):
            continue
        name, factor = RECORDED[sample.metric]
        value = round(sample.value * factor)
        place = sample.device.removeprefix("gpu").replace("/mig", "/")
        if last.get((place, name)) != value:
            last[place, name] = value
            yield f"{(sample.at - begun) / 1e9:.3f} {place} {name} {value}\n"


@dataclass(frozen=True, slots=True)
class Readers:
    """What is read in every phase; all instants count from one anchor."""

    anchor: Anchor
    sensor: NvmlSensor
    plausibility: Plausibility
    probe: ProbeSensor


def _read(phase: Phase, readers: Readers, seconds: float, interval_s: float) -> None:
    anchor, probe = readers.anchor, readers.probe
    begun, smi_due, turn = time.monotonic(), 0.0, 0
    probe.read(anchor.now())  # what it read before this phase
    while (passed := time.monotonic() - begun) < seconds:
        phase.samples += readers.plausibility.check(readers.sensor.read(anchor.now()))
        phase.probed += probe.read(anchor.now())
        if passed >= smi_due:
            phase.smi.append(_smi())
            smi_due = passed + SMI_EVERY_S
        turn += 1
        time.sleep(max(0.0, begun + turn * interval_s - time.monotonic()))
    time.sleep(min(1.0, 2 * interval_s))
    phase.probed += probe.read(anchor.now())


def _smi() -> list[list[float | None]]:
    """Return nvidia-smi's current values, a row per GPU; none where it is missing or fails."""
    if shutil.which("nvidia-smi") is None:
        return []
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        return [[_number(part) for part in line.split(",")] for line in done.stdout.splitlines()]
    return []


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # [N/A], [Not Supported]
        return None


@contextmanager
def _load(name: str, python: str, phase: Phase) -> Iterator[None]:
    """Run the phase's load during the block; print a note where it cannot be made."""
    if name not in LOADS:
        yield
        return
    child = subprocess.Popen(
        [python, "-c", LOADS[name]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        with suppress(subprocess.TimeoutExpired):
            child.wait(WARM_UP_S)
        if child.poll() is not None:
            _, error = child.communicate()
            phase.note = f"its load ended: {(error.strip().splitlines() or ['no word'])[-1]}"
        yield
    finally:
        child.kill()
        child.wait()


WARM_UP_S = 10.0
"""Until PyTorch has started and the GPU's clocks have risen."""


@contextmanager
def _probe(interval_s: float, anchor: Anchor) -> Iterator[ProbeSensor]:
    """`observatory probe` on loopback in a process of its own, and what reads it."""
    command = ["-m", "observatory", "probe", "--port", "0", "--interval", f"{interval_s:g}s"]
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline().split()[2].rpartition(":")[2])
        connection = Connection("http", "127.0.0.1", port, "", "")
        address = ProbeAddress(RemoteHost("probe", "shared_host"), connection)
        yield ProbeSensor(address, anchor, interval_s)
    finally:
        child.terminate()
        child.wait()


def _series(samples: Sequence[Sample], device: str, metric: str) -> list[tuple[int, float]]:
    return [
        (s.at, s.value)
        for s in samples
        if s.device == device and s.metric == metric and s.value is not None
    ]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _is_lie(sample: Sample) -> bool:
    return sample.value is None and (sample.reason or "").startswith(IMPLAUSIBLE)


def _print(report: dict[str, object], checks: Sequence[Check], out: Path) -> None:
    for title in ("phases", "refused", "implausible", "update_periods"):
        print(f"{title}: {json.dumps(report[title])}")
    for check in checks:
        state = {True: "agrees", False: "DIFFERS", None: "not compared"}[check.agrees]
        values = f"{check.ours} against {check.theirs}" if check.agrees is not None else check.note
        print(f"{check.phase} {check.device} {check.what}: {state}, {values}")
    print(f"report and recording: {out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=float, default=180.0, help="seconds; 0 leaves the phase out")
    parser.add_argument("--matmul", type=float, default=120.0)
    parser.add_argument("--memory", type=float, default=60.0)
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between readings")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
