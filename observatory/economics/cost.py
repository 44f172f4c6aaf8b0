"""What a request billed by tokens costs, from applied prices. Pure arithmetic.

A missing count makes a missing cost, never zero; machine_money has what is billed by hours.
"""

from typing import NamedTuple

from observatory.economics.price_rows import MILLION, AppliedPrices, PriceKind, PriceRow


class TokenCharge(NamedTuple):
    """Tokens of one kind at one price: tokens x usd_per_million / 1e6 US dollars.

    usd_per_million is None where the kind has no known price.
    """

    kind: PriceKind
    tokens: int
    usd_per_million: float | None


def token_charges(
    prices: AppliedPrices,
    prompt_tokens: int | None,
    cached_tokens: int | None,
    output_tokens: int | None,
    cache_write_tokens: int | None = None,
) -> list[TokenCharge]:
    """Return the charges of one answer: input and output, and each other kind that has tokens.

    cached_tokens and cache_write_tokens are parts of prompt_tokens; where they are not known, or have no
    price of their own, they are charged as any prompt token. A prompt beyond a tier's start is charged at
    that tier in whole. Without a price of both input and output no kind has one. Empty where a count is
    missing or the counts contradict each other.
    """
    if prompt_tokens is None or output_tokens is None:
        return []
    cached, written = cached_tokens or 0, cache_write_tokens or 0
    if min(prompt_tokens, output_tokens, cached, written) < 0 or cached + written > prompt_tokens:
        return []
    fresh, output = prices.row("input"), prices.row("output")
    priced = fresh is not None and output is not None

    def charge(kind: PriceKind, tokens: int, row: PriceRow | None) -> TokenCharge:
        known = row if priced else None
        return TokenCharge(kind, tokens, None if known is None else known.usd_at(prompt_tokens))

    charges = [charge("input", prompt_tokens - cached - written, fresh)]
    if cached:
        charges.append(charge("cached_input", cached, prices.row("cached_input") or fresh))
    if written:
        charges.append(charge("cache_write", written, prices.row("cache_write") or fresh))
    charges.append(charge("output", output_tokens, output))
    return charges


def request_cost_usd(
    prices: AppliedPrices,
    prompt_tokens: int | None,
    cached_tokens: int | None,
    output_tokens: int | None,
    cache_write_tokens: int | None = None,
) -> float | None:
    """Return US dollars of one answer: the sum of its token_charges; None without a price or without its counts."""
    charges = token_charges(prices, prompt_tokens, cached_tokens, output_tokens, cache_write_tokens)
    total = 0.0
    for charge in charges:
        if charge.usd_per_million is None:
            return None
        total += charge.tokens * charge.usd_per_million
    return total / MILLION if charges else None
