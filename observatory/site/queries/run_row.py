"""A run as the site reads it: a row of table runs."""

from dataclasses import dataclass
from datetime import datetime

from observatory.core.run import RunStatus, VerdictLevel


@dataclass(frozen=True, slots=True)
class RunRow:
    """Table runs, a field a column; JSON columns are text.

    not_streamed: the stages whose answers came at once; None where there is none.
    """

    run_id: str
    campaign_id: str
    scenario: str
    seed: int
    comparison_key: str
    comparison_fields: str | None
    plan_sha256: str | None
    target: str
    target_kind: str
    hosting: str
    weights: str
    billing: str
    emulated: bool
    model: str | None
    model_reported: str | None
    license: str | None
    tokenizer: str | None
    engine: str | None
    engine_version: str | None
    engine_distribution: str | None
    engine_sha256: str | None
    model_sha256: str | None
    model_revision: str | None
    parameters: int | None
    weight_format: str | None
    dtype: str | None
    quantization: str | None
    endpoint: str | None
    address_hash: str | None
    other_address_in: str | None
    provider: str | None
    wire: str | None
    transport: str | None
    service_tier: str | None
    throttling: str | None
    quote: str | None
    target_facts: str | None
    status: RunStatus
    status_reason: str | None
    verdict: VerdictLevel | None
    sound: bool
    whole: bool
    verdict_codes: list[str] | None
    verdict_sentence: str | None
    anchor_unix_ns: int
    created_at: datetime
    ended_at: datetime | None
    environment: str | None
    software: str | None
    scenario_json: str | None
    slo_attainment: float | None
    pue: float | None
    label: str | None
    publish: bool
    changed_since_sealed: str | None
    factors: str | None
    block: int | None
    cell: int | None
    matrix_order: int | None
    turn: int | None
    confounded: list[str] | None
    idle_start_ns: int | None
    idle_end_ns: int | None
    folder: str | None
    manifest_sha256: str | None
    not_streamed: list[int] | None

    @property
    def place(self) -> int:
        """Return the place of its cell in a matrix, 0 in another campaign."""
        return self.cell or 0
