"""The configured sensors: strict models of a scenario's `telemetry`.

`telemetry` reads them, and `economics` derives energy from their readings.
"""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from observatory.core.series import selector
from observatory.core.strict import Strict
from observatory.core.targets.addresses import PageUrl
from observatory.core.targets.identity import NAME
from observatory.core.targets.literal_secrets import ENVIRONMENT_NAME, Headers
from observatory.core.units import Duration, PositiveDuration


class PrometheusScrape(Strict):
    """A Prometheus page, and which of its series are kept."""

    name: str = Field(pattern=NAME, description="how its samples' device is called")
    url: PageUrl = Field(description="of the page itself, e.g. .../metrics")
    series: list[str] = Field(
        min_length=1, description='exact names, or name{label="value"}: only these are kept'
    )
    every: PositiveDuration | None = Field(
        default=None, description="default: telemetry.interval, which it cannot be shorter than"
    )
    headers: Headers = Field(
        default={}, description="${NAME} is read from the environment when opened"
    )

    @field_validator("series")
    @classmethod
    def _are_series(cls, series: list[str]) -> list[str]:
        for text in series:
            selector(text)
        return series


class ProbeEntry(Strict):
    """An `observatory probe` on another host, e.g. where the engine's GPUs are."""

    name: str = Field(pattern=NAME, description="its devices are shown as NAME:gpu0")
    url: str = Field(pattern=r"^https?://", description="where it serves, e.g. https://gpu1:9410")
    token_env: str | None = Field(
        default=None, pattern=ENVIRONMENT_NAME, description="name of the variable with its token"
    )
    token_file: Path | None = Field(default=None, description="file with its token")
    ca_bundle: Path | None = Field(
        default=None, description="PEM file of the authority that its certificate is from"
    )
    subject: Literal["target", "shared_host"] = Field(
        default="shared_host",
        description="target: its GPUs are the target's own, and so is their energy",
    )
    gpus: list[int] | None = Field(
        default=None,
        description="with subject: target, the GPUs that are the target's, by the driver's number; "
        "default: those that the watched engine uses, or all where the probe watches none",
    )
    targets: list[str] = Field(
        default=[], description="with subject: target, the targets that run there; default: all"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        parts = urlsplit(self.url)
        if parts.username or parts.password:
            raise ValueError("credentials are not allowed in a URL; use token_env or token_file")
        if parts.query or parts.fragment:
            raise ValueError("the URL of a probe has no query")
        if self.token_env is not None and self.token_file is not None:
            raise ValueError("give token_env or token_file, not both")
        if self.name in ("engine", "dcgm"):
            raise ValueError(
                f"{self.name}: is how others' devices are shown here; name the probe otherwise"
            )
        if self.subject != "target" and (self.gpus is not None or self.targets):
            raise ValueError("gpus and targets are for subject: target")
        if any(index < 0 for index in self.gpus or []):
            raise ValueError("a GPU's number is 0 or more")
        return self


class GridIntensity(Strict):
    """What a kWh of the target's electricity emits, where you know better than its country's mean."""

    kgco2e_per_kwh: float = Field(ge=0)
    source: str = Field(
        description="where the figure comes from, e.g. a contract, for people to check"
    )
    zone: str | None = Field(default=None, description="what it holds for; default: stated")


class Telemetry(Strict):
    """The sensors that are read during the load."""

    interval: PositiveDuration = 1.0
    country: str = Field(
        default="USA",
        pattern=r"^[A-Z]{3}$",
        description="ISO code of the grid (codecarbon, offline)",
    )
    codecarbon: bool = True
    links: bool = Field(
        default=False,
        description="also read each GPU's PCIe and NVLink traffic; every PCIe reading takes 20 ms",
    )
    idle: Duration = Field(
        default=10.0,
        description="how long the engines are loaded without a request before the load, for the "
        "idle baseline of their energy; 0s: none",
    )
    pue: float | None = Field(
        default=None,
        ge=1,
        description="power usage effectiveness of the target's data centre; default: not applied",
    )
    grid: GridIntensity | None = Field(
        default=None, description="the target's electricity; default: the country's mean mix"
    )
    dcgm: PageUrl | None = Field(
        default=None,
        description="the DCGM exporter's page, e.g. http://gpu-host:9400/metrics",
    )
    prometheus: list[PrometheusScrape] = Field(
        default=[], description="any other Prometheus pages, with the series to keep of each"
    )

    probes: list[ProbeEntry] = Field(
        default=[], description="`observatory probe`s on other hosts (docs/telemetry.md)"
    )

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        names = [scrape.name for scrape in self.prometheus]
        if len(set(names)) < len(names):
            raise ValueError("two of prometheus: have the same name")
        probes = [probe.name for probe in self.probes]
        if len(set(probes)) < len(probes):
            raise ValueError("two of probes: have the same name")
        return self
