"""What the sensors read while a run went on: panels under its timeline, on the same time axis.

A line breaks where the sensor fell silent or was down; nothing is drawn across a gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import altair as alt
import polars as pl

from observatory.presentation.figures import write
from observatory.site.charts.drawing import (
    PLAIN,
    CellTable,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    TableCell,
    display_unit,
)
from observatory.site.charts.panels import PANELS, ChartPanel, device_words
from observatory.site.charts.readings import SILENCE_S, averaged_over_time, readings_of
from observatory.site.charts.throttling import held_back
from observatory.site.charts.timeline import Band, Span, bands_of, time_axis

Draw = Callable[..., Drawing]
CLOCKS = "gpu-clocks"
"""The panel under which the reasons of reduced clocks are listed."""
_COLOURS = ("var(--stage-3)", "var(--closed-1)", "var(--managed-1)", "var(--closed-2)")


@dataclass(frozen=True, slots=True)
class Line:
    """One series of readings: columns at_s and value, in the panel's unit."""

    label: str
    readings: pl.DataFrame


def telemetry_charts(samples: pl.DataFrame, bands: Sequence[Band], span: Span) -> list[Drawing]:
    """Return the drawings of the panels that have readings; samples are those of queries.samples."""
    inside = samples.filter(pl.col("at_s").is_between(span.start_s, span.end_s))
    found: list[Draw] = []
    for panel in PANELS:
        lines = _lines(panel, inside)
        if lines:
            found.append(partial(_chart, panel, lines, _periods(panel, samples), bands, span))
        if panel.name == CLOCKS:
            held = held_back(inside, bands, span)
            found += [held] if held else []
    last = len(found) - 1
    return [draw(titled=place == last) for place, draw in enumerate(found)]


def _lines(panel: ChartPanel, samples: pl.DataFrame) -> list[Line]:
    lines = []
    known = samples.filter(pl.col("value").is_not_null())
    for source in panel.sources:
        of = (pl.col("sensor") == source.sensor) & (pl.col("metric") == source.metric)
        for device in sorted(known.filter(of)["device"].unique().to_list()):
            readings = readings_of(source, device, samples)
            if readings["value"].is_not_null().any():
                words = (device_words(device), source.words)
                lines.append(Line(", ".join(filter(None, words)), readings))
    return lines


def _chart(
    panel: ChartPanel,
    lines: Sequence[Line],
    periods: list[str],
    bands: Sequence[Band],
    span: Span,
    *,
    titled: bool,
) -> Drawing:
    values = [value for line in lines for value in line.readings["value"].drop_nulls().to_list()]
    factor, unit = display_unit(panel.unit, values)
    x = time_axis(span, titled=titled)
    y = alt.Y(
        "y:Q",
        title=unit,
        scale=alt.Scale(zero=True, nice=True) if any(values) else alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=PLAIN, tickCount=3),
    )
    sheet = Sheet()
    layers = bands_of(sheet, bands, x, named=False)
    averaged = None
    for place, line in enumerate(lines):
        readings, step_s = averaged_over_time(line.readings)
        averaged = step_s or averaged
        layers.append(
            alt.Chart(sheet.put(_records(readings, factor, step_s)))
            .mark_line(
                color=_COLOURS[place % len(_COLOURS)],
                strokeWidth=1.5,
                strokeDash=[1, 0] if place < len(_COLOURS) else [3, 2],
            )
            .encode(x=x, y=y)
        )
    key = [
        KeyEntry(line.label, _COLOURS[place % len(_COLOURS)], "line")
        for place, line in enumerate(lines)
    ]
    notes = [f"Averaged over {averaged:.3g} s."] if averaged else []
    notes += periods
    spec = sheet.finish(layers, f"{panel.title} over the run's time.", 96)
    table = _table(panel, lines, bands)
    return Drawing(panel.name, panel.title, panel.about, spec, key, notes, table)


def _periods(panel: ChartPanel, samples: pl.DataFrame) -> list[str]:
    """Return how often the sensor itself changes, in a sentence, where that was measured."""
    if panel.period is None:
        return []
    own = samples.filter((pl.col("metric") == panel.period) & pl.col("value").is_not_null())
    found = own.group_by("device").agg(pl.col("value").last()).sort("device")
    periods = [
        f"{device_words(device)} every {write(value, 's')}"
        for device, value in found.select("device", "value").iter_rows()
    ]
    return (
        [f"The sensor itself changes: {', '.join(periods)}; between, it repeats."]
        if periods
        else []
    )


def _records(readings: pl.DataFrame, factor: float, step_s: float | None) -> list[Record]:
    spacing = readings["at_s"].diff().median()
    usual_s = float(spacing) if isinstance(spacing, int | float) else 0.0
    silence = max(SILENCE_S, 2 * (step_s or 0.0), 2.5 * usual_s)
    records: list[Record] = []
    before = None
    for at, value in zip(readings["at_s"], readings["value"], strict=True):
        if before is not None and at - before > silence:
            records.append({"x": round(before, 3), "y": None})
        records.append({"x": round(at, 3), "y": None if value is None else value * factor})
        before = at
    return records


def _table(panel: ChartPanel, lines: Sequence[Line], bands: Sequence[Band]) -> CellTable:
    """Return the mean and highest reading of each series in each steady window."""
    heads = [("Load", False), ("Series", False), ("Mean", True), ("Highest", True)]
    rows = []
    for band in bands:
        for line in lines:
            inside = pl.col("at_s").is_between(band.start_s, band.end_s)
            own = line.readings.filter(inside)["value"].drop_nulls()
            mean, top = (own.mean(), own.max()) if len(own) else (None, None)
            rows.append(
                [
                    TableCell(band.load.text),
                    TableCell(line.label or "–"),
                    _cell(panel, mean),
                    _cell(panel, top),
                ]
            )
    return CellTable(heads, rows)


def _cell(panel: ChartPanel, value: object) -> TableCell:
    if not isinstance(value, int | float):
        return TableCell("no reading", number=True)
    return TableCell(write(float(value), panel.unit, "share_fraction"), number=True)
