"""Which prices a target is charged at: as stated, as agreed in a price file, from the public ledger, or none.

Pure but for reading genai-prices' bundled data: nothing is fetched. Token prices are US dollars per
million tokens of a kind, machine rates US dollars an hour.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from observatory.core.errors import BadInput
from observatory.core.machine_money import MachineRate
from observatory.core.target import ApiTarget, Target
from observatory.core.token_prices import TokenPrices

if TYPE_CHECKING:
    from observatory.economics.price_files import AgreedPrices

PriceKind = Literal[
    "input",
    "output",
    "cached_input",
    "cache_write",
    "machine_hour",
    "electricity_kwh",
    "operations_hour",
]
PriceBasis = Literal["list_price", "stated", "example", "emulated"]
MILLION = 1_000_000


class PriceRow(msgspec.Struct, frozen=True):
    """One price as applied: usd per million tokens, an hour of the whole target (machine_hour,
    operations_hour), or a kilowatt-hour (electricity_kwh).

    usd is the base price. Where a long prompt moves all its tokens to a dearer tier, details has
    `tiers`, a list of {above_prompt_tokens, usd} by rising start; `worst_usd` is the highest price
    that the source knows for this kind, over tiers and times of day.
    """

    kind: PriceKind
    usd: float
    basis: PriceBasis
    source: str
    effective_from: str | None = None
    details: dict[str, Any] = {}

    def usd_at(self, prompt_tokens: int) -> float:
        """The price that a request with a prompt of this many tokens pays for this kind."""
        price = self.usd
        for tier in self.details.get("tiers", []):
            if prompt_tokens > tier["above_prompt_tokens"]:
                price = float(tier["usd"])
        return price

    @property
    def worst_usd(self) -> float:
        """The highest price of this kind that could apply."""
        return float(self.details.get("worst_usd", self.usd))


class AppliedPrices(msgspec.Struct, frozen=True):
    """The prices of one run; no rows and basis None where no price is known.

    The *_per_token figures are worst cases (dearest tier, and for input the dearest of fresh,
    cached and cache-writing tokens): they are for caps. `cost.request_cost_usd` applies the rows.
    """

    rows: list[PriceRow] = []
    basis: PriceBasis | None = None

    def row(self, kind: PriceKind) -> PriceRow | None:
        """The row of a kind, None where there is none."""
        return next((row for row in self.rows if row.kind == kind), None)

    @property
    def input_usd_per_token(self) -> float | None:
        """The most that one prompt token can cost."""
        if self.row("input") is None:
            return None
        kinds = ("input", "cached_input", "cache_write")
        return max(row.worst_usd for row in self.rows if row.kind in kinds) / MILLION

    @property
    def output_usd_per_token(self) -> float | None:
        """The most that one output token can cost."""
        row = self.row("output")
        return None if row is None else row.worst_usd / MILLION

    @property
    def cached_usd_per_token(self) -> float | None:
        """The most that one cached prompt token can cost; None where it has no price of its own."""
        row = self.row("cached_input")
        return None if row is None else row.worst_usd / MILLION

    @property
    def usd_per_hour(self) -> float | None:
        """The machine's rate."""
        row = self.row("machine_hour")
        return None if row is None else row.usd

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a manifest keeps them in TargetFacts.price."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any] | None) -> Self:
        """What to_dict gave; no prices for None."""
        return msgspec.convert(plain or {}, cls)


def prices_of(
    target: Target, *, agreed: "AgreedPrices | None", at: datetime | None = None
) -> AppliedPrices:
    """The prices of a target at a moment (default: now), for all of a run.

    Order: what the target states; for an `api` target what `agreed` (the workspace's price file,
    price_files.agreed_prices) says of it, then the public list price of genai-prices; none.
    Raises BadInput where a target billed by tokens has no price and does not say `price: unknown`.
    """
    if target.billing == "hours":
        rate = getattr(target, "rate", None)
        return AppliedPrices() if rate is None else _of_rate(rate)
    price = target.price
    if isinstance(price, TokenPrices):
        return _of_statement(price, "emulated" if target.kind == "emulated" else price.basis)
    if price == "unknown" or target.kind == "emulated":
        return AppliedPrices()
    if isinstance(target, ApiTarget):
        return _of_books(target, agreed, at or datetime.now(UTC))
    raise BadInput(
        "a target billed by tokens needs a price",
        where=f"target {target.name}",
        fix="write price: unknown, or price: {input_per_million_usd: ..., "
        "output_per_million_usd: ..., source: ...}",
    )


def _of_books(target: ApiTarget, agreed: "AgreedPrices | None", at: datetime) -> AppliedPrices:
    from observatory.economics.list_prices import list_prices
    from observatory.economics.price_files import agreed_for

    found = agreed_for(agreed, target, at) if agreed is not None else None
    return list_prices(target, at) if found is None else found


def _of_rate(rate: MachineRate) -> AppliedPrices:
    """The machine's hour, and where they are stated its electricity and its people.

    details of machine_hour hold what the hour is made of: accelerators, commitment, rate_includes,
    purchase.
    """
    details: dict[str, Any] = {
        "owned": rate.is_owned,
        "commitment": rate.paid_as,
        "accelerators": rate.accelerators,
        "rate_includes": rate.includes,
    }
    if rate.purchase is not None:
        details["purchase"] = rate.purchase.model_dump(mode="json")
    rows = []
    if rate.electricity_usd_per_kwh is not None:
        details["electricity_usd_per_kwh"] = rate.electricity_usd_per_kwh
        rows.append(
            PriceRow("electricity_kwh", rate.electricity_usd_per_kwh, rate.basis, rate.source)
        )
    if rate.operations is not None:
        people = rate.operations
        rows.append(
            PriceRow(
                "operations_hour",
                people.usd_per_hour,
                rate.basis,
                people.source,
                details=people.model_dump(mode="json", exclude={"source"}),
            )
        )
    hour = PriceRow(
        "machine_hour", rate.target_usd_per_hour, rate.basis, rate.hour_source, details=details
    )
    return AppliedPrices([hour, *rows], rate.basis)


def _of_statement(price: TokenPrices, basis: PriceBasis) -> AppliedPrices:
    details = {"basis_as_stated": price.basis} if basis != price.basis else {}
    kinds: list[tuple[PriceKind, float | None]] = [
        ("input", price.input_per_million_usd),
        ("output", price.output_per_million_usd),
        ("cached_input", price.cached_input_per_million_usd),
        ("cache_write", price.cache_write_per_million_usd),
    ]
    rows = [
        PriceRow(kind, usd, basis, price.source, details=dict(details))
        for kind, usd in kinds
        if usd is not None
    ]
    return AppliedPrices(rows, basis)
