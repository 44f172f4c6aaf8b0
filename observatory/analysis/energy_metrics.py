"""What a stage drew and what its sensors read: energy by subject, per request and token, host, GPU.

Energy comes from the manifest's rows and is divided by what ended or arrived in those rows' own
window; nothing is subtracted and nothing is guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from observatory.analysis.estimate import Estimate, absent
from observatory.analysis.quantiles import rank
from observatory.analysis.rates import arrived
from observatory.analysis.stage_data import Basis, StageData
from observatory.analysis.windows import Window
from observatory.core.sample import EnergyRow, Subject

BASES: tuple[Basis, ...] = ("measured", "estimated", "modelled")
"""Strongest first; a sum has the basis of its weakest part."""

BasedRow = tuple[str, str, Estimate, Basis | None]
"""Metric, statistic, estimate, basis."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of one subject in a window; reason says why they are missing or doubtful."""

    window: Window
    energy_j: float | None
    basis: Basis | None
    reason: str | None


def energy_of(data: StageData, subject: Subject) -> Energy:
    """The sum over scopes, each by its strongest method; null where any scope's energy is missing.

    A row of scope `host` is the whole machine: the parts beside it are not added again.
    """
    rows = [
        row
        for row in data.manifest.energy
        if row.stage == data.window.stage and row.subject == subject
    ]
    by_scope: dict[str, EnergyRow] = {}
    for row in sorted(rows, key=lambda row: (row.energy_j is None, BASES.index(row.basis))):
        by_scope.setdefault(row.scope, row)
    if "host" in by_scope:
        by_scope = {
            scope: row
            for scope, row in by_scope.items()
            if scope in ("host", "datacentre_overhead")
        }
    chosen = list(by_scope.values())
    if not chosen:
        why = "emulated" if data.manifest.target.emulated else "no_energy_sensor"
        return Energy(data.window, None, None, why)
    reason = "; ".join(dict.fromkeys(row.reason for row in chosen if row.reason)) or None
    if any(row.energy_j is None for row in chosen):
        return Energy(data.window, None, None, reason or "no_energy_sensor")
    window = replace(
        data.window,
        start_ns=min(row.window_start for row in chosen),
        end_ns=max(row.window_end for row in chosen),
    )
    return Energy(
        window,
        sum(row.energy_j for row in chosen if row.energy_j is not None),
        max((row.basis for row in chosen), key=BASES.index),
        reason,
    )


def energy_metrics(data: StageData) -> Iterator[BasedRow]:
    """energy_j and what derives from it, and the shared host's energy."""
    energy = energy_of(data, "target")
    requests = data.ended_ok(energy.window).height
    tokens = arrived(data, data.events.tokens, energy.window)
    yield "energy_j", "value", _estimate(energy, energy.energy_j, None), energy.basis
    joules = energy.energy_j
    token_basis = energy.basis and _weaker(
        energy.basis, data.tokens_basis("a_streamed_tokens_from")
    )
    yield (
        "j_per_request",
        "value",
        _ratio(energy, joules, requests, "no_successes", requests),
        energy.basis,
    )
    yield (
        "j_per_output_token",
        "value",
        _ratio(energy, joules, tokens, "no_tokens", requests),
        token_basis,
    )
    yield (
        "tokens_per_j",
        "value",
        _ratio(energy, tokens, joules, "no_energy", requests),
        token_basis,
    )
    shared = energy_of(data, "shared_host")
    yield "shared_host_energy_j", "value", _estimate(shared, shared.energy_j, None), shared.basis


def sensor_metrics(data: StageData) -> Iterator[BasedRow]:
    """Host and GPU readings over the window: `value` is their mean; GPUs have p95 beside it.

    Several GPUs: utilisation is their mean, memory and power their sum, reading by reading.
    """
    host = _readings(data, "host", "cpu_util_fraction", pl.col("value").mean())
    yield "cpu_util_fraction", "value", _mean_reading(host), "measured"
    for metric, combined in (
        ("gpu_util_fraction", pl.col("value").mean()),
        ("gpu_memory_used_bytes", pl.col("value").sum()),
        ("gpu_power_w", pl.col("value").sum()),
    ):
        readings = _readings(data, "nvml", metric, combined)
        yield metric, "value", _mean_reading(readings), "measured"
        if len(readings):
            p95 = float(readings.sort()[rank(len(readings), 0.95) - 1])
            yield metric, "p95", Estimate(value=p95), "measured"


def _readings(data: StageData, sensor: str, metric: str, combined: pl.Expr) -> pl.Series:
    return (
        data.samples.filter(
            (pl.col("sensor") == sensor)
            & (pl.col("metric") == metric)
            & pl.col("value").is_not_null()
            & data.window.holds("at_ns")
        )
        .group_by("at_ns")
        .agg(combined.alias("value"))
        .get_column("value")
    )


def _mean_reading(readings: pl.Series) -> Estimate:
    if not len(readings):
        return absent("no_sensor")
    return Estimate(value=float(readings.to_numpy().mean()))


def _weaker(one: Basis, other: Basis) -> Basis:
    if other not in BASES:
        return other
    return max(one, other, key=BASES.index)


def _estimate(energy: Energy, value: float | None, n: int | None) -> Estimate:
    return Estimate(value=value, n=n, reason=energy.reason)


def _ratio(energy: Energy, over: float | None, under: float | None, empty: str, n: int) -> Estimate:
    if energy.energy_j is None:
        return _estimate(energy, None, n)
    if over is None or under is None:
        return absent("tokens_unknown", n)
    if under == 0:
        return absent(empty, n)
    return _estimate(energy, over / under, n)
