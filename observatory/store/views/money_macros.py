"""Macros of self-hosted money: what a million tokens and a month cost, and where serving meets buying.

They compute in SQL what economics.fleet and economics.break_even compute in Python. Plain SQL only: analysts
read the file with DuckDB 1.5 too.
"""

from observatory.core.metric import MEAN_FLOOR
from observatory.core.money.demand import PEAK_TO_MEAN
from observatory.economics.fleet import INTEGER_TOLERANCE
from observatory.store.views.macro import Macro, Parameter

_SHAPE = (
    Parameter(
        "peak_to_mean",
        "the peak hour's requests over the day's mean hour (the default is of one hour's trace, and "
        "low for a day: docs/money.md)",
        str(PEAK_TO_MEAN),
    ),
    Parameter("spare_replicas", "replicas kept beyond what the peak hour needs", "1"),
    Parameter("assumption", "'always_on', 'active_window' or 'scale_to_zero'", "'always_on'"),
    Parameter("active_hours", "active_window: hours a day that capacity is kept", "24"),
)

_MONTH = "(365 / 12::DOUBLE)"
"""core.money.demand.DAYS_A_MONTH."""
_VOLUME = "requests_a_day::DOUBLE"
"""Without the cast a literal such as 0.5 would be a DECIMAL, and overflow."""
_HOURS = "CASE WHEN assumption = 'active_window' THEN active_hours ELSE 24 END"
_PEAK = (
    "CASE WHEN assumption = 'active_window' THEN greatest(peak_to_mean, 24 / active_hours)"
    " ELSE peak_to_mean END"
)
_OF_STEP = "CASE WHEN l.by_hour THEN l.step_requests ELSE l.step_requests / peak END"
"""Requests a day that a step serves under the demand."""


USD_PER_MILLION = Macro(
    "usd_per_million",
    "US dollars per million tokens over the steady windows of a run: the sum of cost_components over its "
    f"stages with at least {MEAN_FLOOR} ended requests. Null where the run is invalid, no stage has as many, and where a "
    "component or a count is missing; a stage's own figure, interval and reason are in stage_metrics.",
    (
        Parameter("of_run", "run"),
        Parameter("by_accounting", "'tokens', 'reservation' or 'usage'; null: not usage", "NULL"),
        Parameter("of_tokens", "'output', or 'all' for prompt and output", "'output'"),
    ),
    """(SELECT CASE WHEN bool_and(z.usd IS NOT NULL) AND bool_and(z.tokens IS NOT NULL)
      THEN sum(z.usd ORDER BY z.usd) / nullif(sum(z.tokens), 0) * 1e6 END
  FROM (
    SELECT c.stage, CASE WHEN bool_and(c.usd IS NOT NULL) THEN sum(c.usd ORDER BY c.usd) END AS usd,
      any_value(c.output_tokens + CASE WHEN of_tokens = 'all' THEN c.prompt_tokens ELSE 0 END) AS tokens
    FROM cost_components c
    WHERE c.run_id = of_run AND c.verdict IS DISTINCT FROM 'invalid' AND coalesce(c.accounting = by_accounting, c.accounting <> 'usage')
      AND NOT EXISTS (FROM stage_metrics x WHERE x.run_id = c.run_id AND x.stage = c.stage
        AND x.statistic = 'value' AND x.reason = 'sample_floor' AND x.metric = concat(
          CASE WHEN c.accounting = 'usage' THEN 'usage_' ELSE '' END,
          'usd_per_million_', CASE WHEN of_tokens = 'all' THEN 'tokens' ELSE 'output' END))
    GROUP BY c.stage
  ) z)""",
)

MONTHLY_COST = Macro(
    "monthly_cost",
    "A mean month (365 / 12 days) of a run's target at a volume, one row a component: quantity x "
    "usd_per_unit = usd. By hours: whole replicas sized for the peak hour by the goodput of the best stage "
    "that met the SLO, and spares; operations once. By tokens: what a request cost, times requests. low_usd "
    "and high_usd are at the ends of the goodput's, or the price's, 95 % interval. No row where the run is "
    f"invalid (money_per_run.verdict), has no price, by hours met no SLO, or has no stage with {MEAN_FLOOR} requests: served_reason and "
    "usd_per_request_reason of money_per_run name it.",
    (
        Parameter("of_run", "run"),
        Parameter("requests_a_day", "requests of the measured workload on a mean day"),
        *_SHAPE,
    ),
    f"""WITH lines AS (
  SELECT l.*, {_HOURS} AS hours, {_PEAK} AS peak FROM cost_lines l
  WHERE l.run_id = of_run AND l.capacity = assumption
), sized AS (
  SELECT l.*, ceil({_VOLUME} / ({_OF_STEP}) - {INTEGER_TOLERANCE}) + CASE WHEN l.by_hour THEN 0
      ELSE spare_replicas END AS steps
  FROM lines l
), quantities AS (
  SELECT l.*, l.a_day + l.steps * (l.a_step + l.a_step_hour * l.hours) + l.a_request * {_VOLUME}
    AS quantity_a_day
  FROM sized l
), components AS (
  SELECT m.run_id, m.target, m.emulated, q.* EXCLUDE (run_id), q.quantity_a_day * {_MONTH} * q.usd_per_unit AS usd,
    max(q.quantity_a_day) FILTER (WHERE q.component = 'accelerators') OVER (PARTITION BY q.bound)
      / m.accelerators AS replica_hours,
    {_VOLUME} / q.step_requests * CASE WHEN q.by_hour THEN 1 ELSE 24 END AS busy_hours
  FROM quantities q JOIN money_per_run m ON m.run_id = q.run_id AND m.verdict IS DISTINCT FROM 'invalid'
)
SELECT c.run_id, c.target, c.emulated, c.component, c.quantity_a_day * {_MONTH} AS quantity, c.unit,
  c.usd_per_unit, c.usd, c.basis, c.source, CASE WHEN NOT c.by_hour THEN c.steps END::BIGINT AS replicas,
  c.replica_hours AS replica_hours_a_day, c.busy_hours / c.replica_hours AS utilisation,
  max(c.usd) FILTER (WHERE c.bound = 'low') OVER (PARTITION BY c.component) AS low_usd,
  max(c.usd) FILTER (WHERE c.bound = 'high') OVER (PARTITION BY c.component) AS high_usd
FROM components c
QUALIFY c.bound = 'at'
UNION ALL
SELECT m.run_id, m.target, m.emulated, 'tokens', {_VOLUME} * {_MONTH}, 'request',
  m.usd_per_request, {_VOLUME} * {_MONTH} * m.usd_per_request, m.cost_basis, m.price_source,
  NULL, NULL, NULL, {_VOLUME} * {_MONTH} * m.usd_per_request_low,
  {_VOLUME} * {_MONTH} * m.usd_per_request_high
FROM money_per_run m
WHERE m.run_id = of_run AND m.billing = 'tokens' AND m.usd_per_request IS NOT NULL
  AND m.verdict IS DISTINCT FROM 'invalid'""",
    table=True,
)

_SAVED = "(l.price - l.request_usd)"
_GAIN = f"({_SAVED} * l.step_requests - l.step_usd)"
_LAST = f"greatest(0, ceil((l.fixed_usd + {_SAVED} * l.step_requests) / {_GAIN} - {INTEGER_TOLERANCE}) - 1)"

BREAK_EVEN = Macro(
    "break_even",
    "From how many requests a day on a self-hosted run's target costs no more than a bought one's for the "
    "same workload, and stays so: one row; requests_a_day is null, and reason is why, where it never does "
    "or is not known. low and high are at the ends of the intervals of the goodput and of what a request "
    "is bought for (where that varies), both at once; high is null where it never does there.",
    (
        Parameter("self_run", "run of a target billed by hours"),
        Parameter("api_run", "run of a target billed by tokens, with the same comparison_key"),
        *_SHAPE,
    ),
    f"""WITH pairs AS (
  SELECT s.*, a.run_id AS api, a.target AS api_target, a.emulated AS api_emulated,
    a.usd_per_request AS api_usd_per_request, a.usd_per_request_low AS api_low,
    a.usd_per_request_high AS api_high,
    CASE WHEN s.comparison_key IS DISTINCT FROM a.comparison_key THEN 'not the same workload'
      WHEN s.usd_per_hour IS NULL THEN 'the first run has no hourly rate'
      WHEN a.billing <> 'tokens' OR coalesce(a.cost_basis, a.price_basis) IS NULL
        THEN 'the second run has no price by tokens'
      WHEN s.verdict = 'invalid' OR a.verdict = 'invalid' THEN 'a run is invalid'
      WHEN a.usd_per_request_reason = 'sample_floor' THEN concat('the second run needs {MEAN_FLOOR} '
        'requests in a steady window, has ', a.priced_n::BIGINT)
      WHEN a.usd_per_request IS NULL THEN 'what a request of the second run costs is not known'
      WHEN s.attainment IS NULL THEN 'the scenario has no SLO'
      WHEN s.served_reason = 'sample_floor' THEN concat('the first run needs {MEAN_FLOOR} '
        'independent requests in a steady window, has about ', s.goodput_n::BIGINT, ': run longer at that load')
      WHEN s.goodput_rps IS NULL THEN 'no stage of the first run meets the SLO'
      WHEN s.electricity_missing THEN 'the electricity of the first run is not known' END AS refused
  FROM money_per_run s CROSS JOIN money_per_run a WHERE s.run_id = self_run AND a.run_id = api_run
), ends AS (
  SELECT p.*, 'at' AS bound, p.api_usd_per_request AS price FROM pairs p
  UNION ALL SELECT p.*, 'low', coalesce(p.api_high, p.api_usd_per_request) FROM pairs p
  UNION ALL SELECT p.*, 'high', coalesce(p.api_low, p.api_usd_per_request) FROM pairs p
), terms AS (
  SELECT l.run_id, l.bound, l.by_hour, l.step_requests, {_PEAK} AS peak,
    sum(coalesce(l.a_day * l.usd_per_unit, 0)) AS day_usd,
    sum(coalesce((l.a_step + l.a_step_hour * {_HOURS}) * l.usd_per_unit, 0)) AS step_usd,
    sum(coalesce(l.a_request * l.usd_per_unit, 0)) AS request_usd
  FROM cost_lines l WHERE l.run_id = self_run AND l.capacity = assumption
  GROUP BY l.run_id, l.bound, l.by_hour, l.step_requests
), line AS (
  SELECT e.*, l.step_usd, l.request_usd, {_OF_STEP} AS step_requests,
    l.day_usd + CASE WHEN l.by_hour THEN 0 ELSE spare_replicas * l.step_usd END AS fixed_usd
  FROM ends e LEFT JOIN terms l ON l.run_id = e.run_id AND l.bound = e.bound
), solved AS (
  SELECT l.*, CASE WHEN l.refused IS NULL AND {_GAIN} > 0 THEN least(
      (l.fixed_usd + {_LAST} * l.step_usd) / {_SAVED}, {_LAST} * l.step_requests) END AS volume
  FROM line l
)
SELECT any_value(v.run_id) AS self_run_id, any_value(v.api) AS api_run_id,
  any_value(v.target) AS self_target, any_value(v.api_target) AS api_target,
  bool_or(v.emulated OR v.api_emulated) AS emulated,
  max(v.volume) FILTER (WHERE v.bound = 'at') AS requests_a_day,
  max(v.volume) FILTER (WHERE v.bound = 'low') AS low,
  max(v.volume) FILTER (WHERE v.bound = 'high') AS high,
  coalesce(any_value(v.refused), CASE WHEN max(v.volume) FILTER (WHERE v.bound = 'at') IS NULL
    THEN 'never: a step at full load costs as much as buying what it serves' END) AS reason,
  any_value(v.api_usd_per_request) AS api_usd_per_request,
  max(v.step_usd) FILTER (WHERE v.bound = 'at') AS usd_a_step_and_day,
  max(v.step_requests) FILTER (WHERE v.bound = 'at') AS requests_a_step_and_day,
  max(v.fixed_usd) FILTER (WHERE v.bound = 'at') AS fixed_usd_a_day,
  max(v.request_usd) FILTER (WHERE v.bound = 'at') AS electricity_usd_a_request
FROM solved v
HAVING count(*) > 0""",
    table=True,
)

MONEY_MACROS: tuple[Macro, ...] = (USD_PER_MILLION, MONTHLY_COST, BREAK_EVEN)
