"""A run as it went: every request over time, by outcome, over the bands of its steady windows.

Telemetry is under it on the same axis: same time domain, same width for the y axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from observatory.core.counted_nouns import count_of
from observatory.site.charts.drawing import (
    PLAIN,
    TOP,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    axis_title,
    display_unit,
)
from observatory.site.loads import Load

POINTS = 5000
"""Requests drawn at most."""
OUTCOMES: dict[str, tuple[str, str]] = {
    "ok": ("var(--outcome-ok)", "circle"),
    "error": ("var(--outcome-error)", "cross"),
    "timeout": ("var(--outcome-timeout)", "triangle-up"),
    "throttled": ("var(--outcome-throttled)", "square"),
    "filtered": ("var(--outcome-filtered)", "triangle-left"),
    "interrupted": ("var(--outcome-other)", "diamond"),
    "refused_by_budget": ("var(--outcome-other)", "triangle-down"),
    "not_issued": ("var(--outcome-other)", "stroke"),
}


@dataclass(frozen=True, slots=True)
class Band:
    """The steady window of a stage, seconds from the campaign's start."""

    load: Load
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """The time that all panels of a run show, seconds from the campaign's start."""

    start_s: float
    end_s: float


def timeline_chart(
    requests: pl.DataFrame, bands: Sequence[Band], span: Span, *, emulated: bool
) -> Drawing:
    """Return the drawing of requests: columns start_s, took_s, outcome (of queries.requests_in_time)."""
    title = "Requests over time (emulated)" if emulated else "Requests over time"
    about = "Each point is one request: when it was due, and how long until it ended."
    if requests.is_empty():
        return Drawing("timeline", title, about, missing=["No request was recorded."])
    kept, note = thinned(requests)
    took = [value for value in kept["took_s"].to_list() if value is not None]
    factor, unit = display_unit("s", took)
    x = time_axis(span, titled=True)
    y = alt.Y(
        "y:Q",
        title=axis_title("Due to ended", unit, False),
        scale=alt.Scale(zero=True),
        axis=alt.Axis(format=PLAIN),
    )
    sheet = Sheet()
    layers = bands_of(sheet, bands, x, named=True)
    present = [name for name in OUTCOMES if name in set(kept["outcome"].to_list())]
    for outcome in present:
        colour, shape = OUTCOMES[outcome]
        own = kept.filter(pl.col("outcome") == outcome)
        records = [
            {"x": round(start, 4), "y": round((took or 0.0) * factor, 4)}
            for start, took in zip(own["start_s"], own["took_s"], strict=True)
        ]
        fine = outcome == "ok"
        layers.append(
            alt.Chart(sheet.put(records))
            .mark_point(
                shape=shape,
                size=16 if fine else 46,
                filled=fine and not emulated,
                color=colour,
                opacity=0.55 if fine else 0.95,
                strokeWidth=1 if fine else 1.75,
            )
            .encode(x=x, y=y)
        )
    key = [
        KeyEntry(_counted(requests, name), *OUTCOMES[name], hollow=emulated or name != "ok")
        for name in present
    ]
    key.append(KeyEntry("steady window", "var(--band)", "band"))
    notes = [note] if note else []
    if requests["took_s"].null_count():
        notes.append("Requests that were never sent are on the zero line.")
    spec = sheet.finish(layers, f"{title}, one point a request, by outcome.", 240)
    return Drawing("timeline", title, about, spec, key, notes)


def time_axis(span: Span, *, titled: bool) -> alt.X:
    """Return the axis that all panels of a run share: seconds from the campaign's start."""
    return alt.X(
        "x:Q",
        title="Seconds from the campaign's start" if titled else None,
        scale=alt.Scale(domain=[span.start_s, span.end_s], nice=False),
        axis=alt.Axis(format=PLAIN, tickCount=8),
    )


def bands_of(sheet: Sheet, bands: Sequence[Band], x: alt.X, *, named: bool) -> list[alt.Chart]:
    """Return layers that shade the steady windows, with their loads in words where `named`."""
    if not bands:
        return []
    records: list[Record] = [
        {"x": band.start_s, "end": band.end_s, "text": band.load.text} for band in bands
    ]
    shade = alt.Chart(sheet.put(records)).mark_rect(color="var(--band)", opacity=1)
    layers = [shade.encode(x=x, x2=alt.X2("end:Q"))]
    if named:
        words = alt.Chart(sheet.put(records)).mark_text(align="left", dx=4, dy=4, baseline="top")
        layers.append(words.encode(x=x, y=TOP, text=alt.Text("text:N")))
    return layers


def thinned(requests: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
    """Return at most POINTS rows, evenly taken, failures first in line; and a sentence about it."""
    if requests.height <= POINTS:
        return requests, None
    fine = requests.filter(pl.col("outcome") == "ok")
    bad = requests.filter(pl.col("outcome") != "ok")
    bad_step = max(1, -(-bad.height // (POINTS // 2)))
    left = POINTS - -(-bad.height // bad_step)
    fine_step = max(1, -(-fine.height // left))
    kept = pl.concat([fine.gather_every(fine_step), bad.gather_every(bad_step)]).sort(
        "start_s", maintain_order=True
    )
    failures = "every failure" if bad_step == 1 else f"one failure in {bad_step}"
    success = "every success" if fine_step == 1 else f"one success in {fine_step}"
    note = f"{kept.height:,} of {count_of(requests.height, 'request is', 'requests are')} drawn: {failures}, {success}."
    return kept, note


def _counted(requests: pl.DataFrame, outcome: str) -> str:
    number = requests.filter(pl.col("outcome") == outcome).height
    return f"{outcome.replace('_', ' ')} ({number:,})"
