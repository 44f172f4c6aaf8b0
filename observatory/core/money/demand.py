"""How much a service would be used, and what capacity is kept for it, as a person states it.

A volume is given in requests, in tokens or as an API's bill; `economics` converts one into another,
because that needs a measured workload.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from observatory.core.counted_nouns import count_of
from observatory.core.strict import Strict
from observatory.core.units import Duration

HOURS_A_DAY = 24
DAYS_A_MONTH = 365 / 12
"""A mean month: 30.4167 days."""
PEAK_TO_MEAN = 1.52
"""Requests of the busiest minute over those of a mean minute in the Azure LLM inference trace of
conversations, 2023-11-16 18:15 to 19:14 UTC, 19,366 requests (Patel et al., Splitwise, ISCA 2024;
github.com/Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md). docs/money.md has the command.
One hour cannot show night against day, so that a day's own ratio is higher: state yours."""
PEAK_TO_MEAN_SOURCE = (
    "default: busiest minute over the mean in one hour of the Azure LLM inference trace 2023, "
    "conversations (CC-BY, Splitwise, ISCA 2024); a whole day's ratio is higher"
)
Assumption = Literal["always_on", "active_window", "scale_to_zero"]
"""always_on: every replica every hour. active_window: active_hours a day, none outside.
scale_to_zero: busy replica-hours only, rounded up to whole ones: the least that scaling can reach."""


class Demand(Strict):
    """The volume of a mean day, how it falls over the day, and the capacity that is kept for it."""

    requests_a_day: float | None = Field(default=None, gt=0)
    tokens_a_day: float | None = Field(
        default=None, gt=0, description="prompt and output tokens together, as the API counts them"
    )
    api_bill_usd_a_day: float | None = Field(default=None, gt=0)
    api_bill_usd_a_month: float | None = Field(default=None, gt=0)
    hourly_shares: list[float] | None = Field(
        default=None,
        description="24 shares of the day's requests, from midnight on; their sum is 1",
    )
    peak_to_mean: float | None = Field(
        default=None, ge=1, description="the peak hour over the day's mean hour, instead of shares"
    )
    source: str | None = Field(default=None, description="where volume and shape come from")
    spare_replicas: int = Field(default=1, ge=0, description="kept beyond what the peak needs")
    assumption: Assumption = "always_on"
    active_hours: float | None = Field(
        default=None, gt=0, le=24, description="active_window: hours a day that capacity is kept"
    )
    cold_start: Duration | None = Field(
        default=None, description="scale_to_zero: how long a start takes; shown, not priced"
    )

    @model_validator(mode="after")
    def _one_volume(self) -> Self:
        names = ("requests_a_day", "tokens_a_day", "api_bill_usd_a_day", "api_bill_usd_a_month")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one volume, not {' and '.join(given)}")
        return self

    @model_validator(mode="after")
    def _a_shape(self) -> Self:
        shares = self.hourly_shares
        if shares is None:
            return self
        if self.peak_to_mean is not None:
            raise ValueError("hourly_shares have their own peak: leave peak_to_mean out")
        if len(shares) != HOURS_A_DAY or min(shares) < 0:
            raise ValueError("hourly_shares: 24 numbers, none below 0")
        if abs(sum(shares) - 1) > 0.001:
            raise ValueError(f"hourly_shares add up to {sum(shares):.4g}, not 1")
        return self

    @model_validator(mode="after")
    def _capacity_fits(self) -> Self:
        if (self.active_hours is not None) != (self.assumption == "active_window"):
            raise ValueError("assumption active_window and active_hours go together")
        used = sum(share > 0 for share in self.hourly_shares or [])
        if self.active_hours is not None and used > self.active_hours:
            raise ValueError(
                f"hourly_shares have requests in {count_of(used, 'hour')}, active_hours keeps {self.active_hours:g}"
            )
        return self

    @property
    def peak(self) -> float:
        """Return the peak hour's requests over those of a mean hour of the day, 1 or more.

        Requests that all fall into an active window make its hours at least 24 / active_hours.
        """
        if self.hourly_shares is not None:
            return max(self.hourly_shares) * HOURS_A_DAY / sum(self.hourly_shares)
        window = HOURS_A_DAY / self.active_hours if self.active_hours else 1.0
        return max(self.peak_to_mean or PEAK_TO_MEAN, window)

    @property
    def peak_source(self) -> str:
        """Return where the peak comes from."""
        if self.hourly_shares is None and self.peak_to_mean is None:
            return PEAK_TO_MEAN_SOURCE
        return self.source or "stated"
