"""A sealed run into an open database: its rows as the manifest, the Parquet and the analysis give them.

Replaces all rows of the run, inside the caller's transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from observatory.core.run import Manifest
from observatory.economics.machine_money import pays_electricity, tariff_of
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.store.frames import SEALED_TABLES, RunFigures, RunFrames
from observatory.store.ingest.insert import insert_file, insert_frame
from observatory.store.library_paths import library_path
from observatory.store.schema.tables import (
    BILLED_TOKENS,
    ENERGY,
    FINDINGS,
    OF_RUNS,
    PRICES,
    RUNS,
    STAGE_COSTS,
    STAGE_METRICS,
    STAGES,
    THRESHOLDS,
    Table,
)

Row = Mapping[str, Any]
Summarise = Callable[[Manifest, RunFrames], RunFigures]
"""Computes the figures of a run; the function is in analysis."""


_OF_RUNS = {column.name for column in RUNS.columns}


def load_run(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    manifest: Manifest,
    identity: Row,
    figures: RunFigures,
) -> None:
    """Put a sealed run into the tables. identity: label and manifest_sha256, as they were read."""
    remove_run(connection, manifest.run_id)
    run = {**run_row(manifest), **identity, "folder": folder.name}
    _insert(connection, RUNS, [run], manifest)
    _insert(connection, STAGES, _stage_rows(manifest), manifest)
    for name, table in SEALED_TABLES.items():
        with library_path(folder / name) as file:
            insert_file(connection, table, file)
    _insert(connection, PRICES, _price_rows(manifest), manifest)
    own = (
        (ENERGY, manifest.energy),
        (FINDINGS, manifest.findings),
        (THRESHOLDS, manifest.thresholds),
    )
    for table, found in own:
        _insert(connection, table, map(msgspec.structs.asdict, found), manifest)
    for table, frame in (
        (STAGE_METRICS, figures.stage_metrics),
        (BILLED_TOKENS, figures.billed_tokens),
        (STAGE_COSTS, figures.stage_costs),
    ):
        insert_frame(connection, table, frame, manifest.run_id)


def remove_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """Take every row of a run out of the tables."""
    for table in OF_RUNS:
        connection.execute(f"DELETE FROM {table.name} WHERE run_id = ?", [run_id])


def run_row(manifest: Manifest) -> dict[str, Any]:
    """Return the run's row of table runs, but for folder, label and manifest_sha256."""
    target, verdict = manifest.target, manifest.verdict
    return {
        **{
            name: value
            for name, value in msgspec.structs.asdict(target).items()
            if name in _OF_RUNS
        },
        "run_id": manifest.run_id,
        "campaign_id": manifest.campaign_id,
        "scenario": manifest.scenario_name,
        "seed": manifest.seed,
        "comparison_key": manifest.comparison_key,
        "comparison_fields": _json(manifest.comparison_fields),
        "plan_sha256": manifest.plan_sha256,
        "target": target.name,
        "target_kind": target.kind,
        "target_facts": _json(target),
        "status": manifest.status,
        "status_reason": manifest.status_reason,
        "verdict": verdict.level if verdict else None,
        "sound": manifest.sound,
        "whole": manifest.whole,
        "verdict_codes": verdict.codes if verdict else None,
        "verdict_sentence": verdict.sentence if verdict else None,
        "anchor_unix_ns": manifest.anchor.realtime_ns,
        "created_at": _moment(manifest.created_utc),
        "ended_at": _moment(manifest.ended_utc),
        "environment": _json(manifest.environment),
        "software": _json(manifest.software),
        "scenario_json": _json(manifest.scenario),
        "slo_attainment": _attainment(manifest),
        "pue": manifest.stored.telemetry.pue,
        "publish": manifest.publish,
        "other_address_in": manifest.other_address_in,
        "factors": _json(manifest.factors) if manifest.factors else None,
        "block": manifest.block,
        "cell": manifest.cell,
        "matrix_order": manifest.turn,
        "turn": manifest.turn,
        "confounded": manifest.confounded,
        "quote": _json(manifest.quote) if manifest.quote else None,
        "idle_start_ns": manifest.idle.started if manifest.idle else None,
        "idle_end_ns": manifest.idle.ended if manifest.idle else None,
    }


def _attainment(manifest: Manifest) -> float | None:
    slo = manifest.stored.slo
    return None if slo is None or slo.per_request is None else slo.attainment


def _stage_rows(manifest: Manifest) -> list[Row]:
    return [
        {
            **msgspec.structs.asdict(stage),
            "stage": stage.index,
            "steady_start": stage.steady_started,
            "steady_end": stage.steady_ended,
        }
        for stage in manifest.stages
    ]


def _price_rows(manifest: Manifest) -> list[Row]:
    plain = manifest.target.price or {}
    prices = AppliedPrices.from_dict(plain)
    return [
        {
            **msgspec.structs.asdict(row),
            "details": _json(given["details"]) if given.get("details") else None,
            **_price_facts(prices, row),
        }
        for row, given in zip(prices.rows, plain.get("rows", []), strict=True)
    ]


def _price_facts(prices: AppliedPrices, row: PriceRow) -> Row:
    """Return the columns of table prices that are fields of a price's details, or follow from them."""
    details = row.details
    facts = {
        "provider": details.ledger_provider or details.provider,
        "model": details.ledger_model or details.model,
        "service_tier": details.service_tier,
        "tiers": msgspec.to_builtins(details.tiers),
    }
    if row.kind != "machine_hour":
        return facts
    return facts | {
        "accelerators": details.accelerators or 1,
        "commitment": details.commitment or ("owned" if details.owned else "on_demand"),
        "rate_includes": details.rate_includes,
        "usd_per_kwh": tariff_of(prices),
        "pays_electricity": tariff_of(prices) is not None or pays_electricity(row),
    }


def _insert(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    rows: Iterable[Row],
    manifest: Manifest,
) -> None:
    """Insert rows by column name, or by the name without _ns, a list a column; run_id is that of `manifest`."""
    given = [{**row, "run_id": manifest.run_id} for row in rows]
    if not given:
        return
    columns = ", ".join(
        f"unnest(?::VARCHAR[])::{column.type}"
        if column.type == "JSON"
        else f"unnest(?::{column.type}[])"
        for column in table.columns
    )
    values = [
        [row.get(column.name, row.get(column.name.removesuffix("_ns"))) for row in given]
        for column in table.columns
    ]
    # By name: in a database that was brought up to date, newer columns are last.
    names = ", ".join(column.name for column in table.columns)
    connection.execute(f"INSERT INTO {table.name} ({names}) SELECT {columns}", values)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def _moment(utc: str | None) -> datetime | None:
    """Return a manifest's UTC text as DuckDB's TIMESTAMP takes it, without a zone."""
    return None if utc is None else datetime.fromisoformat(utc).replace(tzinfo=None)
