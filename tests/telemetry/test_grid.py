"""Grid intensities are codecarbon's own, without importing it."""

import subprocess
import sys

import pytest

from observatory.core.errors import BadInput
from observatory.telemetry.sensors.grid import grid_intensity


def test_it_is_what_codecarbon_computes_with() -> None:
    from codecarbon.core.emissions import Emissions
    from codecarbon.core.units import Energy
    from codecarbon.external.geography import GeoMetadata
    from codecarbon.input import DataSource

    for country in ("FRA", "USA", "POL", "CHN"):
        grid = grid_intensity(country)
        theirs = Emissions(DataSource()).get_country_emissions(
            Energy.from_energy(kWh=1), GeoMetadata(country_iso_code=country)
        )
        assert grid.zone == country
        assert grid.year >= 2022
        assert grid.kgco2e_per_kwh == pytest.approx(theirs)


def test_an_unknown_country_is_bad_input_and_no_world_average() -> None:
    with pytest.raises(BadInput, match=r"telemetry.country.*'XXX'.*ISO 3166"):
        grid_intensity("XXX")


def test_codecarbon_is_not_imported_for_it() -> None:
    code = (
        "import sys; from observatory.telemetry.sensors.grid import grid_intensity; "
        "grid_intensity('FRA'); sys.exit('codecarbon' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
