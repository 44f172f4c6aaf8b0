"""What the engine counted over a whole stage: from when nothing of ours was open to when nothing is again.

A window cuts requests, and a counter that is read in the middle of one has a part of it. Between two
idle readings both sides have counted the same whole requests.
"""

from dataclasses import dataclass

import polars as pl

from observatory.analysis.engine_metrics import of_engine, restarts_of
from observatory.analysis.stage_data import StageData

SETTLED_NS = 100_000_000
"""An engine may count a request some milliseconds after it sent its last token (vLLM counts after it has
handed the answer over)."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Instants between which the readings before and after a stage lie, the ends included.

    What is counted when a token is made, or when a request ends, may be read until the first of ours.
    """

    before_from: int
    first_sent: int
    first_token: int
    first_end: int
    after_from: int
    after_to: int


def idle_around(data: StageData) -> Idle | None:
    """Return the instants; None where a request of the stage has no known end, or nothing was sent."""
    sent = data.attempts.filter(pl.col("sent_ns").is_not_null())
    if not sent.height or sent.get_column("ended_ns").null_count():
        return None
    first, last = _least(sent, "sent_ns"), _most(sent, "ended_ns")
    spoke = sent.filter(pl.col("first_token_ns").is_not_null())
    others = data.run_requests.filter(pl.col("stage") != data.window.stage)
    earlier = others.filter(pl.col("f_sent_ns") < first)
    later = others.filter(pl.col("f_sent_ns") >= first)
    if earlier.get_column("a_ended_ns").null_count():
        return None
    return Idle(
        before_from=_most(earlier, "a_ended_ns") + SETTLED_NS if earlier.height else -(2**62),
        first_sent=first,
        first_token=_least(spoke, "first_token_ns") if spoke.height else first,
        first_end=_least(sent, "ended_ns"),
        after_from=last + SETTLED_NS,
        after_to=_least(later, "f_sent_ns") if later.height else 2**62,
    )


COUNTED_AT = {
    "engine_output_tokens_total": "first_token",
    "engine_requests_total": "first_end",
}
"""Counter -> the field of Idle until which it has nothing of the stage; the others: first_sent."""


def counted_by_engine(data: StageData, metric: str, idle: Idle) -> float | None:
    """Return what a counter of the engine grew by; None where it was not read on both sides or was reset."""
    until: int = getattr(idle, COUNTED_AT.get(metric, "first_sent"))
    readings = of_engine(data, metric)
    before = readings.filter(pl.col("at_ns").is_between(idle.before_from, until))
    after = readings.filter(pl.col("at_ns").is_between(idle.after_from, idle.after_to))
    if not before.height or not after.height:
        return None
    first, last = before.row(-1), after.row(0)
    between = readings.filter(pl.col("at_ns").is_between(first[0], last[0]))
    restarts = restarts_of(data, metric).filter(pl.col("at_ns").is_between(first[0], last[0]))
    if (between.get_column("value").diff() < 0).any() or restarts.height:
        return None
    return float(last[1] - first[1])


def _least(frame: pl.DataFrame, column: str) -> int:
    value = frame.get_column(column).min()
    assert isinstance(value, int)
    return value


def _most(frame: pl.DataFrame, column: str) -> int:
    value = frame.get_column(column).max()
    assert isinstance(value, int)
    return value
