"""What a request billed by tokens costs, from applied prices. Pure arithmetic.

A missing count makes a missing cost, never zero; machine_money has what is billed by hours.
"""

from observatory.economics.price_rows import MILLION, AppliedPrices


def request_cost_usd(
    prices: AppliedPrices,
    prompt_tokens: int | None,
    cached_tokens: int | None,
    output_tokens: int | None,
    cache_write_tokens: int | None = None,
) -> float | None:
    """US dollars of one request billed by tokens; None without a price or without its counts.

    cached_tokens and cache_write_tokens are parts of prompt_tokens; where the endpoint did not say
    them, or they have no price of their own, they are charged as any prompt token. A prompt beyond
    a tier's start is charged at that tier in whole. Counts that contradict each other give None.
    """
    fresh, output = prices.row("input"), prices.row("output")
    if fresh is None or output is None or prompt_tokens is None or output_tokens is None:
        return None
    cached, written = cached_tokens or 0, cache_write_tokens or 0
    if min(prompt_tokens, output_tokens, cached, written) < 0 or cached + written > prompt_tokens:
        return None
    cached_row = prices.row("cached_input") or fresh
    written_row = prices.row("cache_write") or fresh
    return (
        (prompt_tokens - cached - written) * fresh.usd_at(prompt_tokens)
        + cached * cached_row.usd_at(prompt_tokens)
        + written * written_row.usd_at(prompt_tokens)
        + output_tokens * output.usd_at(prompt_tokens)
    ) / MILLION
