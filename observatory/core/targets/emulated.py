"""An emulated target as a person writes it."""

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from observatory.core.emulation.profile import Profile
from observatory.core.money.token_prices import TokenPrices
from observatory.core.targets.identity import TargetIdentity, Transport, Wire, check_sdk_speaks


class EmulatedTarget(TargetIdentity):
    """A seeded stand-in on loopback; everything from it is marked emulated wherever it is shown."""

    opened_by: ClassVar[str] = "observatory.endpoints.emulated"
    engine_title: ClassVar[str | None] = "emulator"
    emulated: ClassVar[bool] = True
    energy: ClassVar[Literal["sensed", "modelled", "none"]] = "none"
    bundled: ClassVar[bool] = True
    keeps_log: ClassVar[bool] = False

    kind: Literal["emulated"]
    profile: Profile | str = Field(
        default=Profile(), description="a profile's fields, or its name or its file's path"
    )
    wire: Wire = Field(
        default="openai", description="which API is used: openai, responses or messages"
    )
    transport: Transport = Field(
        default="lean", description="sdk: measured through the openai package's client"
    )
    hosting: Literal["self", "managed"] = "managed"
    weights: Literal["open", "closed"] = "closed"
    billing: Literal["tokens"] = "tokens"
    price: TokenPrices | None = None

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        check_sdk_speaks(self.transport, self.wire)
        return self

    @field_validator("name")
    @classmethod
    def _marked_emulated(cls, name: str) -> str:
        if "emulated" not in name:
            raise ValueError("the name of an emulated target must contain 'emulated'")
        return name
