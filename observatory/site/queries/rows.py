"""Rows of the pages' queries, a field a column."""

from dataclasses import dataclass

from observatory.core.run import Severity
from observatory.presentation.figures import Figure


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


@dataclass(frozen=True, slots=True)
class StageRow:
    """A load level of a run, as it really ran; instants from the run's anchor (core.run.StageTimes)."""

    stage: int
    kind: str
    concurrency: int | None
    rate_per_s: float | None
    started_ns: int | None
    steady_start_ns: int | None
    steady_end_ns: int | None
    ended_ns: int | None
    planned: int | None
    issued: int | None
    recorded: int | None
    not_issued: int | None
    lost_workers: list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureOfStage(Figure):
    """A figure of a run and the stage that it is of."""

    stage: int


@dataclass(frozen=True, slots=True)
class FigureOfBlock:
    """A figure of a run of a matrix, and the block that the run belongs to."""

    run_id: str
    target: str
    block: int | None
    stage: int
    metric: str
    statistic: str
    value: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MatrixFigure:
    """A figure of a matrix cell over its blocks, and its change against the first cell."""

    target: str
    stage: int
    metric: str
    statistic: str
    blocks: int
    runs: int
    basis: str | None
    mean: float | None
    least: float | None
    most: float | None
    pairs: int | None
    change: float | None
    change_low: float | None
    change_high: float | None
    note: str | None


@dataclass(frozen=True, slots=True)
class ThrottlingRow:
    """What was refused and held back at one load level."""

    stage: int
    requests: int
    attempts: int
    throttled_attempts: int
    overloaded_attempts: int
    throttled_requests: int
    throttled_share: float | None
    served_after_waiting: int
    given_up: int
    throttle_lost_s: float
    pace_lost_s: float


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The energy of one subject and scope over one window (core.sample.EnergyRow); stage None: idle.

    counts False: a second method over the same joules, in no sum.
    """

    stage: int | None
    subject: str
    scope: str
    basis: str | None
    method: str | None
    counts: bool | None
    window_start_ns: int | None
    window_end_ns: int | None
    energy_j: float | None
    low_j: float | None
    high_j: float | None
    pue: float | None
    coverage_fraction: float | None
    longest_gap_s: float | None
    grid_zone: str | None
    grid_kgco2e_per_kwh: float | None
    kgco2e: float | None
    source: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column of a view, as the database comments it."""

    table_name: str
    column_name: str
    data_type: str
    comment: str | None
