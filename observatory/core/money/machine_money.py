"""What a self-hosted target's machine costs, as a person states it: rented or bought, and who runs it.

Arithmetic ends at dollars an hour; what a window or a month costs is `economics`' part.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from observatory.core.strict import Strict

HOURS_A_YEAR = 8760.0
"""365 days of 24 hours."""

Commitment = Literal["on_demand", "reserved", "owned"]
"""on_demand: paid while it is kept. reserved and owned: paid every hour, used or not."""
Included = Literal["electricity", "cooling", "host", "network"]
RENTED_INCLUDES: tuple[Included, ...] = ("electricity", "cooling")


class Purchase(Strict):
    """A machine that was bought, written off in a straight line."""

    usd: float = Field(ge=0, description="price of the whole target: all accelerators and host")
    years: float = Field(gt=0, description="over which it is written off")
    salvage_usd: float = Field(default=0.0, ge=0, description="what it will still be worth then")
    source: str = Field(description="where price and years come from")

    @model_validator(mode="after")
    def _loses_value(self) -> Self:
        if self.salvage_usd > self.usd:
            raise ValueError("salvage_usd is above usd: the purchase would cost less than nothing")
        return self

    @property
    def usd_per_hour(self) -> float:
        """Return (price - salvage) / hours of its years, whether it works or not."""
        return (self.usd - self.salvage_usd) / (self.years * HOURS_A_YEAR)


class Operations(Strict):
    """The people who keep it running."""

    engineer_share: float = Field(
        ge=0, description="of a full-time engineer, for this target with any number of replicas"
    )
    usd_per_engineer_year: float = Field(ge=0, description="wages and all that comes with them")
    source: str = Field(description="where both figures come from")

    @property
    def usd_per_hour(self) -> float:
        """Return a year's share over the hours of a year."""
        return self.engineer_share * self.usd_per_engineer_year / HOURS_A_YEAR


class MachineRate(Strict):
    """Money that the target's accelerators (or its whole machine) cost by the hour."""

    usd_per_hour: float | None = Field(
        default=None, ge=0, description="of one accelerator; with purchase it is not given"
    )
    accelerators: int = Field(
        default=1, ge=1, description="of the whole target; 1 also where usd_per_hour is a machine's"
    )
    commitment: Commitment | None = Field(
        default=None,
        description="on_demand, reserved or owned; default: on_demand, or owned where `owned` is true",
    )
    source: str = Field(description="where this rate, and the tariff, come from")
    basis: Literal["stated", "example"] = "stated"
    owned: bool = Field(default=False, description="owned hardware pays its electricity apart")
    purchase: Purchase | None = Field(default=None, description="owned: instead of usd_per_hour")
    rate_includes: list[Included] | None = Field(
        default=None,
        description="what the hour contains; default: electricity and cooling where it is rented, "
        "nothing where it is owned",
    )
    electricity_usd_per_kwh: float | None = Field(
        default=None, ge=0, description="the tariff; used only where the hardware is owned"
    )
    operations: Operations | None = None

    @model_validator(mode="after")
    def _owned_or_not(self) -> Self:
        if self.owned and self.commitment not in (None, "owned"):
            raise ValueError(f"owned: true contradicts commitment: {self.commitment}")
        if self.purchase is not None and not self.is_owned:
            raise ValueError("purchase needs commitment: owned")
        if self.electricity_usd_per_kwh is not None and not self.is_owned:
            raise ValueError(
                "electricity_usd_per_kwh needs owned: true (a rented hour contains it)"
            )
        contained = "electricity" in (self.rate_includes or [])
        if contained and self.electricity_usd_per_kwh is not None:
            raise ValueError("rate_includes has electricity: electricity_usd_per_kwh pays twice")
        return self

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if (self.usd_per_hour is None) == (self.purchase is None):
            raise ValueError("give usd_per_hour or purchase, one of the two")
        return self

    @property
    def is_owned(self) -> bool:
        """Return whether the hardware was bought."""
        return self.owned or self.commitment == "owned"

    @property
    def paid_as(self) -> Commitment:
        """Return the commitment, stated or implied."""
        return self.commitment or ("owned" if self.owned else "on_demand")

    @property
    def includes(self) -> list[str]:
        """Return what the hour contains, stated or by default."""
        if self.rate_includes is not None:
            return list(self.rate_includes)
        return [] if self.is_owned else list(RENTED_INCLUDES)

    @property
    def target_usd_per_hour(self) -> float:
        """Return an hour of the whole target: every accelerator, or the purchase by its hours."""
        if self.purchase is not None:
            return self.purchase.usd_per_hour
        return (self.usd_per_hour or 0.0) * self.accelerators

    @property
    def hour_source(self) -> str:
        """Return where the hour's price comes from: the purchase's source where there is one."""
        return self.purchase.source if self.purchase is not None else self.source
