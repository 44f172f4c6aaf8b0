"""What a self-hosted target's machine costs, as a person states it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from observatory.core.strict import Strict


class MachineRate(Strict):
    """Money per hour that the target's accelerators (or its whole machine) cost."""

    usd_per_hour: float = Field(ge=0)
    source: str = Field(description="where this rate comes from")
    basis: Literal["stated", "example"] = "stated"
    owned: bool = Field(default=False, description="owned hardware pays its electricity apart")
    electricity_usd_per_kwh: float | None = Field(
        default=None, ge=0, description="the tariff; used only where the hardware is owned"
    )

    @model_validator(mode="after")
    def _tariff_needs_ownership(self) -> Self:
        if self.electricity_usd_per_kwh is not None and not self.owned:
            raise ValueError(
                "electricity_usd_per_kwh needs owned: true (a rented hour contains it)"
            )
        return self
