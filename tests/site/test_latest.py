"""The front page compares the runs that the view target_comparison chooses."""

from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.site.queries.run_row import RunRow
from observatory.site.sections.latest import Latest, latest_campaigns
from observatory.store.schema.migrations import migrate
from observatory.store.schema.tables import RUNS
from tests.site.made_rows import run_row

START = datetime(2026, 11, 20)

run = st.fixed_dictionaries(
    {
        "comparison_key": st.sampled_from(["k1", "k2"]),
        "campaign_id": st.sampled_from(["a", "b", "c"]),
        "target": st.sampled_from(["x", "y"]),
        "verdict": st.sampled_from(["valid", "degraded", "invalid", None]),
        "status": st.sampled_from(
            ["complete", "complete", "budget_reached", "interrupted", "crashed"]
        ),
        "created_at": st.integers(0, 9).map(lambda hours: START + timedelta(hours=hours)),
    }
)


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its soundness, as the store computes it."""
    sound = row["verdict"] not in (None, "invalid")
    return row | {
        "sound": sound,
        "whole": sound and row["status"] in ("complete", "budget_reached"),
    }


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("latest") / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        migrate(connection, "test")
    return path


def chosen(runs: list[dict[str, Any]]) -> list[Latest]:
    return latest_campaigns([run_row(**row) for row in runs])


def viewed(database: Path, runs: list[dict[str, Any]]) -> list[Any]:
    """What target_comparison answers for these runs, each of one stage."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("DELETE FROM runs")
        connection.execute("DELETE FROM stages")
        for row in runs:
            names, marks = ", ".join(row), ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", list(row.values()))
            connection.execute(
                "INSERT INTO stages (run_id, stage, kind) VALUES (?, 0, 'closed')", [row["run_id"]]
            )
        return connection.execute(
            "SELECT comparison_key, run_id, invalid_runs FROM target_comparison"
        ).fetchall()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(run, max_size=8))
def test_the_choice_is_that_of_target_comparison(
    database: Path, drawn: list[dict[str, Any]]
) -> None:
    runs = [
        judged({**row, "run_id": f"r{place}", "emulated": False}) for place, row in enumerate(drawn)
    ]
    ours = [
        (row.comparison_key, row.run_id, len(latest.left_out))
        for latest in chosen(runs)
        for row in latest.compared
    ]
    assert sorted(ours) == sorted(viewed(database, runs))


def test_a_key_whose_runs_are_all_unsound_is_still_shown() -> None:
    row = {
        "comparison_key": "k",
        "campaign_id": "a",
        "target": "x",
        "verdict": "invalid",
        "status": "complete",
        "created_at": START,
        "run_id": "r",
    }
    row = judged(row)
    [latest] = chosen([row])
    assert latest.compared == []
    assert [left.run_id for left in latest.left_out] == ["r"]


def _made(campaign: str, hours: int, **statuses: str) -> list[dict[str, Any]]:
    return [
        judged(
            {
                "comparison_key": "k",
                "campaign_id": campaign,
                "target": target,
                "verdict": "invalid" if status == "invalid" else "degraded",
                "status": "complete" if status == "invalid" else status,
                "created_at": START + timedelta(hours=hours),
                "run_id": f"{campaign}-{target}",
                "emulated": False,
            }
        )
        for target, status in statuses.items()
    ]


@pytest.mark.parametrize("ended", ["interrupted", "crashed", "invalid"])
@pytest.mark.parametrize("other", ["complete", "interrupted"])
def test_a_complete_campaign_is_preferred_to_a_later_one_that_is_not(
    database: Path, ended: str, other: str
) -> None:
    earlier = _made("a", 0, x="complete", y="budget_reached")
    later = _made("b", 1, x=other, y=ended)
    [latest] = chosen([*earlier, *later])
    assert {row.run_id for row in latest.compared} == {"a-x", "a-y"}
    assert {row.run_id for row in latest.left_out} == {"b-x", "b-y"}
    assert sorted(viewed(database, [*earlier, *later])) == [("k", "a-x", 2), ("k", "a-y", 2)]


def test_without_a_complete_campaign_the_one_with_a_complete_run_is_shown(database: Path) -> None:
    runs = [
        *_made("a", 0, x="complete", y="crashed"),
        *_made("b", 1, x="interrupted", y="interrupted"),
    ]
    [latest] = chosen(runs)
    assert {row.run_id for row in latest.compared} == {"a-x", "a-y"}
    assert {row[1] for row in viewed(database, runs)} == {"a-x", "a-y"}


def test_an_interrupted_campaign_is_shown_where_there_is_no_other(database: Path) -> None:
    runs = [*_made("a", 0, x="interrupted"), *_made("b", 1, x="interrupted")]
    [latest] = chosen(runs)
    assert [row.run_id for row in latest.compared] == ["b-x"]
    assert [row[1] for row in viewed(database, runs)] == ["b-x"]


def test_a_run_has_every_column_of_its_table() -> None:
    columns = [column.name for column in RUNS.columns]
    assert [field.name for field in fields(RunRow)] == [*columns, "not_streamed"]
