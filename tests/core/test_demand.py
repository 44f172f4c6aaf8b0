"""What a person states of a machine's money and of demand: arithmetic by hand, and what is refused."""

import csv
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from observatory.core.money.demand import PEAK_TO_MEAN, PEAK_TO_MEAN_SOURCE, Demand
from observatory.core.money.machine_money import MachineRate, Operations, Purchase

TRACE = Path(__file__).resolve().parents[3] / "shared" / "data" / "azure_llm_2023_conv.csv"
SERVER: dict[str, Any] = {"usd": 250_000, "years": 4, "salvage_usd": 39_760, "source": "invoice"}


def test_a_purchase_is_written_off_in_a_straight_line() -> None:
    """(250,000 - 39,760) / (4 x 8,760) = 6 dollars an hour."""
    rate = MachineRate(
        commitment="owned", source="books", accelerators=8, purchase=Purchase(**SERVER)
    )
    assert rate.target_usd_per_hour == pytest.approx(6.0)
    assert (rate.is_owned, rate.paid_as, rate.includes) == (True, "owned", [])
    assert rate.hour_source == "invoice"


def test_an_engineers_share_by_the_hour() -> None:
    people = Operations(engineer_share=0.25, usd_per_engineer_year=175_200, source="payroll")
    assert people.usd_per_hour == pytest.approx(5.0)


def test_a_rate_of_before_means_what_it_meant() -> None:
    rate = MachineRate(usd_per_hour=2.0, source="contract")
    assert (rate.target_usd_per_hour, rate.paid_as, rate.accelerators) == (2.0, "on_demand", 1)
    assert rate.includes == ["electricity", "cooling"]
    owned = MachineRate(usd_per_hour=2.0, source="books", owned=True, electricity_usd_per_kwh=0.2)
    assert (owned.paid_as, owned.includes) == ("owned", [])
    assert MachineRate(usd_per_hour=2.0, accelerators=4, source="s").target_usd_per_hour == 8.0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"source": "s"}, "give usd_per_hour or purchase"),
        (
            {"usd_per_hour": 1, "source": "s", "commitment": "owned", "purchase": SERVER},
            "one of the two",
        ),
        ({"purchase": SERVER, "source": "s"}, "purchase needs commitment: owned"),
        ({"usd_per_hour": 1}, "source"),
        ({"usd_per_hour": 1, "source": "s", "electricity_usd_per_kwh": 0.1}, "needs owned: true"),
        (
            {"usd_per_hour": 1, "source": "s", "owned": True, "commitment": "reserved"},
            "contradicts",
        ),
        ({"usd_per_hour": 1, "source": "s", "rate_includes": ["coffee"]}, "electricity"),
        (
            {
                "usd_per_hour": 1,
                "source": "s",
                "owned": True,
                "rate_includes": ["electricity"],
                "electricity_usd_per_kwh": 0.1,
            },
            "pays twice",
        ),
        (
            {"commitment": "owned", "purchase": SERVER | {"salvage_usd": 3e5}},
            "salvage_usd is above",
        ),
    ],
)
def test_a_rate_that_cannot_be_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        MachineRate(**given)


def test_the_peak_of_a_day() -> None:
    assert Demand(peak_to_mean=3).peak == 3
    assert Demand().peak == PEAK_TO_MEAN
    assert Demand().peak_source == PEAK_TO_MEAN_SOURCE
    flat = Demand(hourly_shares=[1 / 24] * 24)
    assert flat.peak == pytest.approx(1)
    busy = Demand(hourly_shares=[0.25, 0.25, 0.5, *[0] * 21], source="our gateway, March")
    assert (busy.peak, busy.peak_source) == (pytest.approx(12), "our gateway, March")
    window = Demand(peak_to_mean=1.0, assumption="active_window", active_hours=6)
    assert window.peak == 4


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"requests_a_day": 1, "tokens_a_day": 1}, "give one volume"),
        ({"hourly_shares": [1.0]}, "24 numbers"),
        ({"hourly_shares": [0.1] * 24}, "add up to 2.4"),
        ({"hourly_shares": [1 / 24] * 24, "peak_to_mean": 2}, "leave peak_to_mean out"),
        ({"active_hours": 8}, "go together"),
        ({"assumption": "active_window"}, "go together"),
        (
            {
                "hourly_shares": [1 / 24] * 24,
                "assumption": "active_window",
                "active_hours": 8,
            },
            "requests in 24 hours",
        ),
    ],
)
def test_a_demand_that_cannot_be_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Demand(**given)


def test_the_default_peak_is_that_of_the_trace() -> None:
    """Whole minutes from the first request on; the last, begun one, is left out."""
    if not TRACE.exists():
        pytest.skip(f"{TRACE.name} is not beside the repository (../shared/data)")
    with TRACE.open(encoding="utf-8", newline="") as file:
        stamps = [datetime.fromisoformat(row["TIMESTAMP"][:26]) for row in csv.DictReader(file)]
    minutes = [int((stamp - stamps[0]).total_seconds() // 60) for stamp in stamps]
    counts = [minutes.count(minute) for minute in range(max(minutes))]
    assert round(max(counts) / (sum(counts) / len(counts)), 2) == PEAK_TO_MEAN
