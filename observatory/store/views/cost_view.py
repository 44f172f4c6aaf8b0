"""The view request_costs: every request's cost taken apart into tokens, price and source by kind.

Plain SQL only: analysts read the file with DuckDB 1.5 too.
"""

from observatory.store.views.view import View, view_columns

REQUEST_COSTS = View(
    "request_costs",
    "One row a request and kind of token, of every request with a cost: tokens x usd_per_million / 1e6 = "
    "usd, and the rows of a request add up to its cost_usd. All its attempts that the endpoint counted tokens "
    "for are in it. Kinds without a token are left out, but for input and output.",
    view_columns("""
        c.run_id -- run
        u.scenario -- scenario name
        u.target -- target name
        u.model -- model as requested
        u.emulated -- a seeded stand-in: no provider was paid
        c.stage -- stage of the run, from 0
        c.request -- place in the stage's order, from 0
        c.kind -- input, cached_input, cache_write or output
        c.tokens -- tokens of the kind, of all attempts; input without the two
        c.usd_per_million -- US dollars per million tokens as applied: the step of the prompt's
            size, and input's where cached_input or cache_write has no price of its own
        c.tokens * c.usd_per_million / 1e6 AS usd -- US dollars
        coalesce(p.basis, i.basis) AS basis -- list_price, stated, example or emulated
        coalesce(p.source, i.source) AS source -- where the price comes from
    """),
    """FROM charged c
JOIN runs u ON u.run_id = c.run_id
JOIN prices i ON i.run_id = c.run_id AND i.kind = 'input'
LEFT JOIN prices p ON p.run_id = c.run_id AND p.kind = c.kind""",
    """WITH charged AS (
  SELECT run_id, stage, request, kind, sum(tokens)::BIGINT AS tokens,
    usd_per_million
  FROM billed_tokens WHERE usd_per_million IS NOT NULL
  GROUP BY run_id, stage, request, kind, usd_per_million
)
""",
)
