"""What the answers of a closed API are modelled to have taken, by EcoLogits: ranges, low and high kept.

The model is of GPUs, their share of a server, and the data centre around them: its PUE is in the
figures, and no other is ever applied to them. EcoLogits is imported on first use, not before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.sample import EnergyRow
from observatory.economics.energy import J_PER_KWH
from observatory.providers.catalogue import PROVIDERS


@dataclass(frozen=True, slots=True)
class BilledAnswer:
    """The model's inputs for an answer: its billed output tokens and how long it took, in seconds."""

    output_tokens: int | None
    latency_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers that ended in the steady window of a stage."""

    stage: int
    start: int
    end: int
    answers: Sequence[BilledAnswer]


def modelled_rows(
    provider: str, models: Sequence[str], windows: Sequence[Answered]
) -> list[EnergyRow]:
    """Return one row a window, subject target, scope host, basis modelled: the sum over its answers.

    models: names of the model, the first that EcoLogits knows is taken. energy_j is the middle of
    the range low_j to high_j. Null with EcoLogits' own words where it knows none of them, and with
    a count where answers without tokens would be left out of the sum.
    """
    return [_row(provider, models, window) for window in windows]


def _row(provider: str, models: Sequence[str], window: Answered) -> EnergyRow:
    from ecologits import __version__

    known = PROVIDERS.get(provider)
    name = (known and known.ecologits_id) or provider
    source = f"EcoLogits {__version__}: GPUs, share of a server, and its data centre's PUE"
    if not window.answers:
        return _missing(window, source, "no answer ended in the window")
    uncounted = sum(answer.output_tokens is None for answer in window.answers)
    if uncounted:
        reason = f"{uncounted} of {count_of(len(window.answers), 'answer does', 'answers do')} not say how many tokens they have"
        return _missing(window, source, reason)
    model, error = _known(name, models)
    if model is None:
        return _missing(window, source, error)
    low = high = 0.0
    warnings: dict[str, None] = {}
    for answer in window.answers:
        impact = _impact(name, model, answer.output_tokens or 0, answer.latency_s)
        energy = impact.energy.value
        low += getattr(energy, "min", energy) * J_PER_KWH
        high += getattr(energy, "max", energy) * J_PER_KWH
        warnings |= dict.fromkeys(warning.message for warning in impact.warnings or [])
    zone, intensity = _mix(name)
    middle = (low + high) / 2
    return msgspec.structs.replace(
        _missing(window, source, None),
        energy_j=middle,
        low_j=low,
        high_j=high,
        grid_zone=zone,
        grid_kgco2e_per_kwh=intensity,
        kgco2e=None if intensity is None else middle / J_PER_KWH * intensity,
        source="; ".join([source, *warnings, f"grid: EcoLogits' mix of {zone}"]),
    )


def _missing(window: Answered, source: str, reason: str | None) -> EnergyRow:
    return EnergyRow(
        stage=window.stage,
        subject="target",
        scope="host",
        basis="modelled",
        method="ecologits",
        window_start=window.start,
        window_end=window.end,
        energy_j=None,
        source=source,
        reason=reason,
    )


def _known(provider: str, models: Sequence[str]) -> tuple[str | None, str]:
    """Return the first model that EcoLogits has, else None and its message about the first one."""
    error = "no model is named"
    for number, model in enumerate(models):
        errors = _impact(provider, model, 1, 1.0).errors
        if not errors:
            return model, ""
        if number == 0:
            error = f"EcoLogits: {errors[0].message}"
    return None, error


def _impact(provider: str, model: str, output_tokens: int, latency_s: float) -> Any:
    import logging

    from ecologits.tracers.utils import llm_impacts

    logging.getLogger("ecologits").setLevel(logging.ERROR)  # its warnings are in the row
    return llm_impacts(provider, model, output_tokens, latency_s)


def _mix(provider: str) -> tuple[str, float | None]:
    """Return the zone that EcoLogits takes a provider's data centres to be in, and its kg CO2e per kWh."""
    from ecologits.electricity_mix_repository import electricity_mixes
    from ecologits.tracers.utils import PROVIDER_CONFIG_MAP

    zone = PROVIDER_CONFIG_MAP[provider].datacenter_location
    mix = electricity_mixes.find_electricity_mix(zone=zone)
    return zone, None if mix is None else float(mix.gwp)
