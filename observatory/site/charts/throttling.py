"""Why a GPU's clocks were held back, in words, and when: a strip a reason, on the run's time axis.

The bits of a mask are sensors.throttle's to name; here is what they mean to a reader.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import altair as alt
import polars as pl

from observatory.presentation.figures import write
from observatory.site.charts.drawing import CellTable, Drawing, Record, Sheet, TableCell
from observatory.site.charts.marks import row_words, rows_downwards
from observatory.site.charts.panels import device_words
from observatory.site.charts.readings import SILENCE_S
from observatory.site.charts.timeline import Band, Span, bands_of, time_axis
from observatory.telemetry.sensors.throttle import throttle_reasons

BITS = "gpu_throttle_bits"
WORDS: dict[str, str] = {
    "ApplicationsClocksSetting": "clocks set by an administrator",
    "SwPowerCap": "power cap",
    "HwSlowdown": "slowed by the hardware",
    "SyncBoost": "kept in step with another GPU",
    "SwThermalSlowdown": "temperature, by the driver",
    "HwThermalSlowdown": "temperature, by the hardware",
    "HwPowerBrakeSlowdown": "power brake from outside",
    "DisplayClockSetting": "clocks set for the display",
    "BoardLimit": "limit of the board",
    "Reliability": "voltage kept for reliability",
}
"""NVML's name of a reason -> in words."""
IDLE = "GpuIdle"
"""Left out: the GPU had no work then, so nothing was held back."""
_ROW = 30
_NAME = "gpu-held-back"
_TITLE = "Why GPU clocks were held back"
_ABOUT = "When the driver gave a reason; a reason that never held is not listed."


@dataclass(frozen=True, slots=True)
class Strip:
    """One reason on one GPU: the spans in seconds in which it held, and the share of readings."""

    label: str
    spans: list[tuple[float, float]]


def words_of(mask: int) -> list[str]:
    """Return the reasons in a mask, in words, with NVML's name; a bit without a name by its number."""
    names = [name for name in throttle_reasons(mask) if name != IDLE]
    return [f"{WORDS[name]} ({name})" if name in WORDS else name for name in names]


def held_back(
    samples: pl.DataFrame, bands: Sequence[Band], span: Span
) -> Callable[..., Drawing] | None:
    """Return how to draw the strips, given whether the time axis is titled; None where none ever held."""
    strips = _strips(samples)
    return partial(_chart, strips, samples, bands, span) if strips else None


def _read(samples: pl.DataFrame) -> pl.DataFrame:
    own = samples.filter((pl.col("metric") == BITS) & pl.col("value").is_not_null())
    return own.select("device", "at_s", "value").sort("device", "at_s")


def _strips(samples: pl.DataFrame) -> list[Strip]:
    strips: list[Strip] = []
    for (device,), own in _read(samples).group_by("device", maintain_order=True):
        at = own["at_s"].to_list()
        held = [words_of(int(bits)) for bits in own["value"].to_list()]
        for words in dict.fromkeys(one for several in held for one in several):
            spans = _spans(at, [words in several for several in held])
            strips.append(Strip(f"{device_words(str(device))}: {words}", spans))
    return strips


def _spans(at: Sequence[float], holds: Sequence[bool]) -> list[tuple[float, float]]:
    """Return the spans from each reading in which it holds to the next, joined; none across a silence."""
    spans: list[tuple[float, float]] = []
    usual = min((later - now for now, later in pairwise(at)), default=1.0)
    for place, now in enumerate(at):
        if not holds[place]:
            continue
        after = at[place + 1] if place + 1 < len(at) else now + usual
        end = after if after - now <= SILENCE_S else now + usual
        if spans and abs(spans[-1][1] - now) < 1e-9:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((now, end))
    return spans


def _chart(
    strips: Sequence[Strip],
    samples: pl.DataFrame,
    bands: Sequence[Band],
    span: Span,
    *,
    titled: bool,
) -> Drawing:
    x = time_axis(span, titled=titled)
    sheet = Sheet()
    layers = bands_of(sheet, bands, x, named=False)
    held: list[Record] = []
    names: list[Record] = []
    for place, strip in enumerate(strips):
        names.append({"x": span.start_s, "y": place + 0.1, "text": strip.label})
        held += [
            {"x": round(start, 3), "end": round(min(end, span.end_s), 3), "y": place + 0.62}
            | {"y2": place + 0.9}
            for start, end in strip.spans
        ]
    y = rows_downwards(len(strips), alt.Axis(labels=False, grid=False, title=None))
    layers.append(
        alt.Chart(sheet.put(held))
        .mark_rect(color="var(--warn)", opacity=1)
        .encode(x=x, x2=alt.X2("end:Q"), y=y, y2=alt.Y2("y2:Q"))
    )
    layers.append(row_words(sheet, names, x, y, dx=4))
    spec = sheet.finish(layers, f"{_TITLE}, over the run's time.", _ROW * len(strips))
    return Drawing(_NAME, _TITLE, _ABOUT, spec, table=_table(samples, bands))


def _table(samples: pl.DataFrame, bands: Sequence[Band]) -> CellTable:
    """Return for each load, GPU and reason the share of the readings in which it held."""
    heads = [("Load", False), ("GPU", False), ("Reason", False), ("Share of the readings", True)]
    rows = []
    for band in bands:
        inside = _read(samples).filter(pl.col("at_s").is_between(band.start_s, band.end_s))
        for (device,), own in inside.group_by("device", maintain_order=True):
            held = [words_of(int(bits)) for bits in own["value"].to_list()]
            reasons = list(dict.fromkeys(one for several in held for one in several))
            gpu = TableCell(device_words(str(device)))
            for words in reasons:
                share = sum(words in several for several in held) / len(held)
                text = write(share, "1", "share_fraction")
                rows.append(
                    [TableCell(band.load.text), gpu, TableCell(words), TableCell(text, number=True)]
                )
            if not reasons:
                none = TableCell("none", number=True)
                rows.append(
                    [TableCell(band.load.text), gpu, TableCell("nothing held them back"), none]
                )
    return CellTable(heads, rows)
