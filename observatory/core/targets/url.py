"""A target at a URL that somebody else runs, as a person writes it."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from observatory.core.money.machine_money import MachineRate
from observatory.core.money.token_prices import TokenPrices
from observatory.core.targets.addresses import BaseUrl
from observatory.core.targets.identity import (
    BESIDE_API,
    EnginePage,
    TargetIdentity,
    Transport,
    Wire,
    check_sdk_speaks,
    one_key_source,
)
from observatory.core.targets.literal_secrets import ENVIRONMENT_NAME


class UrlTarget(TargetIdentity):
    """Any OpenAI-compatible endpoint: a team's vLLM, TGI, SGLang, a gateway."""

    opened_by: ClassVar[str] = "observatory.endpoints.url"
    addressed: ClassVar[bool] = True
    foreign_server: ClassVar[bool] = True
    keeps_log: ClassVar[bool] = False

    kind: Literal["url"]
    url: BaseUrl = Field(description="base URL up to and with /v1")
    model: str | None = Field(default=None, description="default: the only model that it lists")
    api_key_env: str | None = Field(
        default=None, pattern=ENVIRONMENT_NAME, description="name of the variable with the key"
    )
    api_key_file: Path | None = Field(default=None, description="file with the key")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what its chat API calls the output limit"
    )
    stream_usage: bool = Field(
        default=True, description="request usage in streams; false where it refuses stream_options"
    )
    wire: Wire = Field(
        default="openai", description="which API is used: openai, responses or messages"
    )
    transport: Transport = Field(
        default="lean", description="sdk: measured through the openai package's client"
    )
    metrics_url: EnginePage = Field(
        default=BESIDE_API,
        description="the engine's Prometheus page: beside_api (/metrics next to /v1), another URL, or "
        "null for none",
    )
    hosting: Literal["self", "managed"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours", "tokens"] = "hours"
    rate: MachineRate | None = None
    price: TokenPrices | Literal["unknown"] | None = None

    @model_validator(mode="after")
    def _billing_fits(self) -> Self:
        one_key_source(self.api_key_env, self.api_key_file)
        check_sdk_speaks(self.transport, self.wire)
        if self.billing == "tokens" and self.rate is not None:
            raise ValueError("rate is for billing: hours; billing: tokens takes price")
        if self.billing == "hours" and self.price is not None:
            raise ValueError("price is for billing: tokens; billing: hours takes rate")
        return self
