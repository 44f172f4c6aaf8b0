"""SQL of another day's or book's prices by size of prompt, as bands, for the macro reprice.

A property test holds it to economics.cost, which charged the run.
"""

PINNED_STEPS = """SELECT run_id, kind, 0::BIGINT AS above, usd FROM prices WHERE kind <> 'machine_hour'
  UNION ALL
  SELECT run_id, kind, t.above_prompt_tokens, t.usd
  FROM (SELECT run_id, kind, unnest(tiers) AS t FROM prices WHERE kind <> 'machine_hour')"""
"""The prices that runs were charged at: run_id, kind, above (prompt tokens), usd (per million tokens)."""
IN_BAND = (
    "b.run_id = a.run_id AND (a.prompt_tokens > b.above OR b.above = 0)"
    " AND (b.upto IS NULL OR a.prompt_tokens <= b.upto)"
)
"""The band `b` of an attempt `a`: its whole prompt decides, cached tokens included."""


def bands(steps: str) -> str:
    """Return a SELECT of bands (run_id, above, upto, and a price of each kind) from the relation `steps`.

    steps: run_id, kind, above, usd (per million tokens). Cached and cache-writing tokens without a
    price of their own are charged as input.
    """
    own = {
        kind: f"arg_max(s.usd, s.above) FILTER (WHERE s.kind = '{kind}')"
        for kind in ("input", "output", "cached_input", "cache_write")
    }
    return f"""SELECT e.run_id, e.above,
    lead(e.above) OVER (PARTITION BY e.run_id ORDER BY e.above) AS upto,
    {own["input"]} AS input_usd,
    {own["output"]} AS output_usd,
    coalesce({own["cached_input"]}, {own["input"]}) AS cached_input_usd,
    coalesce({own["cache_write"]}, {own["input"]}) AS cache_write_usd
  FROM (SELECT DISTINCT run_id, above FROM {steps}) e
  JOIN {steps} s ON s.run_id = e.run_id AND s.above <= e.above
  GROUP BY e.run_id, e.above"""
