"""What the sensors read while a run went on: panels under its timeline, on the same time axis.

A line breaks where the sensor fell silent; nothing is drawn across a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from observatory.site.charts.drawing import (
    PLAIN,
    Cell,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    Table,
    display_unit,
)
from observatory.site.charts.timeline import Band, Span, bands_of, time_axis
from observatory.site.figures import write

READINGS = 600
"""Readings of one series drawn at most; more are averaged over equal spans of time."""
SILENCE_S = 3.0
"""Seconds without a reading that break a line (the bound of the check telemetry_gap)."""
_COLOURS = ("var(--stage-3)", "var(--closed-1)", "var(--managed-1)", "var(--closed-2)")


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity: the sensor's metrics, each with words for the key beside the device's name."""

    name: str
    title: str
    unit: str
    sensor: str
    metrics: dict[str, str]


PANELS = (
    Panel(
        "host-cpu",
        "CPU of the whole host",
        "1",
        "host",
        {"cpu_util_fraction": "all cores", "cpu_max_core_fraction": "busiest core"},
    ),
    Panel("process-cpu", "CPU by process", "cores", "process", {"cpu_cores": ""}),
    Panel("host-memory", "Memory of the whole host", "B", "host", {"memory_used_bytes": "in use"}),
    Panel("process-memory", "Memory by process", "B", "process", {"rss_bytes": ""}),
    Panel(
        "gpu-util",
        "GPU: share of time with any kernel running",
        "1",
        "nvml",
        {"gpu_util_fraction": ""},
    ),
    Panel("gpu-memory", "GPU memory in use", "B", "nvml", {"gpu_memory_used_bytes": ""}),
    Panel("gpu-power", "GPU power", "W", "nvml", {"gpu_power_w": ""}),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One series of readings: columns at_s and value, in the panel's unit."""

    label: str
    readings: pl.DataFrame


def telemetry_charts(samples: pl.DataFrame, bands: Sequence[Band], span: Span) -> list[Drawing]:
    """The drawings of the panels that have readings; samples are those of queries.samples."""
    inside = samples.filter(
        pl.col("at_s").is_between(span.start_s, span.end_s) & pl.col("value").is_not_null()
    )
    found = [(panel, lines) for panel in PANELS if (lines := _lines(panel, inside))]
    last = len(found) - 1
    return [
        _chart(panel, lines, bands, span, place == last)
        for place, (panel, lines) in enumerate(found)
    ]


def _lines(panel: Panel, samples: pl.DataFrame) -> list[Line]:
    lines = []
    for metric, words in panel.metrics.items():
        own = samples.filter((pl.col("sensor") == panel.sensor) & (pl.col("metric") == metric))
        for device in sorted(own["device"].unique().to_list()):
            readings = own.filter(pl.col("device") == device).select("at_s", "value")
            label = ", ".join(part for part in (device.replace(":", " "), words) if part)
            lines.append(Line(label, readings))
    return lines


def _chart(
    panel: Panel, lines: Sequence[Line], bands: Sequence[Band], span: Span, last: bool
) -> Drawing:
    values = [value for line in lines for value in line.readings["value"].to_list()]
    factor, unit = display_unit(panel.unit, values)
    x = time_axis(span, titled=last)
    y = alt.Y(
        "y:Q",
        title=unit,
        scale=alt.Scale(zero=True, nice=True),
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
    spec = sheet.finish(layers, f"{panel.title} over the run's time.", 96)
    return Drawing(panel.name, panel.title, "", spec, key, notes, _table(panel, lines, bands))


def _records(readings: pl.DataFrame, factor: float, step_s: float | None) -> list[Record]:
    silence = max(SILENCE_S, 2 * (step_s or 0.0))
    records: list[Record] = []
    before = None
    for at, value in zip(readings["at_s"], readings["value"], strict=True):
        if before is not None and at - before > silence:
            records.append({"x": round(before, 3), "y": None})
        records.append({"x": round(at, 3), "y": value * factor})
        before = at
    return records


def averaged_over_time(readings: pl.DataFrame) -> tuple[pl.DataFrame, float | None]:
    """At most READINGS rows; the span in seconds that each then averages, else None."""
    if readings.height <= READINGS:
        return readings, None
    at = readings["at_s"].to_list()
    step_s = (at[-1] - at[0]) / READINGS * 1.001
    grouped = (
        readings.with_columns(((pl.col("at_s") - at[0]) / step_s).floor().alias("bucket"))
        .group_by("bucket", maintain_order=True)
        .agg(pl.col("at_s").mean(), pl.col("value").mean())
        .drop("bucket")
    )
    return grouped, step_s


def _table(panel: Panel, lines: Sequence[Line], bands: Sequence[Band]) -> Table:
    """Mean and highest reading of each series in each steady window."""
    heads = [("Load", False), ("Series", False), ("Mean", True), ("Highest", True)]
    rows = []
    for band in bands:
        for line in lines:
            own = line.readings.filter(pl.col("at_s").is_between(band.start_s, band.end_s))["value"]
            mean, top = (own.mean(), own.max()) if len(own) else (None, None)
            rows.append(
                [
                    Cell(band.load.text),
                    Cell(line.label or "–"),
                    _cell(panel, mean),
                    _cell(panel, top),
                ]
            )
    return Table(heads, rows)


def _cell(panel: Panel, value: object) -> Cell:
    if not isinstance(value, int | float):
        return Cell("no reading", number=True)
    return Cell(write(float(value), panel.unit, "share_fraction"), number=True)
