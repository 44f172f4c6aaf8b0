"""Joins a run's records with the truth server's log, request by request, token by token.

Pure. Both sides stamp with CLOCK_REALTIME of one machine, so instants compare as they are.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.truth_log import TruthLog, number_of

Instants = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Joined:
    """n requests of k tokens that both sides know whole; Unix nanoseconds.

    read_ns, arrived_ns, sent_ns, scheduled_ns: (n,). written_ns, seen_ns, shared: (n, k). steady: (n,)
    whether it was scheduled in the steady window. recorded: answers that the client calls whole.
    served: requests that the server read. unmatched: whole answers that are not in the log, or there
    with another number of tokens. shared: the client marked the event's stamp as another's.
    """

    read_ns: Instants
    arrived_ns: Instants
    sent_ns: Instants
    scheduled_ns: Instants
    written_ns: Instants
    seen_ns: Instants
    shared: NDArray[np.bool_]
    steady: NDArray[np.bool_]
    recorded: int
    served: int
    unmatched: int

    def only(self, which: NDArray[np.bool_]) -> "Joined":
        """Those requests alone; the counts stay those of the whole run."""
        chosen: dict[str, Any] = {name: getattr(self, name)[which] for name in _PER_REQUEST}
        return replace(self, **chosen)

    def ttft_error_ns(self) -> Instants:
        """(n,) the client's TTFT less the server's, which counts from the request's being fully read."""
        return (self.seen_ns[:, 0] - self.sent_ns) - (self.written_ns[:, 0] - self.read_ns)

    def ttft_error_from_arrival_ns(self) -> Instants:
        """(n,) the same, the server's TTFT counted from the kernel's stamp of the request's arrival."""
        return (self.seen_ns[:, 0] - self.sent_ns) - (self.written_ns[:, 0] - self.arrived_ns)

    def gap_error_ns(self) -> Instants:
        """(n, k - 1) each gap between tokens as the client saw it, less as the server wrote it."""
        return np.diff(self.seen_ns, axis=1) - np.diff(self.written_ns, axis=1)

    def instant_error_ns(self) -> Instants:
        """(n, k) each token's instant by the client, less the server's just before its write."""
        return self.seen_ns - self.written_ns


_PER_REQUEST = (
    "read_ns",
    "arrived_ns",
    "sent_ns",
    "scheduled_ns",
    "written_ns",
    "seen_ns",
    "shared",
    "steady",
)


def join(
    log: TruthLog, requests: pl.DataFrame, attempts: pl.DataFrame, anchor_ns: int, tokens: int
) -> Joined:
    """Match answers of `tokens` tokens; where the log has one write an answer, tokens is 1 of each.

    requests and attempts are the sealed frames of one run of one stage; anchor_ns is the realtime of
    its instants' zero.
    """
    whole = (
        attempts.filter(pl.col("final") & (pl.col("outcome") == "ok"))
        .join(requests.select("stage", "request", "scheduled_ns", "phase"), on=["stage", "request"])
        .sort("stage", "request")
    )
    numbers = np.array([number_of(name) for name in whole["provider_request_id"]], dtype=np.int64)
    places, known = _places(log.requests, numbers)
    starts, counts = _write_spans(log)
    seen = whole["event_gap_ns"].list.len().to_numpy()
    fits = known & (counts[places] == tokens) & ((seen == tokens) | ((tokens == 1) & (seen > 0)))
    kept = whole.filter(pl.Series(fits))
    at = places[fits]
    span = starts[at][:, None] + np.arange(tokens)
    gaps = _matrix(kept["event_gap_ns"].list.head(tokens), tokens).astype(np.int64)
    sent = kept["sent_ns"].to_numpy().astype(np.int64) + anchor_ns
    return Joined(
        read_ns=log.read_ns[at],
        arrived_ns=log.arrived_ns[at],
        sent_ns=sent,
        scheduled_ns=kept["scheduled_ns"].to_numpy().astype(np.int64) + anchor_ns,
        written_ns=log.writes["at_ns"][span].astype(np.int64),
        seen_ns=sent[:, None] + np.cumsum(gaps, axis=1),
        shared=_matrix(kept["event_shared"].list.head(tokens), tokens).astype(np.bool_),
        steady=(kept["phase"] == "steady").to_numpy(),
        recorded=whole.height,
        served=int(log.requests.size),
        unmatched=int(np.count_nonzero(~fits)),
    )


def _places(known: Instants, asked: Instants) -> tuple[Instants, NDArray[np.bool_]]:
    """Return each number's place among the known, ascending ones; and whether it is there."""
    if not known.size:
        return np.zeros(asked.size, dtype=np.int64), np.zeros(asked.size, dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, asked), known.size - 1)
    return places.astype(np.int64), known[places] == asked


def _write_spans(log: TruthLog) -> tuple[Instants, Instants]:
    """For each request of the log: where its writes start, and how many there are."""
    owners = log.writes["request"].astype(np.int64)
    starts = np.searchsorted(owners, log.requests, side="left")
    ends = np.searchsorted(owners, log.requests, side="right")
    return starts.astype(np.int64), (ends - starts).astype(np.int64)


def _matrix(lists: pl.Series, columns: int) -> NDArray[np.generic]:
    """A Series of equally long lists as (rows, columns)."""
    flat = lists.explode(empty_as_null=False).to_numpy()
    return flat.reshape(len(lists), columns)
