"""A target of a provider of the catalogue, as a person writes it."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from observatory.core.money.token_prices import TokenPrices
from observatory.core.targets.identity import TargetIdentity, Transport, one_key_source
from observatory.core.targets.listed_model import ListedModel
from observatory.core.targets.literal_secrets import ENVIRONMENT_NAME


class ApiTarget(TargetIdentity):
    """A provider of the catalogue, billed by tokens."""

    opened_by: ClassVar[str] = "observatory.endpoints.api"
    energy: ClassVar[Literal["sensed", "modelled", "none"]] = "modelled"
    addressed: ClassVar[bool] = True
    keeps_log: ClassVar[bool] = False

    kind: Literal["api"]
    provider: str = Field(description="a provider of the catalogue, e.g. openai")
    model: str
    base_url: str | None = Field(
        default=None, pattern=r"^https?://", description="another base URL"
    )
    api_key_env: str | None = Field(
        default=None,
        pattern=ENVIRONMENT_NAME,
        description="name of the variable with the key; default: the provider's usual one",
    )
    api_key_file: Path | None = None
    wire: Literal["chat", "responses", "messages"] | None = Field(
        default=None, description="which of the provider's APIs; default: its usual one"
    )
    service_tier: str | None = Field(
        default=None, description="set in every request, and priced so, e.g. flex, priority"
    )
    transport: Transport = Field(
        default="lean", description="sdk: measured through the openai package's client"
    )
    hosting: Literal["managed"] = "managed"
    weights: Literal["open", "closed"] = "closed"
    billing: Literal["tokens"] = "tokens"
    price: TokenPrices | Literal["unknown"] | None = Field(
        default=None, description="default: the price ledger's; unknown: run without a price"
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        one_key_source(self.api_key_env, self.api_key_file)
        return self

    @property
    def runs_here(self) -> bool:
        """Return False."""
        return False

    @property
    def lock_subject(self) -> str:
        """Return its address or provider, and the model."""
        return f"{self.kind}|{self.base_url or self.provider}/{self.model}"

    @property
    def engine_page(self) -> str | None:
        """Return None: a provider's engine has no page for its customers."""
        return None

    @property
    def listed_model(self) -> ListedModel | None:
        """Return the target itself."""
        return self
