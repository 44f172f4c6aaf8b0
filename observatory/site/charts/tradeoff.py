"""Money against time: what a thousand requests cost, over how long an answer takes.

A point is a target at one load; the load is next to it, a line joins a target's loads in order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from observatory.core.units import human_number
from observatory.presentation.figures import Figure
from observatory.site.charts.drawing import (
    CellTable,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    axis_title,
    display_unit,
    figure_cell,
    tips,
    value_axis,
    wants_log,
)
from observatory.site.charts.marks import target_cells, target_point
from observatory.site.loads import Load
from observatory.site.target_styles import TargetStyle

Point = tuple[Load, Figure, Figure]
"""A load with its latency and its cost."""


@dataclass(frozen=True, slots=True)
class TradeoffSeries:
    """One run's stages, each with its latency and its cost."""

    style: TargetStyle
    verdict: str
    points: list[Point]


def tradeoff_chart(name: str, title: str, about: str, trades: Sequence[TradeoffSeries]) -> Drawing:
    """Return the drawing; a target without a cost or a latency is named in a note, with the reason."""
    table = _table(trades)
    all_points = [
        (trade, [point for point in trade.points if point[1].drawable and point[2].drawable])
        for trade in trades
    ]
    drawn = [(trade, points) for trade, points in all_points if points]
    notes = [_absent(trade) for trade, points in all_points if not points]
    if not drawn:
        return Drawing(name, title, about, table=table, missing=notes or ["No stage was run."])
    every = [point for _, points in drawn for point in points]
    latency = [value for point in every if (value := point[1].value) is not None]
    cost = [value for point in every if (value := point[2].value) is not None]
    example = every[0]
    factor, unit = display_unit("s", latency)
    x_log, y_log = wants_log(latency), wants_log(cost)
    titles = (
        axis_title(example[1].title, unit, x_log),
        axis_title(example[2].title, "US dollars", y_log),
    )
    x_scale, x_axis = value_axis(_shown([point[1] for point in every], factor), x_log)
    y_scale, y_axis = value_axis(_shown([point[2] for point in every], 1.0), y_log)
    x_axis.grid = True
    x = alt.X("x:Q", title=titles[0], scale=x_scale, axis=x_axis)
    y = alt.Y("y:Q", title=titles[1], scale=y_scale, axis=y_axis)
    sheet = Sheet()
    layers = [
        layer
        for trade, points in drawn
        for layer in _layers(sheet, trade, points, factor, (x, y), titles)
    ]
    spec = sheet.finish(
        layers, f"{title}: {', '.join(trade.style.label for trade, _ in drawn)}.", 280
    )
    styles = [(trade.style, trade.verdict) for trade, _ in drawn]
    key = [KeyEntry(s.label, s.colour, s.shape, s.emulated, verdict) for s, verdict in styles]
    bases = sorted({basis for _, points in drawn for p in points if (basis := p[2].modelled)})
    notes.append(
        f"Lower left is better on both axes. Bars are 95 % intervals; a number next to a mark is the "
        f"load ({example[0].axis.lower()})."
    )
    if bases:
        notes.append(f"Prices by basis: {', '.join(basis.replace('_', ' ') for basis in bases)}.")
    return Drawing(name, title, about, spec, key, notes, table)


def _shown(figures: Sequence[Figure], factor: float) -> list[float]:
    ends = [end for figure in figures for end in (figure.value, figure.low, figure.high)]
    return [end * factor for end in ends if end is not None and math.isfinite(end)]


def _layers(
    sheet: Sheet,
    trade: TradeoffSeries,
    points: list[Point],
    factor: float,
    axes: tuple[Any, Any],
    titles: tuple[str, str],
) -> list[alt.Chart]:
    x, y = axes
    style = trade.style
    records = [_record(trade, factor, *point) for point in points]
    rule: dict[str, Any] = {"color": style.colour, "strokeWidth": 2, "opacity": 0.45}
    layers = [
        alt.Chart(sheet.put(records))
        .mark_line(color=style.colour, strokeDash=style.dash, strokeWidth=1.25, opacity=0.7)
        .encode(x=x, y=y, order=alt.Order("order:Q"))
    ]
    sideways = [record for record in records if record["x_high"] is not None]
    upright = [record for record in records if record["y_high"] is not None]
    if sideways:
        chart = alt.Chart(sheet.put(sideways)).mark_rule(**rule)
        layers.append(chart.encode(x=alt.X("x_low:Q", title=titles[0]), x2=alt.X2("x_high:Q"), y=y))
    if upright:
        chart = alt.Chart(sheet.put(upright)).mark_rule(**rule)
        layers.append(chart.encode(x=x, y=alt.Y("y_low:Q", title=titles[1]), y2=alt.Y2("y_high:Q")))
    point = target_point(sheet, records, style, size=80)
    words = alt.Chart(sheet.put(records)).mark_text(dx=9, dy=-9, align="left", fontSize=11)
    shown = tips("Target", "Load", "Latency", "Cost", "Basis", "Requests", "Verdict")
    layers.append(point.encode(x=x, y=y, tooltip=shown))
    layers.append(words.encode(x=x, y=y, text=alt.Text("level:N")))
    return layers


def _record(
    trade: TradeoffSeries, factor: float, load: Load, latency: Figure, cost: Figure
) -> Record:
    return {
        "order": load.stage,
        "x": _scaled(latency.value, factor),
        "x_low": _scaled(latency.low, factor),
        "x_high": _finite(latency.high, factor),
        "y": cost.value,
        "y_low": cost.low,
        "y_high": _finite(cost.high, 1.0) if cost.low is not None else None,
        "level": human_number(load.level),
        "Target": trade.style.label,
        "Load": load.text,
        "Latency": latency.text,
        "Cost": cost.text,
        "Basis": (cost.basis or "").replace("_", " "),
        "Requests": latency.n,
        "Verdict": trade.verdict,
    }


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _finite(value: float | None, factor: float) -> float | None:
    return None if value is None or value == float("inf") else value * factor


def _absent(trade: TradeoffSeries) -> str:
    reasons = {
        figure.note or "not recorded"
        for _, latency, cost in trade.points
        for figure in (latency, cost)
        if not figure.drawable
    }
    return f"{trade.style.label} is not drawn: {'; '.join(sorted(reasons)) or 'no stage'}."


def _table(trades: Sequence[TradeoffSeries]) -> CellTable:
    heads = [("Target", False), ("Load", False), ("Latency", True), ("Cost", True)]
    rows = [
        [
            *target_cells(trade.style, trade.verdict, load),
            figure_cell(latency),
            figure_cell(cost),
        ]
        for trade in trades
        for load, latency, cost in trade.points
    ]
    return CellTable(heads, rows)
