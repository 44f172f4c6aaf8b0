"""Where a request's time went, as the server reports it, under what the client saw: a bar a target and load.

The server's means of queue, prefill and decode are stacked; what the client measured is next to
them as a mark, because the two clocks are two witnesses and are never added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from observatory.presentation.figures import DASH, Figure, write
from observatory.site.charts.drawing import (
    PLAIN,
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
)
from observatory.site.charts.marks import row_words, rows_downwards, target_cells
from observatory.site.loads import Load
from observatory.site.target_styles import TargetStyle

PHASES = {
    "queue": ("in its queue", "var(--closed-3)"),
    "prefill": ("prefill", "var(--self-1)"),
    "decode": ("decode", "var(--self-2)"),
}
"""Phase -> words and colour, in the order of time."""
ROW = 44
_TITLE = "Where the time went, as the server reports"
_ABOUT = (
    "Means over each steady window from the engine's own counters; the mark is the mean end-to-end latency "
    "as the client saw it."
)


@dataclass(frozen=True, slots=True)
class Times:
    """One target at one load: the server's means in seconds (None: not reported), the client's figure."""

    style: TargetStyle
    verdict: str
    load: Load
    phases: dict[str, float | None]
    client: Figure

    @property
    def reported(self) -> bool:
        """Return whether the server reported any phase."""
        return any(value is not None for value in self.phases.values())

    @property
    def label(self) -> str:
        """Return the bar's words."""
        return f"{self.style.label}, {self.load.text}: {self.verdict}"


def phases_chart(name: str, times: Sequence[Times]) -> Drawing:
    """Return the drawing; some of the times have a phase."""
    key = [KeyEntry(words, colour, "square") for words, colour in PHASES.values()]
    key.append(KeyEntry("end-to-end latency, mean, at the client", "var(--ink)", "diamond", True))
    notes = []
    if any(one.style.emulated for one in times):
        notes.append("Pale bars are emulated.")
    if any(not one.client.drawable for one in times):
        notes.append("No mark: failures reach the client's mean, or nothing succeeded.")
    return Drawing(name, _TITLE, _ABOUT, _spec(times), key, notes, _table(times))


def _spec(times: Sequence[Times]) -> Spec:
    seconds = [value for one in times for value in one.phases.values() if value is not None]
    client = [one.client.value for one in times if one.client.value and one.client.drawable]
    factor, unit = display_unit("s", [*seconds, *client])
    x = alt.X(
        "x:Q",
        title=axis_title("Mean time of a request", unit, False),
        scale=alt.Scale(zero=True, nice=True),
        axis=alt.Axis(format=PLAIN, tickCount=6, grid=True),
    )
    y = rows_downwards(len(times))
    sheet = Sheet()
    layers = [
        alt.Chart(sheet.put(_bars(times, phase, factor)))
        .mark_rect(color=colour, opacity=1)
        .encode(
            x=x,
            x2=alt.X2("end:Q"),
            y=y,
            y2=alt.Y2("y2:Q"),
            opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
            tooltip=tips("Target", "Load", "Phase", "Mean", "Verdict"),
        )
        for phase, (_, colour) in PHASES.items()
    ]
    marks = [
        {
            "x": (one.client.value or 0.0) * factor,
            "y": place + 0.7,
            "Target": one.style.label,
            "Load": one.load.text,
            "Client mean": one.client.text,
            "Verdict": one.verdict,
        }
        for place, one in enumerate(times)
        if one.client.drawable
    ]
    if marks:
        layers.append(
            alt.Chart(sheet.put(marks))
            .mark_point(
                shape="diamond",
                size=90,
                stroke="var(--ink)",
                fill="var(--paper)",
                strokeWidth=2,
                opacity=1,
            )
            .encode(x=x, y=y, tooltip=tips("Target", "Load", "Client mean", "Verdict"))
        )
    names = [{"x": 0, "y": place + 0.14, "text": one.label} for place, one in enumerate(times)]
    layers.append(row_words(sheet, names, x, y))
    names_of = ", ".join(dict.fromkeys(one.style.label for one in times))
    return sheet.finish(layers, f"{_TITLE}: {names_of}.", ROW * len(times))


def _bars(times: Sequence[Times], phase: str, factor: float) -> list[Record]:
    order = list(PHASES)
    bars: list[Record] = []
    for place, one in enumerate(times):
        value = one.phases.get(phase)
        if value is None:
            continue
        before = sum(one.phases.get(name) or 0.0 for name in order[: order.index(phase)])
        bars.append(
            {
                "x": before * factor,
                "end": (before + value) * factor,
                "y": place + 0.5,
                "y2": place + 0.9,
                "opacity": 0.5 if one.style.emulated else 1,
                "Target": one.style.label,
                "Load": one.load.text,
                "Phase": PHASES[phase][0],
                "Mean": write(value, "s"),
                "Verdict": one.verdict,
            }
        )
    return bars


def _table(times: Sequence[Times]) -> CellTable:
    heads = [("Target", False), ("Load", False)]
    heads += [(f"{words}, server", True) for words, _ in PHASES.values()]
    heads += [("End-to-end latency, mean, client", True)]
    rows = []
    for one in times:
        rows.append(
            [
                *target_cells(one.style, one.verdict, one.load),
                *(
                    TableCell(DASH if value is None else write(value, "s"), number=True)
                    for value in map(one.phases.get, PHASES)
                ),
                figure_cell(one.client),
            ]
        )
    return CellTable(heads, rows)
