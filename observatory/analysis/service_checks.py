"""Doubts about what was measured: too little of it, unsteady, or in contradiction with itself.

Each check takes a window's data and answers with findings; numbers to hold against are in
thresholds.
"""

from collections.abc import Iterator

import polars as pl

from observatory.analysis.client_checks import as_found, over_limit
from observatory.analysis.drift import relative_drift
from observatory.analysis.stage_data import StageData
from observatory.analysis.windows import left_out
from observatory.core.metric import BY_NAME, FLOORS
from observatory.core.run import Finding
from observatory.core.units import parse_duration

TEMPLATE_TOKENS = 64
"""Cached tokens a prompt that a chat template explains: ChatML with a default system message has
about 30, engines cache in blocks of 16 to 64."""
CONTINUOUS_SENSORS = ("host", "nvml")
"""Sensors that are read at the asked interval all along."""
LATE_READINGS = 2.5
"""A gap is one where this many intervals passed without a reading."""


def requests_and_errors(data: StageData) -> Iterator[Finding]:
    """Whether anything was measured, and how much of it failed."""
    n, stage = data.counted.height, data.window.stage
    out = left_out(data.requests, data.window)
    if out:
        kinds = ", ".join(f"{count} {outcome}" for outcome, count in out.items())
        message = f"requests of the window that do not count: {kinds}"
        yield Finding("left_out", "note", message, stage, sum(out.values()))
    if n == 0:
        yield as_found("no_requests", "no request of the window came to an end", stage)
        return
    failed = int((data.counted.get_column("outcome") != "ok").sum())
    message = f"{failed} of {n} requests failed"
    yield from over_limit("errors", failed / n, message, stage)
    if n < FLOORS["p90"]:
        yield Finding(
            "percentile_floor",
            "note",
            f"{n} requests: p90 and above stand as bounds only",
            stage,
            n,
            FLOORS["p90"],
        )


def drift(data: StageData) -> Iterator[Finding]:
    """The largest significant change of a latency between the halves of the window."""
    usable = data.counted.filter((pl.col("outcome") == "ok") & ~pl.col("clock_step"))
    found: list[tuple[float, str]] = []
    for name in ("ttft_s", "e2e_s"):
        rows = usable.filter(pl.col(name).is_not_null())
        change = relative_drift(
            rows.get_column("scheduled_ns").to_numpy(), rows.get_column(name).to_numpy()
        )
        if change is not None:
            title = BY_NAME[name].title.lower()
            direction = "above" if change > 0 else "below"
            message = (
                f"median {title} of the second half is {abs(change):.0%} {direction} the first's"
            )
            found.append((abs(change), message))
    if found:
        change, message = max(found)
        yield from over_limit("drift", change, message, data.window.stage)


def token_mismatch(data: StageData) -> Iterator[Finding]:
    """Billed tokens that should have been seen against tokens counted in the stream.

    Hidden reasoning is taken off, and one token of an answer that ended by itself: engines bill the
    stop token and stream no text for it. Counts made from characters are no second source.
    """
    both = data.counted.filter(
        (pl.col("outcome") == "ok")
        & (pl.col("a_output_tokens_from") == "usage")
        & pl.col("a_streamed_tokens_from").is_in(["tokenizer", "events"])
        & pl.col("a_output_tokens").is_not_null()
        & pl.col("a_streamed_tokens").is_not_null()
    ).select(
        (
            pl.col("a_output_tokens")
            - pl.when(pl.col("a_reasoning_characters") == 0)
            .then(pl.col("a_reasoning_tokens").fill_null(0))
            .otherwise(0)
        ).alias("visible"),
        "a_streamed_tokens",
        (pl.col("a_finish_reason") == "stop").fill_null(False).cast(pl.Int64).alias("stop"),
    )
    surplus = pl.col("visible") - pl.col("a_streamed_tokens")
    allowed = pl.when(surplus > 0).then("stop").otherwise(0)
    visible = int(both.get_column("visible").sum())
    if visible > 0:
        off = int(both.select((surplus.abs() - allowed).sum()).item()) / visible
        message = f"usage and the stream disagree on {off:.1%} of the tokens"
        yield from over_limit("token_mismatch", off, message, data.window.stage)


def cache_state(data: StageData) -> Iterator[Finding]:
    """Whether the cache was in the state that the scenario asked for, by the endpoint's own count."""
    asked = (data.manifest.scenario.get("workload") or {}).get("cache")
    told = data.counted.filter(
        (pl.col("outcome") == "ok")
        & pl.col("a_cached_tokens").is_not_null()
        & pl.col("a_prompt_tokens").is_not_null()
    )
    prompt = int(told.get_column("a_prompt_tokens").sum())
    if prompt == 0:
        return
    cached = told.get_column("a_cached_tokens")
    if asked == "cold":
        beyond = int((cached - TEMPLATE_TOKENS).clip(lower_bound=0).sum()) / prompt
        message = f"{beyond:.1%} of prompt tokens came from the cache in a cold run"
        yield from over_limit("cache_state", beyond, message, data.window.stage)
    elif asked == "warm" and int(cached.sum()) == 0:
        message = "the cache was primed and no prompt token came from it"
        yield Finding("cache_state", "note", message, data.window.stage, 0.0)


def telemetry_gap(data: StageData) -> Iterator[Finding]:
    """The longest time in the window without a reading of a sensor that was read before."""
    window, samples = data.window, data.samples
    read = samples.filter(
        pl.col("sensor").is_in(CONTINUOUS_SENSORS)
        & pl.col("value").is_not_null()
        & (pl.col("metric") != "up")
    )
    sensors = read.select("sensor", "device").unique().sort("sensor", "device").rows()
    interval = (data.manifest.scenario.get("telemetry") or {}).get("interval", "1s")
    tolerated = LATE_READINGS * parse_duration(interval)
    gaps: list[tuple[float, str]] = [] if sensors else [(window.seconds, "every sensor")]
    for sensor, device in sensors:
        instants = (
            read.filter(
                (pl.col("sensor") == sensor) & (pl.col("device") == device) & window.holds("at_ns")
            )
            .get_column("at_ns")
            .unique()
        )
        edges = pl.Series([window.start_ns, window.end_ns], dtype=pl.Int64)
        longest = pl.concat([instants, edges]).sort().diff().max()
        assert isinstance(longest, int)
        gaps.append((longest / 1e9, " ".join(part for part in (sensor, device) if part)))
    longest_s, name = max(gaps)
    if longest_s > tolerated:
        message = f"{name} gave no reading for {longest_s:.1f} s"
        yield from over_limit("telemetry_gap", longest_s, message, window.stage)
