"""Rows of the views of money, a field a column; docs/schema.md has each column's meaning and unit.

A figure that is not known is None, and the column of its reason has the cause.
"""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """A row of money_per_run: what a volume's cost and a break-even of a run's target are computed from."""

    run_id: str
    scenario: str
    comparison_key: str
    target: str
    billing: str
    emulated: bool
    verdict: str | None
    attainment: float | None
    best_fraction: float | None
    best_stage: int | None
    served_reason: str | None
    goodput_n: int | None
    surely: bool | None
    goodput_rps: float | None
    goodput_rps_low: float | None
    goodput_rps_high: float | None
    request_rate: float | None
    power_w: float | None
    idle_power_w: float | None
    requests: int | None
    usd_per_request: float | None
    usd_per_request_low: float | None
    usd_per_request_high: float | None
    usd_per_request_reason: str | None
    priced_n: int | None
    cost_basis: str | None
    prompt_tokens: float | None
    cached_tokens: float | None
    output_tokens: float | None
    usd_per_hour: float | None
    accelerators: int | None
    commitment: str | None
    usd_per_kwh: float | None
    electricity_missing: bool | None
    pue: float
    operations_usd_per_hour: float | None
    price_basis: str | None
    price_source: str | None
    tariff_source: str | None
    operations_source: str | None
    input_usd: float | None
    cached_input_usd: float | None


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A row of cost_components: quantity x usd_per_unit = usd, of a stage's steady window."""

    stage: int
    stage_kind: str
    concurrency: int | None
    rate_per_s: float | None
    accounting: str
    component: str
    quantity: float | None
    unit: str
    usd_per_unit: float | None
    usd: float | None
    basis: str | None
    source: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MoneyFigureRow:
    """A figure of money of a loaded stage, with the stage's level."""

    stage: int
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    needs_n: int | None
    basis: str | None
    reason: str | None
    effective_n: int | None
    needs_s: float | None
    kind: str
    concurrency: int | None
    rate_per_s: float | None


@dataclass(frozen=True, slots=True)
class RepricedRun:
    """A run by the macro reprice: what it cost, and what its tokens would cost at other prices."""

    run_id: str
    campaign_id: str
    scenario: str
    target: str
    emulated: bool
    model: str | None
    created_at: datetime
    old_usd: float | None
    new_usd: float | None
    change_usd: float | None
    input_usd: float | None
    cached_input_usd: float | None
    cache_write_usd: float | None
    output_usd: float | None
    prompt_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    tries_counted: int | None
    answers_without_cost: int | None
    priced_provider: str | None
    priced_model: str | None
    priced_tier: str | None
    priced_day: date | None
    book: str | None
    version: str | None
    effective_from: date | None
    basis: str | None
    source: str | None
    reason: str | None
