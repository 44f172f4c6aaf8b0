"""The retry policy: what a client does when a service refuses with a rate limit or overload.

record: a 429 is an outcome. obey: wait as long as the service requires, within bounds, and retry.
pace: send at most so many requests and tokens a minute, so that the service need not refuse.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from observatory.core.strict import Strict
from observatory.core.units import PositiveDuration

Policy = Literal["record", "obey", "pace"]


class Throttling(Strict):
    """One policy and its bounds. Waits of obey are those that the service requires, else they double."""

    policy: Policy = "record"
    max_attempts: int = Field(
        default=8, ge=1, le=100, description="obey: HTTP attempts at the most"
    )
    max_wait: PositiveDuration = Field(
        default=60.0, description="obey: how long one request may wait in all, between its attempts"
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="pace: default, the limit in the service's own headers"
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="pace: prompt and output limit count, as providers count"
    )

    @model_validator(mode="after")
    def _limits_are_for_pace(self) -> Self:
        limits = (self.requests_per_minute, self.tokens_per_minute)
        if self.policy != "pace" and any(limit is not None for limit in limits):
            raise ValueError("requests_per_minute and tokens_per_minute are for policy: pace")
        return self
