"""Money as it is read from the warehouse for the terminal: rows of its views, by run."""

from collections.abc import Sequence
from typing import Any

from observatory.core.workspace import Workspace
from observatory.economics.fleet import Replica
from observatory.store.database import connect
from observatory.store.queries.money_rows import ComponentRow, MoneyFigureRow, MoneyRow
from observatory.store.queries.typed_rows import Typed, columns_of, typed_rows

FIGURES = (
    "usd_per_1k_requests",
    "usd_per_million_output",
    "usd_per_million_tokens",
    "usage_usd_per_1k_requests",
    "usage_usd_per_million_output",
    "usage_usd_per_million_tokens",
    "marginal_usd_per_1k_requests",
)


def money_rows(workspace: Workspace, run_ids: Sequence[str]) -> list[MoneyRow]:
    """Return the rows of money_per_run of these runs, in their order."""
    return _rows(
        workspace,
        MoneyRow,
        f"SELECT {columns_of(MoneyRow)} FROM money_per_run WHERE list_contains(?, run_id)"
        " ORDER BY list_position(?, run_id)",
        [list(run_ids), list(run_ids)],
    )


def stated_scenario(workspace: Workspace, run_id: str) -> str | None:
    """Return the scenario of a run in the database as JSON."""
    with connect(workspace, read_only=True) as connection:
        found = connection.execute("SELECT scenario_json FROM runs WHERE run_id = ?", [run_id])
        row = found.fetchone()
    return None if row is None else row[0]


def replica_of(row: MoneyRow) -> Replica | None:
    """Return the replica that a run's target is; None without a rate or a stage that met the SLO."""
    if row.usd_per_hour is None or not row.goodput_rps:
        return None
    return Replica(
        target=row.target,
        goodput_rps=row.goodput_rps,
        usd_per_hour=row.usd_per_hour,
        accelerators=row.accelerators or 1,
        commitment=row.commitment or "on_demand",
        operations_usd_per_hour=row.operations_usd_per_hour or 0.0,
        usd_per_kwh=row.usd_per_kwh,
        pue=row.pue,
        power_w=row.power_w,
        idle_power_w=row.idle_power_w,
        request_rate=row.request_rate,
        basis=row.price_basis or "",
        electricity_missing=bool(row.electricity_missing),
        source=row.price_source or "",
        tariff_source=row.tariff_source or row.price_source or "",
        operations_source=row.operations_source or "",
    )


def component_rows(workspace: Workspace, run_id: str) -> list[ComponentRow]:
    """Return the rows of cost_components of a run."""
    return _rows(
        workspace,
        ComponentRow,
        f"SELECT {columns_of(ComponentRow)} FROM cost_components WHERE run_id = ?"
        " ORDER BY stage, accounting, component",
        [run_id],
    )


def figure_rows(workspace: Workspace, run_id: str) -> list[MoneyFigureRow]:
    """Return the FIGURES of every loaded stage of a run, with busy_fraction."""
    return _rows(
        workspace,
        MoneyFigureRow,
        f"SELECT {columns_of(MoneyFigureRow)} FROM stage_metrics JOIN stages USING (run_id, stage)"
        " WHERE run_id = ? AND statistic = 'value' AND kind <> 'prime' AND list_contains(?, metric)"
        " ORDER BY stage, list_position(?, metric)",
        [run_id, [*FIGURES, "busy_fraction"], [*FIGURES, "busy_fraction"]],
    )


def _rows(workspace: Workspace, row_type: type[Typed], query: str, given: list[Any]) -> list[Typed]:
    with connect(workspace, read_only=True) as connection:
        return typed_rows(row_type, connection.execute(query, given))
