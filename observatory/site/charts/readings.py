"""Readings of one series over time: counters made into gains, silence made into gaps.

A null breaks a line: a sensor that was down, or could not read, is a gap and never a zero.
"""

from typing import assert_never

import polars as pl

from observatory.site.charts.panels import PanelSource

READINGS = 600
"""Readings of one series drawn at most; more are averaged over equal spans of time."""
SILENCE_S = 3.0
"""Seconds without a reading that break a line (the bound of the check telemetry_gap)."""


def readings_of(source: PanelSource, device: str, samples: pl.DataFrame) -> pl.DataFrame:
    """Return columns at_s and value of one source on one device, in order; null where it could not read."""
    own = samples.filter((pl.col("sensor") == source.sensor) & (pl.col("device") == device))
    read = own.filter(pl.col("metric") == source.metric).select("at_s", "value").sort("at_s")
    match source.reading:
        case "since_start":
            read = read.with_columns(_gain().fill_null(0.0).cum_sum().alias("value"))
        case "per_second":
            read = read.with_columns((_gain() / pl.col("at_s").diff()).alias("value"))
        case "share_of":
            reference = own.filter(pl.col("metric") == source.of).select("at_s", of="value")
            joined = read.join(reference, on="at_s", how="inner").sort("at_s")
            looked = pl.col("of").diff()
            share = pl.when(looked > 0).then(_gain() / looked)
            read = joined.select("at_s", share.alias("value")).drop_nulls()
        case "as_read":
            pass
        case _:
            assert_never(source.reading)
    is_down = (pl.col("metric") == "up") & (pl.col("value") == 0)
    down = own.filter(is_down)
    if device:
        every = (pl.col("sensor") == source.sensor) & (pl.col("device") == "")
        down = pl.concat([down, samples.filter(every & is_down)])
    gaps = down.select("at_s", pl.lit(None, dtype=pl.Float64).alias("value"))
    unread = gaps.join(read, on="at_s", how="anti")
    return pl.concat([read, unread]).sort("at_s")


def _gain() -> pl.Expr:
    """Return the counter's gain since the reading before; null for the first, and where it restarted."""
    gain = pl.col("value").diff()
    return pl.when(gain >= 0).then(gain)


def averaged_over_time(readings: pl.DataFrame) -> tuple[pl.DataFrame, float | None]:
    """Return at most READINGS rows; the span in seconds that each then averages, else None."""
    if readings.height <= READINGS:
        return readings, None
    at = readings["at_s"].to_list()
    step_s = (at[-1] - at[0]) / READINGS * 1.001
    grouped = (
        readings.with_columns(((pl.col("at_s") - at[0]) / step_s).floor().alias("bucket"))
        .group_by("bucket", maintain_order=True)
        .agg(pl.col("at_s").mean(), pl.col("value").mean())
        .drop("bucket")
    )
    return grouped, step_s
