"""Everything that the metrics of one stage are computed from, gathered once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.events import Events, events_of
from observatory.analysis.statistics.concurrency import Concurrency, busy_fraction, concurrency
from observatory.analysis.statistics.dependence import Dependence
from observatory.analysis.windows import Window, counted, offered
from observatory.core.run import Manifest
from observatory.core.scenario import PerRequestSlo
from observatory.economics.price_rows import AppliedPrices
from observatory.store.frames import RunFrames

Basis = str
"""measured, estimated, modelled, list_price, stated, example or emulated."""


@dataclass(frozen=True)
class StageData:
    """requests: all of the stage, as request_frame; counted: those of the window; offered: the same
    with those held back; attempts: all of the stage, with any outcome of their requests; samples and
    run_requests: all of the run."""

    manifest: Manifest
    window: Window
    requests: pl.DataFrame
    counted: pl.DataFrame
    offered: pl.DataFrame
    attempts: pl.DataFrame
    samples: pl.DataFrame
    prices: AppliedPrices
    slo: PerRequestSlo | None
    run_requests: pl.DataFrame

    @cached_property
    def events(self) -> Events:
        """The text events of all attempts; kept, because they are many."""
        return events_of(self.attempts)

    @cached_property
    def open_requests(self) -> Concurrency:
        """Requests between their scheduled instant and their end, in the window."""
        return concurrency(*self._open_spans, self.window.start_ns, self.window.end_ns)

    @cached_property
    def busy_fraction(self) -> float:
        """The share of the window in which at least one of them was open."""
        return busy_fraction(*self._open_spans, self.window.start_ns, self.window.end_ns)

    @cached_property
    def _open_spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """From scheduled to end; one that was held back until the drain limit is open beyond it."""
        spans = self.requests.filter(
            pl.col("counted") | (pl.col("outcome") == "interrupted") | pl.col("held_back")
        ).select(
            pl.col("scheduled_ns"),
            pl.coalesce("a_ended_ns", pl.lit(self.window.end_ns + 1)).alias("end"),
        )
        starts, ends = (column.to_numpy().astype(np.int64) for column in spans.get_columns())
        return starts, ends

    @cached_property
    def streamed(self) -> bool:
        """Whether more than half of the whole answers really came as streams; true where it is not known."""
        came = self.counted.filter(outcome="ok").get_column("a_streamed").drop_nulls()
        return 2 * int(came.sum()) > len(came) if len(came) else True

    def in_time(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.float64]]:
        """Return rows of request_frame in the order of their scheduled instants, and how many requests were
        open at each: what their waiting depends on."""
        ordered = rows.sort("scheduled_ns", "request")
        at = ordered.get_column("scheduled_ns").to_numpy().astype(np.int64)
        starts, ends = (np.sort(instants) for instants in self._open_spans)
        opened = np.searchsorted(starts, at, "left") - np.searchsorted(ends, at, "right")
        return ordered, opened.astype(np.float64)

    @cached_property
    def latency_dependence(self) -> Dependence:
        """How far the offered requests depend on those before them, by end-to-end latency as users wait;
        failures count as infinitely slow."""
        ordered, load = self.in_time(self.offered)
        waited = ordered.select(
            pl.when(pl.col("outcome") == "ok").then("e2e_scheduled_s").fill_null(float("inf"))
        )
        return Dependence(waited.to_series().to_numpy().astype(np.float64), load)

    @property
    def basis(self) -> Basis:
        """The basis of what was timed or counted."""
        return "emulated" if self.manifest.target.emulated else "measured"

    def tokens_basis(self, column: str) -> Basis:
        """Return the basis of a token count, by its *_from column: estimated unless truly counted."""
        guessed = self.requests.get_column(column).is_in(["characters", "events"]).any()
        return "estimated" if guessed and not self.manifest.target.emulated else self.basis

    def ended_ok(self, window: Window | None = None) -> pl.DataFrame:
        """Return the successes that ended in the window (default: the stage's), whenever they began."""
        return self.requests.filter((window or self.window).holds("a_ended_ns"), outcome="ok")


def gather(
    manifest: Manifest, frames: RunFrames, requests: pl.DataFrame, window: Window
) -> StageData:
    """Return the data of a window's stage; requests is request_frame of the whole run."""
    objective = manifest.stored.slo
    slo = None if objective is None else objective.per_request
    return StageData(
        manifest=manifest,
        window=window,
        requests=of_stage(requests, window.stage),
        counted=counted(requests, window),
        offered=offered(requests, window),
        attempts=of_stage(frames.attempts, window.stage),
        samples=frames.samples,
        prices=AppliedPrices.from_dict(manifest.target.price),
        slo=PerRequestSlo.model_validate(slo) if slo else None,
        run_requests=requests,
    )


def of_stage(frame: pl.DataFrame, stage: int) -> pl.DataFrame:
    """Return the rows of one stage; without a copy where they lie together, as the store seals them."""
    rows = (frame.get_column("stage") == stage).arg_true()
    if not len(rows):
        return frame.clear()
    first, last = int(rows[0]), int(rows[-1])
    return frame.slice(first, len(rows)) if last - first + 1 == len(rows) else frame[rows]
