"""SQL's money against Python's on the same rows: components of a stage, a month, a break-even."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.analysis.billing.serving import (
    answer,
    month_ends,
    no_month,
    refusal,
)
from observatory.analysis.stage_metrics import run_figures
from observatory.core.money.demand import Demand
from observatory.core.record import RequestRecord, Tokens
from observatory.core.sample import EnergyRow
from observatory.core.workspace import Workspace
from observatory.economics.fleet import monthly_cost
from observatory.presentation.break_even_text import interval
from observatory.store.database import connect
from observatory.store.ingest.cost_lines import fill_cost_lines
from observatory.store.ingest.warehouse import ingest, ingest_pending
from observatory.store.queries.money import replica_of
from observatory.store.queries.money_rows import MoneyRow
from observatory.store.queries.typed_rows import columns_of, typed_rows
from observatory.store.schema.migrations import migrate
from tests.store.made_runs import S, facts, manifest, record, sealed_run, stage
from tests.store.made_runs import answer as attempt

OWNED = {
    "rows": [
        {
            "kind": "machine_hour",
            "usd": 6.0,
            "basis": "stated",
            "source": "invoice",
            "details": {
                "accelerators": 8,
                "commitment": "owned",
                "owned": True,
                "rate_includes": [],
            },
        },
        {"kind": "electricity_kwh", "usd": 0.25, "basis": "stated", "source": "utility"},
        {"kind": "operations_hour", "usd": 5.0, "basis": "stated", "source": "payroll"},
    ],
    "basis": "stated",
}
RENTED = {
    "rows": [{"kind": "machine_hour", "usd": 2.0, "basis": "example", "source": "a stand-in"}],
    "basis": "example",
}


def joules(stage: int | None, scope: str, energy_j: float | None, **fields: Any) -> EnergyRow:
    given: dict[str, Any] = {
        "stage": stage,
        "subject": "target",
        "scope": scope,
        "basis": "measured",
        "method": "nvml",
        "window_start": 2 * S if stage is not None else 0,
        "window_end": 9 * S if stage is not None else S,
        "energy_j": energy_j,
    }
    return EnergyRow(**(given | fields))


def query_rows(workspace: Workspace, query: str) -> list[dict[str, Any]]:
    with connect(workspace, read_only=True) as connection:
        return rows_of(connection, query)


def rows_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = connection.execute(query)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def priced(workspace: Workspace, price: Any, energy: list[EnergyRow]) -> None:
    """A run of three requests, billed by tokens where no price by hours is given."""
    hours = {"kind": "llamacpp", "hosting": "self", "billing": "hours", "emulated": False}
    target = facts() if price is None else facts("self", price=price, **hours)
    made = manifest(target=target, energy=energy)
    ingest(workspace, sealed_run(workspace, made), run_figures)


def sums(workspace: Workspace) -> dict[str, float]:
    rows = query_rows(
        workspace, "SELECT accounting, sum(usd) AS usd FROM cost_components GROUP BY ALL"
    )
    return {row["accounting"]: row["usd"] for row in rows}


def metric(workspace: Workspace, name: str) -> dict[str, Any]:
    query = f"SELECT value, reason FROM stage_metrics WHERE metric = '{name}'"
    return query_rows(workspace, query)[0]


def test_components_of_owned_hardware_add_up_to_the_stages_figures(stocked: Workspace) -> None:
    """7 s of 8 accelerators at 0.75 dollars, an engineer at 5, and joules by scope; half a second is
    busy in all."""
    energy = [
        joules(0, "gpu", 7000.0),
        joules(0, "gpu", 6000.0, method="trapezoid", counts=False),
        joules(0, "cpu", 700.0, basis="estimated", method="codecarbon"),
        joules(0, "datacentre_overhead", 1540.0, basis="modelled", method="PUE 1.2"),
        joules(None, "gpu", 400.0),
        joules(None, "cpu", 50.0, basis="estimated", method="codecarbon"),
    ]
    priced(stocked, OWNED, energy)
    found = sums(stocked)
    assert found["reservation"] == pytest.approx(metric(stocked, "cost_usd")["value"])
    assert found["usage"] == pytest.approx(metric(stocked, "usage_cost_usd")["value"])
    rows = query_rows(
        stocked,
        "SELECT component, quantity, unit, usd_per_unit, basis, source FROM cost_components"
        " WHERE accounting = 'reservation' ORDER BY component",
    )
    assert [(row["component"], row["unit"], row["basis"]) for row in rows] == [
        ("accelerators", "accelerator-hour", "stated"),
        ("electricity_cpu", "kWh", "estimated"),
        ("electricity_datacentre_overhead", "kWh", "modelled"),
        ("electricity_gpu", "kWh", "stated"),
        ("operations", "hour", "stated"),
    ]
    assert rows[0]["quantity"] == pytest.approx(8 * 7 / 3600)
    assert rows[0]["usd_per_unit"] == 0.75
    assert rows[3]["quantity"] == pytest.approx(7000 / 3.6e6)
    assert rows[3]["source"] == "utility; energy: nvml"
    assert query_rows(stocked, "SELECT usd_per_million('run-1') AS usd") == [{"usd": None}]
    assert query_rows(stocked, "SELECT usd_per_million('run-1', 'usage') AS usd") == [{"usd": None}]
    for name in ("usd_per_million_output", "usage_usd_per_million_tokens"):
        few = metric(stocked, name)
        assert (few["value"], few["reason"]) == (None, "sample_floor"), "fewer than 30 requests"


def test_electricity_that_is_missing_is_a_null_component_with_its_reason(
    stocked: Workspace,
) -> None:
    priced(stocked, OWNED, [joules(0, "gpu", None, reason="gpu is lost")])
    rows = query_rows(stocked, "FROM cost_components WHERE component LIKE 'electricity%'")
    assert {(row["accounting"], row["usd"], row["reason"]) for row in rows} == {
        ("reservation", None, "gpu is lost"),
        ("usage", None, "gpu is lost"),
    }
    assert sums(stocked)["reservation"] == pytest.approx(metric(stocked, "cost_usd")["value"])
    assert metric(stocked, "cost_usd")["reason"] == "electricity_not_known"
    assert query_rows(stocked, "SELECT usd_per_million('run-1') AS usd") == [{"usd": None}]


def test_energy_that_fails_a_gate_prices_nothing(stocked: Workspace) -> None:
    """A window of 7 s is too short for readings, and by their coverage these are readings."""
    priced(stocked, OWNED, [joules(0, "gpu", 7000.0, coverage_fraction=1.0)])
    rows = query_rows(stocked, "FROM cost_components WHERE component LIKE 'electricity%'")
    assert {row["component"] for row in rows} == {"electricity"}
    assert all(row["reason"].startswith("energy_window") for row in rows)


def test_costs_of_a_database_from_before_they_were_stored_come_with_the_next_ingest(
    stocked: Workspace,
) -> None:
    priced(stocked, OWNED, [joules(0, "gpu", 7000.0), joules(None, "gpu", 400.0)])
    query = "FROM cost_components ORDER BY ALL"
    stored = query_rows(stocked, query)
    with duckdb.connect(str(stocked.database)) as connection:
        connection.execute("DROP TABLE stage_costs")
        connection.execute("DROP TABLE billed_tokens")
        connection.execute("UPDATE schema_version SET version = 6")
    assert ingest_pending(stocked, run_figures).ingested == ("run-1",)
    assert query_rows(stocked, query) == stored
    assert {row["accounting"] for row in stored} == {"reservation", "usage"}


def test_a_rented_hour_is_one_component(stocked: Workspace) -> None:
    priced(stocked, RENTED, [joules(0, "gpu", 7000.0)])
    rows = query_rows(stocked, "FROM cost_components ORDER BY accounting")
    assert [(row["accounting"], row["component"]) for row in rows] == [
        ("reservation", "accelerators"),
        ("usage", "accelerators"),
    ]
    assert rows[0]["usd"] == pytest.approx(7 / 3600 * 2)
    assert rows[1]["usd"] == pytest.approx(rows[0]["usd"] * rows[0]["busy_fraction"])


def test_tokens_add_up_to_what_was_charged(stocked: Workspace) -> None:
    priced(stocked, None, [])
    found = sums(stocked)
    assert found == {"tokens": pytest.approx(metric(stocked, "cost_usd")["value"])}
    kinds = query_rows(
        stocked, "SELECT component, quantity, usd FROM cost_components ORDER BY component"
    )
    assert [row["component"] for row in kinds] == ["input", "output"]
    assert kinds[0]["usd"] == pytest.approx(kinds[0]["quantity"] * 1.0)
    few = query_rows(stocked, "SELECT usd_per_million('run-1', of_tokens := 'all') AS usd")
    assert few == [{"usd": None}]
    assert metric(stocked, "usd_per_million_tokens")["reason"] == "sample_floor"


def thirty() -> list[RequestRecord]:
    """As many answers as a mean needs, a tenth of a second apart in the window."""
    return [record(index) for index in range(40)]


def test_a_million_tokens_are_priced_from_thirty_requests_on(stocked: Workspace) -> None:
    """As the stage's own figures have it: 100 prompt and 4 output tokens at 1 and 10 dollars a million."""
    ingest(stocked, sealed_run(stocked, manifest(energy=[]), thirty()), run_figures)
    for of, name in (("all", "usd_per_million_tokens"), ("output", "usd_per_million_output")):
        (found,) = query_rows(
            stocked, f"SELECT usd_per_million('run-1', of_tokens := '{of}') AS usd"
        )
        assert found["usd"] == pytest.approx(metric(stocked, name)["value"])
    (run,) = query_rows(stocked, "FROM money_per_run")
    assert run["usd_per_request"] == pytest.approx(140e-6)
    assert (run["usd_per_request_low"], run["usd_per_request_reason"]) == (None, "no_spread")
    assert (run["requests"], run["prompt_tokens"], run["output_tokens"]) == (40, 100, 4)


def test_three_requests_price_nothing(stocked: Workspace) -> None:
    priced(stocked, None, [])
    (run,) = query_rows(stocked, "FROM money_per_run")
    names = ("usd_per_request", "usd_per_request_low", "requests", "prompt_tokens", "output_tokens")
    assert [run[name] for name in names] == [None] * 5
    assert (run["usd_per_request_reason"], run["priced_n"]) == ("sample_floor", 3)
    assert query_rows(stocked, "FROM monthly_cost('run-1', 1000)") == []


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        migrate(connection, ":memory:")
        yield connection


def put(connection: duckdb.DuckDBPyConnection, table: str, **row: Any) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def measured(connection: duckdb.DuckDBPyConnection, run: str, stage: int, **values: Any) -> None:
    """A stage of 10 s with metrics: a figure, or (low, value, high)."""
    put(
        connection,
        "stages",
        run_id=run,
        stage=stage,
        kind="closed",
        steady_start_ns=0,
        steady_end_ns=10 * S,
    )
    for name, value in values.items():
        low, middle, high = value if isinstance(value, tuple) else (None, value, None)
        put(
            connection,
            "stage_metrics",
            run_id=run,
            stage=stage,
            metric=name,
            statistic="value",
            value=middle,
            low=low,
            high=high,
            n=100,
            basis="stated",
        )


def plant(
    connection: duckdb.DuckDBPyConnection,
    *,
    goodput: tuple[float, float, float] = (0.8, 1.0, 1.2),
    fraction: float = 0.95,
    usd_per_hour: float = 2.0,
    commitment: str = "on_demand",
    usd_per_kwh: float | None = None,
    operations: float | None = None,
    api_usd_per_request: float | tuple[float, float, float] = 0.002,
    n: int = 100,
    **run: Any,
) -> None:
    """A self-hosted run `s` and an API's run `a` of one workload, instead of what was there.

    A price without ends does not vary. n: requests behind each figure.
    """
    for table in ("runs", "stages", "stage_metrics", "prices"):
        connection.execute(f"DELETE FROM {table}")
    scenario = '{"slo": {"per_request": {"e2e": 5}, "attainment": 0.9}, "telemetry": {"pue": 1.25}}'
    common = {
        "comparison_key": "k",
        "scenario_json": scenario,
        "slo_attainment": 0.9,
        "pue": 1.25,
        "verdict": "valid",
    }
    put(
        connection,
        "runs",
        **(common | {"run_id": "s", "target": "own", "billing": "hours", "emulated": False} | run),
    )
    put(
        connection,
        "runs",
        **common,
        run_id="a",
        target="bought",
        billing="tokens",
        emulated=True,
    )
    measured(connection, "s", 0, goodput_fraction=1.0, goodput_rps=0.01, cost_usd=0.01)
    measured(
        connection,
        "s",
        1,
        goodput_fraction=(0.8, fraction, 1.0),
        goodput_rps=goodput,
        cost_usd=0.01,
        power_w=300.0,
        idle_power_w=100.0,
        request_rate=2.0,
    )
    measured(connection, "s", 2, goodput_fraction=0.5, goodput_rps=9.0, cost_usd=0.01)
    varies = isinstance(api_usd_per_request, tuple)
    ends = (
        api_usd_per_request
        if isinstance(api_usd_per_request, tuple)
        else (api_usd_per_request,) * 3
    )
    low, price, high = ends
    thousand = (low * 1e3, price * 1e3, high * 1e3) if varies else price * 1e3
    measured(connection, "a", 0, cost_usd=price * n, usd_per_1k_requests=thousand)
    connection.execute("UPDATE stage_metrics SET n = ?", [n])
    few = "n < 30 AND metric = 'usd_per_1k_requests'"
    connection.execute(
        f"UPDATE stage_metrics SET value = NULL, reason = 'sample_floor' WHERE {few}"
    )
    if not varies:
        connection.execute(
            "UPDATE stage_metrics SET reason = coalesce(reason, 'no_spread')"
            " WHERE metric = 'usd_per_1k_requests'"
        )
    price = {"run_id": "s", "basis": "stated", "source": "contract"}
    hour = {
        "accelerators": 2,
        "commitment": commitment,
        "rate_includes": ["electricity"],
        "usd_per_kwh": usd_per_kwh,
        "pays_electricity": usd_per_kwh is not None,
    }
    put(connection, "prices", **price, **hour, kind="machine_hour", usd=usd_per_hour)
    if usd_per_kwh is not None:
        put(connection, "prices", **price, kind="electricity_kwh", usd=usd_per_kwh)
    if operations is not None:
        put(connection, "prices", **price, kind="operations_hour", usd=operations)
    fill_cost_lines(connection, ["s"])


def pair(connection: duckdb.DuckDBPyConnection) -> tuple[MoneyRow, MoneyRow]:
    query = f"SELECT {columns_of(MoneyRow)} FROM money_per_run ORDER BY run_id"
    api, own = typed_rows(MoneyRow, connection.execute(query))
    return own, api


def test_the_best_stage_is_the_one_with_most_goodput_that_meets_the_slo(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    plant(warehouse)
    own, api = pair(warehouse)
    assert (own.best_stage, own.goodput_rps, own.surely) == (1, 1.0, False)
    assert (own.usd_per_hour, own.accelerators, own.pue) == (2.0, 2, 1.25)
    assert api.usd_per_request == pytest.approx(0.002)
    assert api.usd_per_hour is None


def test_the_worked_example_in_sql(warehouse: duckdb.DuckDBPyConnection) -> None:
    """As tests/economics/test_break_even.py works it: 96,000; at 0.8 requests/s 144,000."""
    plant(warehouse, goodput=(0.8, 1.0, 1.0))
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a', peak_to_mean := 2)")
    assert row["requests_a_day"] == pytest.approx(96_000)
    assert (row["low"], row["high"]) == (pytest.approx(96_000), pytest.approx(144_000))
    assert (row["emulated"], row["reason"]) == (True, None)
    month = rows_of(warehouse, "FROM monthly_cost('s', 60000, peak_to_mean := 2)")
    assert [(one["component"], one["replicas"]) for one in month] == [("accelerators", 3)]
    assert month[0]["usd"] == pytest.approx(144 * 365 / 12)
    bought = rows_of(warehouse, "FROM monthly_cost('a', 60000)")
    assert [(one["component"], one["usd"]) for one in bought] == [
        ("tokens", pytest.approx(120 * 365 / 12))
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"comparison_key": "other"}, "not the same workload"),
        ({"verdict": "invalid"}, "a run is invalid"),
        ({"slo_attainment": None}, "the scenario has no SLO"),
    ],
)
def test_what_cannot_be_said_is_refused(
    warehouse: duckdb.DuckDBPyConnection, changes: dict[str, Any], reason: str
) -> None:
    plant(warehouse, **changes)
    own, api = pair(warehouse)
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a')")
    assert (row["requests_a_day"], row["reason"]) == (None, reason)
    assert refusal(own, api) is not None


def test_too_few_requests_carry_no_break_even_and_no_month(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    plant(warehouse, n=29)
    own, api = pair(warehouse)
    assert (own.goodput_rps, own.served_reason, own.goodput_n) == (
        None,
        "sample_floor",
        29,
    )
    assert (api.usd_per_request, api.usd_per_request_reason) == (None, "sample_floor")
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a')")
    assert row["requests_a_day"] is None
    assert row["reason"] == "the second run needs 30 requests in a steady window, has 29"
    message = refusal(own, api)
    assert (
        message
        == "what a request costs at bought is not known: needs 30 requests, has 29 in a steady window"
    )
    for run in ("s", "a"):
        assert rows_of(warehouse, f"FROM monthly_cost('{run}', 1000)") == []
    warehouse.execute(
        "UPDATE stage_metrics SET n = 30, value = 2, reason = NULL WHERE run_id = 'a'"
    )
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a')")
    assert row["reason"] == (
        "the first run needs 30 independent requests in a steady window, has about 29: "
        "run longer at that load"
    )
    assert "has about 29: run longer" in no_month(own)


def test_a_price_that_varies_widens_break_even_and_month(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Where the goodput is certain: 48 dollars a replica and 96 with its spare, at 1.8, 2 and 2.4 a thousand."""
    plant(warehouse, goodput=(1.0, 1.0, 1.0), api_usd_per_request=(0.0018, 0.002, 0.0024))
    own, api = pair(warehouse)
    assert api.usd_per_request_low == pytest.approx(0.0018)
    assert api.usd_per_request_high == pytest.approx(0.0024)
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a', peak_to_mean := 2)")
    one = answer(own, api, Demand(peak_to_mean=2, requests_a_day=60_000))
    assert one.found is not None and one.found.low is not None and one.found.high is not None
    assert row["low"] == pytest.approx(one.found.low.requests_a_day) == pytest.approx(60_000)
    assert (
        row["high"] == pytest.approx(one.found.high.requests_a_day) == pytest.approx(240 / 0.0018)
    )
    assert (
        "95 % intervals of the measured goodput and of what a request was bought for"
        in interval(one)
    )
    (bought,) = rows_of(warehouse, "FROM monthly_cost('a', 60000)")
    ends = month_ends(api, one.demand, 60_000)
    assert (bought["low_usd"], bought["high_usd"]) == (
        pytest.approx(ends.low_usd),
        pytest.approx(ends.high_usd),
    )
    assert ends.low_usd == pytest.approx(0.0018 * 60_000 * 365 / 12)
    served = month_ends(own, one.demand, 60_000)
    assert (served.low_usd, served.high_usd) == (pytest.approx(4380), pytest.approx(4380))
    assert served.reason == "whole replicas: the same at both ends"


def test_no_stage_within_the_slo_has_no_break_even(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, fraction=0.85)
    warehouse.execute("UPDATE stage_metrics SET value = 0.2 WHERE metric = 'goodput_fraction'")
    fill_cost_lines(warehouse, ["s"])
    own, api = pair(warehouse)
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a')")
    assert row["reason"] == "no stage of the first run meets the SLO"
    assert rows_of(warehouse, "FROM monthly_cost('s', 1000)") == []
    message = refusal(own, api)
    assert message is not None and "does not meet the SLO at any stage" in message


def test_owned_hardware_without_a_tariff_has_no_month_and_no_break_even(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    plant(warehouse, commitment="owned")
    warehouse.execute(
        "UPDATE prices SET rate_includes = [], pays_electricity = true WHERE run_id = 's'"
    )
    fill_cost_lines(warehouse, ["s"])
    own, api = pair(warehouse)
    (row,) = rows_of(warehouse, "FROM break_even('s', 'a')")
    assert row["reason"] == "the electricity of the first run is not known"
    assert answer(own, api, Demand(requests_a_day=1000)).refused is not None
    month = {
        one["component"]: one["usd"] for one in rows_of(warehouse, "FROM monthly_cost('s', 9)")
    }
    assert month["electricity"] is None
    replica = replica_of(own)
    assert replica is not None
    assert monthly_cost(replica, Demand(), 9).usd is None


def literal(demand: Demand) -> str:
    hours = demand.active_hours or 24
    return (
        f"peak_to_mean := {demand.peak_to_mean!r}, spare_replicas := {demand.spare_replicas},"
        f" assumption := '{demand.assumption}', active_hours := {hours!r}"
    )


demands = st.builds(
    Demand,
    peak_to_mean=st.floats(1, 10),
    spare_replicas=st.integers(0, 4),
    assumption=st.sampled_from(["always_on", "scale_to_zero"]),
) | st.builds(
    Demand,
    peak_to_mean=st.floats(1, 10),
    spare_replicas=st.integers(0, 4),
    assumption=st.just("active_window"),
    active_hours=st.floats(1, 24),
)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    demand=demands,
    usd_per_hour=st.floats(0.01, 20),
    commitment=st.sampled_from(["on_demand", "reserved", "owned"]),
    tariff=st.none() | st.floats(0.01, 1),
    operations=st.none() | st.floats(0.1, 50),
    price=st.floats(1e-4, 0.05),
    volume=st.floats(1, 1e6),
)
def test_sql_and_python_agree(
    warehouse: duckdb.DuckDBPyConnection,
    demand: Demand,
    usd_per_hour: float,
    commitment: str,
    tariff: float | None,
    operations: float | None,
    price: float,
    volume: float,
) -> None:
    plant(
        warehouse,
        usd_per_hour=usd_per_hour,
        commitment=commitment,
        usd_per_kwh=tariff,
        operations=operations,
        api_usd_per_request=price,
    )
    own, api = pair(warehouse)
    (row,) = rows_of(warehouse, f"FROM break_even('s', 'a', {literal(demand)})")
    found = answer(own, api, demand).found
    assert found is not None and found.low is not None and found.high is not None
    for name, one in (("requests_a_day", found.at), ("low", found.low), ("high", found.high)):
        expected = one.requests_a_day
        assert row[name] == (None if expected is None else pytest.approx(expected, rel=1e-6)), name
    replica = replica_of(own)
    assert replica is not None
    month = monthly_cost(replica, demand, volume)
    rows = rows_of(warehouse, f"FROM monthly_cost('s', {volume!r}, {literal(demand)})")
    assert {one["component"]: one["usd"] for one in rows} == {
        part.name: pytest.approx(part.usd) for part in month.components
    }
    ends = month_ends(own, demand, volume)
    for end, usd in (("low_usd", ends.low_usd), ("high_usd", ends.high_usd)):
        assert sum(one[end] for one in rows) == pytest.approx(usd)
    assert rows[0]["replicas"] == month.replicas
    assert rows[0]["utilisation"] == pytest.approx(month.utilisation)


def uncounted(workspace: Workspace, stages: int, without: set[int]) -> None:
    """A run billed by tokens; the answers of the stages `without` carry no usage."""
    made = manifest(energy=[], stages=[stage(index) for index in range(stages)])
    records = [
        record(i, index, attempts=[attempt((3 + 15 * index) * S + i * S // 10 + 10**6, **changes)])
        for index in range(stages)
        for changes in [{"tokens": Tokens()} if index in without else {}]
        for i in range(3)
    ]
    ingest(workspace, sealed_run(workspace, made, records), run_figures)


def test_a_stage_that_nobody_counted_is_null_components_with_the_reason(
    stocked: Workspace,
) -> None:
    """Not left out: the million tokens of the run would be those of its other stage alone."""
    uncounted(stocked, 2, {1})
    rows = query_rows(stocked, "FROM cost_components ORDER BY stage, component")
    assert [(row["stage"], row["component"], row["usd"] is None) for row in rows] == [
        (0, "input", False),
        (0, "output", False),
        (1, "input", True),
        (1, "output", True),
    ]
    assert {row["reason"] for row in rows if row["stage"] == 1} == {"token_counts_missing"}
    assert [row["usd_per_unit"] for row in rows[2:]] == [1.0, 10.0]
    assert query_rows(stocked, "SELECT usd_per_million('run-1') AS usd") == [{"usd": None}]


def test_tokens_of_a_request_are_not_known_where_a_stage_did_not_count_them(
    stocked: Workspace,
) -> None:
    """Three answers of 100 prompt tokens over six requests would be 50, and a volume twice as high."""
    uncounted(stocked, 2, {1})
    (row,) = query_rows(stocked, "SELECT prompt_tokens, output_tokens FROM money_per_run")
    assert row == {"prompt_tokens": None, "output_tokens": None}


@pytest.mark.parametrize(("cached", "known"), [(60, 60.0), (4_000, None)])
def test_more_cached_than_prompt_tokens_are_no_share_of_a_run(
    stocked: Workspace, cached: int, known: float | None
) -> None:
    """A share above one would make the blended price of a prompt token negative."""
    counts = Tokens(prompt=100, cached=cached, output=4, streamed=4, output_from="usage")
    records = [
        record(index, attempts=[attempt(3 * S + index * S // 10 + 10**6, tokens=counts)])
        for index in range(40)
    ]
    ingest(stocked, sealed_run(stocked, manifest(energy=[]), records), run_figures)
    (run,) = query_rows(stocked, "SELECT cached_tokens, usd_per_request FROM money_per_run")
    assert run["cached_tokens"] == known
    assert (run["usd_per_request"] is None) == (known is None)
    cells = query_rows(stocked, "SELECT min(usd) AS usd FROM cost_components")
    assert cells[0]["usd"] is None or cells[0]["usd"] >= 0
