"""The text events of a stage as flat arrays: when each arrived, what it carried, what gap it ended.

Only numbers are held here, one entry an event, so that millions of them stay cheap; which of them
count is decided by masks.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.statistics.clusters import Clustered
from observatory.analysis.windows import Window

Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Events:
    """Events of attempts, in the attempts' order; arrays have one entry an event.

    owner is the attempt's row in the frame they were taken from. tokens are those an event carried:
    counted, or the answer's streamed tokens shared out by characters where the split is unknown,
    NaN where neither is known; single precision holds the counts of one event exactly. clean: neither end of the gap has another segment's stamp, and it
    is not the first of its attempt.
    """

    owner: NDArray[np.int32]
    arrival_ns: NDArray[np.int64]
    gap_ns: NDArray[np.int64]
    clean: NDArray[np.bool_]
    tokens: NDArray[np.float32]
    characters: NDArray[np.float32]
    apportioned: bool
    attempts: int
    sent_ns: NDArray[np.int64]

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return which events arrived in the window."""
        return (self.arrival_ns >= window.start_ns) & (self.arrival_ns < window.end_ns)


def events_of(attempts: pl.DataFrame) -> Events:
    """Return the events of an attempts frame (columns of store.schema.tables.ATTEMPTS)."""
    lengths_all = (
        attempts.select(
            pl.when(pl.col("sent_ns").is_not_null())
            .then(pl.col("event_gap_ns").list.len())
            .fill_null(0)
        )
        .to_series()
        .to_numpy()
    )
    rows = np.flatnonzero(lengths_all)
    lengths = lengths_all[rows].astype(np.int64)
    some = attempts[rows]
    gaps = np.zeros(0, dtype=np.int64)
    if some.height:
        gaps = some.get_column("event_gap_ns").explode().to_numpy().astype(np.int64, copy=False)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)[: len(lengths)]
    arrival = np.cumsum(gaps)
    before = arrival[starts] - gaps[starts] if len(gaps) else arrival
    sent = some.get_column("sent_ns").to_numpy().astype(np.int64)
    arrival -= np.repeat(before - sent, lengths)
    shared = _spread(some, "event_shared", lengths, False, np.bool_)
    clean = ~shared
    clean[1:] &= ~shared[:-1]
    clean[starts] = False
    characters = _spread(some, "event_characters", lengths, 0, np.float32)
    tokens, apportioned = _tokens(some, lengths, starts, characters)
    return Events(
        owner=np.repeat(rows.astype(np.int32), lengths),
        arrival_ns=arrival,
        gap_ns=gaps,
        clean=clean,
        tokens=tokens,
        characters=characters,
        apportioned=apportioned,
        attempts=attempts.height,
        sent_ns=attempts.get_column("sent_ns").fill_null(0).to_numpy().astype(np.int64),
    )


def _spread(
    frame: pl.DataFrame, column: str, lengths: NDArray[np.int64], default: float, kind: type[Kind]
) -> NDArray[Kind]:
    """Return a list column laid along the events; default for attempts whose list has another length."""
    fits = frame.get_column(column).list.len().fill_null(0).to_numpy() == lengths
    if fits.all() and len(fits):
        return frame.get_column(column).explode().to_numpy().astype(kind)
    flat = np.full(int(lengths.sum()), default, dtype=kind)
    if fits.any():
        values = frame.filter(fits).get_column(column).explode().to_numpy()
        flat[np.repeat(fits, lengths)] = values.astype(kind)
    return flat


def _tokens(
    frame: pl.DataFrame,
    lengths: NDArray[np.int64],
    starts: NDArray[np.int64],
    characters: NDArray[np.float32],
) -> tuple[NDArray[np.float32], bool]:
    """Return tokens by event, and whether any had to be shared out by characters."""
    tokens = _spread(frame, "event_tokens", lengths, np.nan, np.float32)
    unknown = np.isnan(tokens)
    if not unknown.any():
        return tokens, False
    total = np.repeat(
        frame.get_column("streamed_tokens").cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        lengths,
    )
    of_answer = np.repeat(np.add.reduceat(characters, starts), lengths)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(of_answer > 0, characters / of_answer, np.nan)
    tokens[unknown] = (total * share)[unknown]
    return tokens, bool(np.isfinite(tokens[unknown]).any())


def pooled_gaps_s(
    events: Events, window: Window, latency: NDArray[np.bool_], failed: NDArray[np.bool_]
) -> Clustered:
    """Return the gaps of a window, in seconds, in clusters by attempt.

    latency and failed have one entry an attempt: whether its gaps count (the final attempt of a
    counted request), and whether its request failed, which adds the one gap that never ended.
    """
    mask = events.clean & events.inside(window) & latency[events.owner]
    return Clustered(
        events.gap_ns[mask] / 1e9,
        events.owner[mask],
        (latency & failed).astype(np.int64),
        events.sent_ns,
    )
