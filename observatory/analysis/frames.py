"""A run's requests as one frame: each with its final attempt and every request-grain metric.

Metrics are those of core.metric.METRICS: polars evaluates the very SQL of the database's views, and a test
compares the two engines on the same rows.
"""

import re
from collections.abc import Iterable

import polars as pl

from observatory.core import metric as metrics
from observatory.core.metric import COUNTED, HELD_BACK, METRICS, REQUEST_METRICS
from observatory.store.frames import RunFrames

SECOND_NS = 1e9

_FINAL = (
    "connect_started_ns",
    "sent_ns",
    "first_event_ns",
    "first_token_ns",
    "first_answer_ns",
    "last_token_ns",
    "ended_ns",
    "http_status",
    "error_kind",
    "finish_reason",
    "prompt_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "streamed_tokens",
    "output_tokens_from",
    "streamed_tokens_from",
    "answer_characters",
    "reasoning_characters",
    "tool_calls",
    "streamed",
)
_FIRST_SENT = ("connect_started_ns", "sent_ns")


_IN_FRAME = {
    "len(a.event_tokens)": "a_events_with_tokens",
    "a.event_tokens[1]": "a_first_event_tokens",
}
"""What the metrics' SQL takes out of lists, as columns of request_frame."""


def _read_by_metrics(attempt: str, others: Iterable[str]) -> list[str]:
    """Return the columns of an attempt (a or f) that the metrics' SQL reads, with the others."""
    found = dict.fromkeys(others)
    for metric in METRICS:
        sql = f"{metric.sql or ''} {metric.stage_sql or ''} {metric.n_sql}"
        for of_list in _IN_FRAME:
            sql = sql.replace(of_list, "")
        found |= dict.fromkeys(re.findall(rf"\b{attempt}\.(\w+)", sql))
    return list(found)


def _expression(sql: str) -> pl.Expr:
    """Return a metric's SQL over r, a and f, over the columns of request_frame instead."""
    for of_list, column in _IN_FRAME.items():
        sql = sql.replace(of_list, column)
    return pl.sql_expr(re.sub(r"\br\.", "", re.sub(r"\b([af])\.", r"\1_", sql)))


REQUEST_EXPRESSIONS: dict[str, pl.Expr] = {
    metric.name: _expression(metric.sql) for metric in REQUEST_METRICS if metric.sql is not None
}
"""Request-grain metrics over the columns of request_frame, null where they have no value."""

STAGE_EXPRESSIONS: dict[str, tuple[pl.Expr, pl.Expr]] = {
    metric.name: (_expression(metric.stage_sql), _expression(metric.n_sql))
    for metric in METRICS
    if metric.stage_sql is not None
}
"""Stage-grain aggregates over the counted rows of request_frame with window_s: the value, and of how many."""

CLIENT_LAG_S = (
    pl.coalesce("f_connect_started_ns", "f_sent_ns")
    - pl.col("scheduled_ns")
    - pl.col("pace_wait_ns")
) / SECOND_NS
"""The client's own lateness: sched_lag_s without the time that opening a connection took."""

STALE = (
    pl.col("reused_connection")
    & pl.col("error_kind").is_in(["early_close", "reset"])
    & pl.col("http_status").is_null()
    & (pl.col("bytes_received") == 0)
)
"""Of attempts: the server had closed the kept connection, or closed it without a byte of an answer."""


RATE_LIMITED, OVERLOADED = pl.sql_expr([metrics.RATE_LIMITED, metrics.OVERLOADED])
"""Of attempts: core.metric's rules."""
FINAL_OVERLOADED = pl.sql_expr(re.sub(r"\b(http_status|error_kind)\b", r"a_\1", metrics.OVERLOADED))
"""The same of a request's final attempt, over the columns of request_frame."""


def request_frame(frames: RunFrames) -> pl.DataFrame:
    """Return one row a request: its own columns, a_* of its final attempt, f_* of its first sent one.

    Further columns: a_events (text events), a_event_characters (what they carried),
    a_shared_events (events with another segment's stamp), attempts_throttled, attempts_stale, attempts_recorded,
    counted and held_back (core.metric), and one for each of REQUEST_EXPRESSIONS.
    """
    key = ["stage", "request"]
    text_events = pl.col("event_gap_ns").list.len()
    attempts = frames.attempts.lazy()  # so that no filter copies the events of all attempts
    final = attempts.filter("final").select(
        *key,
        *(pl.col(name).alias(f"a_{name}") for name in _read_by_metrics("a", _FINAL)),
        text_events.alias("a_events"),
        pl.col("event_characters").list.sum().alias("a_event_characters"),
        pl.col("shared_stamps").alias("a_shared_events"),
        pl.col("event_tokens").list.len().alias("a_events_with_tokens"),
        pl.col("event_tokens").list.get(0, null_on_oob=True).alias("a_first_event_tokens"),
    )
    first = attempts.filter("first_sent").select(
        *key, *(pl.col(name).alias(f"f_{name}") for name in _read_by_metrics("f", _FIRST_SENT))
    )
    throttled = attempts.group_by(key).agg(
        (pl.col("outcome") == "throttled").sum().cast(pl.Int64).alias("attempts_throttled"),
        STALE.sum().cast(pl.Int64).alias("attempts_stale"),
        pl.len().cast(pl.Int64).alias("attempts_recorded"),
    )
    joined = (
        frames.requests.lazy()
        .drop("answer", "reasoning")
        .join(final, on=key, how="left")
        .join(first, on=key, how="left")
        .join(throttled, on=key, how="left")
        .with_columns(
            pl.col("attempts_throttled", "attempts_stale", "attempts_recorded").fill_null(0)
        )
    )
    of_request = {"held_back": _expression(HELD_BACK), "counted": _expression(COUNTED)}
    return joined.with_columns(**of_request, **REQUEST_EXPRESSIONS).sort(key).collect()
