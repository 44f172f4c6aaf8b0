"""Doubts about what was measured: too little of it, unsteady, or in contradiction with itself.

Each check takes a window's data and answers with findings; numbers to hold against are in
thresholds.
"""

from collections.abc import Iterator

import polars as pl

from observatory.analysis.checks import sensor_checks
from observatory.analysis.checks.findings import as_found, over_limit
from observatory.analysis.frames import FINAL_OVERLOADED, RATE_LIMITED
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.drift import relative_drift
from observatory.analysis.windows import left_out
from observatory.core.counted_nouns import count_of
from observatory.core.metric import BY_NAME, FLOORS
from observatory.core.run import Finding

TEMPLATE_TOKENS = 64
"""Cached tokens a prompt that a chat template explains: ChatML with a default system message has
about 30, engines cache in blocks of 16 to 64."""
UTF8_BYTES = 4
"""Bytes of the longest character: a tokenizer that falls back to bytes needs no more tokens."""
CONTINUOUS_SENSORS = ("host", "nvml")
"""Sensors that are read at the configured interval all along."""


def window_and_population(data: StageData) -> Iterator[Finding]:
    """Yield how much of the window and of its requests there is to judge by."""
    window, stage = data.window, data.window.stage
    if window.cut:
        message = f"the window was cut after {window.seconds:.1f} s of {window.planned_s:g} s"
        yield Finding("window_cut", "note", message, stage, window.seconds, window.planned_s)
    out = left_out(data.requests, data.window)
    if out:
        kinds = ", ".join(f"{count} {outcome}" for outcome, count in out.items())
        message = f"requests of the window that do not count: {kinds}"
        yield Finding("left_out", "note", message, stage, sum(out.values()))
    n = data.counted.height
    if n == 0:
        yield as_found("no_requests", "no request of the window came to an end", stage)
    elif n < FLOORS["p90"]:
        message = f"{count_of(n, 'request')}: p90 and above are bounds only"
        yield Finding("percentile_floor", "note", message, stage, n, FLOORS["p90"])


def errors(data: StageData) -> Iterator[Finding]:
    """Yield how many of the requests failed."""
    n = data.offered.height
    failed = int((data.offered.get_column("outcome") != "ok").sum())
    if n:
        held = int(data.offered.get_column("held_back").sum())
        message = f"{failed} of {count_of(n, 'request')} failed{_kinds_of_failure(data)}"
        if held:
            message += f", {held} of them held back by a limit until the drain limit, never sent"
        yield from over_limit("errors", failed / n, message, data.window.stage)


_KINDS_OF_FAILURE = {
    "overloaded": FINAL_OVERLOADED,
    "rate limited": pl.col("outcome") == "throttled",
    "filtered": pl.col("outcome") == "filtered",
    "connections reset": pl.col("a_error_kind") == "reset",
    "whole answers without the stream's end": pl.col("a_error_kind") == "no_end",
    "stalled": pl.col("a_error_kind") == "stall",
    "timed out": pl.col("outcome") == "timeout",
    "other errors": pl.lit(value=True),
}
"""What a service does when it is overloaded, as separate kinds, of which the first that applies counts; the
rest in one word."""


def _kinds_of_failure(data: StageData) -> str:
    """Return how many of each kind, most first, in brackets; nothing where nothing was sent and failed."""
    named = (pl.when(applies).then(pl.lit(kind)) for kind, applies in _KINDS_OF_FAILURE.items())
    kinds = (
        data.counted.filter(pl.col("outcome") != "ok")
        .group_by(pl.coalesce(*named).alias("kind"))
        .len()
        .sort(["len", "kind"], descending=[True, False])
    )
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.iter_rows())
    return f" ({listed})" if listed else ""


def throttled(data: StageData) -> Iterator[Finding]:
    """Return how many attempts the service refused for now; a note below the limit."""
    refused, attempts = (
        int(data.counted.get_column(name).sum())
        for name in ("attempts_throttled", "attempts_recorded")
    )
    if not refused:
        return
    hit = data.counted.filter(pl.col("attempts_throttled") > 0).get_column("outcome")
    message = (
        f"{refused} of {count_of(attempts, 'HTTP attempt was', 'HTTP attempts were')} throttled; {len(hit)} of "
        f"{count_of(data.counted.height, 'request')} met that, and {int((hit == 'ok').sum())} of them "
        f"{'was' if (hit == 'ok').sum() == 1 else 'were'} served in the end"
    )
    yield from over_limit("throttled", refused / attempts, message, data.window.stage, "note")


def stale_connections(data: StageData) -> Iterator[Finding]:
    """Return how many attempts the service lost by closing connections that it had kept; a note below the limit."""
    lost, attempts = (
        int(data.counted.get_column(name).sum()) for name in ("attempts_stale", "attempts_recorded")
    )
    if not lost:
        return
    message = (
        f"{lost} of {count_of(attempts, 'HTTP attempt', 'HTTP attempts')} met a kept connection that the service closed without an answer; "
        "they were made again on a new connection"
    )
    yield from over_limit("stale_connections", lost / attempts, message, data.window.stage, "note")


def pace_not_kept(data: StageData) -> Iterator[Finding]:
    """Yield attempts refused for a limit though requests were paced: the limit is another one, or others use it too."""
    if data.manifest.target.throttling != "pace":
        return
    sent = data.attempts.filter(data.window.holds("sent_ns"))
    refused = sent.filter(RATE_LIMITED)
    if refused.height:
        plain = int((refused.get_column("http_status") == 429).sum())
        otherwise = refused.height - plain
        stated = f", or the same refusal with another status ({otherwise})," if otherwise else ""
        message = f"{refused.height} of {count_of(sent.height, 'HTTP attempt', 'HTTP attempts')} got a 429{stated} although they were paced"
        yield as_found("pace_not_kept", message, data.window.stage, refused.height)


def drift(data: StageData) -> Iterator[Finding]:
    """Yield the largest significant change between the halves of the window: of a latency, or of load.

    By Little's law open requests are arrivals times time in system, so that one limit serves both;
    open requests also see those that have not been answered yet.
    """
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
    level = data.open_requests
    if level.trend and level.change is not None:
        direction = "more" if level.change > 0 else "fewer"
        message = (
            f"{abs(level.change):.0%} {direction} requests were open in the second half than in the "
            "first: the load was not at a steady level"
        )
        found.append((abs(level.change), message))
    if found:
        change, message = max(found)
        yield from over_limit("drift", change, message, data.window.stage)


_HIDDEN_TOKENS = (
    pl.when(pl.col("a_reasoning_characters") == 0)
    .then(pl.col("a_reasoning_tokens").fill_null(0))
    .otherwise(0)
)


def token_mismatch(data: StageData) -> Iterator[Finding]:
    """Compare the billed tokens that should have been seen against what the stream shows of them.

    Hidden reasoning is taken off. Where the stream's tokens were counted (by a tokenizer, or by
    events where usage explains none), the two counts are compared; one token of an answer that
    ended by itself is allowed for, because engines bill the stop token and stream no text for it.
    Elsewhere the count came from usage itself, and the stream only bounds it: no text event has
    less than a token, and no character has more than four (the bytes of UTF-8). Tool calls are left
    out: their events carry names and brackets that are no output of their own.
    """
    answers = data.counted.filter(outcome="ok", a_output_tokens_from="usage", a_tool_calls=0)
    both = answers.drop_nulls(["a_output_tokens", "a_streamed_tokens"]).select(
        (pl.col("a_output_tokens") - _HIDDEN_TOKENS).alias("visible"),
        "a_streamed_tokens",
        "a_events",
        "a_event_characters",
        pl.col("a_streamed_tokens_from").is_in(["tokenizer", "events"]).alias("counted"),
        (pl.col("a_finish_reason") == "stop").fill_null(False).cast(pl.Int64).alias("stop"),
    )
    surplus = pl.col("visible") - pl.col("a_streamed_tokens")
    between_counts = surplus.abs() - pl.when(surplus > 0).then("stop").otherwise(0)
    most = UTF8_BYTES * pl.col("a_event_characters") + pl.col("stop")
    beyond_bounds = (pl.col("a_events") - pl.col("visible")).clip(lower_bound=0) + (
        pl.col("visible") - most
    ).clip(lower_bound=0)
    off, all_tokens = both.select(
        pl.when("counted").then(between_counts).otherwise(beyond_bounds).sum().alias("off"),
        pl.max_horizontal("visible", "a_streamed_tokens", "a_events").sum().alias("all"),
    ).row(0)
    if all_tokens > 0:
        share = off / all_tokens
        message = f"usage and the stream disagree on {share:.1%} of the tokens"
        yield from over_limit("token_mismatch", share, message, data.window.stage)


def cache_state(data: StageData) -> Iterator[Finding]:
    """Check by the endpoint's own count that the cache was in the state that the scenario requires."""
    requested = data.manifest.stored.workload.cache
    reported = data.counted.filter(outcome="ok").drop_nulls(["a_cached_tokens", "a_prompt_tokens"])
    prompt = int(reported.get_column("a_prompt_tokens").sum())
    if prompt == 0:
        return
    # No more of a prompt than the whole, where an answer's counts contradict each other.
    cached = reported.select(pl.min_horizontal("a_cached_tokens", "a_prompt_tokens")).to_series()
    if requested == "cold":
        beyond = int((cached - TEMPLATE_TOKENS).clip(lower_bound=0).sum()) / prompt
        message = f"{beyond:.1%} of prompt tokens came from the cache in a cold run"
        yield from over_limit("cache_state", beyond, message, data.window.stage)
    elif requested == "warm" and int(cached.sum()) == 0:
        message = "the cache was primed and no prompt token came from it"
        yield Finding("cache_state", "note", message, data.window.stage, 0.0)


def telemetry_gap(data: StageData) -> Iterator[Finding]:
    """Find the longest time in the window without a reading of a sensor that was read before.

    Of sensors that did not even report that they were down: the sampler itself was silent.
    """
    window, samples = data.window, data.samples
    read = samples.filter(pl.col("sensor").is_in(CONTINUOUS_SENSORS), pl.col("metric") != "up")
    read = read.drop_nulls("value")
    sensors = read.select("sensor", "device").unique().sort("sensor", "device").rows()
    tolerated = sensor_checks.tolerated_s(data)
    silent, probes = sensor_checks.sensor_outages(data), sensor_checks.probes_of(samples)
    gaps: list[tuple[float, str]] = [] if sensors else [(window.seconds, "every sensor")]
    for sensor, device in sensors:
        host = sensor_checks.host_of(device, probes)
        if (sensor, host) in silent or ("probe", host) in silent:
            continue  # sensor_down reports it, with the reason
        own = read.filter(window.holds("at_ns"), sensor=sensor, device=device)
        instants = own.get_column("at_ns").unique()
        edges = pl.Series([window.start_ns, window.end_ns], dtype=pl.Int64)
        longest = pl.concat([instants, edges]).sort().diff().max()
        assert isinstance(longest, int)
        gaps.append((longest / 1e9, " ".join(part for part in (sensor, device) if part)))
    if not gaps:
        return
    longest_s, name = max(gaps)
    if longest_s > tolerated:
        message = f"{name} gave no reading for {longest_s:.1f} s"
        yield from over_limit("telemetry_gap", longest_s, message, window.stage)
