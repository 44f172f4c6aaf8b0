"""The data that goes with the pages: every view as Parquet and CSV, and SQL for further questions.

The files are written by Polars from fully ordered rows, so that equal databases give equal bytes.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from observatory.presentation.figures import write_bytes
from observatory.site.queries.reader import VIEWS, Reader
from observatory.site.queries.run_queries import view, view_names, view_rows

PARQUET_ROWS = 2_000_000
"""A view with more rows is not offered: the site would be a copy of the warehouse."""
CSV_ROWS = 200_000
"""A view with more rows is offered as Parquet only: spreadsheets cannot open more anyway."""

_FORMULA = r"^[\s\x00]*[=+\-@＝＋－＠]|^[\t\r\n]"
"""The beginning of a text that spreadsheets take for a formula; some pass over white space before it."""

ABOUT = {
    "target_comparison": "One row for each comparison key, target and stage of the latest complete campaign.",
    "matrix_comparison": "One row for each matrix campaign, cell and stage, over its blocks.",
    "matrix_figures": "One row for each of their metrics: mean, range, change against the first cell.",
    "run_summary": "One row a run, with status and verdict.",
    "stage_summary": "One row a stage: percentiles with intervals, throughput, cost, energy.",
    "throttling": "One row a stage: tries refused, time lost, and service, waits and user side by side.",
    "money_per_run": "One row a run: what a request costs, its best load within the objective, its rate.",
    "cost_components": "One row a stage and part of its cost: quantity x price, its basis and source.",
    "request_costs": "One row a request and kind of token: tokens x price, adding up to its cost.",
    "request_metrics": "One row a request: outcome, instants, tokens, score and every latency.",
}


@dataclass(frozen=True, slots=True)
class Download:
    """One view's files, relative to the site's root, each None where it was left out."""

    name: str
    about: str
    rows: int
    columns: int
    parquet: str | None
    parquet_size: str | None
    csv: str | None
    csv_size: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """A query worth copying, and the question it answers."""

    question: str
    sql: str


EXAMPLES = (
    Example(
        "How long did each target take to its first token, at each load?",
        """SELECT target, emulated, stage, count(*) AS requests,
       quantile_cont(ttft_s, 0.5) AS ttft_p50_s,
       quantile_cont(ttft_s, 0.9) AS ttft_p90_s
FROM request_metrics
WHERE outcome = 'ok' AND in_window
GROUP BY ALL ORDER BY ALL""",
    ),
    Example(
        "Which runs should I not trust, and why?",
        """SELECT r.run_id, r.target, r.verdict, f.code, f.severity, f.message, f.value, f.threshold
FROM runs r JOIN findings f USING (run_id)
WHERE f.severity <> 'note'
ORDER BY r.created_at DESC, f.severity, f.code""",
    ),
    Example(
        "Every figure of one stage, with its interval and the reason where it is missing",
        """SELECT metric, statistic, value, low, high, bound, n, effective_n, needs_n, basis, reason
FROM stage_metrics
WHERE run_id = (SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC LIMIT 1)
  AND stage = 0
ORDER BY ALL""",
    ),
    Example(
        "What did a thousand requests cost, and on what basis?",
        """SELECT r.target, m.stage, m.metric, m.value AS usd, m.basis
FROM stage_metrics m JOIN runs r USING (run_id)
WHERE m.metric IN ('usd_per_1k_requests', 'usd_per_correct')
ORDER BY ALL""",
    ),
    Example(
        "What is a stage's cost made of: how much of what, at which price, from which source?",
        """SELECT target_label, scenario, stage, accounting, component,
       quantity, unit, usd_per_unit, usd, basis, source, reason
FROM cost_components
ORDER BY ALL""",
    ),
    Example(
        "What does a request cost at each target, and which load served most within the objective?",
        """SELECT target_label, scenario, billing, usd_per_request, cost_basis,
       best_stage, best_fraction, attainment, goodput_rps, usd_per_hour, rate_includes
FROM money_per_run
ORDER BY ALL""",
    ),
    Example(
        "Which kind of token made the bill?",
        """SELECT target, emulated, scenario, kind, basis, source,
       sum(tokens) AS tokens, sum(usd) AS usd
FROM request_costs
GROUP BY ALL ORDER BY target, scenario, usd DESC, kind""",
    ),
    Example(
        "What did rate limits do: what did the service take, and what did users wait?",
        """SELECT target_label, scenario, stage, policy, requests, throttled_share, given_up,
       throttle_lost_s, service_p90_s, throttle_wait_p90_s, pace_wait_p90_s, user_p90_s
FROM throttling
WHERE throttled_attempts > 0 OR pace_lost_s > 0
ORDER BY ALL""",
    ),
    Example(
        "Which errors happened, in which phase of the request?",
        """SELECT r.target, a.outcome, a.error_phase, a.error_kind, a.http_status, count(*) AS tries
FROM attempts a JOIN runs r USING (run_id)
WHERE a.outcome <> 'ok'
GROUP BY ALL ORDER BY tries DESC, r.target, a.outcome, a.error_phase, a.error_kind""",
    ),
    Example(
        "What did each setting of a matrix change, paired by block?",
        """SELECT campaign_id, target, factors, stage, blocks, mean, least, most,
       change, change_low, change_high, note
FROM matrix_figures
WHERE metric = 'ttft_s' AND statistic = 'p50'
ORDER BY campaign_id, stage, cell""",
    ),
    Example(
        "What energy was read, whose, and on which basis?",
        """SELECT r.target, e.stage, e.subject, e.scope, e.basis, e.method, e.energy_j, e.reason
FROM energy e JOIN runs r USING (run_id)
ORDER BY r.created_at DESC, r.target, e.stage, e.subject, e.scope""",
    ),
    Example(
        "Was the machine busy while it was measured?",
        """SELECT run_id, stage, device, metric, avg(value) AS mean, max(value) AS highest
FROM samples
WHERE metric IN ('cpu_util_fraction', 'cpu_cores', 'gpu_util_fraction')
GROUP BY ALL ORDER BY ALL""",
    ),
)


def write_downloads(reader: Reader, out: Path) -> list[Download]:
    """Write out/data/*.parquet and *.csv; answers what was written, in the order of VIEWS."""
    folder = out / "data"
    folder.mkdir()
    return [_offer(reader, name, folder) for name in VIEWS]


def _offer(reader: Reader, name: str, folder: Path) -> Download:
    rows = view_rows(reader, name)
    if rows > PARQUET_ROWS:
        return Download(
            name, ABOUT[name], rows, len(view_names(reader, name)), None, None, None, None
        )
    return _write(view(reader, name), name, folder)


def _write(frame: pl.DataFrame, name: str, folder: Path) -> Download:
    parquet = folder / f"{name}.parquet"
    with parquet.open("wb") as file:
        frame.write_parquet(file, compression="zstd", compression_level=3)
    csv = None
    if frame.height <= CSV_ROWS:
        csv = folder / f"{name}.csv"
        _flat(frame).write_csv(csv)
    return Download(
        name,
        ABOUT[name],
        frame.height,
        frame.width,
        f"data/{name}.parquet",
        write_bytes(parquet.stat().st_size),
        f"data/{name}.csv" if csv else None,
        write_bytes(csv.stat().st_size) if csv else None,
    )


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with lists as text joined by spaces, for CSV has no lists; and no text that a
    spreadsheet would compute.

    A text that begins as a formula does gets an apostrophe before it (OWASP, "CSV Injection"): names of
    models and errors are a server's words.
    """
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    flat = frame.with_columns(
        pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(" ") for name in lists
    )
    texts = [name for name, kind in flat.schema.items() if kind == pl.String]
    return flat.with_columns(
        pl.when(pl.col(name).str.contains(_FORMULA))
        .then(pl.concat_str(pl.lit("'"), pl.col(name)))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )
