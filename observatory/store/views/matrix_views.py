"""Views over a matrix: what each cell measured over its blocks, and how far the blocks lie apart.

A cell is one setting of the target, a block one repetition of all cells. Cells are compared within
a block, with the first cell of the scenario, so that what drifts from block to block cancels out.
Plain SQL only: analysts read the file with DuckDB 1.5 too.
"""

from observatory.core.metric import BY_NAME, FOREIGN_CPU, FOREIGN_CPU_APART, Metric
from observatory.store.views.stage_columns import INTERVAL_ENDING, column_name
from observatory.store.views.view import View, ViewColumn, view_columns

HEADLINES: tuple[tuple[str, str], ...] = (
    ("ttft_s", "p50"),
    ("ttft_s", "p90"),
    ("tpot_s", "p50"),
    ("e2e_s", "p50"),
    ("output_tps", "value"),
    ("request_rate", "value"),
    ("goodput_fraction", "value"),
    ("error_rate", "value"),
    ("score", "value"),
    ("j_per_output_token", "value"),
    ("usd_per_1k_requests", "value"),
    ("kv_cache_fraction", "value"),
)
"""Metrics and statistics that have a column; every other figure is in matrix_figures."""

_T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of
Statistical Methods, 1.3.6.7.2); past that the last is kept, which is a little too wide."""

_SOUND = "coalesce(whole, false)"


def _each(column: str) -> str:
    """Return every different value: runs of a cell that was gone on with after an update may differ."""
    return f"string_agg(DISTINCT {column}, '; ' ORDER BY {column}) AS {column}"


_CELLS = f"""cells AS (
  SELECT campaign_id, target, min(cell) AS cell, max(factors) AS factors, max(scenario) AS scenario,
    max(comparison_key) AS comparison_key, bool_or(emulated) AS emulated, max(model) AS model,
    max(target_kind) AS target_kind, {_each("engine")}, {_each("engine_version")},
    {_each("engine_distribution")}, {_each("weight_format")}, max(confounded) AS confounded, max(label) AS label,
    count(DISTINCT run_id) FILTER (WHERE NOT ({_SOUND})) AS left_out,
    min(created_at) AS begun
  FROM runs WHERE cell IS NOT NULL GROUP BY campaign_id, target
), sound AS (
  SELECT run_id, campaign_id, target, cell, block FROM runs
  WHERE cell IS NOT NULL AND {_SOUND}
  QUALIFY row_number() OVER (
    PARTITION BY campaign_id, target, block ORDER BY created_at DESC, run_id DESC
  ) = 1
)"""

_FIGURES_PRELUDE = f"""WITH {_CELLS}, measured AS (
  SELECT s.campaign_id, s.target, s.cell, s.block, m.stage, m.metric, m.statistic, m.value, m.n,
    m.basis, coalesce(g.streamed IS FALSE, false) AS at_once
  FROM sound s JOIN stage_metrics m ON m.run_id = s.run_id
  LEFT JOIN stages g ON g.run_id = s.run_id AND g.stage = m.stage
), taken AS (
  SELECT campaign_id, target, cell, block, stage, value FROM measured WHERE metric = '{FOREIGN_CPU}'
), unlike AS (
  SELECT x.campaign_id, x.target, x.block, x.stage FROM taken x JOIN taken f
    ON f.cell = 0 AND x.cell <> 0 AND f.campaign_id = x.campaign_id AND f.block = x.block
    AND f.stage = x.stage
  WHERE abs(x.value - f.value) > {FOREIGN_CPU_APART}
), matched AS (
  SELECT x.*, f.value AS base, u.block IS NOT NULL OR x.at_once <> coalesce(f.at_once, x.at_once)
      AS is_unlike, x.at_once <> coalesce(f.at_once, x.at_once) AS is_unlike_stream
  FROM measured x LEFT JOIN measured f
    ON f.cell = 0 AND x.cell <> 0 AND f.campaign_id = x.campaign_id AND f.block = x.block
    AND f.stage = x.stage AND f.metric = x.metric AND f.statistic = x.statistic
  LEFT JOIN unlike u ON u.campaign_id = x.campaign_id AND u.target = x.target
    AND u.block = x.block AND u.stage = x.stage
), paired AS (
  SELECT *, value IS NOT NULL AND base IS NOT NULL AND NOT is_unlike AS is_pair,
    value IS NOT NULL AND base IS NOT NULL AND is_unlike AS is_left_out,
    CASE WHEN isfinite(value) AND isfinite(base) AND base <> 0 AND NOT is_unlike
      THEN value / base - 1 END AS change
  FROM matched
), pooled AS (
  SELECT campaign_id, target, stage, metric, statistic, count(*) AS runs, count(value) AS blocks,
    avg(value ORDER BY value) AS mean, min(value) AS least, max(value) AS most, sum(n)::BIGINT AS n,
    CASE WHEN count(DISTINCT basis) > 1 THEN 'mixed' ELSE max(basis) END AS basis,
    count(*) FILTER (WHERE is_pair) AS pairs,
    count(*) FILTER (WHERE is_left_out) AS unlike_pairs,
    count(*) FILTER (WHERE is_left_out AND is_unlike_stream) AS unlike_streams, count(change) AS changes, avg(change ORDER BY change) AS change,
    CASE WHEN count(change) > 1
      THEN stddev_samp(change ORDER BY change) / sqrt(count(change))
        * ([{", ".join(map(str, _T_95))}])[least(count(change) - 1, {len(_T_95)})] END AS half_width
  FROM paired GROUP BY campaign_id, target, stage, metric, statistic
)
"""

MATRIX_FIGURES = View(
    "matrix_figures",
    "One row per matrix campaign, cell, stage, metric and statistic: the figure over the cell's "
    "blocks, its spread from run to run, and its change against the first cell, paired by block. "
    "Runs that are invalid, unjudged, interrupted or crashed are left out.",
    view_columns(f"""
        p.campaign_id -- campaign
        c.scenario -- scenario name
        c.comparison_key -- only runs with equal keys are compared
        p.target -- cell: the base target's name and the cell's levels
        c.cell -- place of the cell in the scenario, from 0
        c.factors -- each varied field and its level in this cell
        c.emulated -- a seeded stand-in: no figure is of a real service
        p.stage -- stage of the runs, from 0
        p.metric -- name in the metric table, unit at its end
        p.statistic -- value, mean, p50, p90, p95, p99, p999, or with _ok
        p.blocks -- blocks that have a value
        p.runs -- sound runs of the cell that have a row for it
        p.n -- requests behind it, all blocks together
        p.basis -- as in stage_metrics; mixed where the blocks differ
        p.mean -- mean over the blocks
        p.least -- lowest of the blocks
        p.most -- highest of the blocks
        p.pairs -- blocks in which the first cell has a value too, other work took a like share of
            the machine, and both cells were streamed or neither
        CASE WHEN p.changes = p.pairs THEN p.change END AS change
            -- mean over the pairs of value / the first cell's value - 1; null for the first cell,
            where a pair has an infinite value or a first one of zero, and where other work took
            shares of the machine that differ by more than 10 % of it, or only one of the two cells
            was really streamed, in every block
        CASE WHEN p.changes = p.pairs THEN p.change - p.half_width END AS change_low
            -- change: lower {INTERVAL_ENDING}
        CASE WHEN p.changes = p.pairs THEN p.change + p.half_width END AS change_high
            -- change: upper {INTERVAL_ENDING}
        CASE
            WHEN c.cell = 0 THEN 'the first cell: the others are compared with it'
            WHEN p.pairs = 0 AND p.unlike_streams > 0
                THEN 'the answers of one came as streams and those of the other at once: no change'
            WHEN p.pairs = 0 AND p.unlike_pairs > 0
                THEN 'other work took shares of the machine that differ by more than 10 % of it:
                no change'
            WHEN p.pairs = 0 THEN 'no block has a value of this cell and of the first'
            WHEN p.changes < p.pairs
                THEN 'a value is infinite, or the first cell''s is zero: no change'
            WHEN p.pairs = 1 THEN 'one block: no interval' END AS note
            -- why change or its interval is missing
    """),
    """FROM pooled p
JOIN cells c ON c.campaign_id = p.campaign_id AND c.target = p.target""",
    _FIGURES_PRELUDE,
)


def _wide(metric: Metric, statistic: str) -> tuple[ViewColumn, ...]:
    """Return a figure's mean, its range over the blocks, and its change against the first cell."""
    what = metric.title if statistic == "value" else f"{metric.title}, {statistic}"
    unit = "" if metric.unit == "1" else f", {metric.unit}"
    stem = stem_of(metric, statistic)

    def of(name: str, field: str, comment: str) -> ViewColumn:
        chosen = f"f.metric = '{metric.name}' AND f.statistic = '{statistic}'"
        return ViewColumn(name, f"max(f.{field}) FILTER (WHERE {chosen})", f"{what}{comment}")

    return (
        of(column_name(metric, statistic), "mean", f"{unit}: mean over the blocks"),
        of(column_name(metric, statistic, "least"), "least", f"{unit}: lowest of the blocks"),
        of(column_name(metric, statistic, "most"), "most", f"{unit}: highest of the blocks"),
        of(f"{stem}_blocks", "blocks", ": blocks that have a value"),
        of(f"{stem}_change", "change", ": change against the first cell, paired by block"),
        of(f"{stem}_change_low", "change_low", f": change: lower {INTERVAL_ENDING}"),
        of(f"{stem}_change_high", "change_high", f": change: upper {INTERVAL_ENDING}"),
    )


def stem_of(metric: Metric, statistic: str) -> str:
    """Return the name of a figure's columns that have no unit, e.g. ttft_p50 of ttft_p50_s."""
    low = column_name(metric, statistic, "low")
    return low.rsplit("_low", 1)[0]


MATRIX_COMPARISON = View(
    "matrix_comparison",
    "One row per matrix campaign, cell and stage: headline figures over the cell's blocks, their "
    "spread from run to run, and their change against the first cell, paired by block. A cell "
    "without a sound run has its row, empty. matrix_figures has every other metric.",
    (
        *view_columns("""
            c.campaign_id -- campaign
            min(c.begun) AS begun_at -- start of the cell's first run, UTC
            max(c.scenario) AS scenario -- scenario name
            max(c.comparison_key) AS comparison_key -- only runs with equal keys are compared
            c.target -- cell: the base target's name and the cell's levels
            CASE WHEN bool_or(c.emulated) THEN c.target || ' (emulated)' ELSE c.target END
                AS target_label
                -- cell for people: an emulated one is marked
            min(c.cell) AS cell -- place of the cell in the scenario, from 0
            max(c.factors) AS factors -- each varied field and its level in this cell
            max(c.confounded) AS confounded -- which factors change together, in sentences
            bool_or(c.emulated) AS emulated -- a seeded stand-in: of no real service
            max(c.target_kind) AS target_kind -- llamacpp, vllm, url, api or emulated
            max(c.model) AS model -- model as requested
            max(c.engine) AS engine -- serving engine where known
            max(c.engine_version) AS engine_version -- its version; each, where the runs differ
            max(c.engine_distribution) AS engine_distribution
                -- package that the engine came from; names a third party's build
            max(c.weight_format) AS weight_format -- format of the stored weights
            max(c.label) AS label -- name given to a run by a person
            l.stage -- stage of the runs, from 0
            max(l.kind) AS stage_kind -- closed, constant or poisson
            max(l.concurrency) AS concurrency -- simulated users (closed loop)
            max(l.rate_per_s) AS rate_per_s -- planned requests a second (open loop)
            coalesce(max(b.blocks), 0) AS blocks -- sound runs of the cell with this stage
            max(c.left_out) AS left_out
                -- runs of the cell left out: invalid, unjudged, interrupted or crashed
            CASE
                WHEN coalesce(max(b.blocks), 0) = 0 THEN 'no sound run'
                WHEN max(b.blocks) = 1 THEN 'one block: no spread between runs, and no interval'
                END AS note
                -- what the figures cannot show
        """),
        *(column for name, statistic in HEADLINES for column in _wide(BY_NAME[name], statistic)),
        *view_columns("""
            max(f.basis) FILTER (WHERE f.metric = 'j_per_output_token') AS energy_basis
                -- measured, estimated, modelled or mixed; null without energy
            max(f.basis) FILTER (WHERE f.metric = 'usd_per_1k_requests') AS cost_basis
                -- list_price, stated, example, emulated or mixed; null without a cost
        """),
    ),
    """FROM cells c
JOIN levels l ON l.campaign_id = c.campaign_id
LEFT JOIN counted b ON b.campaign_id = c.campaign_id AND b.target = c.target AND b.stage = l.stage
LEFT JOIN matrix_figures f
  ON f.campaign_id = c.campaign_id AND f.target = c.target AND f.stage = l.stage
GROUP BY c.campaign_id, c.target, l.stage""",
    f"""WITH {_CELLS}, levels AS (
  SELECT u.campaign_id, g.stage, max(g.kind) AS kind, max(g.concurrency) AS concurrency,
    max(g.rate_per_s) AS rate_per_s
  FROM runs u JOIN stages g ON g.run_id = u.run_id
  WHERE u.cell IS NOT NULL AND g.kind <> 'prime' GROUP BY u.campaign_id, g.stage
), counted AS (
  SELECT s.campaign_id, s.target, g.stage, count(*) AS blocks
  FROM sound s JOIN stages g ON g.run_id = s.run_id GROUP BY s.campaign_id, s.target, g.stage
)
""",
)
