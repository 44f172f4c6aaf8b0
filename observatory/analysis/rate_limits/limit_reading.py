"""What a sealed run shows of its target's limits: the ceiling, what was advertised, how it refused.

Pure over the manifest and the frames of any run, whether it was made to find a limit or not; it
decides nothing about further runs.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import polars as pl

from observatory.analysis.frames import OVERLOADED, RATE_LIMITED
from observatory.analysis.rate_limits.limit_finding import (
    FoundLimit,
    LimitedAttempts,
    RetryAdvice,
    find_ceiling,
    retry_advice,
)
from observatory.core.counted_nouns import count_of
from observatory.core.run import Manifest, StageTimes
from observatory.core.stored_scenario import StoredLengths
from observatory.providers.catalogue import PROVIDERS
from observatory.store.frames import RunFrames
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders, rate_limit_headers

Unit = Literal["requests", "tokens"]
SCENARIO_NAMES: dict[Unit, str] = {"requests": "limits-rpm", "tokens": "limits-tpm"}
GREW = 2.0
"""Answers of a stage's last quarter that took this many times as long as those of its first: they
queued, and the service's own capacity was reached."""
KEPT_UP = 0.9
"""With a smaller share of the demand answered by the stage's end, the service did not keep up."""
LEAST_ANSWERS = 20
_NAMED: dict[Unit, re.Pattern[str]] = {
    "tokens": re.compile(r"tokens? per|\bTPM\b|\(tokens\)|token limit|token quota", re.I),
    "requests": re.compile(r"requests? per|\bRPM\b|\(requests\)|request limit", re.I),
}


class StageSeen(msgspec.Struct, frozen=True):
    """One stage: the demand a minute, and what became of it (attempts).

    demand_a_minute is in the unit; overloaded are 503 and 529; failed is every other failure.
    reached: why the service's own capacity was reached, where it was.
    """

    stage: int
    demand_a_minute: float
    seconds: float
    sent: int
    let_in: int
    refused: int
    overloaded: int
    failed: int
    ceiling: FoundLimit
    reached: str | None = None


class LimitsSeen(msgspec.Struct, frozen=True):
    """What one run shows of one limit. ceiling: the narrowest of its stages, else why there is none.

    each: what one request took of the limit (the median). by_usage: the ceiling where tokens
    are counted by the answers' usage instead of when a request is admitted (prompt and output limit).
    statuses: how many attempts ended with each HTTP status, "none" without an answer. named: which limit
    the refusals' own words named. cost_usd: of its rows; spent_usd: what it counted
    against its cap, answers without usage at their worst (None in runs that did not count).
    """

    run_id: str
    target: str
    emulated: bool
    unit: Unit
    stages: list[StageSeen]
    ceiling: FoundLimit
    each: float
    by_usage: float | None
    advertised: RateLimitHeaders
    retry_advice: RetryAdvice = msgspec.field(name="told")
    statuses: dict[str, int]
    named: list[Unit]
    words: str | None
    sent: int
    cost_usd: float | None
    spent_usd: float | None = None

    @property
    def capped_usd(self) -> float:
        """What it leaves less of a bound in dollars."""
        return max(self.spent_usd or 0.0, self.cost_usd or 0.0)

    @property
    def refused(self) -> int:
        """Attempts refused for a limit."""
        return sum(stage.refused for stage in self.stages)

    @property
    def advertised_a_minute(self) -> float | None:
        """The limit of this unit, by the service's own headers; where prompts alone are limited (Anthropic),
        theirs: nearly all tokens of a probe are of prompts."""
        headers = self.advertised
        if self.unit == "requests":
            return headers.requests_per_minute
        return headers.tokens_per_minute or headers.input_tokens_per_minute


def unit_of(manifest: Manifest) -> Unit:
    """Return what a run was made to find: tokens a minute by its name, else requests."""
    return "tokens" if manifest.scenario_name == SCENARIO_NAMES["tokens"] else "requests"


def read_limits(manifest: Manifest, frames: RunFrames, unit: Unit | None = None) -> LimitsSeen:
    """Return what a run shows of the limit that it was made to find, or of `unit`."""
    of = unit or unit_of(manifest)
    attempts = _attempts(manifest, frames)
    each = 1.0
    if of == "tokens":
        taken = attempts.filter("let_in").get_column("taken").median()
        each = float(taken) if isinstance(taken, int | float) else 0.0
    parts = [
        (stage, attempts.filter(pl.col("stage") == stage.index))
        for stage in manifest.stages
        if not stage.priming
    ]
    stages = [_stage(stage, part, of, each) for stage, part in parts]
    best = best_of(stages)
    part = parts[stages.index(best)][1] if best is not None else attempts
    ceiling = best.ceiling if best is not None else FoundLimit(None, reason="never_refused")
    by_usage = None
    if of == "tokens" and ceiling.a_minute is not None:
        used = float(part.filter("let_in").get_column("used").median() or 0)  # type: ignore[arg-type]
        by_usage = ceiling.a_minute * used / each if used else None
    refusals = attempts.filter(RATE_LIMITED)
    texts = [text for text in refusals.get_column("error_text").to_list() if text]
    statuses = attempts.get_column("http_status").value_counts(sort=True)
    cost = frames.requests.get_column("cost_usd")
    return LimitsSeen(
        run_id=manifest.run_id,
        target=manifest.target.name,
        emulated=manifest.target.emulated,
        unit=of,
        stages=stages,
        ceiling=ceiling,
        each=each,
        by_usage=by_usage,
        advertised=advertised(
            attempts, realtime_ns=manifest.anchor.realtime_ns, provider=manifest.target.provider
        ),
        retry_advice=retry_advice(_limited_attempts(part, of, each)),
        statuses={str(status or "none"): count for status, count in statuses.iter_rows()},
        named=[name for name, words in _NAMED.items() if any(map(words.search, texts))],
        words=texts[0] if texts else None,
        sent=attempts.height,
        cost_usd=float(cost.sum()) if cost.null_count() < len(cost) else None,
        spent_usd=manifest.spent.usd if manifest.spent is not None else None,
    )


def _attempts(manifest: Manifest, frames: RunFrames) -> pl.DataFrame:
    """Return the attempts that were sent, with whether they were let in and what they took.

    taken: prompt tokens by usage (the median where an answer had none, what was planned where none
    did) and the output limit that was sent; used: prompt and output tokens by usage.
    """
    workload = manifest.stored.workload
    limit, planned = _fixed(workload.output_tokens), _fixed(workload.prompt_tokens)
    prompt = pl.col("prompt_tokens")
    return (
        frames.attempts.filter(pl.col("sent_ns").is_not_null())
        .sort("sent_ns")
        .with_columns(
            let_in=pl.col("http_status").is_between(200, 299).fill_null(False)
            & (pl.col("outcome") != "throttled"),
            taken=prompt.cast(pl.Float64).fill_null(prompt.median()).fill_null(pl.lit(planned))
            + pl.lit(limit or 0),
            used=prompt + pl.col("output_tokens"),
        )
    )


def _fixed(lengths: StoredLengths | None) -> int | None:
    return None if lengths is None else lengths.tokens


def _limited_attempts(part: pl.DataFrame, unit: Unit, each: float) -> LimitedAttempts:
    counted = part.filter(pl.col("let_in") | RATE_LIMITED)
    amount = counted.get_column("taken").fill_null(each) if unit == "tokens" else None
    return LimitedAttempts(
        sent_s=counted.get_column("sent_ns").to_numpy() / 1e9,
        let_in=counted.get_column("let_in").to_numpy(),
        amount=np.ones(counted.height) if amount is None else amount.to_numpy().astype(float),
        stated_s=counted.get_column("retry_after_s").fill_null(float("nan")).to_numpy(),
    )


def _stage(stage: StageTimes, part: pl.DataFrame, unit: Unit, each: float) -> StageSeen:
    let_in = int(part.get_column("let_in").sum())
    refused = part.filter(RATE_LIMITED).height
    overloaded = part.filter(OVERLOADED).height
    began, ended = stage.steady_started, stage.steady_ended
    seconds = (ended - began) / 1e9 if began is not None and ended is not None else 0.0
    limited = _limited_attempts(part, unit, each)
    nothing = FoundLimit(None, reason="nothing_let_in")
    return StageSeen(
        stage=stage.index,
        demand_a_minute=(stage.rate_per_s or part.height / max(seconds, 1.0)) * 60 * each,
        seconds=seconds,
        sent=part.height,
        let_in=let_in,
        refused=refused,
        overloaded=overloaded,
        failed=part.height - let_in - refused - overloaded,
        ceiling=find_ceiling(limited) if let_in and len(limited.sent_s) else nothing,
        reached=_reached(part, began, ended, overloaded),
    )


def _reached(
    part: pl.DataFrame, began: int | None, ended: int | None, overloaded: int
) -> str | None:
    """Return signs that the service itself was full: it reported so, answers took longer and longer, or stayed out."""
    if overloaded:
        return f"{overloaded:,} of {count_of(part.height, 'answer')} stated that it is overloaded"
    served = part.filter("let_in")
    if began is None or ended is None or served.height < LEAST_ANSWERS:
        return None
    in_time = served.filter(pl.col("ended_ns") <= ended).height
    quarter = served.height // 4
    took = (served.get_column("ended_ns") - served.get_column("sent_ns")) / 1e9
    first, last = took.head(quarter).median(), took.tail(quarter).median()
    if not isinstance(first, int | float) or not isinstance(last, int | float):
        return None
    if in_time < KEPT_UP * served.height and last > GREW * first:
        return (
            f"answers took {last:.2g} s at the end of the stage and {first:.2g} s at its beginning, "
            f"and {in_time:,} of {served.height:,} were there when it ended"
        )
    return None


def relative_width(ceiling: FoundLimit) -> float:
    """Return half the interval over the figure; infinite where there is none."""
    if not ceiling.a_minute or ceiling.low is None or ceiling.high is None:
        return float("inf")
    return (ceiling.high - ceiling.low) / 2 / ceiling.a_minute


Seen = TypeVar("Seen", StageSeen, LimitsSeen)


def best_of(seen: Sequence[Seen]) -> Seen | None:
    """Return the stage, or the run, whose ceiling is known best; without one, the last that was refused
    anything, or the last."""
    if not seen:
        return None
    found = [one for one in seen if one.ceiling.a_minute is not None]
    if found:
        return min(found, key=lambda one: relative_width(one.ceiling))
    return ([one for one in seen if one.refused] or list(seen))[-1]


def advertised(
    attempts: pl.DataFrame, *, realtime_ns: int, provider: str | None
) -> RateLimitHeaders:
    """Return the last values of the headers, field by field: not every answer has all of them.

    attempts has rate_limit_headers (JSON) and ended_ns from an anchor of that realtime.
    """
    known = PROVIDERS.get(provider or "")
    windows_s = None if known is None else known.request_windows_s
    latest: dict[str, Any] = {}
    rows = attempts.filter(pl.col("rate_limit_headers").is_not_null()).select(
        "rate_limit_headers", "ended_ns"
    )
    for text, ended in rows.unique("rate_limit_headers", keep="last").sort("ended_ns").iter_rows():
        unix_s = (realtime_ns + (ended or 0)) / 1e9
        headers = rate_limit_headers(json.loads(text), unix_s=unix_s, windows_s=windows_s)
        latest |= {
            name: getattr(headers, name)
            for name in RateLimitHeaders.__dataclass_fields__
            if getattr(headers, name) is not None
        }
    return RateLimitHeaders(**latest)
