"""The limits a minute that `observatory limits` found: what is let in next to what is advertised.

Its runs send more than is allowed, so that they are no workload: they are read here by the same
pure function that the command uses, from the warehouse's rows, and enter no comparison.
"""

import json
from collections.abc import Sequence

import polars as pl

from observatory.analysis.rate_limits.limit_reading import (
    SCENARIO_NAMES,
    LimitsSeen,
    best_of,
    read_limits,
)
from observatory.analysis.rate_limits.limit_words import UNFOUND, kind, waits
from observatory.core.clock import Anchor
from observatory.core.counted_nouns import count_of
from observatory.core.run import MANIFEST_FORMAT, Manifest, StageTimes, TargetFacts
from observatory.presentation.figures import DASH, write
from observatory.site.charts.drawing import CellTable, TableCell
from observatory.site.members import not_as_sealed, page_of
from observatory.site.queries.limit_queries import limit_attempts, limit_costs
from observatory.site.queries.reader import Reader
from observatory.site.queries.rows import StageRow
from observatory.site.queries.run_queries import stages
from observatory.site.queries.run_row import RunRow
from observatory.store.frames import RunFrames

HEADS = [
    ("Target", False),
    ("Limit", False),
    ("Let in", True),
    ("Advertised", True),
    ("Let in / advertised", True),
    ("Kept as", False),
    ("Burst", True),
    ("Refused", True),
    ("Retry-After", False),
    ("Cost of the probe", True),
]
_TITLES = {"requests": "requests a minute", "tokens": "tokens a minute"}


def is_probe(run: RunRow) -> bool:
    """Return whether the run was made by `observatory limits`."""
    return run.scenario in SCENARIO_NAMES.values()


def limit_table(reader: Reader, runs: Sequence[RunRow]) -> CellTable:
    """Return a row a target and limit, of the latest probe; without rows where no probe was run. runs: the latest first."""
    probes: dict[tuple[str, str], list[RunRow]] = {}
    for run in filter(is_probe, runs):
        own = probes.setdefault((run.target, run.scenario), [])
        if not own or (run.label is not None and own[0].label == run.label):
            own.append(run)
    rows = []
    for (target, _), own in sorted(probes.items()):
        seen = [_seen(reader, run) for run in reversed(own)]
        best = best_of(seen)
        if best is not None:
            words = next(filter(None, map(not_as_sealed, own)), None)
            rows.append(_cells(target, best, seen, words))
    return CellTable(HEADS, rows)


def _cells(
    target: str, best: LimitsSeen, seen: Sequence[LimitsSeen], changed: str | None
) -> list[TableCell]:
    ceiling = best.ceiling
    advertised = [one.advertised_a_minute for one in seen if one.advertised_a_minute]
    limit = advertised[-1] if advertised else None
    ratio = ceiling.a_minute / limit if ceiling.a_minute is not None and limit else None
    costs = [one.cost_usd for one in seen if one.cost_usd is not None]
    basis = "emulated" if best.emulated and costs else None
    cost = write(sum(costs), "USD") if costs else DASH
    return [
        TableCell(target, under=changed, emulated=best.emulated, link=page_of(best.run_id)),
        TableCell(_TITLES[best.unit]),
        _let_in(best, seen),
        _number(limit, None if limit else "no header states it a minute"),
        TableCell(DASH if ratio is None else f"{ratio:.3f}", number=True),
        TableCell(kind(ceiling)),
        _number(ceiling.burst),
        _number(best.refused, f"of {count_of(best.sent, 'attempt', 'attempts')}"),
        TableCell(waits(best)),
        TableCell(cost, number=True, basis=basis),
    ]


def _let_in(best: LimitsSeen, seen: Sequence[LimitsSeen]) -> TableCell:
    """Return the ceiling with its interval; where there is none, why."""
    ceiling = best.ceiling
    if ceiling.a_minute is not None:
        ends = f"{ceiling.low:,.0f}–{ceiling.high:,.0f}"
        return _number(ceiling.a_minute, ends)
    every = [stage for one in seen for stage in one.stages]
    highest = max((stage.demand_a_minute for stage in every), default=0.0)
    if not any(stage.let_in for stage in every):
        return _number(None, "nothing was let in")
    why = UNFOUND.get(ceiling.reason or "", f"no refusal up to {highest:,.0f}")
    return _number(None, why)


def _number(value: float | None, under: str | None = None) -> TableCell:
    return TableCell(DASH if value is None else f"{value:,.0f}", under=under, number=True)


def _seen(reader: Reader, run: RunRow) -> LimitsSeen:
    """Return what a run shows of its limit, from the warehouse's rows of it."""
    run_id = run.run_id
    frames = RunFrames(
        requests=limit_costs(reader, run_id),
        attempts=limit_attempts(reader, run_id),
        samples=pl.DataFrame(),
        ticks=pl.DataFrame(),
    )
    return read_limits(_manifest(run, stages(reader, run_id)), frames)


def _manifest(run: RunRow, rows: Sequence[StageRow]) -> Manifest:
    """Return as much of the run's manifest as its limits are read with."""
    return Manifest(
        format=MANIFEST_FORMAT,
        run_id=run.run_id,
        campaign_id=run.campaign_id,
        scenario_name=run.scenario,
        scenario=json.loads(run.scenario_json or "{}"),
        seed=run.seed,
        target=TargetFacts(
            name=run.target,
            kind=run.target_kind,
            hosting=run.hosting,
            weights=run.weights,
            billing=run.billing,
            emulated=run.emulated,
            provider=run.provider,
        ),
        comparison_key=run.comparison_key,
        comparison_fields={},
        plan_sha256=run.plan_sha256 or "",
        anchor=Anchor(realtime_ns=run.anchor_unix_ns, monotonic_ns=0),
        created_utc=str(run.created_at),
        status=run.status,
        stages=[
            StageTimes(
                index=row.stage,
                kind=row.kind,
                concurrency=row.concurrency,
                rate_per_s=row.rate_per_s,
                steady_started=row.steady_start_ns,
                steady_ended=row.steady_end_ns,
            )
            for row in rows
        ],
        environment={},
        software={},
    )
