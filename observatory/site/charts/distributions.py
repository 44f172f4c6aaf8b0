"""The whole distribution of a latency, stage by stage, as the share of requests done by each time.

Requests that failed never arrive, so their curve ends below 100 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from observatory.core.counted_nouns import count_of
from observatory.presentation.figures import write
from observatory.site.charts.drawing import (
    PLAIN,
    CellTable,
    Drawing,
    KeyEntry,
    Record,
    Sheet,
    TableCell,
    axis_title,
    display_unit,
    tips,
)
from observatory.site.loads import Load

STEPS = 200
"""Steps that a curve of more requests is drawn with; each is an exact quantile."""
STAGE_COLOURS = 4
_QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Curve:
    """One stage's curve: ascending values in seconds with the share at or below.

    It is made of n things, of which `failed` never had a value; counted is that in words.
    """

    load: Load
    steps: list[tuple[float, float]]
    n: int
    failed: int
    counted: str

    @property
    def thinned(self) -> bool:
        """It is drawn with fewer steps than it has values."""
        return self.n - self.failed > STEPS


def curve_of(load: Load, values: Sequence[float | None]) -> Curve:
    """Return the curve of a stage's values, ascending, None for a failure; at most STEPS steps are kept."""
    known = [value for value in values if value is not None]
    n = len(values)
    if len(known) <= STEPS:
        places: Sequence[int] = range(len(known))
    else:
        places = sorted({round(i * (len(known) - 1) / STEPS) for i in range(STEPS + 1)})
    steps = [(known[place], (place + 1) / n) for place in places]
    return Curve(load, steps, n, n - len(known), count_of(n, "request"))


def stage_colour(place: int) -> str:
    """Return the CSS colour of a run's n-th stage; darker is later, the last shade is kept for the rest."""
    return f"var(--stage-{min(place, STAGE_COLOURS - 1) + 1})"


def distribution_chart(
    name: str, title: str, about: str, curves: Sequence[Curve], counted: str, *, emulated: bool
) -> Drawing:
    """Return the drawing of one latency. counted names what a curve is a share of."""
    heading = f"{title} (emulated)" if emulated else title
    drawn = [curve for curve in curves if curve.steps]
    if not drawn:
        return Drawing(name, heading, about, missing=["No request of a steady window shows it."])
    factor, unit = display_unit("s", _shown_until(drawn))
    end = max(_shown_until(drawn)) * factor
    x = alt.X(
        "x:Q",
        title=axis_title(title, unit, False),
        scale=alt.Scale(domain=[0, end], clamp=True),
        axis=alt.Axis(format=PLAIN, tickCount=5),
    )
    y = alt.Y(
        "share:Q",
        title=f"Share of {counted} at or below",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%"),
    )
    sheet = Sheet()
    layers = [
        alt.Chart(sheet.put(_records(curve, factor, end)))
        .mark_line(
            interpolate="step-after",
            color=stage_colour(place),
            strokeWidth=2,
            strokeDash=[5, 4] if emulated else [1, 0],
            clip=True,
        )
        .encode(x=x, y=y, tooltip=tips("Load", "Time", "Share"))
        for place, curve in enumerate(drawn)
    ]
    spec = sheet.finish(layers, f"{heading}: cumulative share, one curve for each stage.")
    key = [
        KeyEntry(f"{curve.load.text} ({curve.counted})", stage_colour(place), "line", emulated)
        for place, curve in enumerate(drawn)
    ]
    return Drawing(name, heading, about, spec, key, _notes(drawn, end / factor), _table(drawn))


def _shown_until(curves: Sequence[Curve]) -> list[float]:
    """Return the end of each curve; a tail of the last 1 % that is thrice as long as the rest is cut."""
    ends = []
    for curve in curves:
        last = curve.steps[-1][0]
        usual = _at(curve, 0.99)
        ends.append(usual * 1.2 if usual and last > 3 * usual else last)
    return [end or 1e-6 for end in ends]


def _at(curve: Curve, share: float) -> float | None:
    return next((value for value, reached in curve.steps if reached >= share), None)


def _records(curve: Curve, factor: float, end: float) -> list[Record]:
    records = [
        {
            "x": value * factor,
            "share": share,
            "Load": curve.load.text,
            "Time": write(value, "s"),
            "Share": f"{share:.1%}",
        }
        for value, share in curve.steps
    ]
    first = {**records[0], "share": 0.0}
    last = {**records[-1], "x": max(end, float(str(records[-1]["x"])))}
    return [first, *records, last]


def _notes(curves: Sequence[Curve], end: float) -> list[str]:
    notes = []
    if any(curve.failed for curve in curves):
        failed = ", ".join(f"{c.load.text}: {c.failed:,}" for c in curves if c.failed)
        notes.append(f"Failed requests never arrive, so the curve ends below 100 % ({failed}).")
    if any(curve.thinned for curve in curves):
        notes.append(f"Drawn at {STEPS} exact quantiles of each stage.")
    beyond = max(curve.steps[-1][0] for curve in curves)
    if beyond > end * 1.001:
        notes.append(f"Cut at {write(end, 's')}; the slowest took {write(beyond, 's')}.")
    return notes


def _table(curves: Sequence[Curve]) -> CellTable:
    heads = [("Load", False), ("n", True), *((f"p{q * 100:.0f}", True) for q in _QUANTILES)]
    heads += [("slowest", True), ("failed", True)]
    rows = []
    for curve in curves:
        quantiles = [_at(curve, share) for share in _QUANTILES]
        rows.append(
            [
                TableCell(curve.load.text),
                TableCell(f"{curve.n:,}", number=True),
                *(
                    TableCell(write(value, "s") if value is not None else "> timeout", number=True)
                    for value in quantiles
                ),
                TableCell(write(curve.steps[-1][0], "s"), number=True),
                TableCell(f"{curve.failed:,}", number=True),
            ]
        )
    return CellTable(heads, rows)
