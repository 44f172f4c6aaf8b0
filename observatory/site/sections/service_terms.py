"""What a service states about itself in its responses: model, tier and limits; and a run's quote with its
bill.

Rows of the warehouse in, words out; a service that states nothing has no words.
"""

from collections.abc import Sequence

from observatory.analysis.rate_limits.limit_reading import advertised
from observatory.core.counted_nouns import count_of
from observatory.core.money.quotes import QuoteSpread
from observatory.core.run import through
from observatory.core.units import human_number, human_seconds
from observatory.presentation.dollars import write_usd
from observatory.presentation.figures import DASH
from observatory.site.charts.drawing import CellTable, TableCell
from observatory.site.queries.reader import Reader
from observatory.site.queries.rows import NamedByService, StatedTimes
from observatory.site.queries.run_queries import (
    bill,
    latest_limit_headers,
    stated_by_service,
    stated_waits_and_work,
)
from observatory.site.queries.run_row import RunRow
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders

MOST_NAMED = 5
"""Names that are listed; further ones are counted."""
WIRES = {
    "openai": "OpenAI's Chat Completions or Completions",
    "responses": "OpenAI's Responses API",
    "messages": "Anthropic's Messages API",
}
LIMITS = (
    ("requests_per_minute", "requests a minute"),
    ("requests_per_day", "requests a day"),
    ("tokens_per_minute", "tokens a minute"),
    ("input_tokens_per_minute", "input tokens a minute"),
    ("output_tokens_per_minute", "output tokens a minute"),
)


def service_terms(reader: Reader, run: RunRow) -> list[tuple[str, str]]:
    """Return what was requested of the service and what it stated, as (term, words); empty without either."""
    run_id = run.run_id
    tiers = stated_by_service(reader, run_id, "service_tier")
    work = stated_waits_and_work(reader, run_id)
    limits = advertised(
        latest_limit_headers(reader, run_id),
        realtime_ns=run.anchor_unix_ns,
        provider=run.provider,
    )
    stated = [
        ("Service tier reported", _named(tiers)),
        ("Model reported", _named(stated_by_service(reader, run_id, "model_reported"))),
        ("System fingerprint", _named(stated_by_service(reader, run_id, "system_fingerprint"))),
        ("Limits in its headers", limit_words(limits)),
        ("Waits stated by refusals", _waits(work)),
        ("Its own processing time", _work(work)),
    ]
    if run.provider is None and not any(words for _, words in stated):
        return []
    requested = [
        ("Provider", run.provider),
        ("API", WIRES.get(run.wire or "", run.wire)),
        ("Sent", through(run.transport) or "over our own sockets"),
        (
            "Requested service tier",
            run.service_tier or ("none named" if run.provider else ""),
        ),
    ]
    return [(term, words) for term, words in [*requested, *stated] if words]


def limit_words(limits: RateLimitHeaders) -> str:
    """Return the limits that were stated, e.g. "60 requests a minute, 90,000 tokens a minute"; "" for none."""
    limits_stated = [(getattr(limits, name), words) for name, words in LIMITS]
    return ", ".join(f"{limit:,.0f} {words}" for limit, words in limits_stated if limit is not None)


def _named(rows: Sequence[NamedByService]) -> str:
    """Return names with their counts; a single one needs none."""
    if len(rows) == 1:
        return f"{rows[0].stated} (in all {count_of(rows[0].n, 'answer that names', 'answers that name')} one)"
    shown = [f"{row.stated} ({row.n:,})" for row in rows[:MOST_NAMED]]
    more = [f"and {len(rows) - MOST_NAMED:,} more"] if len(rows) > MOST_NAMED else []
    return ", ".join([*shown, *more])


def _waits(row: StatedTimes) -> str:
    if not row.refusals:
        return ""
    if not row.waits:
        return f"none of {row.refusals:,} stated one"
    return f"{row.waits:,} of {row.refusals:,} stated one, median {human_seconds(row.wait_s)}"


def _work(row: StatedTimes) -> str:
    if not row.worked:
        return ""
    return f"median {human_seconds(row.work_s)}, stated by {count_of(row.worked, 'answer')}"


def quote_table(reader: Reader, run: RunRow) -> CellTable:
    """Return what the run was expected to take, and what it took; without rows where it had no quote."""
    heads = [("", False), ("Quoted at least", True), ("Expected", True), ("At most", True)]
    heads += [("Came to", True), ("Of what was expected", True)]
    if (quote := run.quoted) is None:
        return CellTable(heads, [])
    real = bill(reader, run.run_id)
    counts = (
        ("Requests", quote.requests, real.requests),
        ("Prompt tokens", quote.prompt_tokens, real.prompt_tokens),
        ("Output tokens", quote.output_tokens, real.output_tokens),
    )
    rows = [_quoted(title, spread, came) for title, spread, came in counts]
    if quote.usd is not None:
        unpriced = real.unpriced and f"{count_of(real.unpriced, 'answer')} without a known cost"
        rows.append(
            _quoted("US dollars", quote.usd, real.usd, True, quote.price_basis, unpriced or None)
        )
    return CellTable(heads, rows)


def _quoted(
    title: str,
    spread: QuoteSpread,
    came: float | None,
    money: bool = False,
    basis: str | None = None,
    under: str | None = None,
) -> list[TableCell]:
    share = came / spread.expected if came is not None and spread.expected else None
    return [
        TableCell(title),
        *(_amount(end, money, basis) for end in (spread.low, spread.expected, spread.high)),
        _amount(came, money, basis, under),
        TableCell(DASH if share is None else f"{human_number(share * 100)} %", number=True),
    ]


def _amount(
    value: float | None, money: bool, basis: str | None, under: str | None = None
) -> TableCell:
    if value is None:
        return TableCell(DASH, under=under, number=True)
    text = write_usd(value) if money else f"{value:,.0f}"
    return TableCell(text, under=under, number=True, basis=basis)
