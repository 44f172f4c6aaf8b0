"""The view request_costs: every request's cost taken apart into tokens, price and source by kind.

Plain SQL only: analysts read the file with DuckDB 1.5 too.
"""

from observatory.store.token_charges import COUNTED, IN_BAND, PINNED_STEPS, bands
from observatory.store.view import View, ViewColumn


def _of_kind(kind: str, tokens: str, price: str) -> str:
    return f"{{'kind': '{kind}', 'tokens': {tokens}, 'usd': {price}}}"


_KINDS = ",\n      ".join(
    (
        _of_kind(
            "input",
            "a.prompt_tokens - coalesce(a.cached_tokens, 0) - coalesce(a.cache_write_tokens, 0)",
            "b.input_usd",
        ),
        _of_kind("cached_input", "coalesce(a.cached_tokens, 0)", "b.cached_input_usd"),
        _of_kind("cache_write", "coalesce(a.cache_write_tokens, 0)", "b.cache_write_usd"),
        _of_kind("output", "a.output_tokens", "b.output_usd"),
    )
)

REQUEST_COSTS = View(
    "request_costs",
    "One row a request and kind of token, of every request with a cost: tokens x usd_per_million / 1e6 = "
    "usd, and the rows of a request add up to its cost_usd. All its tries that the endpoint counted tokens "
    "for are in it. Kinds without a token are left out, but for input and output.",
    (
        ViewColumn("run_id", "c.run_id", "run"),
        ViewColumn("scenario", "u.scenario", "scenario name"),
        ViewColumn("target", "u.target", "target name"),
        ViewColumn("model", "u.model", "model as asked for"),
        ViewColumn("emulated", "u.emulated", "a seeded stand-in: nobody was paid"),
        ViewColumn("stage", "c.stage", "stage of the run, from 0"),
        ViewColumn("request", "c.request", "place in the stage's order, from 0"),
        ViewColumn("kind", "c.kind", "input, cached_input, cache_write or output"),
        ViewColumn("tokens", "c.tokens", "tokens of the kind, of all tries; input without the two"),
        ViewColumn(
            "usd_per_million",
            "c.usd_per_million",
            "US dollars per million tokens as applied: the step of the prompt's size, and input's where "
            "cached_input or cache_write has no price of its own",
        ),
        ViewColumn("usd", "c.tokens * c.usd_per_million / 1e6", "US dollars"),
        ViewColumn(
            "basis",
            "coalesce(p.basis, i.basis)",
            "list_price, stated, example or emulated",
        ),
        ViewColumn("source", "coalesce(p.source, i.source)", "where the price comes from"),
    ),
    """FROM charged c
JOIN runs u ON u.run_id = c.run_id
JOIN prices i ON i.run_id = c.run_id AND i.kind = 'input'
LEFT JOIN prices p ON p.run_id = c.run_id AND p.kind = c.kind""",
    f"""WITH steps AS (
  {PINNED_STEPS}
), bands AS (
  {bands("steps")}
), taken_apart AS (
  SELECT a.run_id, a.stage, a.request, unnest([
      {_KINDS}
    ]) AS part
  FROM attempts a JOIN bands b ON {IN_BAND}
  WHERE {COUNTED} AND b.input_usd IS NOT NULL AND b.output_usd IS NOT NULL
), charged AS (
  SELECT run_id, stage, request, part.kind AS kind, part.usd AS usd_per_million,
    sum(part.tokens)::BIGINT AS tokens
  FROM taken_apart WHERE part.tokens > 0 OR part.kind IN ('input', 'output')
  GROUP BY ALL
)
""",
)
