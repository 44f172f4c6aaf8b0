"""docs/money.md: its worked example is computed again, and its defaults are the code's."""

import re
from pathlib import Path

import pytest

from observatory.core.demand import PEAK_TO_MEAN, Demand
from observatory.economics.break_even import break_even
from observatory.economics.fleet import Replica

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "money.md").read_text(encoding="utf-8")
EXAMPLE = PAGE[PAGE.index("Worked by hand") : PAGE.index("The interval is that")]
STEP = re.compile(r"^\| (\d) \+ (\d) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def said(pattern: str) -> float:
    found = re.search(pattern, EXAMPLE)
    assert found is not None, pattern
    return number(found[1])


def test_the_worked_example_is_what_the_code_says() -> None:
    replica = Replica(
        "own",
        goodput_rps=said(r"([\d.]+) request/s within"),
        usd_per_hour=said(r"([\d.]+) USD an hour"),
    )
    demand = Demand(
        peak_to_mean=said(r"peak ([\d.]+) x"), spare_replicas=int(said(r", (\d) spare"))
    )
    price = said(r"bought \| ([\d.]+) USD a request")
    found = break_even(replica, demand, price).at
    assert found.requests_a_day == pytest.approx(said(r"break-even is ([\d,]+) requests"))
    (before,) = found.before
    assert before.start == pytest.approx(said(r"from ([\d,]+) to"))
    assert before.end == pytest.approx(said(r"from [\d,]+ to ([\d,]+) serving"))
    steps = STEP.findall(EXAMPLE)
    assert len(steps) == 4
    for needed, spare, requests, serving, buying in steps:
        assert found.line.steps(number(requests)) == int(needed)
        assert int(spare) == demand.spare_replicas
        assert found.line.usd(number(requests)) == pytest.approx(number(serving))
        assert number(requests) * price == pytest.approx(number(buying))
    never = break_even(replica, demand, said(r"At ([\d.]+) USD a request the")).at
    assert never.requests_a_day is None


def test_the_default_peak_on_the_page_is_the_codes() -> None:
    assert f"The default, {PEAK_TO_MEAN}, is measured" in PAGE
