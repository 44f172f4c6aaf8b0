"""One metric against load: a line a target, its intervals, and what could not be given.

Levels are compared at equal x; targets are set apart by a few pixels so that intervals stay visible.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from observatory.presentation.figures import Figure
from observatory.site.charts.drawing import (
    PLAIN,
    TOP,
    TOP_END,
    CellTable,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    Spec,
    TableCell,
    axis_title,
    display_unit,
    figure_cell,
    tips,
    value_axis,
    wants_log,
)
from observatory.site.charts.marks import target_cells, target_point
from observatory.site.loads import Load
from observatory.site.members import MemberRun
from observatory.site.target_styles import TargetStyle

_APART = 7
_LOG_LEVELS = 8.0
"""Levels from one to this many times it are on a linear axis."""


@dataclass(frozen=True, slots=True)
class LevelSeries:
    """One run's stages, with the figures that are drawn; verdict is shown with every number."""

    style: TargetStyle
    verdict: str
    points: list[tuple[Load, Figure]]
    by_basis: bool = False
    """The mark's shape and its words in the key show the figures' basis; intervals are ranges."""

    @property
    def basis(self) -> str | None:
        """Return the weakest basis of its figures."""
        found = {figure.basis for _, figure in self.points if figure.drawable}
        return next((basis for basis in reversed(BASIS_SHAPES) if basis in found), None)

    @property
    def shape(self) -> str:
        """Return the shape of its marks."""
        return BASIS_SHAPES.get(self.basis or "", "cross") if self.by_basis else self.style.shape

    @property
    def label(self) -> str:
        """Return its words in the key."""
        return (
            f"{self.style.label}, {self.basis or 'basis not known'}"
            if self.by_basis
            else self.style.label
        )


BASIS_SHAPES = {"measured": "circle", "estimated": "square", "modelled": "diamond"}
"""Basis, strongest first -> the shape of marks where shape shows it."""


def series_of(
    members: Sequence[MemberRun], metric: str, statistic: str = "value", *, by_basis: bool = False
) -> list[LevelSeries]:
    """Return the members' figures of one metric and statistic over their loads."""
    return [LevelSeries(m.style, m.verdict, m.series(metric, statistic), by_basis) for m in members]


def key_of(series: Sequence[LevelSeries]) -> list[KeyEntry]:
    """Return the key entries of the series."""
    return [
        KeyEntry(one.label, one.style.colour, one.shape, one.style.emulated, one.verdict)
        for one in series
    ]


def level_chart(name: str, about: str, series: Sequence[LevelSeries]) -> Drawing:
    """Return the drawing of one metric and statistic against load; every series has the same one."""
    figures = [figure for one in series for _, figure in one.points]
    title = figures[0].title if figures else about
    drawn = [one for one in series if any(_shows(figure) for _, figure in one.points)]
    absent = [f"{one.style.label}: {why_missing(one)}." for one in series if one not in drawn]
    table = _table(series) if figures else None
    if not drawn:
        return Drawing(name, title, about, table=table, missing=absent or ["No stage was run."])
    notes = [*_notes(drawn), *absent]
    return Drawing(name, title, about, _spec(drawn, title), key_of(drawn), notes, table)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _bounded(figure: Figure) -> bool:
    return figure.below_floor and not figure.reached_by_failures and figure.bound is not None


def _shows(figure: Figure) -> bool:
    return figure.drawable or figure.reached_by_failures


def _spec(series: Sequence[LevelSeries], title: str) -> Spec:
    figures = [figure for one in series for _, figure in one.points]
    ends = [value for f in figures for value in (f.low, f.high) if value is not None]
    finite = [figure.value for figure in figures if figure.value is not None and figure.drawable]
    bounds = [figure.bound for figure in figures if _bounded(figure) and figure.bound is not None]
    factor, unit = display_unit(
        figures[0].unit, [*finite, *bounds, *_finite(ends)], figures[0].metric
    )
    log = wants_log(finite)
    shown = [value * factor for value in (*finite, *bounds, *_finite(ends))]
    scale, axis = value_axis(shown, log)
    y_title = axis_title(title, unit, log)
    y = alt.Y("y:Q", title=y_title, scale=scale, axis=axis)
    x = _x_axis(series)
    sheet = Sheet()
    layers: list[alt.Chart] = []
    for place, one in enumerate(series):
        shift = (place - (len(series) - 1) / 2) * _APART
        layers += _layers(sheet, one, factor, shift, x, y, y_title)
    names = ", ".join(one.style.label for one in series)
    return sheet.finish(layers, f"{title} against load: {names}.")


def _x_axis(series: Sequence[LevelSeries]) -> alt.X:
    loads = {load.level: load for one in series for load, _ in one.points}
    levels = sorted(loads)
    log = len(levels) > 1 and levels[0] > 0 and levels[-1] / levels[0] > _LOG_LEVELS
    domain = [levels[0] * 0.5, levels[0] * 1.5] if len(levels) == 1 else [levels[0], levels[-1]]
    kind = {"type": "log"} if log else {"type": "linear", "zero": False}
    scale = alt.Scale(domain=domain, padding=40, nice=False, **kind)
    title = axis_title(next(iter(loads.values())).axis, "", log)
    return alt.X("x:Q", title=title, scale=scale, axis=alt.Axis(values=levels, format=PLAIN))


def _records(one: LevelSeries, factor: float) -> list[Record]:
    records = []
    for load, figure in one.points:
        drawable = figure.value is not None and figure.drawable
        record: Record = {
            "x": load.level,
            "y": figure.value * factor if figure.value is not None and drawable else None,
            "low": figure.low * factor if drawable and figure.low is not None else None,
            "high": None,
            "open": False,
            "bound": figure.bound * factor
            if _bounded(figure) and figure.bound is not None
            else None,
            "failed": figure.reached_by_failures,
            "Target": one.style.label,
            "Load": load.text,
            "Value": figure.text,
            "Range" if one.by_basis else "95 % interval": figure.interval or "none",
            "Requests": figure.n,
            "Verdict": one.verdict,
        }
        if record["low"] is not None:
            record["open"] = figure.high is None or figure.high == float("inf")
            record["high"] = None if record["open"] else (figure.high or 0.0) * factor
        records.append(record)
    return records


def _tooltip(one: LevelSeries) -> list[alt.Tooltip]:
    ends = "Range" if one.by_basis else "95 % interval"
    return tips("Target", "Load", "Value", ends, "Requests", "Verdict")


def _layers(
    sheet: Sheet, one: LevelSeries, factor: float, shift: float, x: alt.X, y: alt.Y, y_title: str
) -> list[alt.Chart]:
    records = _records(one, factor)
    colour, style, tooltip = one.style.colour, one.style, _tooltip(one)
    drawn = [record for record in records if record["y"] is not None]
    closed = [record for record in drawn if record["high"] is not None]
    opened = [record for record in drawn if record["open"]]
    bounds = [record for record in records if record["bound"] is not None]
    failed = [record for record in records if record["failed"]]
    layers = []
    if drawn:
        layers.append(
            alt.Chart(sheet.put(records))
            .mark_line(color=colour, strokeDash=style.dash, strokeWidth=1.75, xOffset=shift)
            .encode(x=x, y=y)
        )
    rule: dict[str, Any] = {"color": colour, "strokeWidth": 2, "opacity": 0.55, "xOffset": shift}
    if closed:
        chart = alt.Chart(sheet.put(closed)).mark_rule(**rule)
        layers.append(chart.encode(x=x, y=alt.Y("low:Q", title=y_title), y2=alt.Y2("high:Q")))
    if opened:
        chart = alt.Chart(sheet.put(opened)).mark_rule(**rule)
        layers.append(chart.encode(x=x, y=alt.Y("low:Q", title=y_title), y2=TOP_END))
    if drawn:
        point = target_point(sheet, drawn, style, shape=one.shape, size=75, xOffset=shift)
        layers.append(point.encode(x=x, y=y, tooltip=tooltip))
    if bounds:
        layers.append(
            alt.Chart(sheet.put(bounds))
            .mark_point(
                shape="triangle-up", size=70, stroke=colour, fill="none", xOffset=shift, opacity=1
            )
            .encode(x=x, y=alt.Y("bound:Q", title=y_title), tooltip=tooltip)
        )
    if failed:
        layers.append(
            alt.Chart(sheet.put(failed))
            .mark_text(text="> timeout", color=colour, dx=shift, fontWeight=600, baseline="top")
            .encode(x=x, y=TOP, tooltip=tooltip)
        )
    return layers


def _notes(series: Sequence[LevelSeries]) -> list[str]:
    figures = [figure for one in series for _, figure in one.points]
    notes = []
    if any(figure.interval for figure in figures):
        ranged = any(one.by_basis for one in series)
        notes.append(
            "Bars are the model's range, low to high." if ranged else "Bars are 95 % intervals."
        )
    if any(record["open"] for one in series for record in _records(one, 1.0)):
        notes.append("A bar up to the frame has no upper end.")
    if any(map(_bounded, figures)):
        notes.append("A hollow triangle is a lower bound: too few requests for the figure itself.")
    if any(figure.reached_by_failures for figure in figures):
        notes.append("“> timeout”: so many requests failed that they reach this percentile.")
    if any(one.style.emulated for one in series):
        notes.append("Hollow marks and dashed lines are emulated.")
    return notes


def why_missing(one: LevelSeries) -> str:
    """Return why a series shows nothing, in words."""
    reasons = dict.fromkeys(figure.note or "not recorded" for _, figure in one.points)
    return "; ".join(reasons) or "no stage was run"


def _table(series: Sequence[LevelSeries]) -> CellTable:
    heads = [("Target", False), ("Load", False), ("Value", True), ("Requests", True)]
    rows = [
        [
            *target_cells(one.style, one.verdict, load),
            figure_cell(figure),
            TableCell(f"{figure.n:,}" if figure.n is not None else "–", number=True),
        ]
        for one in series
        for load, figure in one.points
    ]
    return CellTable(heads, rows)
