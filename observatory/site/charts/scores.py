"""How right the answers were: one dot and interval for each target and load, from 0 to 1."""

from collections.abc import Sequence

import altair as alt

from observatory.presentation.figures import Figure
from observatory.site.charts.drawing import Drawing, Record, Sheet, tips
from observatory.site.charts.levels import LevelSeries, key_of, level_chart
from observatory.site.charts.marks import target_point
from observatory.site.loads import Load

_ROW = 34
_TITLE = "Score (0 to 1, higher is better)"


def score_chart(name: str, about: str, series: Sequence[LevelSeries]) -> Drawing:
    """Return the drawing; the axis always spans 0 to 1, so that a small difference looks small."""
    plain = level_chart(name, about, series)
    if plain.spec is None:
        return plain
    records = [
        _record(one, load, figure)
        for one in series
        for load, figure in one.points
        if figure.drawable
    ]
    rows = [record["row"] for record in records]
    y = alt.Y(
        "row:N",
        title=None,
        sort=rows,
        axis=alt.Axis(
            minExtent=0, maxExtent=400, labelLimit=210, labelFontSize=12, grid=False, labelPadding=8
        ),
    )
    x = alt.X(
        "score:Q",
        title=_TITLE,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(grid=True, tickCount=5),
    )
    sheet = Sheet()
    layers: list[alt.Chart] = []
    for one in series:
        own = [record for record in records if record["label"] == one.style.label]
        layers += _layers(sheet, one, own, x, y) if own else []
    alt_text = f"Scores with 95 % intervals: {', '.join(one.style.label for one in series)}."
    spec = sheet.finish(layers, alt_text, _ROW * len(rows))
    return Drawing(name, plain.title, about, spec, key_of(series), plain.notes, plain.table)


def _record(one: LevelSeries, load: Load, figure: Figure) -> Record:
    return {
        "row": f"{one.style.target}, {load.text}",
        "label": one.style.label,
        "score": figure.value,
        "low": figure.low,
        "high": figure.high,
        "Target": one.style.label,
        "Load": load.text,
        "Score": figure.text,
        "95 % interval": figure.interval or "none",
        "Requests": figure.n,
        "Verdict": one.verdict,
    }


def _layers(
    sheet: Sheet, one: LevelSeries, records: list[Record], x: alt.X, y: alt.Y
) -> list[alt.Chart]:
    style = one.style
    layers = []
    ranged = [record for record in records if record["low"] is not None]
    if ranged:
        rule = alt.Chart(sheet.put(ranged)).mark_rule(
            color=style.colour, strokeWidth=2, opacity=0.55
        )
        layers.append(rule.encode(x=alt.X("low:Q", title=_TITLE), x2=alt.X2("high:Q"), y=y))
    point = target_point(sheet, records, style, size=90)
    shown = tips("Target", "Load", "Score", "95 % interval", "Requests", "Verdict")
    layers.append(point.encode(x=x, y=y, tooltip=shown))
    return layers
