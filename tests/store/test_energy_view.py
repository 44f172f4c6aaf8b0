"""energy_per_stage by hand: sums of what counts, missing parts, the idle baseline."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from observatory.store.schema.migrations import migrate


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        migrate(connection, ":memory:")
        put(connection, "runs", run_id="r", target="t", emulated=False)
        put(connection, "stages", run_id="r", stage=0, kind="closed", concurrency=4)
        yield connection


def put(connection: duckdb.DuckDBPyConnection, table: str, **row: Any) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def energy(connection: duckdb.DuckDBPyConnection, scope: str, joules: Any, **changes: Any) -> None:
    """A row of the target's over 10 s of stage 0."""
    given = {
        "run_id": "r",
        "stage": 0,
        "subject": "target",
        "scope": scope,
        "basis": "measured",
        "method": "m",
        "counts": True,
        "window_start_ns": 0,
        "window_end_ns": 10 * 10**9,
        "energy_j": joules,
        "kgco2e": None if joules is None else joules / 1000,
    }
    put(connection, "energy", **(given | changes))


def rows(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    found = connection.execute("FROM energy_per_stage ORDER BY stage NULLS FIRST, subject")
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_a_line_is_the_sum_of_its_scopes_with_the_baseline_beside(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    energy(warehouse, "gpu", 2000.0)
    energy(warehouse, "gpu", 1990.0, method="trapezoid", counts=False)
    energy(warehouse, "cpu", 300.0, basis="estimated")
    energy(warehouse, "datacentre_overhead", 460.0, basis="modelled", pue=1.2)
    energy(warehouse, "gpu", 500.0, stage=None)
    energy(warehouse, "cpu", 20.0, stage=None, basis="estimated")
    energy(warehouse, "datacentre_overhead", 104.0, stage=None, basis="modelled", pue=1.2)
    energy(warehouse, "cpu", 900.0, subject="shared_host")
    idle, host, target = rows(warehouse)
    assert (idle["stage"], idle["subject"], idle["energy_j"], idle["power_w"]) == (
        None,
        "target",
        520,
        52,
    )
    assert (host["subject"], host["cpu_j"], host["energy_j"], host["idle_power_w"]) == (
        "shared_host",
        900,
        900,
        None,
    )
    assert {name: target[name] for name in ("gpu_j", "cpu_j", "energy_j", "overhead_j")} == {
        "gpu_j": 2000,
        "cpu_j": 300,
        "energy_j": 2300,
        "overhead_j": 460,
    }
    assert (target["power_w"], target["idle_power_w"], target["pue"]) == (230, 52, 1.2)
    assert target["kgco2e"] == pytest.approx(2.3)
    assert target["bases"] == "cpu estimated, datacentre_overhead modelled, gpu measured"
    assert (target["concurrency"], target["window_s"], target["reasons"]) == (4, 10, None)


def test_a_missing_part_makes_the_sum_missing(warehouse: duckdb.DuckDBPyConnection) -> None:
    energy(warehouse, "gpu", 2000.0)
    energy(warehouse, "cpu", None, basis="estimated", reason="not sampled")
    (row,) = rows(warehouse)
    assert (row["gpu_j"], row["cpu_j"], row["energy_j"], row["power_w"], row["kgco2e"]) == (
        2000,
        None,
        None,
        None,
        None,
    )
    assert (row["bases"], row["reasons"]) == ("gpu measured", "cpu: not sampled")


def test_a_whole_host_is_not_added_to_its_parts(warehouse: duckdb.DuckDBPyConnection) -> None:
    energy(warehouse, "host", 1000.0)
    energy(warehouse, "gpu", 600.0)
    (row,) = rows(warehouse)
    assert (row["energy_j"], row["bases"]) == (1000, "host measured")


def test_the_strongest_method_of_a_scope_stands_for_it(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    energy(warehouse, "cpu", 70.0, basis="estimated", method="model", counts=None)
    energy(warehouse, "cpu", 60.0, method="rapl", counts=None)
    (row,) = rows(warehouse)
    assert (row["energy_j"], row["bases"]) == (60, "cpu measured")


def test_a_modelled_range_is_kept(warehouse: duckdb.DuckDBPyConnection) -> None:
    energy(warehouse, "host", 30.0, basis="modelled", low_j=20.0, high_j=40.0)
    (row,) = rows(warehouse)
    assert (row["low_j"], row["energy_j"], row["high_j"]) == (20, 30, 40)


def test_a_baseline_of_other_scopes_is_not_put_beside(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    energy(warehouse, "gpu", 2000.0)
    energy(warehouse, "cpu", 20.0, stage=None, basis="estimated")
    assert [row["idle_power_w"] for row in rows(warehouse)] == [2, None]
