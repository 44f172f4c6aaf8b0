"""What a bought token costs, as a person states it: US dollars per million of each kind."""

from typing import Literal

from pydantic import Field

from observatory.core.strict import Strict


class TokenPrices(Strict):
    """Money per million tokens of each kind, in US dollars."""

    input_per_million_usd: float = Field(ge=0)
    output_per_million_usd: float = Field(ge=0)
    cached_input_per_million_usd: float | None = Field(default=None, ge=0)
    cache_write_per_million_usd: float | None = Field(
        default=None, ge=0, description="of prompt tokens written to a cache; default: as any input"
    )
    source: str = Field(description="where these prices come from, for people to check")
    basis: Literal["stated", "example"] = Field(
        default="stated", description="stated: you vouch for them; example: round stand-ins"
    )
