"""What the latest run of the same target and workload measured of its requests, for a quote.

Reads the database without waiting: a quote without history is better than a run that waits.
"""

import json
from typing import Any

import duckdb

from observatory.core.errors import ObservatoryError
from observatory.core.money.quotes import QuoteSpread
from observatory.core.workspace import Workspace
from observatory.economics.quote_figures import EarlierFigures, ObservedFigures
from observatory.store.database import connect

FEWEST = 11
"""Requests that a level needs to speak for itself: as many as a median needs (docs/metrics.md)."""
_LOOKED_AT = 50
"""Runs of the target, the latest first, in which one with the same workload is looked for."""
_WAIT_S = 0.5

_RUNS = """SELECT run_id, comparison_fields FROM runs
WHERE target = ? AND target_kind = ? AND (CAST(? AS VARCHAR) IS NULL OR model = ?)
  AND status IN ('complete', 'budget_reached', 'interrupted') AND verdict IS DISTINCT FROM 'invalid'
ORDER BY created_at DESC LIMIT ?"""

_FIGURES = """SELECT stage_kind, concurrency, rate_per_s, grouping(stage_kind) AS whole, count(*) AS n,
  quantile_cont(e2e_s, .05), avg(e2e_s), quantile_cont(e2e_s, .95),
  quantile_cont(prompt_tokens, .05), avg(prompt_tokens), quantile_cont(prompt_tokens, .95),
  quantile_cont(output_tokens, .05), avg(output_tokens), quantile_cont(output_tokens, .95),
  count(prompt_tokens), count(*) FILTER (WHERE output_tokens_from = 'usage')
FROM request_metrics
WHERE run_id = ? AND outcome = 'ok' AND phase <> 'prime' AND isfinite(e2e_s)
GROUP BY GROUPING SETS ((stage_kind, concurrency, rate_per_s), ())"""


def earlier_run(
    workspace: Workspace,
    target: str,
    kind: str,
    model: str | None,
    workload: dict[str, Any],
    items_sha256: str,
) -> EarlierFigures | None:
    """Return the latest usable run's figures; None where there is none, or the database cannot be read now.

    workload: the scenario's, as comparison_fields has it. model: None takes any.
    """
    if not workspace.database.exists():
        return None
    try:
        connection = connect(workspace, wait_s=_WAIT_S)
    except ObservatoryError:
        return None
    try:
        runs = connection.execute(_RUNS, [target, kind, model, model, _LOOKED_AT]).fetchall()
        for run_id, text in runs:
            fields = json.loads(text) if text else {}
            if fields.get("workload") != workload or fields.get("items_sha256") != items_sha256:
                continue
            found = _figures(run_id, connection.execute(_FIGURES, [run_id]).fetchall())
            if found is not None:
                return found
    except duckdb.Error:
        return None
    finally:
        connection.close()
    return None


def _figures(run_id: str, rows: list[tuple[Any, ...]]) -> EarlierFigures | None:
    overall: ObservedFigures | None = None
    levels: dict[tuple[str, int | None, float | None], ObservedFigures] = {}
    for kind, users, rate, is_whole, n, *figures in rows:
        if n < FEWEST:
            continue
        duration, prompt, output = (_spread(figures[at : at + 3]) for at in (0, 3, 6))
        if duration is None:
            continue
        seen = ObservedFigures(
            run_id,
            n,
            duration,
            prompt if figures[9] == n else None,
            output if figures[10] == n else None,
        )
        if is_whole:
            overall = seen
        else:
            levels[kind, users, rate] = seen
    return EarlierFigures(overall, levels) if overall is not None else None


def _spread(figures: list[float | None]) -> QuoteSpread | None:
    low, mean, high = figures
    if low is None or mean is None or high is None:
        return None
    return QuoteSpread(float(min(low, mean)), float(mean), float(max(mean, high)))
