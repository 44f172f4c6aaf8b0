"""The distribution of the gaps between tokens, over just the gaps that analysis counts.

Gaps are few per answer and many per run, so a very long stage is drawn from an even choice of its
requests.
"""

import numpy as np
import polars as pl

from observatory.analysis.events import events_of
from observatory.analysis.windows import Window
from observatory.core.counted_nouns import count_of
from observatory.site.charts.distributions import STEPS, Curve
from observatory.site.loads import Load

REQUESTS = 20_000
"""Requests of a stage whose gaps are drawn at most."""


def gap_curve(load: Load, window: Window, attempts: pl.DataFrame) -> Curve:
    """Return the curve of a stage's gaps; attempts are those of queries.counted_attempts.

    A failed request adds one gap that never ended, as in analysis.events.pooled_gaps_s.
    """
    step = max(1, -(-attempts.height // REQUESTS))
    chosen = attempts.gather_every(step).with_columns(
        pl.lit(None, dtype=pl.List(pl.Int32)).alias("event_tokens"),
        pl.lit(None, dtype=pl.List(pl.Int32)).alias("event_characters"),
        pl.lit(None, dtype=pl.Int64).alias("streamed_tokens"),
    )
    events = events_of(chosen)
    counted = events.clean & events.inside(window)
    gaps = np.sort(events.gap_ns[counted] / 1e9)
    lost = (chosen["outcome"] != "ok").to_numpy()
    failed = int(lost.sum())
    requests = len(np.union1d(events.owner[counted], np.flatnonzero(lost)))
    n = len(gaps) + failed
    places = np.arange(len(gaps))
    if len(gaps) > STEPS:
        places = np.unique(np.linspace(0, len(gaps) - 1, STEPS + 1).round().astype(np.int64))
    steps = [(float(gaps[place]), float((place + 1) / n)) for place in places]
    words = f"{count_of(n, 'gap')} of {count_of(requests, 'request')}"
    words += f", every {step}th of {attempts.height:,}" if step > 1 else ""
    return Curve(load, steps, n, failed, words)
