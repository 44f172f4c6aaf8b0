"""What a source gives with a price, one field each; a field that it does not give is None and is not stored.

Light, because load workers charge answers by it: nothing heavier than msgspec is imported here.
"""

import msgspec


class PriceTier(msgspec.Struct, frozen=True):
    """A price for prompts longer than above_prompt_tokens; it is then that of all their tokens."""

    above_prompt_tokens: int
    usd: float


class PurchaseTerms(msgspec.Struct, frozen=True):
    """A machine that was bought: its price in US dollars, the years over which it is written off."""

    usd: float
    years: float
    salvage_usd: float
    source: str


class PriceDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What else a price's source gives.

    Of every price: the book (package or book and version; file and line of a price file), provider and
    model as the target names them (ledger_provider, ledger_model: as the public ledger does), the tier,
    the last day, when it was looked up (applied_at, UTC), notes. worst_usd is the highest price of the
    kind over tiers and hours. tiers are by rising start. Of a discounted price: the list price. Of a
    machine_hour and operations_hour: what the hour consists of.
    """

    days: str | None = None
    """mon-fri or sat-sun: the days, in UTC, on which alone it holds."""
    not_counted: list[str] | None = None
    """What the provider charges for in addition to tokens."""
    list_usd: float | None = None
    list_source: str | None = None
    list_tier: str | None = None
    discount: float | None = None
    """Share taken off the list price, 0 to 1."""
    dated: bool | None = None
    """Whether the ledger gives a first day."""
    package: str | None = None
    book: str | None = None
    version: str | None = None
    file: str | None = None
    line: int | None = None
    provider: str | None = None
    model: str | None = None
    applied_at: str | None = None
    ledger_provider: str | None = None
    ledger_model: str | None = None
    note: str | None = None
    provider_note: str | None = None
    base_url_note: str | None = None
    worst_usd: float | None = None
    service_tier: str | None = None
    effective_until: str | None = None
    tiers: list[PriceTier] | None = None
    may_also_be_usd: list[float] | None = None
    basis_as_stated: str | None = None
    owned: bool | None = None
    commitment: str | None = None
    accelerators: int | None = None
    rate_includes: list[str] | None = None
    purchase: PurchaseTerms | None = None
    electricity_usd_per_kwh: float | None = None
    engineer_share: float | None = None
    usd_per_engineer_year: float | None = None

    def joined(self, other: "PriceDetails") -> "PriceDetails":
        """Return these details with every field that `other` gives in place of the own one."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(other).items()
            if value is not None
        }
        return msgspec.structs.replace(self, **given)


NO_DETAILS = PriceDetails()
"""Of a price whose source gives nothing else."""
