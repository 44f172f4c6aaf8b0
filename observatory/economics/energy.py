"""The energy of a run's windows, from sensor readings: pure, and never mixed silently.

Each row has one subject, scope, basis and method. A counter of a GPU or processor is measured;
codecarbon's models, and what is apportioned between processes, is estimated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from observatory.core.run import IdleWindow, StageTimes
from observatory.core.sample import EnergyBasis, EnergyRow, Sample, Scope, Subject
from observatory.economics.sensed import Grid, Sensed, SensedGpu, sensed
from observatory.economics.window import WindowAmount, counted, integrated

J_PER_KWH = 3.6e6
MEASURED_MODES = frozenset({"intel_rapl", "driver", "raspberry"})
"""codecarbon modes that read a counter; all others are models of a nominal power."""
ELSEWHERE = "the target does not run on this host, and no probe tells of the one that it runs on"
HIDDEN = (
    "which GPU is the target's is not known: the driver shows none of its processes (as in a "
    "container); a vllm target can name it with gpus"
)
_SHARE = "by share of busy CPU time"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run's target ran, and what is stated of its electricity.

    target_role: the role of its process. no_energy: why its energy cannot be known with any
    sensors are (it is emulated, or modelled by other means); elsewhere: why it is not where it runs
    on another machine that nothing reads; gpus: those configured for it; needs_gpu: it cannot
    run without one, so that without a GPU of its own its energy is not whole.
    """

    target_role: str
    on_this_host: bool
    no_energy: str | None = None
    gpus: frozenset[str] = frozenset()
    needs_gpu: bool = False
    pue: float | None = None
    grid: Grid | None = None
    elsewhere: str = ELSEWHERE


@dataclass(frozen=True, slots=True)
class _Part:
    """Joules by one method, before they become a row.

    check: the same joules by another method. disagreement: by which share of the larger figure the
    two differ, on the device where they differ most.
    """

    amount: WindowAmount
    basis: EnergyBasis
    method: str
    source: str
    limit_w: float | None = None
    check: "_Part | None" = None
    disagreement: float | None = None


def energy_rows(
    samples: Sequence[Sample],
    stages: Sequence[StageTimes],
    site: Site,
    idle: IdleWindow | None = None,
) -> list[EnergyRow]:
    """Return the energy over the idle window (stage None) and over each stage's steady window.

    A stage without a steady window gives no row. Of the rows that count there is at most one a
    window, subject and scope.
    On one host: shared_host has whole-machine figures (cpu, memory, and GPUs that the target is not
    known to use); target has its GPUs and its share of the processors' joules; client the share of
    the measuring side. A target elsewhere has the GPUs that the scenario claims for it and a probe
    reads, and its share of that host's processors where they are metered, else one null row with that
    reason, as one whose energy is not ours to know; it leaves the client's share.
    Instants as in `stages` and `samples`.
    """
    read = sensed(samples)
    rows: list[EnergyRow] = []
    if idle is not None:
        rows += _window(read, site, None, idle.started, idle.ended)
    for stage in stages:
        if stage.steady_started is not None and stage.steady_ended is not None:
            rows += _window(read, site, stage.index, stage.steady_started, stage.steady_ended)
    return rows


def _window(read: Sensed, site: Site, stage: int | None, start: int, end: int) -> list[EnergyRow]:
    ledger = _Ledger(read, site, stage, start, end)
    if site.on_this_host:
        ledger.add_host()
    ledger.add_gpus()
    if site.no_energy is not None:
        if stage is not None:
            ledger.add_none(site.no_energy)
    elif site.on_this_host:
        ledger.add_share("target", {site.target_role})
    elif not ledger.add_distant():
        ledger.add_none(site.elsewhere)
    if stage is not None:
        ledger.add_share("client", read.client_roles)
    ledger.add_overhead()
    return ledger.rows


class _Ledger:
    """The rows of one window."""

    def __init__(self, read: Sensed, site: Site, stage: int | None, start: int, end: int) -> None:
        self._sensed = read
        self._site = site
        self._stage = stage
        self._start = start
        self._end = end
        self._country = read.grid()
        self._cpu = self._undivided("cpu")
        self.rows: list[EnergyRow] = []

    def add_host(self) -> None:
        """Add the whole machine's processors and memory."""
        self._add("shared_host", "cpu", self._cpu)
        self._add("shared_host", "memory", self._undivided("memory"))

    def add_gpus(self) -> None:
        """Add the GPUs: those that are the target's as its own; on its host all others as the host's.

        The target's are those that the scenario claims for it or lets it use, and those on which
        the driver lists its process.
        """
        site, parts = self._site, dict[Subject, list[_Part]]()
        for gpu in sorted(self._sensed.gpus.values(), key=lambda gpu: gpu.device):
            users = self._sensed.users(gpu.device, self._start, self._end)
            here = site.on_this_host and gpu.local
            own = gpu.claimed or (here and (gpu.device in site.gpus or site.target_role in users))
            if own and site.no_energy is None:
                parts.setdefault("target", []).append(self._of_gpu(gpu, self._doubt(gpu, users)))
            elif here:
                parts.setdefault("shared_host", []).append(self._of_gpu(gpu, None))
        for subject, group in sorted(parts.items()):
            self._add(subject, "gpu", _sum(group))
        if site.needs_gpu and "target" not in parts and "shared_host" in parts:
            self._add(
                "target", "gpu", _Part(WindowAmount(None, HIDDEN), "measured", "none", "no sensor")
            )
        if not parts and site.on_this_host and self._sensed.codecarbon("gpu") is not None:
            self._add("shared_host", "gpu", self._of_codecarbon("gpu"))

    def _doubt(self, gpu: SensedGpu, users: set[str]) -> str | None:
        """Return why not all joules of one of the target's GPUs need be the target's."""
        others = sorted(role for role in users if ("nvml", role) not in self._sensed.claimed)
        doubts = [f"{gpu.device} also used by {', '.join(others)}"] if others else []
        if self._sensed.is_divided(gpu.device):
            doubts.append(f"{gpu.device} is divided (MIG), and its meter is of all its parts")
        return "; ".join(doubts) or None

    def add_distant(self) -> bool:
        """Return the share of a distant host's processors that its probe saw the target take.

        Answers whether the target has any row by now.
        """
        for host, roles in sorted(self._sensed.claimed_processes().items()):
            devices = self._sensed.rapl("cpu", host)
            if devices:
                self._add_share("target", self._of_rapl(devices), self._share(roles, host))
        return any(row.subject == "target" for row in self.rows)

    def add_share(self, subject: Subject, roles: set[str]) -> None:
        """Add the processors' joules by these roles' part of all busy CPU time."""
        self._add_share(subject, self._cpu, self._share(roles))

    def _add_share(self, subject: Subject, total: _Part, share: WindowAmount) -> None:
        method = f"{total.method}, {_SHARE}"
        value = None
        if total.amount.value is not None and share.value is not None:
            value = total.amount.value * share.value
        missing = [amount for amount in (total.amount, share) if amount.value is None]
        amount = _joined(
            value, _reasons(missing[:1] or [total.amount, share]), [total.amount, share]
        )
        self._add(subject, "cpu", _Part(amount, "estimated", method, total.source))

    def add_none(self, reason: str) -> None:
        """Add the null row of a target whose energy is not ours to know."""
        part = _Part(WindowAmount(None, reason), "modelled", "none", "no sensor")
        self._add("target", "host", part)

    def add_overhead(self) -> None:
        """Add what the data centre adds to the target's joules, where its PUE is stated; once."""
        pue, own = self._site.pue, [row for row in self.rows if row.subject == "target"]
        if pue is None or self._site.no_energy is not None:
            return
        joules = [row.energy_j for row in own if row.counts]
        known = [value for value in joules if value is not None]
        complete = len(known) == len(joules) > 0
        amount = WindowAmount(
            (pue - 1) * sum(known) if complete else None,
            None if complete else "the energy that it is a share of is not known",
        )
        source = f"PUE {pue:g} as stated, over the target's other scopes"
        part = _Part(amount, "modelled", "pue", source)
        self._add("target", "datacentre_overhead", part, pue=pue)

    def _share(self, roles: set[str], host: str = "") -> WindowAmount:
        busy = self._counted("host", host, "cpu_busy_s")
        if busy.value is None:
            return _joined(None, f"busy CPU time of the host: {busy.reason}", [busy])
        if not roles:
            return WindowAmount(None, "no process of it was sampled")
        spent = 0.0
        amounts = [busy]
        for role in sorted(roles):
            amount = self._counted("process", role, "cpu_s")
            if amount.value is None:
                return _joined(None, f"CPU time of {role}: {amount.reason}", [amount])
            spent += amount.value
            amounts.append(amount)
        share = min(spent / busy.value, 1.0) if busy.value > 0 else 0.0
        return _joined(share, _reasons(amounts), amounts)

    def _undivided(self, scope: Scope) -> _Part:
        """Return a part of this host by its own counters, else by what codecarbon makes of it."""
        devices = self._sensed.rapl(scope)
        return self._of_rapl(devices) if devices else self._of_codecarbon(scope)

    def _of_rapl(self, devices: list[str]) -> _Part:
        amounts = [self._counted("rapl", device, "energy_j") for device in devices]
        source = f"RAPL, {' and '.join(devices)}"
        return _sum([_Part(amount, "measured", "rapl", source) for amount in amounts])

    def _of_codecarbon(self, scope: Scope) -> _Part:
        device = self._sensed.codecarbon(scope)
        if device is None:
            why = self._sensed.why_down.get("codecarbon", "codecarbon was not sampled")
            return _Part(WindowAmount(None, why), "estimated", "codecarbon", "codecarbon")
        mode = device.partition("/")[2]
        power = self._sensed.of("codecarbon", device, "full_load_power_w")
        model = f", model of {power[-1][1]:g} W" if power else ""
        name = f"ram {mode}" if scope == "memory" else mode
        return _Part(
            self._counted("codecarbon", device, "energy_j"),
            "measured" if mode in MEASURED_MODES else "estimated",
            f"codecarbon {name}",
            f"codecarbon {name}{model}",
        )

    def _of_gpu(self, gpu: SensedGpu, doubt: str | None) -> _Part:
        """Return its part by its energy counter, with the integral of its power as the check; else by the latter."""
        counter = self._sensed.fresh(gpu.sensor, gpu.device, "gpu_energy_j")
        power = self._sensed.fresh(gpu.sensor, gpu.device, "gpu_power_w")
        limits = self._sensed.of(gpu.sensor, gpu.device, "gpu_power_limit_w")
        limit = limits[-1][1] if limits else None
        name = gpu.sensor.upper()

        def part(
            amount: WindowAmount, method: str, source: str, check: _Part | None = None
        ) -> _Part:
            own = f"{gpu.device}: {amount.reason}" if amount.reason else None
            reason = "; ".join(text for text in (own, doubt) if text) or None
            differ = None if check is None else _disagreement(amount.value, check.amount.value)
            joined = _joined(amount.value, reason, [amount])
            named = f"{gpu.sensor}_{method}"
            return _Part(joined, "measured", named, f"{name} {source}", limit, check, differ)

        amount = integrated(power, self._start, self._end) if power else WindowAmount(None, gpu.why)
        integral = part(amount, "power_trapezoid", "power usage, integrated")
        if not counter:
            return integral
        breaks = self._sensed.breaks_of(gpu.sensor, gpu.device, "gpu_energy_j")
        total = counted(counter, self._start, self._end, breaks)
        return part(total, "counter", "total energy consumption", integral if power else None)

    def _counted(self, sensor: str, device: str, metric: str) -> WindowAmount:
        breaks = self._sensed.breaks_of(sensor, device, metric)
        return counted(self._sensed.of(sensor, device, metric), self._start, self._end, breaks)

    def _add(self, subject: Subject, scope: Scope, part: _Part, pue: float | None = None) -> None:
        """Add the row of a part and, where it has one, that of its check, which enters no sum."""
        self.rows.append(self._row(subject, scope, part, pue=pue))
        if part.check is not None:
            self.rows.append(self._row(subject, scope, part.check, counts=False))

    def _row(
        self,
        subject: Subject,
        scope: Scope,
        part: _Part,
        *,
        counts: bool = True,
        pue: float | None = None,
    ) -> EnergyRow:
        joules, grid = part.amount.value, self._grid_of(subject)
        kgco2e = None
        if joules is not None and grid is not None:
            kgco2e = joules / J_PER_KWH * grid.kgco2e_per_kwh
        return EnergyRow(
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
            source=part.source if grid is None else f"{part.source}; grid: {grid.source}",
            reason=part.amount.reason,
            pue=pue,
            counts=counts,
            coverage_fraction=part.amount.coverage_fraction,
            longest_gap_s=part.amount.longest_gap_s,
            limit_w=part.limit_w,
            disagreement_fraction=part.disagreement,
        )

    def _grid_of(self, subject: Subject) -> Grid | None:
        """Return the target's grid: what is stated of its electricity holds for all that runs on its host."""
        stated = self._site.grid if subject == "target" or self._site.on_this_host else None
        return stated or self._country


def _disagreement(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return None
    return abs(one - other) / max(one, other) if one != other else 0.0


def _joined(value: float | None, reason: str | None, parts: Iterable[WindowAmount]) -> WindowAmount:
    """Return a figure made of several amounts: as badly covered as the worst of them."""
    given = list(parts)
    coverages = [p.coverage_fraction for p in given if p.coverage_fraction is not None]
    gaps = [p.longest_gap_s for p in given if p.longest_gap_s is not None]
    return WindowAmount(value, reason, min(coverages, default=None), max(gaps, default=None))


def _reasons(parts: Iterable[WindowAmount]) -> str | None:
    return "; ".join(dict.fromkeys(part.reason for part in parts if part.reason)) or None


def _sum(parts: list[_Part]) -> _Part:
    """Return all parts; null where one of them is, because a sum of the others would mislead."""
    amounts = [part.amount for part in parts]
    values = [amount.value for amount in amounts]
    limits = [part.limit_w for part in parts if part.limit_w is not None]
    differ = [part.disagreement for part in parts if part.disagreement is not None]
    total = None if None in values else sum(value for value in values if value is not None)
    checked = any(part.check is not None for part in parts)
    return _Part(
        _joined(total, _reasons(amounts), amounts),
        parts[0].basis,
        " and ".join(sorted({part.method for part in parts})),
        " and ".join(sorted({part.source for part in parts})),
        sum(limits) if len(limits) == len(parts) else None,
        _sum([part.check or part for part in parts]) if checked else None,
        max(differ, default=None),
    )
