"""Sensors that were down while a run went on: which, from when to when, and why.

From the samples `up`; what a sensor could not read is listed here and drawn as a gap, never as zero.
"""

import polars as pl

from observatory.site.charts.drawing import CellTable, TableCell
from observatory.site.charts.panels import device_words
from observatory.site.charts.timeline import Span
from observatory.telemetry.sensors.table import sensor_words


def outage_table(samples: pl.DataFrame, span: Span) -> CellTable:
    """Return a row for each outage of a sensor within the run's time.

    samples are those of queries.samples. An outage lasts until the sensor's next `up` = 1.
    """
    heads = [("Sensor", False), ("Of", False), ("From", True), ("To", True), ("Why", False)]
    readings = samples.filter(pl.col("metric") == "up").sort("sensor", "device", "at_s")
    rows = []
    for (sensor, device), own in readings.group_by("sensor", "device", maintain_order=True):
        for start, end, why in _spells(own):
            if start > span.end_s or (end is not None and end < span.start_s):
                continue
            rows.append(
                [
                    TableCell(sensor_words(str(sensor))),
                    TableCell(device_words(str(device)) or "all"),
                    TableCell(
                        "before the run" if start < span.start_s else f"{start:.1f} s", number=True
                    ),
                    TableCell(
                        "the end" if end is None or end > span.end_s else f"{end:.1f} s",
                        number=True,
                    ),
                    TableCell(why),
                ]
            )
    return CellTable(heads, rows)


def _spells(readings: pl.DataFrame) -> list[tuple[float, float | None, str]]:
    spells: list[tuple[float, float | None, str]] = []
    start, reasons = None, dict[str, None]()
    for at, value, reason in readings.select("at_s", "value", "reason").iter_rows():
        if value == 0:
            start = at if start is None else start
            reasons[reason or "it gave no reason"] = None
        elif start is not None:
            spells.append((start, at, "; ".join(reasons)))
            start, reasons = None, {}
    if start is not None:
        spells.append((start, None, "; ".join(reasons)))
    return spells
