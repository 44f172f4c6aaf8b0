"""Doubts about the answers themselves: empty, too short, too long, not streamed, with odd events in them."""

from collections.abc import Iterator

import polars as pl

from observatory.analysis.checks.findings import as_found, over_limit
from observatory.analysis.stage_data import StageData
from observatory.core.counted_nouns import count_of
from observatory.core.run import Finding, Manifest

SHORT_SHARE = 0.9
"""Share of the requested tokens below which an answer under `ignore_eos` is short. Engines that obey return
all of them, or one less for the end of the sequence."""
_UNLIMITED = 1 << 62
"""As many as the limit allows."""
LONG_TOKENS = 2
"""More than the limit by so many is longer than it: some services count the end of the sequence."""
BURST_EVENTS = 4
"""An answer of at least so many events that all came at one instant was held back on the way."""


def answer_lengths(data: StageData) -> Iterator[Finding]:
    """Find answers far shorter than requested under `ignore_eos`, and answers longer than their limit."""
    answers = data.counted.filter(outcome="ok").drop_nulls(["max_tokens", "a_output_tokens"])
    least = _least_requested(data.manifest)
    if least is not None:
        requested = answers.with_columns(
            pl.min_horizontal("max_tokens", pl.lit(least)).alias("requested")
        )
        # Of one token less, the end of the sequence is the reason.
        short = (pl.col("a_output_tokens") < SHORT_SHARE * pl.col("requested")) & (
            pl.col("a_output_tokens") < pl.col("requested") - 1
        )
        yield from _lengths(data, requested, "short_answers", short, "fewer", "were requested")
    answers = answers.with_columns(pl.col("max_tokens").alias("requested"))
    long = pl.col("a_output_tokens") >= pl.col("max_tokens") + LONG_TOKENS
    yield from _lengths(data, answers, "long_answers", long, "more", "their limit allows")


def _least_requested(manifest: Manifest) -> int | None:
    """Return the tokens that an answer must have, at most its limit; None where it may end when it likes.

    The target's extra_body wins over the workload, as it does in the request (RFC 7396).
    """
    extra = manifest.target.extra_body
    if extra.get("ignore_eos", manifest.stored.workload.ignore_eos):
        return _UNLIMITED
    least = extra.get("min_tokens")
    return least if isinstance(least, int) and least > 0 else None


def _lengths(
    data: StageData, answers: pl.DataFrame, code: str, which: pl.Expr, word: str, than: str
) -> Iterator[Finding]:
    found = answers.filter(which)
    if not found.height:
        return
    # The answer with the median share of its requested tokens, with both numbers.
    ratio = pl.col("a_output_tokens") / pl.col("requested")
    middle = found.sort(ratio).row(found.height // 2, named=True)
    counted = "" if middle["a_output_tokens_from"] == "usage" else ", counted by events"
    message = (
        f"{found.height:,} of {count_of(answers.height, 'answer has', 'answers have')} {word} tokens than {than}: typically "
        f"{middle['a_output_tokens']:,} of {middle['requested']:,}{counted}"
    )
    share = found.height / answers.height
    yield from over_limit(code, share, message, data.window.stage, "note")


def empty_answers(data: StageData) -> Iterator[Finding]:
    """Yield whole answers without any text, reasoning or tool call; the message counts their finish reasons."""
    answers = data.counted.filter(outcome="ok")
    parts = ("a_answer_characters", "a_reasoning_characters", "a_tool_calls")
    empty = answers.filter(pl.all_horizontal(pl.col(part).fill_null(0) == 0 for part in parts))
    if not empty.height:
        return
    reasons = empty.get_column("a_finish_reason").fill_null("none").value_counts()
    listed = ", ".join(f"{name} {count:,}" for name, count in sorted(reasons.iter_rows()))
    billed = int(empty.get_column("a_output_tokens").fill_null(0).sum())
    message = (
        f"{empty.height:,} of {count_of(answers.height, 'answer is', 'answers are')} empty: no text, no reasoning, no tool call "
        f"(finish reason: {listed}; {count_of(billed, 'output token')} billed); they have no time to first token"
    )
    share = empty.height / answers.height
    yield from over_limit("empty_answers", share, message, data.window.stage, "note")


def not_streamed(data: StageData) -> Iterator[Finding]:
    """Find answers that arrived in one piece although a stream was requested."""
    if not data.manifest.stored.workload.stream:
        return
    came = data.counted.filter(outcome="ok").get_column("a_streamed").drop_nulls()
    at_once = len(came) - int(came.sum())
    if at_once:
        message = (
            f"{at_once:,} of {count_of(len(came), 'answer')} did not come as a stream, though one was requested: "
            "they have no time to first token"
        )
        yield as_found("not_streamed", message, data.window.stage, at_once, 0)


def burst_streams(data: StageData) -> Iterator[Finding]:
    """Yield streams whose events all came at one instant: something on the way holds them back."""
    final = data.attempts.filter("final").join(
        data.counted.filter(outcome="ok").select("request"), on="request", how="semi"
    )
    several = final.filter(pl.col("event_gap_ns").list.len() >= BURST_EVENTS, shared_stamps=0)
    if not several.height:
        return
    later = pl.col("event_gap_ns").list.slice(1).list.max()
    burst = several.filter(later == 0).height
    message = (
        f"{burst:,} of {count_of(several.height, 'stream')} came whole at one instant, as several events: a proxy "
        "holds them back, or the server writes them at the end; their times to first token are the "
        "proxy's, and there is no pace"
    )
    yield from over_limit("burst_streams", burst / several.height, message, data.window.stage)


def odd_events(data: StageData) -> Iterator[Finding]:
    """Yield events that the API does not know; they were passed over."""
    odd = data.attempts.filter(data.window.holds("sent_ns") & (pl.col("odd_events") > 0))
    if not odd.height:
        return
    count = int(odd.get_column("odd_events").sum())
    example = str(odd.get_column("odd_event").drop_nulls().first())
    message = (
        f"{count_of(odd.height, 'answer holds', 'answers hold')} {count_of(count, 'event')} that their API does not define: read where that is clear, else passed "
        f'over, e.g. "{example}"'
    )
    yield as_found("odd_events", message, data.window.stage, count)
