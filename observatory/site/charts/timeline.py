"""A run as it went: every request over time, and under it, on the same axis, the telemetry.

All panels take the same time domain and the same width for their y axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

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
READINGS = 600
"""Readings of one series drawn at most; more are averaged over equal spans of time."""

OUTCOMES: dict[str, tuple[str, str]] = {
    "ok": ("var(--outcome-ok)", "circle"),
    "error": ("var(--outcome-error)", "cross"),
    "timeout": ("var(--outcome-timeout)", "triangle-up"),
    "throttled": ("var(--outcome-throttled)", "square"),
    "interrupted": ("var(--outcome-other)", "diamond"),
    "refused_by_budget": ("var(--outcome-other)", "triangle-down"),
    "not_issued": ("var(--outcome-other)", "stroke"),
}
_SERIES = ("var(--stage-3)", "var(--closed-1)", "var(--managed-1)", "var(--stage-1)")


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


@dataclass(frozen=True, slots=True)
class Line:
    """One series of readings: columns at_s and value, in `unit`."""

    label: str
    readings: pl.DataFrame


def timeline_chart(requests: pl.DataFrame, bands: Sequence[Band], span: Span) -> Drawing:
    """The drawing of requests: columns start_s, took_s, outcome (of queries.requests_in_time)."""
    title = "Requests over time"
    about = "Each point is one request: when it was due, and how long until it ended."
    if requests.is_empty():
        return Drawing("timeline", title, about, missing=["No request was recorded."])
    kept, note = thinned(requests)
    took = [value for value in kept["took_s"].to_list() if value is not None]
    factor, unit = display_unit("s", took)
    x = time_axis(span)
    y = alt.Y(
        "y:Q",
        title=axis_title("Due to ended", unit, False),
        scale=alt.Scale(zero=True),
        axis=alt.Axis(format=PLAIN),
    )
    sheet = Sheet()
    layers = [*_bands(sheet, bands, x, True)]
    present = [name for name in OUTCOMES if name in set(kept["outcome"].to_list())]
    for outcome in present:
        colour, shape = OUTCOMES[outcome]
        own = kept.filter(pl.col("outcome") == outcome)
        records = [
            {"x": round(start, 4), "y": round((took or 0.0) * factor, 4)}
            for start, took in zip(own["start_s"], own["took_s"], strict=True)
        ]
        solid = outcome == "ok"
        layers.append(
            alt.Chart(sheet.put(records))
            .mark_point(
                shape=shape,
                size=16 if solid else 46,
                filled=solid,
                color=colour,
                opacity=0.55 if solid else 0.95,
                strokeWidth=1.75,
            )
            .encode(x=x, y=y)
        )
    key = [
        KeyEntry(_counted(requests, name), *OUTCOMES[name], hollow=name != "ok") for name in present
    ]
    key.append(KeyEntry("steady window", "var(--band)", "band"))
    notes = [note] if note else []
    if requests["took_s"].null_count():
        notes.append("Requests that were never sent stand on the zero line.")
    spec = sheet.finish(layers, f"{title}, one point a request, by outcome.", 240)
    return Drawing("timeline", title, about, spec, key, notes)


def telemetry_chart(
    name: str, title: str, unit: str, lines: Sequence[Line], bands: Sequence[Band], span: Span
) -> Drawing:
    """The drawing of one panel of readings on the timeline's axis."""
    drawn = [line for line in lines if not line.readings.is_empty()]
    if not drawn:
        return Drawing(name, title, "", missing=["No reading."])
    values = [value for line in drawn for value in line.readings["value"].to_list()]
    factor, shown_unit = display_unit(unit, values)
    x = time_axis(span)
    y = alt.Y(
        "y:Q",
        title=axis_title(title, shown_unit, False),
        scale=alt.Scale(zero=True, nice=True),
        axis=alt.Axis(format=PLAIN, tickCount=3),
    )
    sheet = Sheet()
    layers = [*_bands(sheet, bands, x, False)]
    averaged = None
    for place, line in enumerate(drawn):
        readings, step_s = averaged_over_time(line.readings)
        averaged = step_s or averaged
        records: list[Record] = [
            {"x": round(at, 3), "y": value * factor}
            for at, value in zip(readings["at_s"], readings["value"], strict=True)
        ]
        layers.append(
            alt.Chart(sheet.put(records))
            .mark_line(
                color=_SERIES[place % len(_SERIES)],
                strokeWidth=1.5,
                strokeDash=[1, 0] if place < len(_SERIES) else [3, 2],
                point={"size": 12, "color": _SERIES[place % len(_SERIES)]}
                if len(records) < 3
                else False,
            )
            .encode(x=x, y=y)
        )
    key = [
        KeyEntry(line.label, _SERIES[place % len(_SERIES)], "line")
        for place, line in enumerate(drawn)
    ]
    notes = [f"Averaged over {averaged:.3g} s."] if averaged else []
    spec = sheet.finish(layers, f"{title} over the run's time.", 110)
    return Drawing(name, title, "", spec, key, notes)


def time_axis(span: Span) -> alt.X:
    """The axis that all panels of a run share: seconds from the campaign's start."""
    return alt.X(
        "x:Q",
        title="Seconds from the campaign's start",
        scale=alt.Scale(domain=[span.start_s, span.end_s], nice=False),
        axis=alt.Axis(format=PLAIN, tickCount=8),
    )


def _bands(sheet: Sheet, bands: Sequence[Band], x: alt.X, named: bool) -> list[alt.Chart]:
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
    """At most POINTS rows, evenly taken, failures first in line; and the sentence that says so."""
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
    note = f"{kept.height:,} of {requests.height:,} requests are drawn: {failures}, {success}."
    return kept, note


def averaged_over_time(readings: pl.DataFrame) -> tuple[pl.DataFrame, float | None]:
    """At most READINGS rows; the span in seconds that each then averages, else None."""
    if readings.height <= READINGS:
        return readings, None
    at = readings["at_s"].to_list()
    span = (at[-1] - at[0]) / READINGS * 1.001
    grouped = (
        readings.with_columns(((pl.col("at_s") - at[0]) / span).floor().alias("bucket"))
        .group_by("bucket", maintain_order=True)
        .agg(pl.col("at_s").mean(), pl.col("value").mean())
        .drop("bucket")
    )
    return grouped, span


def _counted(requests: pl.DataFrame, outcome: str) -> str:
    number = requests.filter(pl.col("outcome") == outcome).height
    return f"{outcome.replace('_', ' ')} ({number:,})"
