"""Everything that one run's page shows, from the warehouse's rows to drawings and tables."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import yaml

from observatory.analysis.windows import Window
from observatory.core.metric import METRICS
from observatory.core.run import through
from observatory.presentation.figures import DASH, write
from observatory.site.charts.distributions import curve_of, distribution_chart
from observatory.site.charts.drawing import CellTable, Drawing
from observatory.site.charts.telemetry import telemetry_charts
from observatory.site.charts.timeline import Band, Span, timeline_chart
from observatory.site.engines import engine_facts, engine_settings
from observatory.site.loads import Load
from observatory.site.members import MemberRun, member_of, request_terms
from observatory.site.queries import run_queries as queries
from observatory.site.queries.hosts import HOST_KEYS
from observatory.site.queries.reader import Reader
from observatory.site.queries.rows import StageRow
from observatory.site.queries.run_row import RunRow
from observatory.site.sections.energy_tables import ledger_table
from observatory.site.sections.gaps import gap_curve
from observatory.site.sections.latency_breakdown import (
    breakdown_drawings,
    count_table,
    policy_words,
    side_table,
)
from observatory.site.sections.run_tables import (
    EVERY_STATISTIC,
    error_table,
    figure_table,
    finding_table,
    latency_table,
    never_sent_table,
    outcome_table,
    price_table,
    stage_table,
)
from observatory.site.sections.sensor_outages import outage_table
from observatory.site.sections.service_terms import quote_table, service_terms
from observatory.site.target_styles import TargetStyle

_LATENCIES = (
    ("ttft_s", "Time to first token", "From the request's first byte sent to its first token."),
    ("tpot_s", "Time per output token", "A request's mean time per token after the first."),
    ("e2e_s", "End-to-end latency", "From the request's first byte sent to the answer's end."),
)
_MAIN = ("ttft_s", "ttft_scheduled_s", "itl_s", "tpot_s", "e2e_s", "e2e_scheduled_s")
_OF_SENSORS = ("telemetry_", "sensor_")
"""How the codes of findings about the readings of a sensor, or about missing ones, begin."""
_HIDDEN_SCENARIO_KEYS = frozenset({"headers", "query", "url", "base_url", "api_key_file"})


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page: the run, its drawings, its tables (without rows where there is nothing to show)."""

    member: MemberRun
    request_terms: list[tuple[str, str]]
    engine_name: str | None
    engine: list[tuple[str, str]]
    settings: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    main_table: CellTable
    every_table: CellTable
    distributions: list[Drawing]
    latency_breakdown: list[Drawing]
    policy: str | None
    refused: CellTable
    waited: CellTable
    timeline: Drawing
    telemetry: list[Drawing]
    sensor_outages: CellTable
    sensor_doubts: list[str]
    stages: CellTable
    outcomes: CellTable
    errors: CellTable
    never_sent: CellTable
    findings: CellTable
    service: list[tuple[str, str]]
    quote: CellTable
    prices: CellTable
    energy: CellTable
    environment: list[tuple[str, str]]
    software: list[tuple[str, str]]
    scenario: str

    @property
    def silences(self) -> CellTable:
        """Return sensor_outages by the name that templates of older workspaces read."""
        return self.sensor_outages

    @property
    def waits(self) -> list[Drawing]:
        """Return latency_breakdown by the name that templates of older workspaces read."""
        return self.latency_breakdown


def run_page(
    reader: Reader, run: RunRow, styles: dict[str, TargetStyle], *, show_host: bool
) -> RunPage:
    """Return the page of a row of runs."""
    member = member_of(reader, run, styles)
    run_id = run.run_id
    stages = queries.stages(reader, run_id)
    loads = {load.stage: load for load, _ in member.stages}
    span = _span(stages)
    bands = [Band(loads[i], start / 1e9, end / 1e9) for i, start, end in _windows(stages)]
    emulated, sound = member.style.emulated, run.sound
    every = [metric.name for metric in METRICS if sound or metric.unit != "USD"]
    samples = queries.samples(reader, run_id)
    findings = queries.findings(reader, run_id)
    return RunPage(
        member=member,
        request_terms=request_terms(run),
        engine_name=member.engine,
        engine=engine_facts(run),
        settings=engine_settings(run),
        facts=_facts(run),
        main_table=latency_table(member, _MAIN),
        every_table=figure_table(member, every, EVERY_STATISTIC),
        distributions=_distributions(reader, member, stages, loads),
        latency_breakdown=breakdown_drawings("limits", [member]),
        policy=policy_words(run),
        refused=count_table(reader, member),
        waited=side_table(member),
        timeline=timeline_chart(
            queries.requests_in_time(reader, run_id), bands, span, emulated=emulated
        ),
        telemetry=telemetry_charts(samples, bands, span),
        sensor_outages=outage_table(samples, span),
        sensor_doubts=[row.message for row in findings if row.code.startswith(_OF_SENSORS)],
        stages=stage_table(stages, loads),
        outcomes=outcome_table(queries.outcomes(reader, run_id), loads),
        errors=error_table(queries.errors(reader, run_id), loads),
        never_sent=never_sent_table(queries.never_sent(reader, run_id)),
        findings=finding_table(findings, loads),
        service=service_terms(reader, run),
        quote=quote_table(reader, run),
        prices=price_table(queries.prices(reader, run_id)),
        energy=ledger_table(queries.energy(reader, run_id), loads),
        environment=_flat(json.loads(run.environment or "{}"), show_host),
        software=sorted(json.loads(run.software or "{}").items()),
        scenario=scenario_text(run.scenario_json),
    )


def _facts(run: RunRow) -> list[tuple[str, str]]:
    found = [
        ("Kind", run.target_kind),
        ("Endpoint", run.endpoint),
        ("Measured", through(run.transport)),
        ("Scenario", run.scenario),
        ("Seed", run.seed),
        ("Campaign", run.campaign_id),
        ("Comparison key", run.comparison_key),
        ("Plan", (run.plan_sha256 or "")[:16]),
        ("Label", run.label),
        ("Started (UTC)", moment(run.created_at)),
        ("Ended (UTC)", moment(run.ended_at)),
        ("Status", run.status_reason),
    ]
    return [(name, str(value)) for name, value in found if value not in (None, "", DASH)]


def moment(value: object) -> str:
    """Return a timestamp of the warehouse to the second; a dash where there is none."""
    return str(value)[:19] if value is not None else DASH


def scenario_text(scenario_json: str | None) -> str:
    """Return the scenario as YAML, without addresses, headers and queries of its targets."""
    scenario = _without(json.loads(scenario_json or "{}"))
    return str(yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True, width=88))


def _without(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _without(inner)
            for key, inner in value.items()
            if key not in _HIDDEN_SCENARIO_KEYS and inner not in (None, {}, [])
        }
    return [_without(inner) for inner in value] if isinstance(value, list) else value


def _flat(value: dict[str, Any], show_host: bool, prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, inner in sorted(value.items()):
        if key.lower() in HOST_KEYS and not show_host and isinstance(inner, str):
            continue
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(inner, dict):
            found += _flat(inner, show_host, f"{name}, ")
        elif key.endswith("_bytes") and isinstance(inner, int | float):
            found.append((name.removesuffix(" bytes"), write(float(inner), "B")))
        elif isinstance(inner, list):
            found.append((name, ", ".join(str(item) for item in inner) or "none"))
        elif inner is not None:
            found.append((name, str(inner)))
    return found


def _windows(stages: Sequence[StageRow]) -> Iterator[tuple[int, int, int]]:
    """Yield stage, start and end of each steady window that was reached, nanoseconds from the anchor."""
    for stage in stages:
        if stage.steady_start_ns is not None and stage.steady_end_ns is not None:
            yield stage.stage, stage.steady_start_ns, stage.steady_end_ns


def _span(stages: Sequence[StageRow]) -> Span:
    instants = [
        instant / 1e9
        for one in stages
        for instant in (one.started_ns, one.steady_start_ns, one.steady_end_ns, one.ended_ns)
        if instant is not None
    ]
    return Span(min(instants), max(instants)) if instants else Span(0.0, 1.0)


def _distributions(
    reader: Reader, member: MemberRun, stages: Sequence[StageRow], loads: dict[int, Load]
) -> list[Drawing]:
    run_id, emulated = member.run.run_id, member.style.emulated
    drawings = []
    for metric, title, about in _LATENCIES:
        frame = queries.latencies(reader, run_id, metric)
        curves = [
            curve_of(load, frame.filter(pl.col("stage") == stage)["value"].to_list())
            for stage, load in sorted(loads.items())
        ]
        name = metric.replace("_", "-")
        drawings.append(
            distribution_chart(name, title, about, curves, "requests", emulated=emulated)
        )
    curves = []
    for index, start, end in _windows(stages):
        window = Window(index, start, end, cut=False, drain_s=0.0)
        attempts = queries.counted_attempts(reader, run_id, index)
        curves.append(gap_curve(loads[index], window, attempts))
    about = "Gaps between successive tokens, of all requests together."
    gaps = distribution_chart(
        "itl-s", "Inter-token latency", about, curves, "gaps", emulated=emulated
    )
    drawings.insert(1, gaps)
    return drawings
