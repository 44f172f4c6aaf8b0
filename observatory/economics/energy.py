"""The energy of a run's stages, from what the sensors said: pure, and never mixed silently.

Each row has one subject, scope, basis and method. A GPU's counter or RAPL is measured; codecarbon's
models, and whatever is apportioned between processes, is estimated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.core.run import StageTimes
from observatory.core.sample import EnergyBasis, EnergyRow, Sample, Scope, Subject
from observatory.economics.window import Amount, Readings, counted, integrated

J_PER_KWH = 3.6e6
MEASURED_MODES = frozenset({"intel_rapl", "driver", "raspberry"})
"""codecarbon modes that read a counter; all others are models of a nominal power."""
GPU_OF_ROLE = "_memory_used_bytes"
"""nvml samples whose device is a role: gpu0_memory_used_bytes and so on."""
_SHARE = "by share of busy CPU time"

Key = tuple[str, str, str]
"""(sensor, device, metric)."""


@dataclass(frozen=True, slots=True)
class _Grid:
    zone: str
    kgco2e_per_kwh: float
    source: str


@dataclass(frozen=True, slots=True)
class _Part:
    """Joules by one method, before they become a row."""

    amount: Amount
    basis: EnergyBasis
    method: str
    source: str


class _Sensed:
    """The samples by what they are of."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.readings: dict[Key, list[tuple[int, float]]] = {}
        self.client_roles: set[str] = set()
        self.why_down: dict[str, str] = {}
        self.gpus: dict[str, str | None] = {}
        """GPU -> why its power is not known, where it is not."""
        self._gpu_users: list[tuple[int, str, str]] = []
        for sample in sorted(samples, key=lambda sample: sample.at):
            if sample.value is not None:
                key = (sample.sensor, sample.device, sample.metric)
                self.readings.setdefault(key, []).append((sample.at, sample.value))
            if sample.sensor == "process" and sample.subject == "client":
                self.client_roles.add(sample.device)
            if sample.metric == "up" and not sample.value and sample.reason:
                self.why_down[sample.sensor] = sample.reason
            if sample.sensor == "nvml" and sample.metric == "gpu_power_w":
                self.gpus[sample.device] = sample.reason
            elif sample.sensor == "nvml" and sample.metric.endswith(GPU_OF_ROLE):
                gpu = sample.metric.removesuffix(GPU_OF_ROLE)
                self._gpu_users.append((sample.at, gpu, sample.device))

    def of(self, sensor: str, device: str, metric: str) -> Readings:
        """The readings of one metric, in order; none where it was never read."""
        return self.readings.get((sensor, device, metric), [])

    def codecarbon(self, scope: str) -> str | None:
        """The codecarbon device of a scope, e.g. cpu/cpu_load."""
        devices = [
            device
            for sensor, device, metric in self.readings
            if sensor == "codecarbon" and device.startswith(f"{scope}/") and metric == "energy_j"
        ]
        return min(devices, default=None)

    def users(self, gpu: str, start: int, end: int) -> set[str]:
        """The roles that the driver listed on a GPU within the window."""
        return {role for at, on, role in self._gpu_users if on == gpu and start <= at <= end}

    def grid(self) -> _Grid | None:
        """The grid's intensity, where its country is known."""
        for (sensor, device, metric), readings in self.readings.items():
            if sensor == "codecarbon" and metric == "kgco2e_per_kwh":
                _, zone, year = device.split("/")
                source = f"codecarbon global_energy_mix.json ({year})"
                return _Grid(zone, readings[-1][1], source)
        return None


def energy_rows(
    samples: Sequence[Sample],
    stages: Sequence[StageTimes],
    *,
    target_role: str,
    on_this_host: bool,
    emulated: bool,
) -> list[EnergyRow]:
    """The energy over each stage's steady window, at most one row a stage, subject and scope.

    A stage without a steady window gives no row.
    On one host: shared_host has whole-machine figures (cpu, memory, and GPUs that the target is not
    known to use); target has its GPUs and its share of the processors' joules; client the share of
    the measuring side. A target elsewhere, or an emulated one, has one null row that says so; a
    target elsewhere leaves only the client's share. Instants as in `stages` and `samples`.
    """
    sensed = _Sensed(samples)
    rows: list[EnergyRow] = []
    for stage in stages:
        if stage.steady_started is None or stage.steady_ended is None:
            continue
        ledger = _Ledger(sensed, stage.index, stage.steady_started, stage.steady_ended)
        if on_this_host:
            ledger.add_host()
            ledger.add_gpus(None if emulated else target_role)
        if emulated:
            ledger.add_none("emulated")
        elif on_this_host:
            ledger.add_share("target", {target_role})
        else:
            ledger.add_none("the target does not run on this host")
        ledger.add_share("client", sensed.client_roles)
        rows += ledger.rows
    return rows


class _Ledger:
    """The rows of one stage."""

    def __init__(self, sensed: _Sensed, stage: int, start: int, end: int) -> None:
        self._sensed = sensed
        self._stage = stage
        self._start = start
        self._end = end
        self._grid = sensed.grid()
        self._cpu = self._from_codecarbon("cpu")
        self.rows: list[EnergyRow] = []

    def add_host(self) -> None:
        """The whole machine's processors and memory."""
        self._add("shared_host", "cpu", self._cpu)
        self._add("shared_host", "memory", self._from_codecarbon("memory"))

    def add_gpus(self, target_role: str | None) -> None:
        """GPUs that the target holds memory of as the target's, all others as the host's."""
        parts: dict[Subject, list[_Part]] = {}
        for gpu in sorted(self._sensed.gpus):
            users = self._sensed.users(gpu, self._start, self._end)
            subject: Subject = "target" if target_role in users else "shared_host"
            others = users - {target_role}
            shared = subject == "target" and others
            doubt = f"{gpu} also used by {', '.join(sorted(others))}" if shared else None
            parts.setdefault(subject, []).append(self._from_nvml(gpu, doubt))
        for subject, group in sorted(parts.items()):
            self._add(subject, "gpu", _sum(group))
        if not parts and self._sensed.codecarbon("gpu") is not None:
            self._add("shared_host", "gpu", self._from_codecarbon("gpu"))

    def add_share(self, subject: Subject, roles: set[str]) -> None:
        """The processors' joules by these roles' part of all busy CPU time."""
        whole, method = self._cpu, f"{self._cpu.method}, {_SHARE}"
        share = self._share(roles)
        if whole.amount.value is None or share.value is None:
            missing = whole.amount if whole.amount.value is None else share
            amount = Amount(None, missing.reason)
        else:
            reasons = {whole.amount.reason, share.reason} - {None}
            amount = Amount(
                whole.amount.value * share.value,
                "; ".join(sorted(str(reason) for reason in reasons)) or None,
            )
        self._add(subject, "cpu", _Part(amount, "estimated", method, whole.source))

    def add_none(self, reason: str) -> None:
        """The target's energy is not ours to know."""
        part = _Part(Amount(None, reason), "modelled", "none", "no sensor")
        self._add("target", "host", part)

    def _share(self, roles: set[str]) -> Amount:
        busy = counted(self._sensed.of("host", "", "cpu_busy_s"), self._start, self._end)
        if busy.value is None:
            return Amount(None, f"busy CPU time of the host: {busy.reason}")
        if not roles:
            return Amount(None, "no process of it was sampled")
        spent, reasons = 0.0, {busy.reason}
        for role in sorted(roles):
            amount = counted(self._sensed.of("process", role, "cpu_s"), self._start, self._end)
            if amount.value is None:
                return Amount(None, f"CPU time of {role}: {amount.reason}")
            spent += amount.value
            reasons.add(amount.reason)
        doubt = "; ".join(sorted(reason for reason in reasons if reason)) or None
        return Amount(min(spent / busy.value, 1.0) if busy.value > 0 else 0.0, doubt)

    def _from_codecarbon(self, scope: Scope) -> _Part:
        device = self._sensed.codecarbon(scope)
        if device is None:
            why = self._sensed.why_down.get("codecarbon", "codecarbon was not sampled")
            return _Part(Amount(None, why), "estimated", "codecarbon", "codecarbon")
        mode = device.partition("/")[2]
        readings = self._sensed.of("codecarbon", device, "energy_j")
        power = self._sensed.of("codecarbon", device, "full_load_power_w")
        model = f", model of {power[-1][1]:g} W" if power else ""
        name = f"ram {mode}" if scope == "memory" else mode
        return _Part(
            counted(readings, self._start, self._end),
            "measured" if mode in MEASURED_MODES else "estimated",
            f"codecarbon {name}",
            f"codecarbon {name}{model}",
        )

    def _from_nvml(self, gpu: str, doubt: str | None) -> _Part:
        counter = self._sensed.of("nvml", gpu, "gpu_energy_j")
        if counter:
            amount = counted(counter, self._start, self._end)
            method, source = "nvml_counter", "NVML total energy consumption"
        else:
            power = self._sensed.of("nvml", gpu, "gpu_power_w")
            why = self._sensed.gpus[gpu]
            amount = integrated(power, self._start, self._end) if power else Amount(None, why)
            method, source = "nvml_power_trapezoid", "NVML power usage, integrated"
        reason = "; ".join(
            text for text in (amount.reason and f"{gpu}: {amount.reason}", doubt) if text
        )
        return _Part(Amount(amount.value, reason or None), "measured", method, source)

    def _add(self, subject: Subject, scope: Scope, part: _Part) -> None:
        joules, grid = part.amount.value, self._grid
        source = part.source if grid is None else f"{part.source}; grid: {grid.source}"
        kgco2e = None
        if joules is not None and grid is not None:
            kgco2e = joules / J_PER_KWH * grid.kgco2e_per_kwh
        self.rows.append(
            EnergyRow(
                stage=self._stage,
                subject=subject,
                scope=scope,
                basis=part.basis,
                method=part.method,
                window_start=self._start,
                window_end=self._end,
                energy_j=joules,
                grid_zone=grid.zone if grid else None,
                grid_kgco2e_per_kwh=grid.kgco2e_per_kwh if grid else None,
                kgco2e=kgco2e,
                source=source,
                reason=part.amount.reason,
            )
        )


def _sum(parts: list[_Part]) -> _Part:
    """All parts; null where one of them is, because a sum of the others would mislead."""
    values = [part.amount.value for part in parts]
    reason = "; ".join(part.amount.reason for part in parts if part.amount.reason) or None
    whole = None if None in values else sum(value for value in values if value is not None)
    return _Part(
        Amount(whole, reason),
        parts[0].basis,
        " and ".join(sorted({part.method for part in parts})),
        " and ".join(sorted({part.source for part in parts})),
    )
