"""A machine's window by hand: every component apart, reservation and usage, and what is not known."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.money.machine_money import MachineRate
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.economics.machine_money import (
    ELECTRICITY_UNKNOWN,
    Joules,
    machine_components,
    marginal_usd,
    total_usd,
)
from observatory.economics.price_rows import AppliedPrices
from observatory.economics.prices import prices_of

HALF_HOUR = 1800.0
SERVER: dict[str, Any] = {
    "commitment": "owned",
    "source": "books",
    "accelerators": 8,
    "purchase": {"usd": 250_000, "years": 4, "salvage_usd": 39_760, "source": "invoice"},
    "electricity_usd_per_kwh": 0.25,
    "operations": {"engineer_share": 0.25, "usd_per_engineer_year": 175_200, "source": "payroll"},
}
"""6 dollars an hour of eight accelerators, 5 dollars an hour of an engineer."""
GPU = Joules("gpu", 7.2e6, "measured", "nvml", idle_w=1000.0)
CPU = Joules("cpu", 1.8e6, "estimated", "codecarbon", idle_w=500.0)
OVERHEAD = Joules("datacentre_overhead", 1.8e6, "modelled", "PUE 1.2", idle_w=300.0)


def priced(**rate: Any) -> AppliedPrices:
    target = LlamaCppTarget(name="a", kind="llamacpp", rate=MachineRate(**rate))
    return prices_of(target, agreed=None)


def test_every_component_stands_apart() -> None:
    """Half an hour: 4 accelerator-hours at 0.75; 2, 0.5 and 0.5 kWh at 0.25; half an hour at 5."""
    parts = machine_components(priced(**SERVER), HALF_HOUR, [GPU, CPU, OVERHEAD])
    assert [(p.name, p.quantity, p.unit, p.usd_per_unit, p.usd, p.basis) for p in parts] == [
        ("accelerators", 4.0, "accelerator-hour", pytest.approx(0.75), pytest.approx(3), "stated"),
        ("electricity_gpu", pytest.approx(2), "kWh", 0.25, pytest.approx(0.5), "stated"),
        ("electricity_cpu", pytest.approx(0.5), "kWh", 0.25, pytest.approx(0.125), "estimated"),
        (
            "electricity_datacentre_overhead",
            pytest.approx(0.5),
            "kWh",
            0.25,
            pytest.approx(0.125),
            "modelled",
        ),
        ("operations", 0.5, "hour", pytest.approx(5), pytest.approx(2.5), "stated"),
    ]
    assert [part.source for part in parts] == [
        "invoice",
        "books; energy: nvml",
        "books; energy: codecarbon",
        "books; energy: PUE 1.2",
        "payroll",
    ]
    assert total_usd(parts) == (pytest.approx(6.25), None)


def test_usage_is_the_busy_share_without_the_idle_draw_of_the_rest() -> None:
    """Busy for a quarter: 1,350 s idle. GPU 7.2 MJ - 1.35 MJ, CPU 1.8 - 0.675, overhead 1.8 - 0.405."""
    energy = [GPU, CPU, OVERHEAD]
    parts = machine_components(priced(**SERVER), HALF_HOUR, energy, busy_fraction=0.25)
    by_name = {part.name: part.quantity for part in parts}
    assert by_name == {
        "accelerators": pytest.approx(1.0),
        "electricity_gpu": pytest.approx(5.85 / 3.6),
        "electricity_cpu": pytest.approx(1.125 / 3.6),
        "electricity_datacentre_overhead": pytest.approx(1.395 / 3.6),
        "operations": pytest.approx(0.125),
    }


def test_an_idle_draw_that_was_not_measured_is_not_taken_off() -> None:
    plain = Joules("gpu", 7.2e6, "measured", "nvml")
    parts = machine_components(priced(**SERVER), HALF_HOUR, [plain], busy_fraction=0.25)
    assert parts[1].quantity == pytest.approx(2.0)


def test_a_rented_hour_contains_its_electricity() -> None:
    rented = priced(usd_per_hour=2.0, accelerators=4, source="contract")
    parts = machine_components(rented, HALF_HOUR, [GPU])
    assert [(p.name, p.quantity, p.usd) for p in parts] == [("accelerators", 2.0, 4.0)]
    assert marginal_usd(rented, HALF_HOUR, [GPU]) == 0


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        ({"usd_per_hour": 2.0, "source": "s", "rate_includes": ["host"]}, "no_tariff"),
        ({"usd_per_hour": 2.0, "source": "s", "owned": True}, "no_tariff"),
        (
            {"usd_per_hour": 2, "source": "s", "owned": True, "electricity_usd_per_kwh": 0.2},
            "gpu is lost",
        ),
    ],
)
def test_electricity_that_is_not_known_makes_the_sum_doubtful(
    rate: dict[str, Any], reason: str
) -> None:
    prices = priced(**rate)
    parts = machine_components(prices, HALF_HOUR, [], "gpu is lost")
    assert (parts[1].name, parts[1].usd, parts[1].reason) == ("electricity", None, reason)
    assert total_usd(parts) == (pytest.approx(1.0), ELECTRICITY_UNKNOWN)
    assert marginal_usd(prices, HALF_HOUR, []) is None


def test_one_more_request_costs_what_is_drawn_above_idle() -> None:
    """(7.2 - 1.8) + (1.8 - 0.9) + (1.8 - 0.54) MJ = 7.56 MJ = 2.1 kWh."""
    energy = [GPU, CPU, OVERHEAD]
    assert marginal_usd(priced(**SERVER), HALF_HOUR, energy) == pytest.approx(0.525)
    unknown = [Joules("gpu", 7.2e6, "measured", "nvml")]
    assert marginal_usd(priced(**SERVER), HALF_HOUR, unknown) is None


def test_without_a_rate_there_is_nothing() -> None:
    assert machine_components(AppliedPrices(), HALF_HOUR, [GPU]) == []
    assert total_usd([]) == (None, None)
    assert marginal_usd(AppliedPrices(), HALF_HOUR, []) is None


@settings(deadline=None)
@given(
    seconds=st.floats(1, 1e5),
    busy=st.floats(0, 1),
    watts=st.floats(0, 5000),
    idle=st.floats(0, 5000),
)
def test_usage_never_exceeds_reservation(
    seconds: float, busy: float, watts: float, idle: float
) -> None:
    energy = [Joules("gpu", watts * seconds, "measured", "nvml", idle_w=idle)]
    prices = priced(**SERVER)
    kept, _ = total_usd(machine_components(prices, seconds, energy))
    used, _ = total_usd(machine_components(prices, seconds, energy, busy_fraction=busy))
    assert kept is not None and used is not None
    assert 0 <= used <= kept * (1 + 1e-12)
