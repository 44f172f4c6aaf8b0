"""A run as the site reads it: a row of table runs."""

import json
from dataclasses import dataclass
from datetime import datetime

import msgspec

from observatory.core.money.quotes import Quote
from observatory.core.run import RunStatus, TargetFacts, VerdictLevel
from observatory.core.stored_scenario import StoredScenario, stored_scenario


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
    target_facts: str
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
    def facts(self) -> TargetFacts:
        """Return the target as it was opened."""
        return msgspec.json.decode(self.target_facts, type=TargetFacts)

    @property
    def stored(self) -> StoredScenario:
        """Return the parts of the scenario that code reads."""
        return stored_scenario(json.loads(self.scenario_json or "{}"))

    @property
    def compared(self) -> StoredScenario:
        """Return the same of the fields behind the comparison key, whose stages have their own timing."""
        return stored_scenario(json.loads(self.comparison_fields or "{}"))

    @property
    def quoted(self) -> Quote | None:
        """Return what it was expected to take and cost; None where it had no quote."""
        return msgspec.json.decode(self.quote, type=Quote) if self.quote else None

    @property
    def place(self) -> int:
        """Return the place of its cell in a matrix, 0 in another campaign."""
        return self.cell or 0
