"""Rows of the run page's queries, a field a column."""

from dataclasses import dataclass

from observatory.core.run import Severity


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """The number of requests of a stage with one outcome."""

    stage: int
    outcome: str
    n: int


@dataclass(frozen=True, slots=True)
class FailedAttempts:
    """Failed attempts of one kind, the stages that have some, and one text as an example."""

    outcome: str
    error_phase: str | None
    error_kind: str | None
    http_status: int | None
    n: int
    stages: list[int]
    error_text: str | None


@dataclass(frozen=True, slots=True)
class NeverSent:
    """The number of requests that were planned and not sent, for one reason."""

    outcome: str
    reason: str | None
    n: int


@dataclass(frozen=True, slots=True)
class NamedByService:
    """A name in a service's responses, and the number of responses with it."""

    stated: str
    n: int


@dataclass(frozen=True, slots=True)
class StatedTimes:
    """Refusals of a run, those that stated a wait and its median; the same of the processing time."""

    refusals: int
    waits: int
    wait_s: float | None
    worked: int
    work_s: float | None


@dataclass(frozen=True, slots=True)
class RunBill:
    """All requests of a run, warm-up and failures included.

    usd None: not known. unpriced: answers without a known cost.
    """

    requests: int
    usd: float | None
    unpriced: int
    prompt_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding; stage None: of the whole run."""

    code: str
    severity: Severity
    stage: int | None
    message: str
    value: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class PriceOfRun:
    """A price as it was applied to a run; details: JSON of economics.price_details.PriceDetails."""

    kind: str
    usd: float | None
    basis: str
    source: str | None
    effective_from: str | None
    details: str | None
