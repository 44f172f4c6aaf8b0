"""Invented runs put into real warehouses: real tables, views and stage metrics over seeded requests."""

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from observatory.analysis.stage_metrics import run_figures
from observatory.core.clock import Anchor
from observatory.core.record import Attempt, Outcome, RequestRecord, Tokens
from observatory.core.run import Finding, Manifest, StageTimes, TargetFacts, Verdict
from observatory.core.workspace import Workspace
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.store.database import connect
from observatory.store.folder.rows import attempts_frame, requests_frame, samples_frame, ticks_frame
from observatory.store.frames import RunFrames, read_frames
from observatory.store.ingest.cost_lines import fill_cost_lines
from observatory.store.ingest.loading import load_run
from tests.empty_database import stock
from tests.site.sensing import energy_of, samples_of

S = 1_000_000_000
FAILURES: tuple[Outcome, ...] = ("error", "error", "timeout", "throttled")
TOKEN_PRICES = (("input", 1.0), ("output", 4.0))


@dataclass
class Planted:
    """One run to invent. levels: users (closed) or requests a second (poisson)."""

    name: str
    campaign: str = "20261120T090000Z-quickstart-00aa"
    created: str = "2026-11-20T09:00:00Z"
    scenario: str = "quickstart"
    key: str = "c0ffee0011223344"
    kind: str = "llamacpp"
    hosting: str = "self"
    weights: str = "open"
    billing: str = "hours"
    basis: str | None = "example"
    levels: tuple[float, ...] = (1, 4)
    arrivals: str = "closed"
    ttft_s: float = 0.12
    gap_s: float = 0.012
    requests: int = 150
    fail: float = 0.0
    refused: float = 0.0
    """Share of its requests that meet a rate limit: most are retried and served, some given up."""
    allowed_a_minute: float | None = None
    """Its service lets in so many, out of a bucket of BUCKET, and refuses the rest."""
    label: str | None = None
    paced_s: float = 0.0
    """How long every other request was held back before its first try."""
    right: float = 0.7
    level: str | None = "valid"
    codes: list[str] = field(default_factory=list)
    sentence: str = "valid: no check found a reason for doubt"
    status: str = "complete"
    publish: bool = False
    gpu: bool = False
    endpoint: str | None = None
    scraped: bool = False
    """Its engine's /metrics were read."""
    silent: tuple[int, int] | None = None
    """Seconds from and to which the GPU's sensor was down."""
    energy: Literal["measured", "modelled"] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Fields of TargetFacts that are known of it."""
    figures: dict[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    """Metric -> fields of its stage_metrics row, a stage each: they replace the computed ones."""
    matrix: dict[str, Any] = field(default_factory=dict)
    """Fields of the manifest that only a matrix has: factors, block, confounded."""
    said: dict[str, Any] = field(default_factory=dict)
    """Fields of every good Attempt: the provider's own in its responses."""
    prices: list[PriceRow] = field(default_factory=list)
    """In place of those of its billing."""
    quote: dict[str, Any] | None = None
    error_text: str = "HTTP 500: the server said no"
    findings: list[Finding] = field(default_factory=list)
    windowless: int = 0
    seed: int = 7
    chosen_id: str | None = None

    @property
    def run_id(self) -> str:
        if self.chosen_id:
            return self.chosen_id
        stamp = self.campaign.split("-", 1)[0]
        return f"{stamp}-{self.scenario}-{self.name}-{self.seed:04x}"


def records_of(planted: Planted, stage: StageTimes, draw: random.Random) -> list[RequestRecord]:
    """Requests of a stage, evenly spread with some jitter, warm-up included."""
    assert stage.started is not None and stage.steady_ended is not None
    span = stage.steady_ended - stage.started
    let_in = bucket_of(planted, stage.started)
    found = []
    for index in range(planted.requests):
        scheduled = stage.started + int(span * (index + draw.random()) / planted.requests)
        held_ns = int(planted.paced_s * S) if index % 2 else 0
        if not let_in(scheduled):
            attempts = [refusal(scheduled, draw, number=0, wait_s=0.5)]
        elif planted.refused and draw.random() < planted.refused:
            attempts = refused_tries(planted, stage, scheduled + held_ns, draw)
        elif draw.random() < planted.fail:
            attempts = [failed_attempt(planted, scheduled + held_ns, draw)]
        else:
            attempts = [good_attempt(planted, stage, scheduled + held_ns, draw)]
        attempt = attempts[-1]
        fine = attempt.outcome == "ok"
        found.append(
            RequestRecord(
                index=index,
                stage=stage.index,
                prompt_id=f"item-{index % 40}",
                prompt_sha256=f"{index % 40:064x}",
                scheduled=scheduled,
                released=scheduled + held_ns,
                pace_wait_ns=held_ns,
                outcome=attempt.outcome,
                attempts=attempts,
                reason="max_attempts" if planted.refused and attempt.http_status == 429 else None,
                user=index % 4,
                task="arithmetic",
                item=index % 40,
                phase="steady" if scheduled >= (stage.steady_started or 0) else "warmup",
                score=float(draw.random() < planted.right) if fine else None,
                scorer="number" if fine else None,
                answer="THE ANSWER TEXT THAT NO PAGE MAY SHOW" if fine else None,
            )
        )
    return found


def sending(scheduled: int, draw: random.Random) -> dict[str, Any]:
    sent = scheduled + int(draw.expovariate(1 / 80_000))
    return {
        "number": 0,
        "connect_started": sent - 40_000,
        "sent": sent,
        "body_sent": sent + 20_000,
        "headers": sent + 9_000_000,
        "stamp_source": "kernel",
        "bytes_sent": 800,
    }


def good_attempt(
    planted: Planted, stage: StageTimes, scheduled: int, draw: random.Random
) -> Attempt:
    """A log-normal first token, jittered gaps; both slower under load."""
    common = sending(scheduled, draw)
    load = stage.concurrency or (stage.rate_per_s or 1) * 2
    first = planted.ttft_s * (0.7 + 0.3 * load) * draw.lognormvariate(0, 0.28)
    gap = planted.gap_s * (0.8 + 0.2 * load) * S
    tokens = draw.randint(12, 60)
    arrivals = [common["sent"] + int(first * S)]
    for _ in range(tokens - 1):
        arrivals.append(arrivals[-1] + int(gap * draw.gammavariate(9, 1 / 9)))
    usage = Tokens(draw.randint(40, 220), 0, tokens, 0, tokens, "usage", "usage", "smollm2")
    return Attempt(
        first_event=arrivals[0],
        first_token=arrivals[0],
        first_answer=arrivals[0],
        last_token=arrivals[-1],
        usage_event=arrivals[-1],
        ended=arrivals[-1] + 300_000,
        http_status=200,
        finish_reason="stop",
        event_ns=arrivals,
        event_tokens=[1] * tokens,
        event_characters=[4] * tokens,
        event_shared=[False] * tokens,
        tokens=usage,
        answer_characters=4 * tokens,
        saw_done=True,
        **common,
        **planted.said,
    )


LIMITS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "90000",
    "x-ratelimit-remaining-requests": "0",
}


BUCKET = 5.0


def bucket_of(planted: Planted, started: int) -> Callable[[int], bool]:
    """Return a function: whether an attempt at an instant is accepted; call it in the order of instants."""
    rate = planted.allowed_a_minute
    state = {"level": BUCKET, "at": float(started)}

    def let_in(at: int) -> bool:
        if rate is None:
            return True
        refilled = (at - state["at"]) / S * rate / 60
        state["level"], state["at"] = min(BUCKET, state["level"] + refilled), float(at)
        if state["level"] < 1:
            return False
        state["level"] -= 1
        return True

    return let_in


def refusal(at: int, draw: random.Random, *, number: int, wait_s: float) -> Attempt:
    """A try that was answered with 429 and a wait."""
    common = sending(at, draw) | {"number": number}
    return Attempt(
        ended=common["sent"] + 12_000_000,
        outcome="throttled",
        http_status=429,
        error_phase="headers",
        error_kind="http_status",
        error_text="HTTP 429: requests per minute reached",
        retry_after_s=wait_s,
        rate_limit_headers=LIMITS,
        **common,
    )


def refused_tries(
    planted: Planted, stage: StageTimes, due: int, draw: random.Random
) -> list[Attempt]:
    """Return one or two refused attempts, each with its Retry-After, then the answer; one in twelve
    is refused a third time and given up."""
    tries, at = [], due
    given_up = draw.random() < 1 / 12
    for number in range(3 if given_up else draw.choice((1, 2))):
        tries.append(refusal(at, draw, number=number, wait_s=draw.uniform(1.0, 4.0)))
        at = (tries[-1].ended or at) + int((tries[-1].retry_after_s or 0) * S)
    if given_up:
        return tries
    good = good_attempt(planted, stage, at, draw)
    return [*tries, msgspec.structs.replace(good, number=len(tries), rate_limit_headers=LIMITS)]


def failed_attempt(planted: Planted, scheduled: int, draw: random.Random) -> Attempt:
    common = sending(scheduled, draw)
    outcome: Outcome = draw.choice(FAILURES)
    late = outcome == "timeout"
    return Attempt(
        ended=common["sent"] + int((30 if late else draw.uniform(0.05, 2)) * S),
        outcome=outcome,
        http_status={"error": 500, "throttled": 429}.get(outcome),
        error_phase="stream" if late else "headers",
        error_kind="timeout" if late else "http_status",
        error_text=planted.error_text,
        **common,
    )


def stages_of(planted: Planted) -> list[StageTimes]:
    found = []
    for index, level in enumerate(planted.levels):
        start = (5 + index * 110) * S
        whole = index < len(planted.levels) - planted.windowless
        found.append(
            StageTimes(
                index=index,
                kind=planted.arrivals,
                concurrency=int(level) if planted.arrivals == "closed" else None,
                rate_per_s=None if planted.arrivals == "closed" else level,
                started=start,
                steady_started=start + 5 * S if whole else None,
                steady_ended=start + 35 * S if whole else None,
                ended=start + 38 * S,
                planned=None if planted.arrivals == "closed" else planted.requests,
                issued=planted.requests if whole else 0,
                recorded=planted.requests if whole else 0,
                not_issued=0,
            )
        )
    return found


def prices_of(planted: Planted) -> AppliedPrices:
    if planted.basis is None:
        return AppliedPrices()
    if planted.prices:
        return AppliedPrices(planted.prices, planted.basis)  # type: ignore[arg-type]
    if planted.billing == "hours":
        row = PriceRow("machine_hour", 0.9, planted.basis, "a stated rate")  # type: ignore[arg-type]
        return AppliedPrices([row], planted.basis)  # type: ignore[arg-type]
    rows = [PriceRow(kind, usd, planted.basis, "a price list") for kind, usd in TOKEN_PRICES]  # type: ignore[arg-type]
    return AppliedPrices(rows, planted.basis)  # type: ignore[arg-type]


def scenario_of(planted: Planted) -> dict[str, Any]:
    timing = {"warmup": "5s", "steady": "30s", "drain": "30s"}
    closed = planted.arrivals == "closed"
    return {
        "name": planted.scenario,
        "seed": 1,
        "workload": {"kind": "tasks", "tasks": ["arithmetic", "support-tickets"], "cache": "cold"},
        "arrivals": {"kind": planted.arrivals},
        "stages": [
            {"concurrency": int(level) if closed else None, "timing": timing}
            for level in planted.levels
        ],
        "timing": timing,
        "slo": {"per_request": {"ttft": "1s", "tpot": None, "e2e": "5s"}, "attainment": 0.95},
    }


def target_of(planted: Planted) -> TargetFacts:
    llamacpp = planted.kind == "llamacpp"
    fields: dict[str, Any] = {
        "name": planted.name,
        "kind": planted.kind,
        "hosting": planted.hosting,
        "weights": planted.weights,
        "billing": planted.billing,
        "model": f"{planted.name}-model",
        "model_reported": f"{planted.name}-model",
        "license": "Apache-2.0" if planted.weights == "open" else None,
        "tokenizer": "smollm2",
        "endpoint": planted.endpoint,
        "emulated": planted.kind == "emulated",
        "engine": "llama.cpp" if llamacpp else None,
        "engine_version": "xllamacpp 2026.10" if llamacpp else None,
        "price": prices_of(planted).to_dict(),
        "cost_basis": planted.basis,
        "on_this_host": llamacpp or planted.kind == "vllm",
    }
    return TargetFacts(**(fields | planted.facts))


def manifest_of(planted: Planted) -> Manifest:
    stages, scenario = stages_of(planted), scenario_of(planted)
    fields = {name: scenario[name] for name in ("seed", "workload", "arrivals", "stages", "slo")}
    verdict = None
    if planted.level is not None:
        verdict = Verdict(planted.level, planted.codes, planted.sentence)  # type: ignore[arg-type]
    return Manifest(
        format=1,
        run_id=planted.run_id,
        campaign_id=planted.campaign,
        scenario_name=planted.scenario,
        scenario=scenario,
        seed=1,
        target=target_of(planted),
        comparison_key=planted.key,
        comparison_fields=fields,
        plan_sha256="ab" * 32,
        anchor=Anchor(realtime_ns=1_795_165_200 * S, monotonic_ns=0),
        created_utc=planted.created,
        ended_utc=planted.created.replace(":00Z", ":59Z"),
        status=planted.status,  # type: ignore[arg-type]
        status_reason="stopped by a person" if planted.status == "interrupted" else None,
        stages=stages,
        environment={
            "host": "secret-host-17",
            "os": "Debian GNU/Linux 12",
            "cpu_model": "Example CPU",
            "cores_logical": 2,
            "memory_bytes": 8 * 2**30,
            "gpus": ["Example GPU"] if planted.gpu else [],
        },
        software={"python": "3.11.9", "observatory": "0.1.0"},
        verdict=verdict,
        findings=planted.findings,
        energy=energy_of(planted, stages),
        publish=planted.publish,
        label=planted.label,
        quote=planted.quote,
        **planted.matrix,
    )


def plant(workspace: Workspace, scratch: Path, runs: list[Planted]) -> None:
    """Make the workspace's database hold these runs."""
    connection = connect(stock(workspace), read_only=False)
    try:
        for place, planted in enumerate(runs):
            draw = random.Random(f"{planted.run_id}/{planted.seed}")
            manifest = manifest_of(planted)
            prices = prices_of(planted)
            folder = scratch / str(place)
            folder.mkdir(parents=True)
            frames = frames_of(planted, manifest, prices, draw)
            for name in ("requests", "attempts", "samples", "ticks"):
                getattr(frames, name).write_parquet(folder / f"{name}.parquet")
            frames = read_frames(folder)
            identity = {"label": planted.label, "manifest_sha256": "cd" * 32}
            figures = run_figures(manifest, frames)
            metrics = with_planted(figures.stage_metrics, planted)
            figures = dataclasses.replace(figures, stage_metrics=metrics)
            load_run(connection, folder, manifest, identity, figures)
            fill_cost_lines(connection, [manifest.run_id])
    finally:
        connection.close()


def with_planted(figures: pl.DataFrame, planted: Planted) -> pl.DataFrame:
    """The stage metrics with the run's own known answers in place of what was computed."""
    own = [
        {"stage": stage, "metric": metric, "statistic": "value"} | fields
        for metric, stages in planted.figures.items()
        for stage, fields in enumerate(stages)
    ]
    if not own:
        return figures
    kept = figures.filter(~pl.col("metric").is_in(list(planted.figures)))
    return pl.concat([kept, pl.DataFrame(own, schema=figures.schema)])


def frames_of(
    planted: Planted, manifest: Manifest, prices: AppliedPrices, draw: random.Random
) -> RunFrames:
    def cost(tokens: Tokens) -> float | None:
        if planted.billing != "tokens" or tokens.output is None:
            return None
        return request_cost_usd(prices, tokens.prompt, tokens.cached, tokens.output)

    requests, attempts = [], []
    for stage in manifest.stages:
        records = [] if stage.steady_started is None else records_of(planted, stage, draw)
        requests.append(requests_frame(planted.run_id, stage.index, records, cost, planted.basis))
        attempts.append(attempts_frame(planted.run_id, stage.index, records))
    return RunFrames(
        requests=pl.concat(requests),
        attempts=pl.concat(attempts),
        samples=samples_frame(planted.run_id, samples_of(planted, draw)),
        ticks=ticks_frame(planted.run_id, 0, 0, []),
    )
