"""Public list prices from genai-prices' bundled ledger, with what that ledger does not know.

It must not guess: a model that it lacks, or one charged by something we do not count, is an error.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from observatory.core.errors import BadInput
from observatory.core.target import ApiTarget
from observatory.economics.prices import AppliedPrices, PriceKind, PriceRow

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

KINDS: dict[str, PriceKind] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
}
UNCOUNTED = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Prices that would apply to every request and that a request's record cannot be charged by."""
UNDATED = "the source gives no date: it returns this price for any date"
FIX = (
    "write price: unknown, or price: {input_per_million_usd: ..., output_per_million_usd: ..., "
    "source: ...}"
)


def list_prices(target: ApiTarget, at: datetime) -> AppliedPrices:
    """The list prices of a provider's model at a moment (aware datetime), basis `list_price`.

    A `service_tier` in the target's extra_body chooses that tier's prices. Raises BadInput for a
    model without a price, or with a price that we could not apply in full.
    """
    from genai_prices import Usage, __version__, calc_price

    tier = target.extra_body.get("service_tier")
    context = {"service_tier": tier} if isinstance(tier, str) else None
    try:
        found = calc_price(
            Usage(input_tokens=1, output_tokens=1),
            target.model,
            provider_id=target.provider,
            genai_request_timestamp=at,
            price_context=context,
        )
    except LookupError as error:
        raise BadInput(
            f"genai-prices {__version__} has no price for {target.model!r} of {target.provider!r}",
            where=f"target {target.name}",
            fix=FIX,
        ) from error
    price = found.model_price
    _check_countable(target, price)
    start, facts = _validity(found.model, at)
    facts |= {
        "package": "genai-prices",
        "version": __version__,
        "provider": found.provider.id,
        "model": found.model.id,
        "applied_at": at.isoformat(timespec="seconds"),
        "not_counted": sorted(name for name in _priced(price) if name not in KINDS),
    }
    if context is not None:
        facts["service_tier"] = tier
    if target.base_url is not None:
        facts["base_url_note"] = "the provider's list price, applied to another base URL"
    rows = [
        PriceRow(
            kind,
            float(_base(value)),
            "list_price",
            f"genai-prices {__version__}",
            start,
            facts | _tiers(value) | {"worst_usd": _worst(found.model, price, name)},
        )
        for name, kind in KINDS.items()
        if (value := getattr(price, name)) is not None
    ]
    return AppliedPrices(rows, "list_price")


def _check_countable(target: ApiTarget, price: "ModelPrice") -> None:
    missing = [name for name in ("input_mtok", "output_mtok") if getattr(price, name) is None]
    uncounted = [name for name in UNCOUNTED if getattr(price, name) is not None]
    if not missing and not uncounted:
        return
    why = f"charges by {', '.join(uncounted)}" if uncounted else f"has no {', '.join(missing)}"
    raise BadInput(
        f"the list price of {target.model!r} {why}, which a request's tokens do not give",
        where=f"target {target.name}",
        fix=FIX,
    )


def _validity(model: "ModelInfo", at: datetime) -> tuple[str | None, dict[str, Any]]:
    """The date from which the applied price holds (None: not said), and what to note beside it."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    if not isinstance(model.prices, list):
        return None, {"dated": False, "note": UNDATED}
    constraints = [conditional.constraint for conditional in model.prices]
    active = [each for each in constraints if each is not None and each.active(at)]
    starts = [each for each in active if isinstance(each, StartDateConstraint)]
    facts: dict[str, Any] = {
        "dated": any(isinstance(each, StartDateConstraint) for each in constraints)
    }
    if any(isinstance(each, TimeOfDateConstraint) for each in constraints):
        facts["note"] = "the price changes with the time of day; this is the one at applied_at"
    elif not facts["dated"]:
        facts["note"] = UNDATED
    return (starts[-1].start_date.isoformat() if starts else None), facts


def _priced(price: "ModelPrice") -> Iterator[str]:
    """Names of everything that a price charges for."""
    return (name for name, value in vars(price).items() if value is not None and name[0] != "_")


def _base(value: Any) -> Decimal:
    base: Decimal = getattr(value, "base", value)
    return base


def _tiers(value: Any) -> dict[str, Any]:
    tiers = getattr(value, "tiers", None)
    if not tiers:
        return {}
    return {
        "tiers": [
            {"above_prompt_tokens": tier.start, "usd": float(tier.price)}
            for tier in sorted(tiers, key=lambda tier: tier.start)
        ]
    }


def _worst(model: "ModelInfo", applied: "ModelPrice", name: str) -> float:
    """The dearest that a price can become during a run: over its tiers and times of day."""
    from genai_prices.types import TimeOfDateConstraint

    candidates = [applied]
    if isinstance(model.prices, list) and any(
        isinstance(each.constraint, TimeOfDateConstraint) for each in model.prices
    ):
        candidates += [each.prices for each in model.prices]
    prices: list[Decimal] = []
    for candidate in candidates:
        value = getattr(candidate, name)
        if value is not None:
            prices += [_base(value), *(tier.price for tier in getattr(value, "tiers", []))]
    return float(max(prices))
