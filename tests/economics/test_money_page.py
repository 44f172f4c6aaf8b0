"""docs/money.md: its worked example is computed again, and its defaults are the code's."""

import re
from pathlib import Path

import duckdb
import pytest

from observatory.core.money.demand import PEAK_TO_MEAN, Demand
from observatory.economics.break_even import break_even
from observatory.economics.fleet import Replica

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "money.md").read_text(encoding="utf-8")
EXAMPLE = PAGE[PAGE.index("Worked by hand") : PAGE.index("The interval is computed")]
STEP = re.compile(r"^\| (\d) \+ (\d) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def stated(pattern: str) -> float:
    found = re.search(pattern, EXAMPLE)
    assert found is not None, pattern
    return number(found[1])


def test_the_worked_example_is_what_the_code_says() -> None:
    replica = Replica(
        "own",
        goodput_rps=stated(r"([\d.]+) request/s within"),
        usd_per_hour=stated(r"([\d.]+) USD an hour"),
    )
    demand = Demand(
        peak_to_mean=stated(r"peak ([\d.]+) x"), spare_replicas=int(stated(r", (\d) spare"))
    )
    price = stated(r"bought \| ([\d.]+) USD a request")
    found = break_even(replica, demand, price).at
    assert found.requests_a_day == pytest.approx(stated(r"break-even is ([\d,]+) requests"))
    (before,) = found.before
    assert before.start == pytest.approx(stated(r"from ([\d,]+) to"))
    assert before.end == pytest.approx(stated(r"from [\d,]+ to ([\d,]+) serving"))
    steps = STEP.findall(EXAMPLE)
    assert len(steps) == 4
    for needed, spare, requests, serving, buying in steps:
        assert found.line.steps(number(requests)) == int(needed)
        assert int(spare) == demand.spare_replicas
        assert found.line.usd(number(requests)) == pytest.approx(number(serving))
        assert number(requests) * price == pytest.approx(number(buying))
    never = break_even(replica, demand, stated(r"At ([\d.]+) USD a request the")).at
    assert never.requests_a_day is None


def test_the_default_peak_on_the_page_is_the_codes() -> None:
    assert f"The default, {PEAK_TO_MEAN}, is measured" in PAGE


@pytest.mark.parametrize(
    ("requests", "peak"),
    [
        ({0: 3, 5: 1, 6: 1}, 4.5),  # four minutes without any; the last one is not whole
        ({0: 2, 1: 2, 2: 2, 3: 1}, 1.0),
        ({0: 1, 59: 5, 60: 1}, 50.0),
        ({0: 6, 2: 1}, 2.0),
    ],
)
def test_the_recipe_for_the_peak_counts_minutes_without_a_request(
    requests: dict[int, int], peak: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = PAGE[PAGE.index("WITH asked AS") :].partition('"\n```')[0].replace('\\"', '"')
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for minute, count in requests.items():
        at = f"2023-11-16 {18 + (15 + minute) // 60}:{(15 + minute) % 60:02}"
        lines += [f"{at}:{place:02}.0000000,374,44" for place in range(count)]
    (tmp_path / "azure_llm_2023_conv.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [(pytest.approx(peak),)]
