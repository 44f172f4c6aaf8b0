"""The parts of a run's stored scenario that code reads: typed, with the defaults of the scenario model.

The stored scenario is a resolved core.scenario.Scenario as plain values. A part that an older version did not
write has its default.
"""

from typing import Any

import msgspec

from observatory.core.units import parse_duration


class StoredLengths(msgspec.Struct, frozen=True):
    """Lengths of synthetic prompts or answers; tokens is None where they are drawn."""

    tokens: int | None = None


class StoredWorkload(msgspec.Struct, frozen=True):
    """What was sent. cache: natural, cold or warm."""

    kind: str = ""
    tasks: list[str] = []
    cache: str | None = None
    stream: bool = True
    ignore_eos: bool = False
    prompt_tokens: StoredLengths | None = None
    output_tokens: StoredLengths | None = None


class StoredArrivals(msgspec.Struct, frozen=True):
    """When requests were sent: the kind of arrival process."""

    kind: str = ""


class StoredPage(msgspec.Struct, frozen=True):
    """A page of metrics, by its address without a query."""

    url: str = ""


class StoredProbe(msgspec.Struct, frozen=True):
    """A remote probe; targets: those that its host serves, None for all."""

    name: str = ""
    url: str = ""
    targets: list[str] | None = None


class StoredTelemetry(msgspec.Struct, frozen=True):
    """What was sampled. pue: power usage effectiveness as stated; grid: a core.scenario GridIntensity."""

    interval: str = "1s"
    pue: float | None = None
    grid: dict[str, Any] | None = None
    dcgm: str | None = None
    prometheus: list[StoredPage] = []
    probes: list[StoredProbe] | None = None

    @property
    def interval_s(self) -> float:
        """Return seconds between two readings."""
        return parse_duration(self.interval)


class StoredSlo(msgspec.Struct, frozen=True):
    """The objective. per_request: a core.scenario PerRequestSlo; attainment: the share of requests."""

    per_request: dict[str, Any] | None = None
    attainment: float = 0.99


class StoredBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """The caps of the run; None: no cap."""

    usd: float | None = None
    requests: int | None = None
    output_tokens: int | None = None


class StoredStage(msgspec.Struct, frozen=True):
    """A stage of the scenario. timing: its own core.scenario Timing, None for the scenario's."""

    timing: dict[str, Any] | None = None

    @property
    def steady(self) -> str | None:
        """Return the length of its steady window as the file gives it; None where it has no timing of its own."""
        return None if self.timing is None else self.timing.get("steady")


class StoredScenario(msgspec.Struct, frozen=True):
    """A run's scenario as far as code reads it."""

    workload: StoredWorkload = StoredWorkload()
    arrivals: StoredArrivals = StoredArrivals()
    telemetry: StoredTelemetry = StoredTelemetry()
    budget: StoredBudget = StoredBudget()
    slo: StoredSlo | None = None
    timing: dict[str, Any] | None = None
    stages: list[StoredStage] = []


def stored_scenario(plain: dict[str, Any]) -> StoredScenario:
    """Return the typed parts of a manifest's scenario; a part that is null has its default."""
    return msgspec.convert(_without_nulls(plain), StoredScenario)


def _without_nulls(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(part) if isinstance(part, dict) else part
        for name, part in plain.items()
        if part is not None
    }
