"""Marks and cells of a target that several charts have alike: its point, its words, its row of a table."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from observatory.site.charts.drawing import Record, Sheet, TableCell
from observatory.site.loads import Load
from observatory.site.target_styles import TargetStyle


def target_point(
    sheet: Sheet, records: Sequence[Record], style: TargetStyle, *, size: int, **mark: Any
) -> alt.Chart:
    """Return a layer of a target's points: filled, or hollow where it is emulated."""
    fill = "var(--paper)" if style.emulated else style.colour
    looks = {"shape": style.shape, "stroke": style.colour, "fill": fill, "strokeWidth": 2, **mark}
    points: alt.Chart = alt.Chart(sheet.put(records)).mark_point(size=size, opacity=1, **looks)
    return points


def row_words(
    sheet: Sheet, records: Sequence[Record], x: alt.X, y: alt.Y, **mark: Any
) -> alt.Chart:
    """Return a layer of the records' `text`, each above its row."""
    layer = alt.Chart(sheet.put(records)).mark_text(
        align="left", baseline="top", color="var(--ink)", **mark
    )
    words: alt.Chart = layer.encode(x=x, y=y, text=alt.Text("text:N"))
    return words


def rows_downwards(height: float, axis: alt.Axis | None = None) -> alt.Y:
    """Return the axis of rows from 0, at the top, to `height`."""
    scale = alt.Scale(domain=[height, 0], nice=False, zero=False)
    return alt.Y("y:Q", scale=scale, axis=axis)


def target_cells(style: TargetStyle, verdict: str, load: Load) -> tuple[TableCell, TableCell]:
    """Return the first two cells of a row: the target and its load."""
    return TableCell(style.target, verdict=verdict, emulated=style.emulated), TableCell(load.text)
