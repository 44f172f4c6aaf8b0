"""The money page: components, both figures of a machine, and break-evens with their assumptions."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from observatory.core.workspace import Workspace
from observatory.site.build import build_site
from tests.site.planting import Planted
from tests.site.reading import words


@pytest.fixture
def pages(planter: Any, seeds: dict[str, Planted]) -> tuple[Workspace, Path]:
    place = planter(seeds["smollm2-llamacpp"], seeds["emulated-api"])
    return place, build_site(place)


def components(place: Workspace) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(place.database), read_only=True) as connection:
        return connection.execute(
            "SELECT target, stage, accounting, sum(usd), any_value(m.value) FROM cost_components c"
            " JOIN stage_metrics m USING (run_id, stage)"
            " WHERE m.metric = CASE accounting WHEN 'usage' THEN 'usage_cost_usd' ELSE 'cost_usd' END"
            " GROUP BY ALL ORDER BY ALL"
        ).fetchall()


def test_every_component_stands_with_quantity_price_and_source(
    pages: tuple[Workspace, Path],
) -> None:
    place, site = pages
    text = words(site / "money.html")
    assert (
        "1 user kept: reservation-based accelerators or machine 0.008333 accelerator-hour" in text
    )
    assert "$0.900 $0.00750 example a stated rate" in text
    assert "by tokens input tokens" in text
    assert "by tokens output tokens" in text
    rows = components(place)
    assert {row[2] for row in rows} == {"tokens", "reservation", "usage"}
    for *_, total, figure in rows:
        assert total == pytest.approx(figure, rel=1e-9)


def test_a_machines_two_figures_stand_apart_and_a_bought_target_has_one(
    pages: tuple[Workspace, Path],
) -> None:
    html = (pages[1] / "money.html").read_text()
    kept, used = re.findall(r'<div class="sheet">.*?</table>', html, flags=re.S)
    assert "reservation-based" in kept
    assert "usage-based" in used
    assert "emulated-api" in kept
    assert "emulated-api" not in used


def test_a_break_even_states_its_assumptions(pages: tuple[Workspace, Path]) -> None:
    text = words(pages[1] / "money.html")
    assert re.search(
        r"From [\d,]+ requests a day on, serving it on smollm2-llamacpp costs no more than buying it "
        r"from emulated-api, and it stays so \(emulated, example prices\)",
        text,
    )
    for reported in (
        "A replica's goodput within the SLO",
        "measured 95 % interval",
        "stage 1 of the run",
        "A replica's hour $0.900 an hour example on demand a stated rate",
        "Peak hour over mean hour 1.52 default: busiest minute over the mean",
        "Spare replicas 1 default",
    ):
        assert reported in text, reported
    [data] = re.findall(
        r'class="plan-data">(.*?)</script>', (pages[1] / "money.html").read_text(), flags=re.S
    )
    lines = json.loads(data)["lines"]["at"]
    assert lines["always_on"]["step_hour_usd"] == pytest.approx(0.9)


def test_the_scenarios_demand_is_what_the_page_begins_with(
    planter: Any, seeds: dict[str, Planted], monkeypatch: pytest.MonkeyPatch
) -> None:
    from observatory.core.money.demand import Demand
    from observatory.site.pages import money as money_page

    stated = Demand(api_bill_usd_a_month=1000.0, peak_to_mean=3.0, spare_replicas=0)
    monkeypatch.setattr(money_page, "demand_of", lambda run: stated)
    place = planter(seeds["smollm2-llamacpp"], seeds["emulated-api"])
    text = words(build_site(place) / "money.html")
    assert "Buying it from emulated-api, a month $1,000" in text
    assert "Replicas kept" in text
    assert "(0 spare)" in text


def test_a_pair_without_a_break_even_says_why(planter: Any, seeds: dict[str, Planted]) -> None:
    slow = ({"value": 0.2, "n": 100}, {"value": 0.1, "n": 100})
    missed = replace(seeds["smollm2-llamacpp"], figures={"goodput_fraction": slow})
    text = words(build_site(planter(missed, seeds["emulated-api"])) / "money.html")
    assert (
        "No break-even (emulated, example prices): smollm2-llamacpp does not meet the SLO" in text
    )


def test_a_break_even_that_never_comes_says_why_and_is_drawn_without_a_mark(
    planter: Any, seeds: dict[str, Planted]
) -> None:
    never = ({"value": 0.01, "low": 0.009, "high": 0.011, "n": 100},) * 2
    small = replace(seeds["smollm2-llamacpp"], figures={"goodput_rps": never})
    site = build_site(planter(small, seeds["emulated-api"]))
    text = words(site / "money.html")
    assert "never gets cheaper than buying it from emulated-api" in text
    assert "never to never requests a day" in text
    [spec] = [
        json.loads(found)
        for found in re.findall(
            r'class="spec">(.*?)</script>', (site / "money.html").read_text(), flags=re.S
        )
        if '"marks"' in found
    ]
    assert spec["datasets"]["marks"] == []
    assert all(len(layer["encoding"]["x"]["scale"]["domain"]) == 2 for layer in spec["layer"])


def test_an_empty_warehouse_has_a_money_page(planter: Any) -> None:
    assert "No money yet" in words(build_site(planter()) / "money.html")
