"""What a stage drew and what its sensors read: energy by subject, per request and token, host, GPU.

Energy comes from the manifest's rows and is divided by what ended or arrived in those rows' own
window; nothing is subtracted and nothing is guessed. A figure that the gates of energy_checks do not
let pass is null.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from observatory.analysis.checks.energy_checks import withheld
from observatory.analysis.checks.foreign_cpu import foreign_cpu_of
from observatory.analysis.energy.energy_amounts import EnergyDivisor, arrived_tokens, ended_requests
from observatory.analysis.stage_data import Basis, StageData
from observatory.analysis.statistics.bootstrap import FIXED, over_windows
from observatory.analysis.statistics.estimate import Estimate, absent
from observatory.analysis.statistics.quantiles import rank
from observatory.analysis.statistics.series import too_few
from observatory.analysis.windows import Window
from observatory.core.metric import MEAN_FLOOR
from observatory.core.sample import EnergyRow, Scope, Subject
from observatory.economics.energy import J_PER_KWH

BASES: tuple[Basis, ...] = ("measured", "estimated", "modelled")
"""Strongest first; a sum has the basis of its weakest part."""
OVERHEAD: Scope = "datacentre_overhead"
MILLION = 1e6

BasedRow = tuple[str, str, Estimate, Basis | None]
"""Metric, statistic, estimate, basis."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of one subject in a window; reason is why they are missing or doubtful.

    low_j and high_j are the ends of a modelled range. scopes names what is in the sum, each part
    with its basis.
    """

    window: Window
    energy_j: float | None
    basis: Basis | None
    reason: str | None
    low_j: float | None = None
    high_j: float | None = None
    kgco2e: float | None = None
    scopes: str | None = None

    @property
    def power_w(self) -> float | None:
        """Its mean over its window."""
        return None if self.energy_j is None else self.energy_j / self.window.seconds


def energy_of(
    data: StageData,
    subject: Subject,
    *,
    stage: int | None,
    wanted: Callable[[Scope], bool] = lambda scope: scope != OVERHEAD,
) -> Energy:
    """Return the sum over chosen_rows; null where any is missing. stage None is the idle baseline."""
    chosen = chosen_rows(data, subject, stage=stage, wanted=wanted)
    if not chosen:
        why = "emulated" if data.manifest.target.emulated else "no_energy_sensor"
        return Energy(data.window, None, None, why)
    reason = "; ".join(dict.fromkeys(row.reason for row in chosen if row.reason)) or None
    if any(row.energy_j is None for row in chosen):
        return Energy(data.window, None, None, reason or "no_energy_sensor")
    return _sum(data.window, chosen, reason)


def chosen_rows(
    data: StageData,
    subject: Subject,
    *,
    stage: int | None,
    wanted: Callable[[Scope], bool] = lambda _: True,
) -> list[EnergyRow]:
    """Return the wanted scopes in order, each by its strongest method.

    A row of scope `host` is the whole machine: its parts are left out.
    """
    rows = [
        row
        for row in data.manifest.energy
        if row.stage == stage and row.subject == subject and row.counts
    ]
    by_scope: dict[Scope, EnergyRow] = {}
    for row in sorted(rows, key=lambda row: (row.energy_j is None, BASES.index(row.basis))):
        by_scope.setdefault(row.scope, row)
    if "host" in by_scope:
        by_scope = {s: row for s, row in by_scope.items() if s in ("host", OVERHEAD)}
    return [row for scope, row in sorted(by_scope.items()) if wanted(scope)]


def _sum(window: Window, rows: list[EnergyRow], reason: str | None) -> Energy:
    ranged = any(row.low_j is not None for row in rows)
    carbon = [row.kgco2e for row in rows]
    return Energy(
        replace(
            window,
            start_ns=min(row.window_start for row in rows),
            end_ns=max(row.window_end for row in rows),
        ),
        sum(row.energy_j or 0.0 for row in rows),
        max((row.basis for row in rows), key=BASES.index),
        reason,
        sum(_end(row, row.low_j) for row in rows) if ranged else None,
        sum(_end(row, row.high_j) for row in rows) if ranged else None,
        None if None in carbon else sum(value or 0.0 for value in carbon),
        ", ".join(f"{row.scope} {row.basis}" for row in rows),
    )


def _end(row: EnergyRow, end: float | None) -> float:
    return (row.energy_j or 0.0) if end is None else end


def headline(
    data: StageData, wanted: Callable[[Scope], bool] = lambda scope: scope != OVERHEAD
) -> Energy:
    """Return the target's energy in the window, where it passes the gates; else null, and which it failed."""
    energy = energy_of(data, "target", stage=data.window.stage, wanted=wanted)
    why = withheld(data)
    if why is None:
        return energy
    return Energy(energy.window, None, None, why, scopes=energy.scopes)


def facility(data: StageData) -> Energy:
    """Return the same with what the data centre adds to it: by a stated PUE, or inside a model's range."""
    energy, rows = headline(data, lambda _: True), data.manifest.energy
    stated = any(row.scope == OVERHEAD and row.stage == data.window.stage for row in rows)
    inside = stated or energy.scopes == "host modelled"
    if energy.energy_j is None or inside:
        return energy
    return Energy(energy.window, None, None, "no_pue")


def scopes_of(data: StageData) -> dict[str, str | None]:
    """Return energy metric -> what is in its figure, each scope with its basis."""
    overall = headline(data).scopes
    named = dict.fromkeys((*OF_ENERGY, "power_w", "idle_share_fraction"), overall)
    idle = energy_of(data, "target", stage=None)
    shared = energy_of(data, "shared_host", stage=data.window.stage)
    gpu = _gpu(data).scopes
    return named | {
        "idle_power_w": idle.scopes,
        "facility_energy_j": facility(data).scopes,
        "gpu_energy_j": gpu,
        "gpu_j_per_output_token": gpu,
        "shared_host_energy_j": shared.scopes,
    }


OF_ENERGY = (
    "energy_j",
    "j_per_request",
    "j_per_output_token",
    "tokens_per_j",
    "wh_per_1k_requests",
    "kwh_per_million_requests",
    "kwh_per_million_output_tokens",
    "kgco2e_per_million_requests",
)
"""The metrics that are made of energy_j, divided by anything."""


def _gpu(data: StageData) -> Energy:
    energy = headline(data, lambda scope: scope == "gpu")
    if energy.reason == "no_energy_sensor":
        return replace(energy, reason="no_gpu_of_the_target")
    return energy


def energy_metrics(data: StageData) -> Iterator[BasedRow]:
    """Yield energy_j and what derives from it, the idle baseline, and the shared host's energy."""
    energy = headline(data)
    requests, tokens = ended_requests(data, energy.window), arrived_tokens(data, energy.window)
    yield "energy_j", "value", _scaled(energy, 1.0), energy.basis
    yield "power_w", "value", _scaled(energy, 1 / energy.window.seconds), energy.basis
    yield from _idle(data, energy)
    of_requests = {
        "j_per_request": 1.0,
        "wh_per_1k_requests": 1e3 / 3600,
        "kwh_per_million_requests": MILLION / J_PER_KWH,
    }
    for metric, unit in of_requests.items():
        yield metric, "value", _per(energy, unit, requests), energy.basis
    basis = _of_tokens_basis(data, energy)
    per_token = _per(energy, 1.0, tokens)
    yield "j_per_output_token", "value", per_token, basis
    yield "tokens_per_j", "value", _inverse(per_token), basis
    million = _per(energy, MILLION / J_PER_KWH, tokens)
    yield "kwh_per_million_output_tokens", "value", million, basis
    no_carbon = energy.energy_j is not None and energy.kgco2e is None
    reason = "no_grid_intensity" if no_carbon else energy.reason
    carbon = replace(energy, energy_j=energy.kgco2e, low_j=None, high_j=None, reason=reason)
    of_carbon = _per(carbon, MILLION, requests)
    yield "kgco2e_per_million_requests", "value", of_carbon, energy.basis
    total = facility(data)
    yield "facility_energy_j", "value", _scaled(total, 1.0), total.basis
    gpu = _gpu(data)
    yield "gpu_energy_j", "value", _scaled(gpu, 1.0), gpu.basis
    basis = _of_tokens_basis(data, gpu)
    yield "gpu_j_per_output_token", "value", _per(gpu, 1.0, tokens), basis
    shared = energy_of(data, "shared_host", stage=data.window.stage)
    yield "shared_host_energy_j", "value", _scaled(shared, 1.0), shared.basis


def _idle(data: StageData, energy: Energy) -> Iterator[BasedRow]:
    """Yield the baseline's mean power, and its share of the mean power under load."""
    if data.manifest.idle is None:
        idle = Energy(data.window, None, None, "no_idle_baseline")
    else:
        idle = energy_of(data, "target", stage=None)
    yield "idle_power_w", "value", Estimate(value=idle.power_w, reason=idle.reason), idle.basis
    power, basis = energy.power_w, energy.basis
    if power is None or idle.power_w is None:
        reason = energy.reason if power is None else idle.reason
        yield "idle_share_fraction", "value", absent(reason or "no_idle_baseline"), None
    elif idle.scopes != energy.scopes:
        yield "idle_share_fraction", "value", absent("idle_of_other_scopes"), None
    elif power <= 0:
        yield "idle_share_fraction", "value", absent("no_energy"), None
    else:
        reason = energy.reason or idle.reason
        yield "idle_share_fraction", "value", Estimate(idle.power_w / power, reason=reason), basis


def sensor_metrics(data: StageData) -> Iterator[BasedRow]:
    """Yield host and GPU readings over the window: `value` is their mean; GPUs have p95, too.

    GPUs are those that the target uses, where that is known, else all of this host. Several GPUs:
    utilisation is their mean, memory and power their sum, reading by reading.
    """
    here = pl.col("device") == ""  # not a probe's host
    host = _readings(data, "host", "cpu_util_fraction", pl.col("value").mean(), here)
    gpus = pl.col("device").is_in(_gpus(data))
    yield "cpu_util_fraction", "value", mean_reading(host), "measured"
    foreign = foreign_cpu_of(data.manifest, data.samples, data.window.start_ns, data.window.end_ns)
    taken = absent(foreign) if isinstance(foreign, str) else Estimate(value=foreign.fraction)
    yield "foreign_cpu_fraction", "value", taken, "measured"
    for metric, combined in (
        ("gpu_util_fraction", pl.col("value").mean()),
        ("gpu_memory_used_bytes", pl.col("value").sum()),
        ("gpu_power_w", pl.col("value").sum()),
    ):
        readings = _readings(data, "nvml", metric, combined, gpus)
        yield from reading_rows(metric, readings, "measured")


def reading_rows(
    metric: str, readings: pl.Series, basis: Basis, missing: str = "no_sensor"
) -> Iterator[BasedRow]:
    """Yield the mean of readings and their p95; without any no mean, because of `missing`."""
    yield metric, "value", mean_reading(readings, missing), basis
    if len(readings):
        p95 = float(readings.sort()[rank(len(readings), 0.95) - 1])
        yield metric, "p95", Estimate(value=p95), basis


def _gpus(data: StageData) -> list[str]:
    """Return the target's GPUs: claimed for it (a probe's), those configured for it (in a container the
    driver shows no process of it), or with memory of its process; else this host's.

    Parts of a GPU (MIG) are left out: their memory is in the whole GPU's.
    """
    rows = data.samples.filter(data.window.holds("at_ns"), sensor="nvml")
    undivided = rows.filter(
        pl.col("metric").is_in(["gpu_memory_used_bytes", "gpu_power_w"]),
        ~pl.col("device").str.contains("/", literal=True),
    )
    claimed = set(undivided.filter(subject="target").get_column("device"))
    own = rows.filter(device=f"engine:{data.manifest.target.name}")
    held = set(own.get_column("metric").str.extract(r"^(gpu\d+)_memory_used_bytes$").drop_nulls())
    here = {device for device in undivided.get_column("device") if ":" not in device}
    target = data.manifest.target
    stated = target.gpu_devices if target.on_this_host else frozenset[str]()
    return sorted(claimed | ((held | stated) & here) or here)


def _readings(
    data: StageData, sensor: str, metric: str, combined: pl.Expr, devices: pl.Expr
) -> pl.Series:
    """Return its readings over all devices, one an instant; where hosts read apart, one an interval."""
    inside = data.window.holds("at_ns")
    rows = data.samples.filter(inside, devices, sensor=sensor, metric=metric).drop_nulls("value")
    interval_ns = round(data.manifest.stored.telemetry.interval_s * 1e9)
    return over_devices(rows, combined, interval_ns)


def over_devices(rows: pl.DataFrame, combined: pl.Expr, interval_ns: int) -> pl.Series:
    """Return readings (at_ns, device, value) combined over the devices, in the order of time.

    The order is fixed, because a sum of floating-point numbers depends on it and a rebuild must
    give the same figures.
    """
    count = rows.get_column("device").n_unique()
    ordered = rows.sort("at_ns", "device", "value")
    by_instant = ordered.group_by("at_ns", maintain_order=True).agg(
        combined.alias("value"), pl.len().alias("devices")
    )
    together = by_instant.filter(pl.col("devices") == count)
    if together.height * 2 > by_instant.height:
        return together.get_column("value")
    slot = (pl.col("at_ns") // interval_ns).alias("slot")
    return (
        ordered.group_by(slot, "device", maintain_order=True)
        .agg(pl.col("value").mean())
        .sort("slot", "device")
        .group_by("slot", maintain_order=True)
        .agg(combined.alias("value"), pl.len().alias("devices"))
        .filter(pl.col("devices") == count)
        .get_column("value")
    )


def mean_reading(readings: pl.Series, missing: str = "no_sensor") -> Estimate:
    """Return the mean in the order of the readings; without any none, because of `missing`."""
    if not len(readings):
        return absent(missing)
    return Estimate(value=float(readings.to_numpy().mean()))


def _of_tokens_basis(data: StageData, energy: Energy) -> Basis | None:
    """Return a basis no better than what counted the tokens."""
    counted = data.tokens_basis("a_streamed_tokens_from")
    if energy.basis is None or counted not in BASES:
        return energy.basis and counted
    return max(energy.basis, counted, key=BASES.index)


def _scaled(energy: Energy, factor: float, n: int | None = None) -> Estimate:
    """Return the energy and its range in another unit."""
    value, low, high = (
        None if joules is None else joules * factor
        for joules in (energy.energy_j, energy.low_j, energy.high_j)
    )
    return Estimate(value, low, high, n=n, reason=energy.reason)


def _per(energy: Energy, unit: float, amount: EnergyDivisor) -> Estimate:
    """Return the energy for each of an amount, times `unit`; null below MEAN_FLOOR ended requests.

    A modelled range is the figure's own; else the interval is a bootstrap over parts of the window,
    between which the amount varies, and takes the energy as it was read.
    """
    n = amount.requests
    if energy.energy_j is None:
        return Estimate(n=n, reason=energy.reason)
    if amount.total is None:
        return absent("tokens_unknown", n)
    if amount.total == 0:
        return absent(amount.empty, n)
    if amount.ended < MEAN_FLOOR:
        return too_few(amount.ended, amount.ended, MEAN_FLOOR)
    figure = replace(_scaled(energy, unit / amount.total, n), needs_n=MEAN_FLOOR)
    if figure.low is not None or amount.parts is None or energy.energy_j <= 0:
        return figure
    ends = over_windows(energy.energy_j, amount.parts, unit, amount.offered)
    if ends is None:
        return replace(figure, reason=figure.reason or FIXED)
    return replace(figure, low=ends[0], high=ends[1])


def _inverse(per_token: Estimate) -> Estimate:
    """Return tokens for each joule; the ends of a range change places."""
    if per_token.value is None:
        return per_token
    if per_token.value == 0:
        return absent("no_energy", per_token.n)
    value, low, high = (
        None if given is None or given == 0 else 1 / given
        for given in (per_token.value, per_token.high, per_token.low)
    )
    return replace(per_token, value=value, low=low, high=high)
