"""Doubts that the target's own server raises: its own figures against what the client saw.

Only the server's own figures are compared; nothing is inferred from latencies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.checks.findings import as_found, over_limit
from observatory.analysis.checks.service_checks import TEMPLATE_TOKENS
from observatory.analysis.engine_metrics import engine_readings
from observatory.analysis.idle_counts import Idle, counted_by_engine, idle_around
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.quantiles import rank
from observatory.core.counted_nouns import count_of
from observatory.core.run import Finding

MIN_READINGS = 3
IN_TRANSIT_SHARE = 0.1
IN_TRANSIT_REQUESTS = 2
"""Open requests that a server may not count as running although none of them waits: those on the
way to it, being tokenised, or just ended."""
SLACK_TOKENS = 16
"""Of a server's own, such as one that generates to prove its health."""


def server_cap(data: StageData) -> Iterator[Finding]:
    """Yield the requests that the server ran against those that the client had open at it.

    Compared reading by reading, at the same instant; a finding where in the middle reading more
    were left out than can be on the way.
    """
    readings = engine_readings(data, "engine_requests_running")
    if readings.height < MIN_READINGS:
        return
    running = readings.get_column("value").to_numpy()
    opened = _open_at(data, readings.get_column("at_ns").to_numpy())
    level = float(np.median(opened))
    if np.median(opened - running) <= max(IN_TRANSIT_REQUESTS, IN_TRANSIT_SHARE * level):
        return
    most = float(np.sort(running)[rank(len(running), 0.95) - 1])
    waiting = engine_readings(data, "engine_requests_waiting").get_column("value").median()
    message = f"the server ran at most {most:g} at once of the {level:g} requests that were open"
    if isinstance(waiting, float):
        message += f", {waiting:g} waited in it"
    yield as_found("server_cap", message, data.window.stage, most, level)


_CLOSED_UNREAD = (
    pl.col("reused_connection")
    & pl.col("http_status").is_null()
    & (pl.col("error_kind") == "early_close")
).fill_null(False)
"""A kept connection that the server had just closed: it took no token of such an attempt."""


@dataclass(frozen=True, slots=True)
class EngineCounts:
    """A stage between two idle readings, as the engine counted it; None: it has no such count."""

    idle: Idle
    sent: int
    requests: float | None


def counts_of(data: StageData) -> EngineCounts | None:
    """Return the engine's counts around the stage; None where there are no such readings."""
    idle = idle_around(data)
    if idle is None:
        return None
    sent = data.attempts.get_column("sent_ns").count()
    return EngineCounts(idle, sent, counted_by_engine(data, "engine_requests_total", idle))


def foreign_load(data: StageData, counts: EngineCounts) -> Iterator[Finding]:
    """Yield requests that ended in the server and that we did not send."""
    if not counts.requests:
        return
    others = max(0.0, counts.requests - counts.sent)
    share = others / counts.requests
    message = (
        f"the server ended {count_of(round(counts.requests), 'request')} and {counts.sent} {'was' if counts.sent == 1 else 'were'} sent to it here: "
        f"{others:g} came from others"
    )
    yield from over_limit("foreign_load", share, message, data.window.stage)


def server_tokens(data: StageData, counts: EngineCounts) -> Iterator[Finding]:
    """Compare the engine's own count of tokens with usage over all answers; the worse of two kinds.

    An attempt that broke off took tokens of which we know nothing: where there is one, only fewer tokens
    in the engine than in usage are a contradiction.
    """
    attempts = data.attempts.filter(pl.col("sent_ns").is_not_null() & ~_CLOSED_UNREAD)
    known = attempts.filter(outcome="ok", output_tokens_from="usage")
    known = known.drop_nulls(["output_tokens", "prompt_tokens"])
    complete = known.height == attempts.height
    found: list[tuple[float, str]] = []
    for kind in ("output", "prompt"):
        server = counted_by_engine(data, f"engine_{kind}_tokens_total", counts.idle)
        client = int(known.get_column(f"{kind}_tokens").sum())
        if server is None or client == 0:
            continue
        apart = abs(server - client) if complete else max(0.0, client - server)
        message = (
            f"the server counted {server:.0f} {kind} tokens and usage stated {client} "
            f"of {count_of(known.height, 'answer')}"
        )
        found.append((max(0.0, apart - SLACK_TOKENS) / client, message))
    if found:
        share, message = max(found)
        yield from over_limit("server_tokens", share, message, data.window.stage)


def prefix_cache_state(data: StageData, counts: EngineCounts) -> Iterator[Finding]:
    """Check by the engine's counters that the prefix cache was in the state that the scenario requires."""
    requested = data.manifest.stored.workload.cache
    hits = counted_by_engine(data, "engine_prefix_cache_hits_total", counts.idle)
    queries = counted_by_engine(data, "engine_prefix_cache_queries_total", counts.idle)
    if hits is None or not queries:
        return
    if requested == "cold":
        beyond = max(0.0, hits - TEMPLATE_TOKENS * counts.sent) / queries
        message = f"the server found {beyond:.1%} of prompt tokens in its cache in a cold run"
        yield from over_limit("cache_state", beyond, message, data.window.stage)
    elif requested == "warm" and hits == 0:
        message = "the cache was primed and the server found no prompt token in it"
        yield Finding("cache_state", "note", message, data.window.stage, 0.0)


def _open_at(data: StageData, instants: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the HTTP attempts that were sent and not ended, at each instant."""
    sent = data.attempts.filter(pl.col("sent_ns").is_not_null())
    began = sent.get_column("sent_ns").sort().to_numpy()
    ended = sent.get_column("ended_ns").drop_nulls().sort().to_numpy()
    counts = np.searchsorted(began, instants, "right") - np.searchsorted(ended, instants, "right")
    return counts.astype(np.float64)
