"""Doubts about the measuring side: what it delayed, bent or withheld.

Each check takes a window's data and answers with findings; numbers to hold against are in
thresholds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.checks.findings import over_limit
from observatory.analysis.checks.foreign_cpu import foreign_cpu_of
from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.analysis.frames import CLIENT_LAG_S
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.quantiles import lower_bound_rank
from observatory.core.counted_nouns import count_of
from observatory.core.run import Finding, StageTimes
from observatory.core.units import human_seconds


def client_cpu(data: StageData, ticks: pl.DataFrame) -> Iterator[Finding]:
    """Yield the busiest worker's share of a core over the window."""
    busy = (
        _heartbeats(data, ticks)
        .sort("at_ns")
        .group_by("worker")
        .agg(
            (
                (pl.col("cpu_ns").last() - pl.col("cpu_ns").first())
                / (pl.col("at_ns").last() - pl.col("at_ns").first())
            ).alias("busy"),
            pl.len().alias("ticks"),
        )
        .filter(pl.col("ticks") > 1)
        .sort("busy", descending=True)
    )
    if busy.height:
        share = float(busy.item(0, "busy"))
        message = f"load worker {busy.item(0, 'worker')} was busy {share:.0%} of the time"
        yield from over_limit("client_cpu", share, message, data.window.stage)


@dataclass(frozen=True, slots=True)
class ClientLateness:
    """The client's own lateness at p99: of what, and as a share of a median.

    of: the time to first token; the end-to-end latency where no answer came as a stream.
    """

    what: str
    seconds: float
    share: float
    of: str = "time to first token"


def lateness(data: StageData, ticks: pl.DataFrame) -> ClientLateness | None:
    """Return the lateness of sends or of its event loop, whichever is worse; None without a median."""
    usable = data.counted.filter(~pl.col("clock_step"))
    ttft, of = usable.get_column("ttft_s").median(), "time to first token"
    if ttft is None:  # no answer came as a stream
        ttft, of = usable.get_column("e2e_s").median(), "end-to-end latency"
    if not isinstance(ttft, float) or ttft <= 0:
        return None
    lags = np.sort(usable.select(CLIENT_LAG_S).to_series().drop_nulls().to_numpy())
    rank = lower_bound_rank(len(lags), 0.99)
    late_s = float(lags[rank - 1]) if rank else 0.0
    stall_s = stall_p99_s(_heartbeats(data, ticks))
    worst = max(late_s, stall_s)
    what = "requests left" if late_s >= stall_s else "the load generator's loop ran"
    return ClientLateness(what, worst, worst / ttft, of)


def client_delay(data: StageData, ticks: pl.DataFrame) -> Iterator[Finding]:
    """Yield the client's own lateness at p99, of sends and of its event loop, against the median TTFT."""
    late = lateness(data, ticks)
    if late is None:
        return
    message = (
        f"{late.what} {human_seconds(late.seconds)} late at p99, {late.share:.0%} of the median "
        f"{late.of}{_meanwhile(data)}"
    )
    yield from over_limit("client_delay", late.share, message, data.window.stage)


def _meanwhile(data: StageData) -> str:
    """Return the end of a sentence about a late client: other work on the cores, where the samples show it."""
    window = data.window
    found = foreign_cpu_of(data.manifest, data.samples, window.start_ns, window.end_ns)
    if isinstance(found, str) or THRESHOLDS["foreign_cpu"].severity(found.fraction) is None:
        return ""
    return f", while {found.words} (foreign_cpu)"


def stall_p99_s(heartbeats: pl.DataFrame) -> float:
    """Return the delay that 1 % of randomly arriving events met at the least, by the worst worker.

    A tick holds only the worst stall of its interval. An event that arrives at random in an
    interval of length T meets a delay above x in a stall of length L with probability (L - x) / T:
    the result is the x where these sum to 1 % of the time. Shorter stalls than the worst are not
    seen, so the true p99 is this or more.
    """
    worst = 0.0
    for (_,), worker in heartbeats.group_by("worker"):
        ordered = worker.sort("at_ns")
        if ordered.height < 2:
            continue
        span = int(ordered.item(-1, "at_ns")) - int(ordered.item(0, "at_ns"))
        stalls = ordered.get_column("loop_lag_ns").drop_nulls().to_numpy()[1:]
        worst = max(worst, _tail_delay_ns(stalls, 0.01 * span) / 1e9)
    return worst


def _tail_delay_ns(stalls: NDArray[np.int64], excess_ns: float) -> float:
    """Return the x for which sum(max(stall - x, 0)) is excess_ns; 0 where all stalls sum to less."""
    ordered = np.sort(stalls)[::-1].astype(np.float64)
    counts = np.arange(1, len(ordered) + 1)
    levels = (np.cumsum(ordered) - excess_ns) / counts
    return max(0.0, float(levels.max())) if len(levels) else 0.0


def shared_stamps(data: StageData) -> Iterator[Finding]:
    """Yield events that bear another segment's arrival time."""
    events = int(data.counted.get_column("a_events").sum())
    if events:
        share = int(data.counted.get_column("a_shared_events").sum()) / events
        message = f"{share:.1%} of events bear the arrival time of a later one: the client was late"
        message += _meanwhile(data)
        yield from over_limit("shared_stamps", share, message, data.window.stage)


def offered_rate(data: StageData, stage: StageTimes) -> Iterator[Finding]:
    """Open loop: the rate at which requests left against the planned one, over the same requests.

    What the policy `pace` held back was held back on purpose: such requests are taken to have left
    when they would have without it. Only a first attempt leaves; waits between attempts are not the client's.
    """
    if not stage.open_loop:
        return
    planned = data.requests.filter(
        data.window.holds("scheduled_ns"), pl.col("outcome") != "refused_by_budget"
    )
    left = planned.filter(pl.col("outcome") != "not_issued").select(
        pl.coalesce("f_connect_started_ns", "f_sent_ns", "released_ns", "scheduled_ns").alias("at"),
        "pace_wait_ns",
    )
    if data.manifest.target.throttling == "pace":
        left = left.with_columns(pl.col("at") - pl.col("pace_wait_ns"))
    planned_rate = _rate(planned.get_column("scheduled_ns"))
    if planned_rate is None:
        return
    offered = _rate(left.get_column("at")) or 0.0
    share = abs(1 - offered / planned_rate)
    message = f"requests left at {offered:.4g}/s where {planned_rate:.4g}/s were planned"
    yield from over_limit("offered_rate", share, message, data.window.stage)


def clock_steps(data: StageData) -> Iterator[Finding]:
    """Yield requests that the realtime clock stepped under."""
    stepped = int(data.counted.get_column("clock_step").sum())
    if stepped:
        message = f"the clock stepped while {count_of(stepped, 'request was', 'requests were')} open; their latencies are left out"
        yield Finding("clock_step", "degraded", message, data.window.stage, stepped, 0)


def _heartbeats(data: StageData, ticks: pl.DataFrame) -> pl.DataFrame:
    return ticks.filter(data.window.holds("at_ns"), stage=data.window.stage, kind="tick")


def _rate(instants: pl.Series) -> float | None:
    """Return events a second between the first and the last; None for fewer than two."""
    known = instants.drop_nulls()
    if len(known) < 2:
        return None
    first, last = known.min(), known.max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    return (len(known) - 1) * 1e9 / (last - first) if last > first else None
