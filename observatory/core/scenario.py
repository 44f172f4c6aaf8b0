"""The scenario file's models, strict and unit-carrying.

`inputs.scenario_files` reads the YAML, resolves target names and gives line numbers.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import Field, field_validator, model_validator

from observatory.core.arrivals.catalogue import Arrivals
from observatory.core.matrices.matrix import Matrix
from observatory.core.money.demand import Demand
from observatory.core.sensor_config import Telemetry
from observatory.core.strict import Strict
from observatory.core.targets.catalogue import Target
from observatory.core.targets.identity import NAME
from observatory.core.targets.throttling import Throttling
from observatory.core.units import Duration, PositiveDuration, Rate

TaskSet = Literal[
    "support-tickets", "extraction", "summarisation", "passage-questions", "code", "arithmetic"
]
Scorer = Literal["label", "number", "json", "token_f1", "exact", "none"]
CacheState = Literal["cold", "natural", "warm"]


class Sampling(Strict):
    """How the answer is sampled; sent unchanged."""

    temperature: float | None = Field(default=0.0, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    stop: list[str] | None = None


class WorkloadOptions(Strict):
    """The options of every workload in addition to its dataset."""

    request: Literal["chat", "completions"] = "chat"
    stream: bool = True
    cache: CacheState = Field(
        default="cold",
        description="cold: a seeded nonce opens each prompt; natural: as they are; warm: primed first",
    )
    sampling: Sampling = Sampling()
    max_tokens: int | None = Field(
        default=None, ge=1, description="output limit; default: the item's own, else 128"
    )
    system: str | None = Field(default=None, description="a system message put before each prompt")
    reasoning_effort: str | None = None

    @model_validator(mode="after")
    def _reasoning_is_chat(self) -> Self:
        if self.request == "completions" and self.reasoning_effort is not None:
            raise ValueError("reasoning_effort is for request: chat; completions do not reason")
        return self


class TaskWorkload(WorkloadOptions):
    """Built-in task sets with reference answers."""

    kind: Literal["tasks"]
    tasks: list[TaskSet] = Field(min_length=1)
    items: int | None = Field(
        default=None, ge=1, description="at most this many items, seeded choice"
    )


class FileWorkload(WorkloadOptions):
    """Your own requests, from JSONL or CSV (docs/workloads.md)."""

    kind: Literal["file"]
    path: Path = Field(description="a .jsonl or .csv file, relative to the scenario's file")
    items: int | None = Field(default=None, ge=1)
    scorer: Scorer | None = Field(
        default=None, description="how `expected` is judged; default: by task"
    )


class Uniform(Strict):
    """Whole tokens between low and high, both included."""

    distribution: Literal["uniform"]
    low: int = Field(ge=1)
    high: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high < self.low:
            raise ValueError("high is below low")
        return self


class Fixed(Strict):
    """Always the same number of tokens."""

    distribution: Literal["fixed"]
    tokens: int = Field(ge=1)


class LogNormal(Strict):
    """Whole tokens, log-normal by median and p95, cut at high."""

    distribution: Literal["lognormal"]
    median: int = Field(ge=1)
    p95: int = Field(ge=1)
    high: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p95 < self.median or (self.high is not None and self.high < self.median):
            raise ValueError("median must not exceed p95 or high")
        return self


Lengths = Annotated[Uniform | Fixed | LogNormal, Field(discriminator="distribution")]


class SyntheticWorkload(WorkloadOptions):
    """Seeded text of drawn lengths; lengths are of the words' own approximate tokenisation."""

    kind: Literal["synthetic"]
    prompt_tokens: Lengths
    output_tokens: Lengths
    items: int = Field(default=256, ge=1, description="distinct prompts drawn")
    ignore_eos: bool = Field(default=False, description="make the engine generate the full length")

    @model_validator(mode="after")
    def _one_output_limit(self) -> Self:
        if self.max_tokens is not None:
            raise ValueError("max_tokens is drawn from output_tokens here; remove max_tokens")
        return self


Workload = Annotated[TaskWorkload | FileWorkload | SyntheticWorkload, Field(discriminator="kind")]


class Timing(Strict):
    """The three parts of a stage."""

    warmup: Duration = 5.0
    steady: PositiveDuration = 30.0
    drain: Duration = Field(
        default=30.0, description="how long open requests are awaited at the end"
    )


class Stage(Strict):
    """One load level."""

    concurrency: int | None = Field(default=None, ge=1, le=100_000, description="closed loop")
    rate: Rate | None = Field(default=None, description="open loop, e.g. 2/s")
    timing: Timing | None = Field(default=None, description="default: the scenario's")


class PerRequestSlo(Strict):
    """Bounds that one request must meet to count as good."""

    ttft: PositiveDuration | None = None
    tpot: PositiveDuration | None = None
    e2e: PositiveDuration | None = None


class Slo(Strict):
    """A service-level objective: every bound met, by this share of requests."""

    per_request: PerRequestSlo
    attainment: float = Field(default=0.99, gt=0, le=1)


class Budget(Strict):
    """Hard caps over a whole run; the worst case of what is in flight counts as spent."""

    usd: float | None = Field(default=None, gt=0)
    requests: int | None = Field(default=None, ge=1)
    output_tokens: int | None = Field(default=None, ge=1)


class Scenario(Strict):
    """Workload, arrivals, stages, SLO, budget and targets, under a seed."""

    name: str = Field(pattern=NAME)
    description: str = ""
    seed: int = Field(default=1, ge=0, lt=2**63)
    workload: Workload
    arrivals: Arrivals
    stages: list[Stage] = Field(min_length=1)
    timing: Timing = Timing()
    slo: Slo | None = None
    budget: Budget = Budget()
    throttling: Throttling = Field(
        default=Throttling(), description="what to do about 429 and its kin; a target may differ"
    )
    demand: Demand | None = Field(
        default=None, description="how much it would be used: for monthly cost and break-even"
    )
    telemetry: Telemetry = Telemetry()
    targets: list[str | Target] = Field(
        default=[], description="names of scenarios/targets.yaml, or targets written here"
    )
    matrix: Matrix | None = Field(
        default=None, description="one target in many settings, instead of targets"
    )
    processes: int = Field(default=1, ge=1, le=64, description="Locust worker processes")
    store_text: bool = Field(
        default=False, description="keep prompt and answer text, not only hashes"
    )
    stop_on_refusals: bool | None = Field(
        default=None,
        description="stop a run whose first 20 answers are all refused alike (4xx but throttles, or the "
        "same error inside a 200); default: true, but false for an emulated target that has `faults`",
    )

    @field_validator("stages")
    @classmethod
    def _one_level_each(cls, stages: list[Stage]) -> list[Stage]:
        for number, stage in enumerate(stages, start=1):
            if (stage.concurrency is None) == (stage.rate is None):
                raise ValueError(f"stage {number}: give concurrency or rate, one of the two")
        return stages

    @model_validator(mode="after")
    def _levels_fit_arrivals(self) -> Self:
        kind, open_loop = self.arrivals.kind, self.arrivals.open_loop
        for number, stage in enumerate(self.stages, start=1):
            if not open_loop and stage.rate is not None:
                raise ValueError(f"stage {number}: arrivals {kind} takes concurrency, not rate")
            if open_loop and stage.concurrency is not None:
                raise ValueError(f"stage {number}: arrivals {kind} takes rate, not concurrency")
        names = [target if isinstance(target, str) else target.name for target in self.targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"targets named twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _targets_or_matrix(self) -> Self:
        if self.targets and self.matrix is not None:
            raise ValueError("targets and matrix: the cells of a matrix are its targets; keep one")
        return self

    def timing_of(self, stage: int) -> Timing:
        """Return the timing of a stage by its place, from 0."""
        return self.stages[stage].timing or self.timing

    def with_policy(self, target: Target) -> Target:
        """Return the target with the policy towards refusals that holds for it: its own, else the scenario's."""
        if target.throttling is not None:
            return target
        return target.model_copy(update={"throttling": self.throttling})

    def comparison_fields(self) -> dict[str, Any]:
        """Return the fields that must be equal for two runs to be compared: workload, arrivals, stage levels, SLO.

        A dataset's path is not among it: its items' hash is (comparison_key). The policy towards
        refusals is where it is not the default, because it changes which requests are sent when;
        runs of before there was one keep their keys. A target's own policy never is: two targets
        under one scenario are meant to be compared.
        """
        policy = self.throttling != Throttling()
        return {
            "seed": self.seed,
            "workload": self.workload.model_dump(mode="json", exclude={"path"}),
            "arrivals": self.arrivals.model_dump(mode="json"),
            "stages": [
                {
                    **stage.model_dump(mode="json", exclude={"timing"}),
                    "timing": self.timing_of(number).model_dump(mode="json"),
                }
                for number, stage in enumerate(self.stages)
            ],
            "slo": self.slo.model_dump(mode="json") if self.slo else None,
            **({"throttling": self.throttling.model_dump(mode="json")} if policy else {}),
        }


def comparison_key(scenario: Scenario, items_sha256: str) -> str:
    """Return 16 hex digits; equal keys mean comparable runs. The items' hash represents the dataset."""
    fields = {**scenario.comparison_fields(), "items": items_sha256}
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()[:16]
