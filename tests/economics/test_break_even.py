"""Break-even by hand and by brute force: several crossings, never, and what must not raise it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.money.demand import DAYS_A_MONTH, Demand
from observatory.economics.break_even import Crossing, Range, break_even, crossing, requests_a_day
from observatory.economics.fleet import CostLine, Replica, cost_line, monthly_cost

TWO_DOLLARS = Replica("self", goodput_rps=1.0, usd_per_hour=2.0)
TWICE = Demand(peak_to_mean=2.0, spare_replicas=1)
"""A replica serves 86,400 / 2 = 43,200 requests a day and costs 48 dollars; one is spare."""


def test_the_worked_example_crosses_twice_before_it_stays() -> None:
    """At 0.2 cents: two replicas + a spare cost 144 dollars = 72,000 requests, of the 86,400 that two
    can serve; a third makes 192 = 96,000, and four cost 240 = 120,000 < 129,600 already served."""
    found = break_even(TWO_DOLLARS, TWICE, 0.002).at
    assert found.requests_a_day == pytest.approx(96_000)
    assert found.before == [Range(pytest.approx(72_000), 86_400)]
    assert found.line.usd(96_000) == pytest.approx(192)
    assert found.line.usd(86_401) == pytest.approx(192)
    assert found.line.usd(86_400) == pytest.approx(144)
    assert (found.more_ranges, found.never) == (0, None)


def test_it_never_pays_where_a_full_replica_costs_more_than_buying_its_work() -> None:
    """43,200 requests at 0.1 cents are 43.20 dollars, the replica 48."""
    found = break_even(TWO_DOLLARS, TWICE, 0.001).at
    assert found.requests_a_day is None
    assert found.never == "step"
    assert found.line.full_step_usd == pytest.approx(48)


def test_electricity_dearer_than_the_api_never_pays() -> None:
    """100 W above idle at 1 request/s and 36 dollars a kWh: 100 J are 0.1 cents."""
    hungry = replace(
        TWO_DOLLARS,
        commitment="owned",
        usd_per_kwh=36.0,
        power_w=200.0,
        idle_power_w=100.0,
        request_rate=1.0,
    )
    found = break_even(hungry, TWICE, 0.0009).at
    assert found.requests_a_day is None
    assert found.never == "request"


def test_the_interval_is_that_of_the_goodput() -> None:
    """At 0.8 requests/s a replica serves 34,560 a day, worth 69.12: gain 21.12, the sixth step is the
    first whole one, so 5: (48 + 240) / 0.002 = 144,000. At 0.5 a step is worth 43.20: never."""
    found = break_even(TWO_DOLLARS, TWICE, 0.002, goodput_low=0.8, goodput_high=1.0)
    assert found.high is not None and found.low is not None
    assert found.high.requests_a_day == pytest.approx(144_000)
    assert found.low.requests_a_day == found.at.requests_a_day
    never = break_even(TWO_DOLLARS, TWICE, 0.002, goodput_low=0.5)
    assert never.high is not None and never.high.requests_a_day is None
    assert never.low is None
    idle = break_even(TWO_DOLLARS, TWICE, 0.002, goodput_low=0.0).high
    assert idle is not None and idle.requests_a_day is None


def test_a_free_machine_is_cheaper_from_the_first_request() -> None:
    free = CostLine(0.0, 0.0, 100.0, 0.0)
    assert crossing(free, 0.001).requests_a_day == 0


def test_capacity_assumptions_change_what_is_paid() -> None:
    """On demand, 8 hours a day: the requests of a day fall into them, so a replica serves a third."""
    window = Demand(peak_to_mean=1.0, spare_replicas=0, assumption="active_window", active_hours=8)
    line = cost_line(TWO_DOLLARS, window)
    assert (line.step_usd, line.step_requests) == (pytest.approx(16), pytest.approx(28_800))
    owned = cost_line(replace(TWO_DOLLARS, commitment="owned"), window)
    assert owned.step_usd == pytest.approx(48)
    zero = cost_line(TWO_DOLLARS, Demand(spare_replicas=3, assumption="scale_to_zero"))
    assert (zero.unit, zero.fixed_usd, zero.step_usd, zero.step_requests) == (
        "replica-hour",
        0,
        2,
        3600,
    )


def test_a_month_by_hand() -> None:
    """60,000 a day need two replicas of 43,200, and one is spare: 3 x 24 h at 2 dollars; 16.67 busy
    hours of 72. An engineer at a tenth of 87,600 dollars a year is 1 dollar an hour."""
    month = monthly_cost(replace(TWO_DOLLARS, operations_usd_per_hour=1.0), TWICE, 60_000)
    assert (month.replicas, month.replica_hours_a_day) == (3, 72)
    assert month.utilisation == pytest.approx(60_000 / 3600 / 72)
    assert [(one.name, one.usd) for one in month.components] == [
        ("accelerators", pytest.approx(144 * DAYS_A_MONTH)),
        ("operations", pytest.approx(24 * DAYS_A_MONTH)),
    ]
    assert month.usd_per_request == pytest.approx(168 / 60_000)


def test_a_bill_and_tokens_become_requests() -> None:
    assert requests_a_day(Demand(api_bill_usd_a_day=50), 0.002, None) == pytest.approx(25_000)
    monthly = Demand(api_bill_usd_a_month=50 * DAYS_A_MONTH)
    assert requests_a_day(monthly, 0.002, None) == pytest.approx(25_000)
    assert requests_a_day(Demand(tokens_a_day=1e6), None, 400) == pytest.approx(2500)
    assert requests_a_day(Demand(requests_a_day=7), None, None) == 7
    assert requests_a_day(Demand(), 0.002, 400) is None
    with pytest.raises(ValueError, match="no volume from a bill"):
        requests_a_day(Demand(api_bill_usd_a_day=50), None, None)
    with pytest.raises(ValueError, match="no volume from tokens"):
        requests_a_day(Demand(tokens_a_day=50), 0.1, None)


replicas = st.builds(
    Replica,
    target=st.just("self"),
    goodput_rps=st.floats(0.05, 50),
    usd_per_hour=st.floats(0.01, 100),
    commitment=st.sampled_from(["on_demand", "reserved", "owned"]),
    operations_usd_per_hour=st.floats(0, 50),
    usd_per_kwh=st.floats(0, 1),
    pue=st.floats(1, 2),
    power_w=st.floats(100, 1000),
    idle_power_w=st.floats(0, 100),
    request_rate=st.floats(0.1, 50),
)
demands = st.builds(
    Demand,
    peak_to_mean=st.floats(1, 10),
    spare_replicas=st.integers(0, 5),
    assumption=st.sampled_from(["always_on", "scale_to_zero"]),
) | st.builds(
    Demand,
    peak_to_mean=st.floats(1, 10),
    spare_replicas=st.integers(0, 5),
    assumption=st.just("active_window"),
    active_hours=st.floats(1, 24),
)
prices = st.floats(1e-5, 0.1)


def volume(found: Crossing) -> float:
    return float("inf") if found.requests_a_day is None else found.requests_a_day


@settings(deadline=None)
@given(replica=replicas, demand=demands, price=prices, at=st.floats(0, 3))
def test_it_is_where_the_two_lines_say(
    replica: Replica, demand: Demand, price: float, at: float
) -> None:
    """Never cheaper to buy above it; cheaper to buy below it, on the same step; ranges really are cheaper."""
    found = break_even(replica, demand, price).at
    line = found.line
    if found.requests_a_day is None:
        full = line.step_requests * (1 + round(at * 1000))
        assert line.usd(full) >= price * full * (1 - 1e-6)
        return
    above = found.requests_a_day * (1 + at) + line.step_requests * at + 1e-6
    assert line.usd(above) <= price * above * (1 + 1e-6) + 1e-9
    begun = (line.steps(found.requests_a_day) - 1) * line.step_requests
    below = (max(0.0, begun) + found.requests_a_day) / 2
    assert line.usd(below) >= price * below * (1 - 1e-6) - 1e-9
    for one in found.before:
        middle = (one.start + one.end) / 2
        assert line.usd(middle) <= price * middle * (1 + 1e-6)
        assert one.end <= found.requests_a_day * (1 + 1e-9)


@settings(deadline=None)
@given(replica=replicas, demand=demands, price=prices, factor=st.floats(0.1, 0.99))
def test_what_makes_serving_cheaper_never_raises_it(
    replica: Replica, demand: Demand, price: float, factor: float
) -> None:
    now = volume(break_even(replica, demand, price).at) * (1 + 1e-6)
    cheaper = replace(replica, usd_per_hour=replica.usd_per_hour * factor)
    assert volume(break_even(cheaper, demand, price).at) <= now
    faster = replica.at(replica.goodput_rps / factor)
    assert volume(break_even(faster, demand, price).at) <= now
    assert volume(break_even(replica, demand, price / factor).at) <= now
    more = demand.model_copy(update={"spare_replicas": demand.spare_replicas + 1})
    assert volume(break_even(replica, more, price).at) * (1 + 1e-6) >= now / (1 + 1e-6)


@settings(deadline=None)
@given(replica=replicas, demand=demands, requests=st.floats(1, 1e7))
def test_a_months_components_are_its_line(
    replica: Replica, demand: Demand, requests: float
) -> None:
    month = monthly_cost(replica, demand, requests)
    expected = cost_line(replica, demand).usd(requests) * DAYS_A_MONTH
    assert month.usd == pytest.approx(expected, rel=1e-9)
    assert 0 < month.utilisation <= 1 + 1e-6
