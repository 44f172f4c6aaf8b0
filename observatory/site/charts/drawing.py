"""What a page needs of a chart: its specification, its key, and the table of the same figures.

Also the style that all charts share. Colours are CSS variables, so that the stylesheet alone decides
light, dark and print.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt

from observatory.presentation.figures import Figure

Spec = dict[str, Any]
Record = dict[str, Any]

FONT = '"Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
HEIGHT = 230
LEFT = 54
"""Width kept for the y axis, in pixels, so that charts under one another share their x axis."""
LOG_FROM = 30.0
"""A log scale (and its statement) where the largest value is this many times the smallest."""

CONFIG: Spec = {
    "background": None,
    "font": FONT,
    "padding": {"left": 0, "right": 8, "top": 4, "bottom": 0},
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink-soft)",
        "titleColor": "var(--ink)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 600,
        "domainColor": "var(--rule-strong)",
        "tickColor": "var(--rule-strong)",
        "gridColor": "var(--rule)",
        "labelPadding": 6,
        "tickSize": 4,
    },
    "axisX": {"grid": False, "titlePadding": 8},
    "axisY": {
        "domain": False,
        "ticks": False,
        "minExtent": LEFT,
        "maxExtent": LEFT,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "start",
        "titleX": -LEFT,
        "titleY": -12,
        "titleBaseline": "bottom",
        "tickCount": 5,
    },
    "text": {"fontSize": 12, "color": "var(--ink-soft)"},
}


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One line of a chart's key. shape: circle, square, diamond, cross, triangle, line or band."""

    label: str
    colour: str
    shape: str
    hollow: bool = False
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class TableCell:
    """A table's cell: words or a number, and what is small under it."""

    text: str
    under: str | None = None
    number: bool = False
    verdict: str | None = None
    emulated: bool = False
    link: str | None = None
    basis: str | None = None


@dataclass(frozen=True, slots=True)
class CellTable:
    """A table of cells; heads are (title, is a number)."""

    heads: list[tuple[str, bool]]
    rows: list[list[TableCell]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart for a page. spec is None where there is nothing to draw: missing then has the reasons, a line
    each."""

    name: str
    title: str
    about: str
    spec: Spec | None = None
    key: list[KeyEntry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table: CellTable | None = None
    missing: list[str] = field(default_factory=list)


def figure_cell(figure: Figure) -> TableCell:
    """Return the cell of a figure: interval, bound or reason under it, and its basis."""
    ends = figure.interval
    if ends and figure.basis == "modelled":
        ends = f"range {ends}"
    under = "; ".join(part for part in (ends, figure.note) if part)
    return TableCell(figure.text, under=under or None, number=True, basis=figure.modelled)


class Sheet:
    """The rows of one chart, kept apart from its layers and put into its specification at the end.

    Altair would copy and hash rows that it is given, which costs more than drawing them.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[Record]] = {}

    def put(self, records: Sequence[Record]) -> alt.NamedData:
        """Return what a layer over these rows is made from."""
        name = f"rows{len(self._rows)}"
        self._rows[name] = list(records)
        return alt.NamedData(name)

    def finish(self, layers: Sequence[alt.Chart], alt_text: str, height: int = HEIGHT) -> Spec:
        """Return the specification, as wide as its container; alt_text is read to screen readers."""
        return {**layered(layers, alt_text, height), "datasets": self._rows}


def layered(layers: Sequence[alt.Chart], alt_text: str, height: int) -> Spec:
    """Return what `alt.layer` makes of these charts, without rows, as wide as its container.

    alt.layer copies every layer several times, which costs more than all else of a page.
    """
    shared = all(layer.data is layers[0].data for layer in layers)
    drawn = []
    for layer in layers:
        one = layer.to_dict(validate=False, context={"top_level": False, "datasets": {}})
        data = one.pop("data")
        drawn.append(one if shared else {"data": data, **one})
    frame = _frame()
    return {
        "config": frame["config"],
        "layer": drawn,
        "autosize": {"contains": "padding", "type": "fit-x"},
        **({"data": data} if shared else {}),
        "description": alt_text,
        "height": height,
        "width": "container",
        "$schema": frame["$schema"],
    }


@functools.cache
def _frame() -> Spec:
    """Return what Altair adds to every chart."""
    frame: Spec = alt.layer().to_dict(validate=False)
    return frame


TOP = alt.YValue(0)  # type: ignore[no-untyped-call]  # Altair does not type it
"""The frame's upper edge as a y channel."""
TOP_END = alt.Y2Value(0)  # type: ignore[no-untyped-call]
"""The same as the end of a range."""


def tips(*names: str) -> list[alt.Tooltip]:
    """Return tooltip channels over columns of words.

    Channels are given as objects everywhere: a string makes Altair hash its whole schema again.
    """
    return [alt.Tooltip(f"{name}:N", title=name) for name in names]


def display_unit(unit: str, values: Iterable[float], metric: str = "") -> tuple[float, str]:
    """Return what to multiply values by, and the unit that an axis then names."""
    largest = max((abs(value) for value in values), default=0.0)
    if unit == "s":
        return (1e3, "ms") if largest < 1 else (1.0, "s")
    if unit in ("B", "B/s"):
        per = unit[1:]
        large = largest >= 2.0**30
        return (2.0**-30, f"GiB{per}") if large else (2.0**-20, f"MiB{per}")
    if unit == "1" and metric != "score":
        return 100.0, "%"
    return 1.0, "" if unit in ("1", "1/s") else unit


def wants_log(values: Iterable[float]) -> bool:
    """Return whether the values span so much that a linear axis would hide the small ones."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return len(positive) > 1 and max(positive) / min(positive) >= LOG_FROM


PLAIN = ",.10~g"
"""The format of axis labels: plain decimals, thousands apart."""


def log_ticks(values: Iterable[float]) -> list[float]:
    """Return the ticks of a log axis that holds all positive values: 1, 2, 5 a decade, or decades alone."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    first = math.floor(math.log10(min(positive)))
    last = math.ceil(math.log10(max(positive)))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    lowest = max((tick for tick in ticks if tick <= min(positive)), default=ticks[0])
    highest = min((tick for tick in ticks if tick >= max(positive)), default=ticks[-1])
    return [tick for tick in ticks if lowest <= tick <= highest]


def value_axis(values: Sequence[float], log: bool) -> tuple[alt.Scale, alt.Axis]:
    """Scale and axis of a value: from zero, or a log scale over round ticks.

    Where all are zero the axis ends at one, so that zero is at its foot.
    """
    if not any(values):
        return alt.Scale(domain=[0, 1]), alt.Axis(format=PLAIN, tickCount=5)
    if not log:
        return alt.Scale(zero=True, nice=True), alt.Axis(format=PLAIN, tickCount=5)
    ticks = log_ticks(values)
    scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]], nice=False)
    return scale, alt.Axis(format=PLAIN, values=ticks)


def axis_title(title: str, unit: str, log: bool) -> str:
    """Return an axis title with its unit, stating a log scale."""
    inside = ", ".join(part for part in (unit, "log scale" if log else "") if part)
    return f"{title} ({inside})" if inside else title
