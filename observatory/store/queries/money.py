"""Money as it is read from the warehouse for the terminal: rows of its views, by run."""

from collections.abc import Mapping, Sequence
from typing import Any

from observatory.core.workspace import Workspace
from observatory.economics.fleet import Replica
from observatory.store.database import connect

Row = dict[str, Any]
FIGURES = (
    "usd_per_1k_requests",
    "usd_per_million_output",
    "usd_per_million_tokens",
    "usage_usd_per_1k_requests",
    "usage_usd_per_million_output",
    "usage_usd_per_million_tokens",
    "marginal_usd_per_1k_requests",
)


def money_rows(workspace: Workspace, run_ids: Sequence[str]) -> list[Row]:
    """Rows of money_per_run with each run's scenario as JSON (`scenario_json`), in their order."""
    return _rows(
        workspace,
        "SELECT m.*, u.scenario_json FROM money_per_run m JOIN runs u USING (run_id)"
        " WHERE list_contains(?, m.run_id) ORDER BY list_position(?, m.run_id)",
        [list(run_ids), list(run_ids)],
    )


def replica_of(row: Mapping[str, Any]) -> Replica | None:
    """The replica that a run's target is; None without a rate or a stage that met the SLO."""
    if row["usd_per_hour"] is None or not row["goodput_rps"]:
        return None
    return Replica(
        target=row["target"],
        goodput_rps=row["goodput_rps"],
        usd_per_hour=row["usd_per_hour"],
        accelerators=row["accelerators"],
        commitment=row["commitment"],
        operations_usd_per_hour=row["operations_usd_per_hour"] or 0.0,
        usd_per_kwh=row["usd_per_kwh"],
        pue=row["pue"],
        power_w=row["power_w"],
        idle_power_w=row["idle_power_w"],
        request_rate=row["request_rate"],
        basis=row["price_basis"],
        electricity_missing=bool(row["electricity_missing"]),
        source=row["price_source"],
        tariff_source=row["tariff_source"] or row["price_source"],
        operations_source=row["operations_source"] or "",
    )


def component_rows(workspace: Workspace, run_id: str) -> list[Row]:
    """Rows of cost_components of a run."""
    return _rows(
        workspace,
        "FROM cost_components WHERE run_id = ? ORDER BY stage, accounting, component",
        [run_id],
    )


def figure_rows(workspace: Workspace, run_id: str) -> list[Row]:
    """Rows of stage_metrics of a run: the FIGURES of every loaded stage, with busy_fraction."""
    return _rows(
        workspace,
        "SELECT s.*, g.kind, g.concurrency, g.rate_per_s FROM stage_metrics s JOIN stages g"
        " USING (run_id, stage) WHERE s.run_id = ? AND s.statistic = 'value' AND g.kind <> 'prime'"
        " AND list_contains(?, s.metric) ORDER BY stage, list_position(?, s.metric)",
        [run_id, [*FIGURES, "busy_fraction"], [*FIGURES, "busy_fraction"]],
    )


def _rows(workspace: Workspace, query: str, given: list[Any]) -> list[Row]:
    with connect(workspace, read_only=True) as connection:
        found = connection.execute(query, given)
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
