"""Macros over the book of prices: what holds on a day, blended prices, and runs at other prices.

Plain SQL only: analysts read the file with DuckDB 1.5 too. A price that is missing makes a null with a
reason, never zero.
"""

from observatory.economics.ledger_book import LEDGER
from observatory.economics.list_prices import UNCOUNTED
from observatory.store.views.macro import Macro, Parameter
from observatory.store.views.price_bands import IN_BAND, PINNED_STEPS, bands

_AS_OF = Parameter("as_of", "date whose prices hold, null: today", "NULL")
_IN_BOOK = Parameter(
    "in_book",
    "only this book (genai-prices, prices.yaml), null: all, the workspace's own before the public list",
    "NULL",
)
_OF_RUNS_TOO = Parameter(
    "in_book",
    "only this book: genai-prices, prices.yaml, or run (the prices that each run was charged at); null: "
    "as runs are priced, what its target states, then prices.yaml, then genai-prices",
    "NULL",
)
_IN_VERSION = Parameter("in_version", "only this version of it, null: the current one", "NULL")
_TIER = Parameter("tier", "service tier, e.g. 'batch', null: the standard one", "NULL")
_STANDARD = "('standard', 'default', 'auto', 'on_demand', 'standard_only')"

PRICES_ON = Macro(
    "prices_on",
    "Rows of price_book that hold on a day: the current version of each book, every tier and hour.",
    (_AS_OF, _IN_BOOK, _IN_VERSION),
    f"""SELECT b.*, b.book = '{LEDGER}' AS public
FROM price_book b
WHERE (b.effective_from IS NULL OR b.effective_from <= coalesce(CAST(as_of AS DATE), current_date))
  AND (b.effective_until IS NULL OR b.effective_until > coalesce(CAST(as_of AS DATE), current_date))
  AND (in_book IS NULL OR b.book = in_book)
  AND CASE WHEN in_version IS NULL THEN b.is_current ELSE b.version = in_version END""",
    table=True,
)

BLENDED_USD = Macro(
    "blended_usd",
    "One price per million tokens, input and output together, at a ratio of tokens.",
    (
        Parameter("input_usd", "US dollars per million input tokens"),
        Parameter("output_usd", "US dollars per million output tokens"),
        Parameter("input_per_output", "input tokens for each output token", "3"),
        Parameter("cached_input_usd", "US dollars per million cached ones, null: as input", "NULL"),
        Parameter("cached_share", "share of the input tokens read from the cache, 0 to 1", "0"),
    ),
    "(input_per_output * ((1 - cached_share) * input_usd"
    " + cached_share * coalesce(cached_input_usd, input_usd)) + output_usd) / (input_per_output + 1)",
)

BLENDED = Macro(
    "blended_usd_per_million",
    "blended_usd of a model by the book: US dollars per million tokens of short prompts, null where the "
    "book lacks it. Where the price changes with the hour, the dearest hour's.",
    (
        Parameter("of_provider", "provider as the book names it"),
        Parameter("of_model", "model as the book names it"),
        Parameter("input_per_output", "input tokens for each output token", "3"),
        Parameter("cached_share", "share of the input tokens read from the cache, 0 to 1", "0"),
        _TIER,
        _AS_OF,
    ),
    f"""(SELECT blended_usd(
    max(h.usd_per_million) FILTER (WHERE h.kind = 'input'),
    max(h.usd_per_million) FILTER (WHERE h.kind = 'output'),
    input_per_output := input_per_output,
    cached_input_usd := max(h.usd_per_million) FILTER (WHERE h.kind = 'cached_input'),
    cached_share := cached_share)
  FROM (
    SELECT o.* FROM prices_on(as_of := as_of) o
    WHERE lower(o.provider) = lower(of_provider) AND lower(o.model) = lower(of_model)
      AND o.above_prompt_tokens = 0
      AND o.service_tier IS NOT DISTINCT FROM CASE WHEN tier NOT IN {_STANDARD} THEN tier END
    QUALIFY dense_rank() OVER (ORDER BY o.public, o.book) = 1
  ) h)""",
)

_UNCOUNTED = "coalesce(list_has_any(d.not_counted, [{}]), false)".format(
    ", ".join(f"'{name}'" for name in UNCOUNTED)
)
"""Whether a row of the book is of a model that a run is refused for, because tokens do not give its cost."""

_REASON = """CASE
    WHEN m.run_id IS NULL AND in_book IS DISTINCT FROM 'run' AND NOT EXISTS (FROM price_book)
      THEN 'the book of prices is empty: observatory prices update'
    WHEN m.run_id IS NULL AND q.priced_provider IS NULL
      THEN 'its target is of no provider of a book: name at_provider and at_model'
    WHEN m.run_id IS NULL AND in_book = 'run' THEN 'the run was charged at no price'
    WHEN m.run_id IS NULL THEN concat('no price of ', q.priced_provider, '/', q.priced_model, ' at tier ',
      coalesce(q.priced_tier, 'standard'), ' on ', q.priced_day, ' in the book')
    WHEN m.charges_more THEN concat(m.priced_model, ' is charged by more than tokens: the book names it in '
      'details, not_counted')
    WHEN NOT m.whole THEN concat('the book has no price of both input and output of ', m.priced_model)
    WHEN coalesce(t.counted, 0) = 0 THEN 'no answer of the run says how many tokens it took'
  END"""

REPRICE = Macro(
    "reprice",
    "What runs would cost at the prices of a day, a tier, without caching, or at another model's: one row "
    "a run billed by tokens (with at_model, of every run), the tokens being those that it really took. "
    "new_usd is null, with a reason, where a price is missing. Another model's tokenizer cuts the "
    "same text into another number of tokens, and its answers are of another length: such a figure "
    "compares price lists, not models. A price that changes with the hour or the day of the week is that of the hour in which "
    "the run began. Tokens written to a cache are as many as they were; without caching, cached and "
    "written ones are charged as input.",
    (
        _AS_OF,
        Parameter(
            "tier", "service tier; null: the one that each run had; 'standard': the usual", "NULL"
        ),
        Parameter("caching", "false: no token is cached or written to a cache", "true"),
        _OF_RUNS_TOO,
        _IN_VERSION,
        Parameter("at_provider", "another provider's prices, null: each run's own", "NULL"),
        Parameter("at_model", "another model's prices, null: each run's own", "NULL"),
        Parameter("discount", "share taken off every price, 0 to 1", "0"),
        Parameter("of_scenario", "only runs of this scenario, null: all", "NULL"),
        Parameter("since", "only runs begun at this time (UTC) or later, null: all", "NULL"),
        Parameter("until", "only runs begun before this time (UTC), null: all", "NULL"),
    ),
    f"""WITH pinned AS (
  SELECT p.run_id, p.provider, p.model, p.service_tier AS priced_tier,
    p.provider IS NULL AS of_target, p.basis, p.source,
    TRY_CAST(p.effective_from AS DATE) AS effective_from
  FROM prices p WHERE p.kind = 'input'
), requested AS (
  SELECT u.run_id, u.campaign_id, u.scenario, u.target, u.emulated, u.model, u.created_at,
    u.created_at::TIME AS hour,
    CASE WHEN isodow(u.created_at) < 6 THEN 'mon-fri' ELSE 'sat-sun' END AS days,
    coalesce(CAST(as_of AS DATE), current_date) AS priced_day,
    coalesce(at_provider, p.provider, u.provider) AS priced_provider,
    coalesce(at_model, p.model, u.model) AS priced_model,
    CASE WHEN at_provider IS NULL THEN u.provider END AS own_provider,
    CASE WHEN at_model IS NULL THEN u.model END AS own_model,
    CASE WHEN coalesce(tier, p.priced_tier, u.service_tier) NOT IN {_STANDARD}
      THEN coalesce(tier, p.priced_tier, u.service_tier) END AS priced_tier,
    at_provider IS NULL AND at_model IS NULL AND coalesce(in_book = 'run', p.of_target AND tier IS NULL)
      AS as_charged,
    p.basis AS charged_basis, p.source AS charged_source, p.effective_from AS charged_from
  FROM runs u LEFT JOIN pinned p ON p.run_id = u.run_id
  WHERE (u.billing = 'tokens' OR at_model IS NOT NULL)
    AND (of_scenario IS NULL OR u.scenario = of_scenario)
    AND (since IS NULL OR u.created_at >= CAST(since AS TIMESTAMP))
    AND (until IS NULL OR u.created_at < CAST(until AS TIMESTAMP))
), names AS (
  SELECT q.run_id, 1 AS place, lower(q.priced_provider) AS provider, lower(q.priced_model) AS model FROM requested q
  UNION ALL
  SELECT q.run_id, 0, lower(q.own_provider), lower(q.own_model) FROM requested q
), matched AS (
  SELECT q.run_id, h.* EXCLUDE (usd_per_million), h.usd_per_million * (1 - discount) AS usd
  FROM requested q
  JOIN names n ON n.run_id = q.run_id
  JOIN prices_on(as_of := as_of, in_book := in_book, in_version := in_version) h
    ON lower(h.provider) = n.provider AND lower(h.model) = n.model
  WHERE NOT coalesce(q.as_charged, false) AND h.service_tier IS NOT DISTINCT FROM q.priced_tier
    AND (h.utc_from IS NULL OR h.utc_from <= q.hour) AND (h.utc_until IS NULL OR h.utc_until > q.hour)
    AND coalesce(h.days, q.days) = q.days
  QUALIFY dense_rank() OVER (PARTITION BY q.run_id ORDER BY h.public, h.book, n.place) = 1
), steps AS (
  SELECT DISTINCT d.run_id, d.kind, d.above_prompt_tokens AS above, d.usd FROM matched d
  UNION ALL
  SELECT c.run_id, c.kind, c.above, c.usd * (1 - discount)
  FROM ({PINNED_STEPS}) c JOIN requested q ON q.run_id = c.run_id AND q.as_charged
), bands AS (
  {bands("steps")}
), origin AS (
  SELECT d.run_id, min(d.provider) AS priced_provider, min(d.model) AS priced_model,
    min(d.book) AS book, min(d.version) AS version, max(d.effective_from) AS effective_from,
    min(d.basis) AS basis, min(d.source) AS source,
    bool_or(d.kind = 'input') AND bool_or(d.kind = 'output') AND NOT bool_or({_UNCOUNTED}) AS whole,
    bool_or({_UNCOUNTED}) AS charges_more
  FROM matched d GROUP BY d.run_id
  UNION ALL
  SELECT q.run_id, q.priced_provider, q.priced_model, 'run', NULL, q.charged_from, q.charged_basis,
    q.charged_source, true, false
  FROM requested q WHERE q.as_charged AND q.charged_source IS NOT NULL
), tokens AS (
  SELECT a.run_id, coalesce(sum(a.tokens) FILTER (WHERE a.kind <> 'output'), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(a.tokens) FILTER (WHERE a.kind = 'output'), 0)::BIGINT AS output_tokens,
    coalesce(sum(a.tokens) FILTER (WHERE caching AND a.kind = 'cached_input'), 0)::BIGINT AS cached,
    coalesce(sum(a.tokens) FILTER (WHERE caching AND a.kind = 'cache_write'), 0)::BIGINT AS written
  FROM billed_tokens a JOIN requested q ON q.run_id = a.run_id
  GROUP BY a.run_id, a.stage, a.request, a.attempt
), totals AS (
  SELECT a.run_id, count(*) AS counted, sum(a.prompt_tokens)::BIGINT AS prompt_tokens,
    sum(a.cached)::BIGINT AS cached_tokens, sum(a.written)::BIGINT AS cache_write_tokens,
    sum(a.output_tokens)::BIGINT AS output_tokens
  FROM tokens a GROUP BY a.run_id
), sums AS (
  SELECT a.run_id,
    sum((a.prompt_tokens - a.cached - a.written) * b.input_usd ORDER BY (a.prompt_tokens - a.cached - a.written) * b.input_usd) / 1e6 AS input_usd,
    sum(a.cached * b.cached_input_usd ORDER BY a.cached * b.cached_input_usd) / 1e6 AS cached_input_usd,
    sum(a.written * b.cache_write_usd ORDER BY a.written * b.cache_write_usd) / 1e6 AS cache_write_usd,
    sum(a.output_tokens * b.output_usd ORDER BY a.output_tokens * b.output_usd) / 1e6 AS output_usd
  FROM tokens a JOIN bands b ON {IN_BAND} GROUP BY a.run_id
), before AS (
  SELECT r.run_id, sum(r.cost_usd ORDER BY r.cost_usd) AS usd, count(*) FILTER (WHERE r.outcome = 'ok' AND r.cost_usd IS NULL)
      AS without_cost
  FROM requests r JOIN requested q ON q.run_id = r.run_id
  GROUP BY r.run_id
), result AS (
  SELECT q.*, m.priced_provider AS found_provider, m.priced_model AS found_model, m.book, m.version,
    m.effective_from, m.basis, m.source, {_REASON} AS reason, o.usd AS old_usd,
    o.without_cost, t.* EXCLUDE (run_id), s.* EXCLUDE (run_id)
  FROM requested q
  LEFT JOIN origin m ON m.run_id = q.run_id
  LEFT JOIN before o ON o.run_id = q.run_id
  LEFT JOIN totals t ON t.run_id = q.run_id
  LEFT JOIN sums s ON s.run_id = q.run_id AND m.whole
)
SELECT z.run_id, z.campaign_id, z.scenario, z.target, z.emulated, z.model, z.created_at, z.old_usd,
  z.input_usd + z.cached_input_usd + z.cache_write_usd + z.output_usd AS new_usd,
  -- a picodollar is less than a token's price and more than the rounding of sums of doubles
  round(z.input_usd + z.cached_input_usd + z.cache_write_usd + z.output_usd - z.old_usd, 12)
    AS change_usd,
  z.input_usd, z.cached_input_usd, z.cache_write_usd, z.output_usd,
  z.prompt_tokens, z.cached_tokens, z.cache_write_tokens, z.output_tokens,
  z.counted AS tries_counted, z.without_cost AS answers_without_cost,
  coalesce(z.found_provider, z.priced_provider) AS priced_provider,
  coalesce(z.found_model, z.priced_model) AS priced_model,
  coalesce(z.priced_tier, 'standard') AS priced_tier, z.priced_day, z.book, z.version, z.effective_from,
  z.basis, z.source, z.reason
FROM result z
ORDER BY z.created_at, z.run_id""",
    table=True,
)

PRICE_MACROS: tuple[Macro, ...] = (PRICES_ON, BLENDED_USD, BLENDED, REPRICE)
