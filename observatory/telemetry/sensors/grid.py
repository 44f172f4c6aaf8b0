"""The grid's carbon intensity of a country, from the tables that codecarbon ships: no connection.

The tables are read as files, because importing codecarbon costs a second of a core.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from observatory.core.errors import BadInput, EnvironmentFailed

COUNTRY_TABLE = "global_energy_mix.json"
"""codecarbon/data/private_infra/: g CO2e per kWh generated, a yearly mean per country."""


@dataclass(frozen=True, slots=True)
class ZoneIntensity:
    """kg CO2e per kWh of a zone (ISO 3166-1 alpha-3), and the year that the figure is of."""

    zone: str
    year: int
    kgco2e_per_kwh: float


def grid_intensity(country: str) -> ZoneIntensity:
    """Return the intensity of `country`, e.g. FRA; BadInput where the table has none."""
    table = _table()
    row = table.get(country)
    if row is None or row.get("carbon_intensity") is None:
        raise BadInput(
            f"no grid intensity is known for country {country!r}",
            where="telemetry.country",
            fix="write an ISO 3166-1 alpha-3 code such as USA, DEU or FRA",
        )
    return ZoneIntensity(
        zone=country, year=int(row["year"]), kgco2e_per_kwh=float(row["carbon_intensity"]) / 1000
    )


def _table() -> dict[str, Any]:
    spec = find_spec("codecarbon")
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFailed(
            "codecarbon is not installed", fix="pip install inference-observatory again"
        )
    folder = Path(spec.submodule_search_locations[0])
    text = (folder / "data" / "private_infra" / COUNTRY_TABLE).read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
