"""SQL of what tokens cost: prices by size of prompt as bands, and the tokens of each kind of an attempt.

The view over pinned prices and the macro over a book's share this SQL, so that both charge alike. It is the rule
of economics/cost.py and economics/counts.py.
"""

from observatory.economics.counts import CHARACTERS_A_TOKEN

COUNTED = (
    "a.prompt_tokens >= 0 AND a.output_tokens >= 0"
    " AND coalesce(a.cached_tokens, 0) >= 0 AND coalesce(a.cache_write_tokens, 0) >= 0"
    " AND coalesce(a.cached_tokens, 0) + coalesce(a.cache_write_tokens, 0) <= a.prompt_tokens"
    " AND a.output_tokens_from = 'usage' AND a.prompt_tokens > 0"
    " AND (a.outcome = 'ok' OR a.finish_reason IS NOT NULL OR coalesce(a.saw_done, false))"
    " AND a.output_tokens >= coalesce(len(a.event_gap_ns), 0)"
    f" AND a.output_tokens * {CHARACTERS_A_TOKEN} >="
    " coalesce(a.answer_characters, 0) + coalesce(a.reasoning_characters, 0)"
)
"""Whether an attempt `a` has the counts that a cost needs, stated by the usage of a whole answer, and they do not contradict each other."""
_TIERS = """from_json(details -> 'tiers', '[{"above_prompt_tokens": "BIGINT", "usd": "DOUBLE"}]')"""
PINNED_STEPS = f"""SELECT run_id, kind, 0::BIGINT AS above, usd FROM prices WHERE kind <> 'machine_hour'
  UNION ALL
  SELECT run_id, kind, t.above_prompt_tokens, t.usd
  FROM (SELECT run_id, kind, unnest({_TIERS}) AS t FROM prices WHERE kind <> 'machine_hour')"""
"""The prices that runs were charged at: run_id, kind, above (prompt tokens), usd (per million tokens)."""
IN_BAND = (
    "b.run_id = a.run_id AND (a.prompt_tokens > b.above OR b.above = 0)"
    " AND (b.upto IS NULL OR a.prompt_tokens <= b.upto)"
)
"""The band `b` of an attempt `a`: its whole prompt decides, cached tokens included."""


def bands(steps: str) -> str:
    """A SELECT of bands (run_id, above, upto, and a price of each kind) from the relation `steps`.

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
