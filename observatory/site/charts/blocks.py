"""A matrix's figure over its cells: a dot a block, a bar at their mean, a row a cell.

Loads are under one another within a cell's row; rows are in the order of the scenario, never ranked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

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
    log_ticks,
    tips,
    wants_log,
)
from observatory.site.charts.marks import row_words, rows_downwards
from observatory.site.loads import Load

NAME_PX, LOAD_PX, APART_PX = 18, 20, 14
"""Heights of a line of a cell's words, of a load's line, and of the space between cells."""
LETTERS = 40
"""Letters in a line of a cell's words: what fits a narrow screen."""
COLOURS = ("var(--stage-3)", "var(--closed-1)", "var(--managed-1)", "var(--closed-2)")


@dataclass(frozen=True, slots=True)
class BlockSpread:
    """A cell's figure at one load: its blocks' values (block, figure), and their mean as a figure."""

    load: Load
    blocks: list[tuple[int, Figure]]
    mean: Figure


@dataclass(frozen=True, slots=True)
class CellRow:
    """A cell: its factors' levels in words, and its spreads by load (none where it failed)."""

    label: str
    spreads: list[BlockSpread]
    emulated: bool = False


def blocks_chart(
    name: str, title: str, about: str, cells: Sequence[CellRow], table: CellTable
) -> Drawing:
    """Return the drawing of one metric and statistic; cells without a value are named, not drawn."""
    figures = [one for cell in cells for spread in cell.spreads for _, one in spread.blocks]
    drawn = [figure for figure in figures if figure.drawable]
    absent = [
        f"{cell.label}: {_why(cell)}."
        for cell in cells
        if not any(one.drawable for spread in cell.spreads for _, one in spread.blocks)
    ]
    if not drawn:
        return Drawing(name, title, about, table=table, missing=absent or ["No cell was run."])
    loads = _loads(cells)
    key = [KeyEntry(load.text, COLOURS[place % 4], "circle") for place, load in enumerate(loads)]
    key.append(KeyEntry("mean over the blocks", "var(--ink)", "line"))
    notes = [*absent]
    if len(drawn) < len(figures):
        notes.append("A block whose figure is missing or infinite has no dot.")
    if any(cell.emulated for cell in cells):
        notes.append("Hollow dots are emulated.")
    return Drawing(name, title, about, _spec(cells, drawn, title, loads), key, notes, table)


def _loads(cells: Sequence[CellRow]) -> list[Load]:
    found = {spread.load.stage: spread.load for cell in cells for spread in cell.spreads}
    return [found[stage] for stage in sorted(found)]


def _why(cell: CellRow) -> str:
    reasons = dict.fromkeys(
        one.note or "not recorded" for spread in cell.spreads for _, one in spread.blocks
    )
    return "; ".join(reasons) or "no sound run"


def _spec(
    cells: Sequence[CellRow], drawn: Sequence[Figure], title: str, loads: Sequence[Load]
) -> Spec:
    values = [figure.value for figure in drawn if figure.value is not None]
    factor, unit = display_unit(drawn[0].unit, values, drawn[0].metric)
    log = wants_log(values)
    shown = [value * factor for value in values]
    axis = alt.Axis(format=PLAIN, tickCount=6, grid=True)
    scale = alt.Scale(zero=True, nice=True) if any(values) else alt.Scale(domain=[0, 1])
    if log:
        ticks = log_ticks(shown)
        axis = alt.Axis(format=PLAIN, values=ticks, grid=True)
        scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]], nice=False)
    start = log_ticks(shown)[0] if log else 0
    x = alt.X("x:Q", title=axis_title(title, unit, log), scale=scale, axis=axis)
    height = sum(_height(cell, loads) for cell in cells)
    y = rows_downwards(height)
    sheet = Sheet()
    dots, means, names = _records(cells, loads, factor, start)
    layers: list[alt.Chart] = [
        alt.Chart(sheet.put(means))
        .mark_rule(color="var(--ink)", strokeWidth=2)
        .encode(x=x, y=y, y2=alt.Y2("y2:Q"), tooltip=tips("Cell", "Load", "Mean", "Blocks"))
    ]
    for place in range(len(loads)):
        for emulated in (False, True):
            own = [one for one in dots if one["load"] == place and one["hollow"] == emulated]
            if own:
                colour = COLOURS[place % 4]
                layers.append(
                    alt.Chart(sheet.put(own))
                    .mark_point(
                        size=60,
                        stroke=colour,
                        fill="var(--paper)" if emulated else colour,
                        strokeWidth=1.75,
                        opacity=0.85,
                    )
                    .encode(x=x, y=y, tooltip=tips("Cell", "Load", "Block", "Value"))
                )
    layers.append(row_words(sheet, names, x, y, fontWeight=600, lineBreak="\n"))
    return sheet.finish(layers, f"{title} of each cell, a dot a block.", height)


def _words(cell: CellRow) -> list[str]:
    """Return the lines of a cell's words."""
    return wrap(cell.label if cell.spreads else f"{cell.label}: no sound run", LETTERS)


def _height(cell: CellRow, loads: Sequence[Load]) -> int:
    lines = len(loads) if cell.spreads else 0
    return NAME_PX * len(_words(cell)) + LOAD_PX * lines + APART_PX


def _records(
    cells: Sequence[CellRow], loads: Sequence[Load], factor: float, start: float
) -> tuple[list[Record], list[Record], list[Record]]:
    """Return dots, bars at the means, and the cells' words; y in pixels from the top."""
    dots: list[Record] = []
    means: list[Record] = []
    names: list[Record] = []
    top = 0
    places = {load.stage: place for place, load in enumerate(loads)}
    for cell in cells:
        words = _words(cell)
        names.append({"x": start, "y": top + 2, "text": "\n".join(words)})
        for spread in cell.spreads:
            place = places[spread.load.stage]
            y = top + NAME_PX * len(words) + LOAD_PX * place + LOAD_PX / 2
            labels = {"Cell": cell.label, "Load": spread.load.text}
            for block, figure in spread.blocks:
                if figure.drawable and figure.value is not None:
                    dots.append(
                        {"x": figure.value * factor, "y": y, "load": place}
                        | {"hollow": cell.emulated, "Block": block + 1, "Value": figure.text}
                        | labels
                    )
            mean = spread.mean.value
            if mean is not None and math.isfinite(mean):
                bar = {"x": mean * factor, "y": y - 8, "y2": y + 8, "Mean": spread.mean.text}
                means.append(bar | {"Blocks": len(spread.blocks)} | labels)
        top += _height(cell, loads)
    return dots, means, names
