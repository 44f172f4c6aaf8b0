"""Small runs made by hand: records as a worker journals them, sealed into frames by the store."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import msgspec
import polars as pl
import pytest

from observatory.core.clock import Anchor
from observatory.core.record import Attempt, RequestRecord, Tokens, WorkerEnd, WorkerTick
from observatory.core.run import Manifest, StageTimes, TargetFacts
from observatory.core.sample import EnergyRow, Sample
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_rows import AppliedPrices
from observatory.store.folder.rows import attempts_frame, requests_frame, samples_frame, ticks_frame
from observatory.store.frames import RunFrames, polars_schema
from observatory.store.schema.tables import ATTEMPTS, REQUESTS, TICKS

S = 1_000_000_000
WARMUP_S, STEADY_S, DRAIN_S = 5, 30, 20
STAGE_S = 60
"""Stages of a made run begin this far apart; the steady window is [5 s, 35 s) of each."""


def ns(seconds: float) -> int:
    """Seconds as an instant."""
    return round(seconds * S)


def attempt(
    sent_s: float,
    ttft_s: float = 0.1,
    gaps_s: Iterable[float] = (0.01, 0.01, 0.01),
    **fields: Any,
) -> Attempt:
    """A whole answer of one token an event, on a reused connection; `fields` replace its facts."""
    arrivals = [ns(sent_s + at) for at in accumulate(gaps_s, initial=ttft_s)]
    n = len(arrivals)
    whole = Attempt(
        number=0,
        sent=ns(sent_s),
        first_event=arrivals[0],
        first_token=arrivals[0],
        first_answer=arrivals[0],
        last_token=arrivals[-1],
        ended=arrivals[-1],
        http_status=200,
        finish_reason="stop",
        reused_connection=True,
        event_ns=arrivals,
        event_tokens=[1] * n,
        event_characters=[4] * n,
        event_shared=[False] * n,
        tokens=Tokens(
            prompt=100,
            cached=0,
            output=n,
            streamed=n,
            output_from="usage",
            streamed_from="tokenizer",
        ),
        answer_characters=4 * n,
        streamed=True,
    )
    return msgspec.structs.replace(whole, **fields)


@dataclass
class MadeRun:
    """A run that grows request by request; times in seconds from its stage's start."""

    records: list[RequestRecord] = field(default_factory=list)
    ticks: list[tuple[int, int, WorkerTick | WorkerEnd]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    energy: list[EnergyRow] = field(default_factory=list)
    kinds: list[str] = field(default_factory=lambda: ["closed"])
    prices: AppliedPrices = field(default_factory=AppliedPrices)
    target: dict[str, Any] = field(default_factory=dict)
    scenario: dict[str, Any] = field(default_factory=dict)
    stage_facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(
        self,
        at_s: float,
        *attempts: Attempt,
        stage: int = 0,
        sent_s: float | None = None,
        ttft_s: float = 0.1,
        gaps_s: Iterable[float] = (0.01, 0.01, 0.01),
        facts: dict[str, Any] | None = None,
        **fields: Any,
    ) -> RequestRecord:
        """A request scheduled at_s; without attempts given, one whole answer sent at sent_s.

        facts replace those of the made attempt, fields those of the request.
        """
        base = stage * STAGE_S
        sent = at_s if sent_s is None else sent_s
        tries = list(attempts) or [attempt(base + sent, ttft_s, gaps_s, **(facts or {}))]
        index = sum(record.stage == stage for record in self.records)
        given: dict[str, Any] = {
            "index": index,
            "stage": stage,
            "prompt_id": f"p{index % 7}",
            "prompt_sha256": "0" * 64,
            "scheduled": ns(base + at_s),
            "released": ns(base + at_s),
            "outcome": "ok",
            "attempts": tries,
            "task": "made",
        }
        record = RequestRecord(**(given | fields))
        self.records.append(record)
        return record

    def add_failed(self, at_s: float, outcome: str = "error", **fields: Any) -> RequestRecord:
        """A request that was sent and failed before its first token, after one second."""
        base = fields.get("stage", 0) * STAGE_S
        lost = Attempt(
            number=0,
            sent=ns(base + at_s),
            ended=ns(base + at_s + 1),
            outcome=outcome,  # type: ignore[arg-type]
            error_phase="headers",
            error_kind="http_status",
        )
        return self.add(at_s, *fields.pop("attempts", [lost]), outcome=outcome, **fields)

    def tick(self, at_s: float, *, stage: int = 0, worker: int = 0, **fields: Any) -> None:
        """A heartbeat of a worker at a quarter of its core."""
        given: dict[str, Any] = {
            "at": ns(stage * STAGE_S + at_s),
            "issued": 0,
            "recorded": 0,
            "in_flight": 0,
            "errors": 0,
            "cpu_ns": ns(at_s * 0.25),
            "loop_lag_ns": 100_000,
            "offset_change_ns": 0,
            "clock_step": False,
        }
        self.ticks.append((stage, worker, WorkerTick(**(given | fields))))

    def end(self, at_s: float, *, stage: int = 0, worker: int = 0, **fields: Any) -> None:
        """A worker's last word."""
        given: dict[str, Any] = {"not_issued": 0, "cpu_ns": 0, "reason": "complete"}
        entry = WorkerEnd(at=ns(stage * STAGE_S + at_s), **(given | fields))
        self.ticks.append((stage, worker, entry))

    def sample(
        self, at_s: float, value: float | None = 0.3, metric: str = "cpu_util_fraction", **f: Any
    ) -> None:
        """A reading of the host's processors."""
        given: dict[str, Any] = {"sensor": "host", "subject": "shared_host", "device": ""}
        self.samples.append(Sample(at=ns(at_s), metric=metric, value=value, **(given | f)))

    def healthy_side(self) -> None:
        """Heartbeats and readings every second of every stage."""
        for stage in range(len(self.kinds)):
            for second in range(1, STAGE_S):
                self.tick(second, stage=stage)
        for second in range(STAGE_S * len(self.kinds)):
            self.sample(second)

    @property
    def manifest(self) -> Manifest:
        """The manifest of what there is."""
        given: dict[str, Any] = {
            "format": 1,
            "run_id": "run",
            "campaign_id": "campaign",
            "scenario_name": "made",
            "scenario": self._scenario(),
            "seed": 1,
            "target": self._target(),
            "comparison_key": "key",
            "comparison_fields": {},
            "plan_sha256": "0" * 64,
            "anchor": Anchor(0, 0),
            "created_utc": "2026-11-01T00:00:00Z",
            "status": "complete",
            "stages": [self._stage(index, kind) for index, kind in enumerate(self.kinds)],
            "environment": {"cores_usable": 2},
            "software": {},
            "energy": self.energy,
        }
        return Manifest(**(given | self.facts))

    @property
    def frames(self) -> RunFrames:
        """The frames as the store seals them."""
        by_stage = range(len(self.kinds))
        requests = [pl.DataFrame(schema=polars_schema(REQUESTS))]
        attempts = [pl.DataFrame(schema=polars_schema(ATTEMPTS))]
        for stage in by_stage:
            records = [record for record in self.records if record.stage == stage]
            requests.append(requests_frame("run", stage, records, self._cost, self.prices.basis))
            attempts.append(attempts_frame("run", stage, records))
        ticks = [pl.DataFrame(schema=polars_schema(TICKS))]
        for stage, worker in sorted({(stage, worker) for stage, worker, _ in self.ticks}):
            own = [tick for s, w, tick in self.ticks if (s, w) == (stage, worker)]
            ticks.append(ticks_frame("run", stage, worker, own))
        return RunFrames(
            requests=pl.concat(requests),
            attempts=pl.concat(attempts),
            samples=samples_frame("run", [(sample, None) for sample in self.samples]),
            ticks=pl.concat(ticks),
        )

    def _cost(self, tokens: Tokens) -> float | None:
        return request_cost_usd(self.prices, tokens.prompt, tokens.cached, tokens.output)

    def _scenario(self) -> dict[str, Any]:
        timing = {"warmup": f"{WARMUP_S}s", "steady": f"{STEADY_S}s", "drain": f"{DRAIN_S}s"}
        return {
            "timing": timing,
            "stages": [{"concurrency": 4, "timing": None} for _ in self.kinds],
            "workload": {"cache": "cold"},
            "telemetry": {"interval": "1s"},
        } | self.scenario

    def _target(self) -> TargetFacts:
        given: dict[str, Any] = {
            "name": "t",
            "kind": "url",
            "hosting": "self",
            "weights": "open",
            "billing": "hours",
            "model": "m",
            "tokenizer": "tk",
            "price": self.prices.to_dict(),
        }
        return TargetFacts(**(given | self.target))

    def _stage(self, index: int, kind: str) -> StageTimes:
        start = ns(index * STAGE_S)
        own = [record for record in self.records if record.stage == index]
        unsent = sum(record.outcome in ("not_issued", "refused_by_budget") for record in own)
        opened = kind in ("constant", "poisson")
        given: dict[str, Any] = {
            "index": index,
            "kind": kind,
            "concurrency": None if opened else 4,
            "rate_per_s": 2.0 if opened else None,
            "started": start,
            "steady_started": start + ns(WARMUP_S),
            "steady_ended": start + ns(WARMUP_S + STEADY_S),
            "ended": start + ns(STAGE_S - 1),
            "planned": len(own) if opened else None,
            "issued": len(own) - unsent,
            "recorded": len(own) - unsent,
            "not_issued": unsent,
        }
        return StageTimes(**(given | self.stage_facts.get(index, {})))


@pytest.fixture
def made() -> MadeRun:
    """An empty run of one closed-loop stage."""
    return MadeRun()


@pytest.fixture
def new_run() -> type[MadeRun]:
    """What makes an empty run, for tests that need several."""
    return MadeRun


@pytest.fixture
def make_attempt() -> Any:
    """attempt(), for requests of several tries."""
    return attempt


@pytest.fixture
def figure() -> Any:
    """figure(frame, metric, statistic="value", stage=0): one row of stage_metrics as a dict."""

    def find(
        frame: pl.DataFrame, metric: str, statistic: str = "value", stage: int = 0
    ) -> dict[str, Any]:
        rows = frame.filter(
            (pl.col("metric") == metric)
            & (pl.col("statistic") == statistic)
            & (pl.col("stage") == stage)
        )
        assert rows.height == 1
        return rows.row(0, named=True)

    return find
