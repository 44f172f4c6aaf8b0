"""The costs of each stage with its run and load, and what a run's costs are computed from: cost_components,
money_per_run.

Plain SQL only: analysts read the file with DuckDB 1.5 too.
"""

from observatory.core.metric import MEAN_FLOOR
from observatory.store.views.view import View, ViewColumn, view_columns

_METRICS = """SELECT run_id, stage,
    max(value) FILTER (WHERE metric = 'busy_fraction') AS busy_fraction,
    max(value) FILTER (WHERE metric = 'cost_usd') AS cost_usd,
    max(basis) FILTER (WHERE metric = 'cost_usd') AS cost_basis,
    max(n) FILTER (WHERE metric = 'cost_usd') AS requests,
    max(reason) FILTER (WHERE metric = 'cost_usd') AS cost_reason,
    max(value) FILTER (WHERE metric = 'energy_j') AS energy_j,
    max(reason) FILTER (WHERE metric = 'energy_j') AS energy_reason,
    max(value) FILTER (WHERE metric = 'power_w') AS power_w,
    max(value) FILTER (WHERE metric = 'idle_power_w') AS idle_power_w,
    max(value) FILTER (WHERE metric = 'request_rate') AS request_rate,
    max(value) FILTER (WHERE metric = 'output_tps') AS output_tps,
    max(value) FILTER (WHERE metric = 'usd_per_1k_requests') AS usd_per_1k,
    max(low) FILTER (WHERE metric = 'usd_per_1k_requests') AS usd_per_1k_low,
    max(high) FILTER (WHERE metric = 'usd_per_1k_requests') AS usd_per_1k_high,
    max(reason) FILTER (WHERE metric = 'usd_per_1k_requests') AS usd_per_1k_reason,
    max(least(n, coalesce(effective_n, n))) FILTER (WHERE metric = 'usd_per_1k_requests') AS priced_n,
    max(value) FILTER (WHERE metric = 'goodput_fraction') AS goodput_fraction,
    max(reason) FILTER (WHERE metric = 'goodput_fraction') AS goodput_reason,
    max(least(n, coalesce(effective_n, n))) FILTER (WHERE metric = 'goodput_fraction') AS goodput_n,
    max(low) FILTER (WHERE metric = 'goodput_fraction') AS goodput_fraction_low,
    max(value) FILTER (WHERE metric = 'goodput_rps') AS goodput_rps,
    max(low) FILTER (WHERE metric = 'goodput_rps') AS goodput_rps_low,
    max(high) FILTER (WHERE metric = 'goodput_rps') AS goodput_rps_high
  FROM stage_metrics WHERE statistic = 'value' GROUP BY run_id, stage"""

_STAGES = f"""windows AS (
  SELECT g.run_id, g.stage, g.steady_start_ns, g.steady_end_ns,
    (g.steady_end_ns - g.steady_start_ns) / 1e9 AS window_s, m.* EXCLUDE (run_id, stage)
  FROM stages g JOIN ({_METRICS}) m ON m.run_id = g.run_id AND m.stage = g.stage
  WHERE g.kind <> 'prime' AND g.steady_start_ns IS NOT NULL AND g.steady_end_ns IS NOT NULL
), ended AS (
  SELECT w.run_id, w.stage, a.prompt_tokens, a.cached_tokens, a.output_tokens
  FROM windows w
  JOIN attempts a ON a.run_id = w.run_id AND a.stage = w.stage AND a.final
    AND a.ended_ns >= w.steady_start_ns AND a.ended_ns < w.steady_end_ns
  JOIN requests r ON r.run_id = a.run_id AND r.stage = a.stage AND r.request = a.request
  WHERE r.outcome = 'ok'
), tokens AS (
  SELECT run_id, stage,
    coalesce(bool_or(cached_tokens > prompt_tokens), false) AS contradicts,
    CASE WHEN NOT contradicts THEN sum(cached_tokens) END AS cached_tokens,
    CASE WHEN count(prompt_tokens) = count(*) THEN sum(prompt_tokens) END AS prompt_tokens,
    CASE WHEN count(output_tokens) = count(*) THEN sum(output_tokens) END AS output_tokens
  FROM ended GROUP BY run_id, stage
)"""


_COMPONENT_COLUMNS = view_columns("""
    c.accounting -- tokens, reservation or usage
    c.component -- accelerators, electricity_gpu, _cpu, _memory, _host, _datacentre_overhead (what a
        PUE adds), electricity (not known), operations; input, cached_input, cache_write, output
    c.quantity -- in unit; null where it is not known
    c.unit -- accelerator-hour, kWh, hour or million tokens
    c.usd_per_unit -- US dollars per unit; of tokens the mean over the steps of prompt sizes
    c.quantity * c.usd_per_unit AS usd -- US dollars; null where one is missing
    c.basis -- stated, example, list_price, emulated; of electricity also estimated or modelled
    c.source -- where price and energy come from
    c.reason -- why it is missing or doubtful
    w.window_s -- length of the steady window, s
    w.busy_fraction -- share of it with a request open
    w.requests -- successes ended in the window
    n.prompt_tokens -- of them; null where one is not counted
    n.cached_tokens -- of them, read from a cache; null where an answer states more of these than
        prompt tokens
    n.output_tokens -- of them; null where one is not counted
""")


def cost_components(identity: tuple[ViewColumn, ...], level: tuple[ViewColumn, ...]) -> View:
    """Return the view, each line with its run's identity and its stage's level before it."""
    return View(
        "cost_components",
        "One row a stage, accounting and component of its cost: quantity x usd_per_unit = usd. A target "
        "billed by tokens has the accounting tokens; one billed by hours has reservation (all the time "
        "that the machine was kept: the one to hold against an API) and usage (only the busy time), "
        "never to be added up.",
        (*identity, *level, *_COMPONENT_COLUMNS),
        """FROM stage_costs c
JOIN windows w ON w.run_id = c.run_id AND w.stage = c.stage
JOIN stages g ON g.run_id = c.run_id AND g.stage = c.stage
JOIN runs u ON u.run_id = c.run_id
LEFT JOIN tokens n ON n.run_id = c.run_id AND n.stage = c.stage""",
        f"WITH {_STAGES}\n",
    )


_RUNS = f"""WITH {_STAGES}, slos AS (
  SELECT run_id, slo_attainment AS attainment, coalesce(pue, 1.0) AS pue FROM runs
), best AS (
  SELECT w.* FROM windows w JOIN slos s ON s.run_id = w.run_id
  WHERE w.goodput_fraction >= s.attainment AND w.goodput_rps > 0 AND w.goodput_n >= {MEAN_FLOOR}
  QUALIFY row_number() OVER (PARTITION BY w.run_id ORDER BY w.goodput_rps DESC, w.stage) = 1
), served AS (
  SELECT run_id, max(goodput_fraction) AS best_fraction, max(goodput_n) AS goodput_n,
    min(goodput_reason) FILTER (WHERE goodput_fraction IS NULL) AS goodput_reason
  FROM windows GROUP BY run_id
), enough AS (
  SELECT w.*, n.prompt_tokens, n.cached_tokens, n.contradicts, n.output_tokens,
    coalesce(w.usd_per_1k_reason = 'no_spread', false) AS is_fixed
  FROM windows w LEFT JOIN tokens n ON n.run_id = w.run_id AND n.stage = w.stage
  WHERE w.usd_per_1k IS NOT NULL
    OR (coalesce(w.usd_per_1k_reason, '') <> 'sample_floor' AND w.requests >= {MEAN_FLOOR})
), priced AS (
  SELECT run_id, sum(requests) AS requests,
    CASE WHEN count(*) = count(usd_per_1k) THEN sum(usd_per_1k * requests ORDER BY stage) END
      / nullif(sum(requests), 0) / 1e3 AS usd_per_request,
    CASE WHEN bool_and(usd_per_1k_low IS NOT NULL OR is_fixed) AND NOT bool_and(is_fixed)
      THEN sqrt(sum(((usd_per_1k - coalesce(usd_per_1k_low, usd_per_1k)) * requests) ** 2 ORDER BY stage)) END
      / nullif(sum(requests), 0) / 1e3 AS below,
    CASE WHEN bool_and(usd_per_1k_high IS NOT NULL OR is_fixed) AND NOT bool_and(is_fixed)
      THEN sqrt(sum(((coalesce(usd_per_1k_high, usd_per_1k) - usd_per_1k) * requests) ** 2 ORDER BY stage)) END
      / nullif(sum(requests), 0) / 1e3 AS above,
    coalesce(min(usd_per_1k_reason) FILTER (WHERE usd_per_1k IS NULL),
      min(usd_per_1k_reason) FILTER (WHERE NOT is_fixed),
      CASE WHEN bool_and(is_fixed) THEN 'no_spread' END) AS reason,
    CASE WHEN count(*) = count(prompt_tokens) THEN sum(prompt_tokens) END
      / nullif(sum(requests), 0) AS prompt_tokens,
    CASE WHEN NOT coalesce(bool_or(contradicts), false) THEN sum(cached_tokens) END
      / nullif(sum(requests), 0) AS cached_tokens,
    CASE WHEN count(*) = count(output_tokens) THEN sum(output_tokens) END
      / nullif(sum(requests), 0) AS output_tokens
  FROM enough GROUP BY run_id
), most AS (
  SELECT run_id, max(cost_basis) AS cost_basis, max(priced_n) AS priced_n,
    CASE WHEN bool_or(usd_per_1k_reason = 'sample_floor') THEN 'sample_floor'
      ELSE min(usd_per_1k_reason) END AS reason
  FROM windows GROUP BY run_id
)
"""


_MONEY_COLUMNS = view_columns(f"""
    s.attainment -- share of requests that the SLO requires
    v.best_fraction -- the highest share of any stage
    b.stage AS best_stage
        -- of the stages that reach the SLO's share with at least {MEAN_FLOOR} requests the one with
        most goodput; null: none does, see served_reason
    CASE WHEN b.stage IS NULL THEN CASE
        WHEN s.attainment IS NULL THEN 'no_slo'
        WHEN v.best_fraction >= s.attainment THEN 'sample_floor'
        WHEN v.best_fraction IS NULL THEN coalesce(v.goodput_reason, 'no_window')
        ELSE 'slo_not_met' END END AS served_reason
        -- why there is no best stage: no_slo, sample_floor, slo_not_met, not_streamed, ...
    v.goodput_n -- the most requests, or independent ones, behind a stage's share; {MEAN_FLOOR} are
        needed
    b.goodput_fraction_low >= s.attainment AS surely
        -- the lower end of that share's interval reaches it too
    b.goodput_rps -- its requests a second within the SLO
    b.goodput_rps_low -- lower end of the 95 % interval
    b.goodput_rps_high -- upper end of the 95 % interval
    b.request_rate -- its successes a second
    b.output_tps -- its output tokens a second
    b.power_w -- its power, W; without the data centre's overhead
    b.idle_power_w -- power without requests, W
    a.requests -- successes in the steady windows of the stages with at least {MEAN_FLOOR} ended
        requests
    a.usd_per_request -- their cost over their number, as measured; by hours reservation-based
    CASE WHEN a.below IS NOT NULL THEN greatest(0, a.usd_per_request - a.below) END
        AS usd_per_request_low
        -- lower end of its 95 % interval, made of the stages' own
    a.usd_per_request + a.above AS usd_per_request_high
        -- upper end of its 95 % interval, made of the stages' own
    CASE WHEN a.run_id IS NULL THEN m.reason ELSE a.reason END AS usd_per_request_reason
        -- why it, or its interval, is missing or doubtful: sample_floor, no_spread, ...
    m.priced_n -- the most ended requests, or independent ones, of a stage; {MEAN_FLOOR} are needed
    m.cost_basis -- basis of that cost
    a.prompt_tokens -- prompt tokens a request; null where one is not counted
    a.cached_tokens -- of them read from a cache
    a.output_tokens -- output tokens a request; null where one is not counted
    p.usd AS usd_per_hour -- an hour of the whole target
    p.accelerators -- accelerators of the target
    p.commitment -- on_demand, reserved or owned
    to_json(p.rate_includes)::VARCHAR AS rate_includes -- what the hour contains
    p.usd_per_kwh -- tariff, where electricity is paid apart
    p.usd IS NOT NULL AND p.pays_electricity AND (p.usd_per_kwh IS NULL OR b.power_w IS NULL)
        AS electricity_missing
        -- electricity is paid apart, and tariff or energy is not known
    s.pue -- power usage effectiveness; 1 where none is stated
    o.usd AS operations_usd_per_hour -- people, an hour
    coalesce(p.basis, i.basis) AS price_basis -- stated, example, list_price or emulated
    coalesce(p.source, i.source) AS price_source -- where the price comes from
    coalesce(t.source, p.source) AS tariff_source -- where the tariff is from
    o.source AS operations_source -- where the people's cost is from
    i.usd AS input_usd -- US dollars per million input tokens, not cached
    coalesce(c.usd, i.usd) AS cached_input_usd
        -- US dollars per million input tokens read from a cache
""")
_MONEY_SOURCES = """FROM runs u
JOIN slos s ON s.run_id = u.run_id
LEFT JOIN priced a ON a.run_id = u.run_id
LEFT JOIN most m ON m.run_id = u.run_id
LEFT JOIN served v ON v.run_id = u.run_id
LEFT JOIN best b ON b.run_id = u.run_id
LEFT JOIN prices p ON p.run_id = u.run_id AND p.kind = 'machine_hour'
LEFT JOIN prices t ON t.run_id = u.run_id AND t.kind = 'electricity_kwh'
LEFT JOIN prices o ON o.run_id = u.run_id AND o.kind = 'operations_hour'
LEFT JOIN prices i ON i.run_id = u.run_id AND i.kind = 'input'
LEFT JOIN prices c ON c.run_id = u.run_id AND c.kind = 'cached_input'"""


def money_per_run(identity: tuple[ViewColumn, ...]) -> View:
    """Return the view, each line with its run's identity before it."""
    return View(
        "money_per_run",
        "One row a run: what a volume's cost and a break-even are computed from. What a request costs, "
        "the stage that served most within the SLO, and what the machine is paid for.",
        (*identity, *_MONEY_COLUMNS),
        _MONEY_SOURCES,
        _RUNS,
    )
