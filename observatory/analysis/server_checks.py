"""Doubts that the target's own server raises: what it says of itself against what the client saw.

Only what the server tells is held against it; nothing is inferred from latencies.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.findings import as_found
from observatory.analysis.quantiles import rank
from observatory.analysis.stage_data import StageData
from observatory.core.run import Finding

MIN_READINGS = 3
ON_THE_WAY_SHARE = 0.1
ON_THE_WAY_REQUESTS = 2
"""Open requests that a server may not count as running although none of them waits: those on the
way to it, being tokenised, or just ended."""


def server_cap(data: StageData) -> Iterator[Finding]:
    """The requests that the server ran against those that the client had open at it.

    Compared reading by reading, at the same instant; a finding where in the middle reading more
    were left out than can be on the way.
    """
    readings = _readings(data, "engine_requests_running")
    if readings.height < MIN_READINGS:
        return
    running = readings.get_column("value").to_numpy()
    opened = _open_at(data, readings.get_column("at_ns").to_numpy())
    level = float(np.median(opened))
    if np.median(opened - running) <= max(ON_THE_WAY_REQUESTS, ON_THE_WAY_SHARE * level):
        return
    most = float(np.sort(running)[rank(len(running), 0.95) - 1])
    waiting = _readings(data, "engine_requests_waiting").get_column("value").median()
    message = f"the server ran at most {most:g} at once of the {level:g} requests that were open"
    if isinstance(waiting, float):
        message += f", {waiting:g} waited in it"
    yield as_found("server_cap", message, data.window.stage, most, level)


def _readings(data: StageData, metric: str) -> pl.DataFrame:
    return data.samples.filter(
        (pl.col("sensor") == "engine")
        & (pl.col("subject") == "target")
        & (pl.col("metric") == metric)
        & pl.col("value").is_not_null()
        & data.window.holds("at_ns")
    ).sort("at_ns")


def _open_at(data: StageData, instants: NDArray[np.int64]) -> NDArray[np.float64]:
    """HTTP tries that were sent and not ended, at each instant."""
    sent = data.attempts.filter(pl.col("sent_ns").is_not_null())
    began = sent.get_column("sent_ns").sort().to_numpy()
    ended = sent.get_column("ended_ns").drop_nulls().sort().to_numpy()
    counts = np.searchsorted(began, instants, "right") - np.searchsorted(ended, instants, "right")
    return counts.astype(np.float64)
