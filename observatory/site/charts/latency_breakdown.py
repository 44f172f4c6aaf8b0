"""What a service took out of what its user waited: a bar a target and load.

A bar is as long as the user waited and full as far as the service took; quantiles do not add up, so
that the rest is no sum of waits but all that lies between the two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from observatory.presentation.figures import Figure
from observatory.site.charts.drawing import (
    PLAIN,
    CellTable,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    Spec,
    axis_title,
    display_unit,
    figure_cell,
    tips,
)
from observatory.site.charts.marks import row_words, rows_downwards, target_cells
from observatory.site.loads import Load
from observatory.site.target_styles import TargetStyle

ROW = 46
ROOM = 1.12
"""How far the axis goes beyond the longest bar, so that one without an end is seen to have none."""
_ABOUT = {
    "median": "Half of the requests took less. The full part of a bar is what the service took, its "
    "whole length what the user waited from the instant the request was due.",
    "p90": "One request in ten took longer. The full part of a bar is what the service took, its whole "
    "length what the user waited from the instant the request was due.",
}


@dataclass(frozen=True, slots=True)
class LatencyParts:
    """One target at one load: the four figures of one statistic, in seconds."""

    style: TargetStyle
    verdict: str
    load: Load
    service: Figure
    throttle: Figure
    pace: Figure
    user: Figure

    @property
    def label(self) -> str:
        """Return the bar's words."""
        return f"{self.style.label}, {self.load.text}"

    @property
    def endless(self) -> bool:
        """Failures reach what its user waited."""
        return self.user.reached_by_failures


def breakdown_chart(name: str, statistic: str, parts: Sequence[LatencyParts]) -> Drawing:
    """Return the drawing of one statistic (its words)."""
    title = f"Service and user side by side, {statistic}"
    about = _ABOUT[statistic]
    table = _table(parts)
    if not any(one.user.drawable or one.endless for one in parts):
        missing = [f"{one.label}: {one.user.note or one.user.text}." for one in parts]
        return Drawing(name, title, about, table=table, missing=missing)
    return Drawing(name, title, about, _spec(parts, title), _key(parts), _notes(parts), table)


def _key(parts: Sequence[LatencyParts]) -> list[KeyEntry]:
    styles = {one.style.target: one for one in parts}
    return [
        KeyEntry(one.style.label, one.style.colour, "square", one.style.emulated, one.verdict)
        for one in styles.values()
    ]


def _notes(parts: Sequence[LatencyParts]) -> list[str]:
    notes = []
    if any(one.endless for one in parts):
        notes.append(
            "“> timeout”: so many requests failed or were given up that they reach this "
            "percentile; the bar has no end."
        )
    short = [one.label for one in parts if not one.user.drawable and not one.endless]
    if short:
        notes.append(f"No bar: {'; '.join(short)} (the table has the reason).")
    if any(one.style.emulated for one in parts):
        notes.append("Hollow bars are emulated.")
    return notes


def _spec(parts: Sequence[LatencyParts], title: str) -> Spec:
    ends = [
        figure.value
        for one in parts
        for figure in (one.service, one.user)
        if figure.drawable and figure.value is not None
    ]
    factor, unit = display_unit("s", ends)
    longest = max(ends, default=1.0) * factor
    far = (longest or 1.0) * ROOM
    x = alt.X(
        "x:Q",
        title=axis_title("End-to-end latency", unit, False),
        scale=alt.Scale(domain=[0, far], nice=False),
        axis=alt.Axis(format=PLAIN, tickCount=6, grid=True),
    )
    y = rows_downwards(len(parts))
    sheet = Sheet()
    layers: list[alt.Chart] = []
    for place, one in enumerate(parts):
        layers += _bars(sheet, place, one, factor, far, x, y)
    names = [
        {"x": 0, "y": place + 0.1, "text": one.label + (": > timeout" if one.endless else "")}
        for place, one in enumerate(parts)
    ]
    layers.append(row_words(sheet, names, x, y))
    names_of = ", ".join(dict.fromkeys(one.style.label for one in parts))
    return sheet.finish(layers, f"{title}: {names_of}.", ROW * len(parts))


def _bars(
    sheet: Sheet, place: int, one: LatencyParts, factor: float, far: float, x: alt.X, y: alt.Y
) -> list[alt.Chart]:
    """Return the user's wait, pale, and over it the service's part of it; nothing where neither is known."""
    colour, emulated = one.style.colour, one.style.emulated
    words: Record = {
        "Target": one.style.label,
        "Load": one.load.text,
        "Service": one.service.text,
        "Throttle wait": one.throttle.text,
        "Pacing wait": one.pace.text,
        "User": one.user.text,
        "Verdict": one.verdict,
    }
    tooltip = tips(*words)
    layers = []
    user = far if one.endless else _seconds(one.user)
    for end, weight in ((user, 0.28), (_seconds(one.service), 1.0)):
        if end is None:
            continue
        shown = end if end == far and one.endless and weight < 1 else end * factor
        record: Record = {"x": 0, "end": shown, "y": place + 0.48, "y2": place + 0.86, **words}
        mark = alt.Chart(sheet.put([record])).mark_rect(
            fill="var(--paper)" if emulated and weight == 1 else colour,
            fillOpacity=weight,
            stroke=colour,
            strokeWidth=1.5 if emulated or weight == 1 else 0,
            strokeDash=one.style.dash,
            opacity=1,
        )
        layers.append(mark.encode(x=x, x2=alt.X2("end:Q"), y=y, y2=alt.Y2("y2:Q"), tooltip=tooltip))
    return layers


def _seconds(figure: Figure) -> float | None:
    value = figure.value
    return value if value is not None and math.isfinite(value) else None


def _table(parts: Sequence[LatencyParts]) -> CellTable:
    heads = [("Target", False), ("Load", False), ("The service took", True)]
    heads += [("Throttle wait", True), ("Pacing wait", True), ("The user waited", True)]
    return CellTable(
        heads,
        [
            [
                *target_cells(one.style, one.verdict, one.load),
                *(figure_cell(f) for f in (one.service, one.throttle, one.pace, one.user)),
            ]
            for one in parts
        ],
    )
