"""A run's panels over time: what is drawn of each sensor, and that a gap is a gap."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.site.charts.drawing import Drawing
from observatory.site.charts.readings import READINGS, averaged_over_time
from observatory.site.charts.telemetry import telemetry_charts
from observatory.site.charts.throttling import WORDS, words_of
from observatory.site.charts.timeline import Band, Span
from observatory.site.loads import Load
from observatory.site.sections.sensor_outages import outage_table
from observatory.telemetry.sensors.throttle import REASONS

BANDS = [Band(Load(0, 1.0), 0.0, 10.0)]
SPAN = Span(0.0, 10.0)
Reading = tuple[float, str, str, str, float | None]


def sampled(*readings: Reading, reason: str | None = None) -> pl.DataFrame:
    columns = ("at_s", "sensor", "device", "metric", "value")
    rows = [dict(zip(columns, reading, strict=True)) for reading in readings]
    frame = pl.DataFrame(rows, schema_overrides={"value": pl.Float64, "at_s": pl.Float64})
    return frame.with_columns(
        pl.lit("shared_host").alias("subject"), pl.lit(reason, dtype=pl.String).alias("reason")
    )


def over_time(sensor: str, device: str, metric: str, values: list[float | None]) -> list[Reading]:
    return [(float(at), sensor, device, metric, value) for at, value in enumerate(values)]


def drawn(samples: pl.DataFrame) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in telemetry_charts(samples, BANDS, SPAN)}


def line(drawing: Drawing, place: int = -1) -> list[tuple[float, float | None]]:
    assert drawing.spec is not None
    rows: list[dict[str, Any]] = list(drawing.spec["datasets"].values())[place]
    return [(row["x"], row["y"]) for row in rows]


def test_readings_are_averaged_over_equal_spans() -> None:
    readings = pl.DataFrame({"at_s": [i / 10 for i in range(6000)], "value": [1.0, 3.0] * 3000})
    kept, step = averaged_over_time(readings)
    assert kept.height <= READINGS
    assert step == pytest.approx(1.0, rel=0.01)
    assert kept["value"].mean() == pytest.approx(2.0, abs=0.05)
    same, none = averaged_over_time(readings.head(10))
    assert same.height == 10
    assert none is None


def test_a_line_breaks_where_the_sensor_fell_silent() -> None:
    at = [0.0, 1.0, 2.0, 9.0, 10.0]
    samples = pl.DataFrame(
        {
            "at_s": at,
            "sensor": ["host"] * 5,
            "subject": ["shared_host"] * 5,
            "device": [""] * 5,
            "metric": ["cpu_util_fraction"] * 5,
            "value": [0.5] * 5,
            "reason": [None] * 5,
        }
    )
    [drawing] = telemetry_charts(samples, BANDS, SPAN)
    assert drawing.spec is not None
    rows = list(drawing.spec["datasets"].values())[-1]
    assert [row["x"] for row in rows if row["y"] is None] == [2.0]
    assert drawing.table is not None
    assert [cell.text for cell in drawing.table.rows[0]] == ["1 user", "all cores", "50 %", "50 %"]


def test_a_sensor_that_was_down_is_a_gap_and_no_zero() -> None:
    read = over_time("nvml", "gpu0", "gpu_power_w", [100.0, 110.0])
    down: list[Reading] = [(2.0, "nvml", "gpu0", "up", 0.0)]
    later: list[Reading] = [(3.0, "nvml", "gpu0", "gpu_power_w", 130.0)]
    power = line(drawn(sampled(*read, *down, *later))["gpu-power"])
    assert power == [(0.0, 100.0), (1.0, 110.0), (2.0, None), (3.0, 130.0)]
    whole: list[Reading] = [(2.0, "nvml", "", "up", 0.0)]
    assert line(drawn(sampled(*read, *whole, *later))["gpu-power"]) == power


def test_a_reading_that_could_not_be_had_is_a_gap() -> None:
    samples = sampled(*over_time("nvml", "gpu0", "gpu_util_fraction", [0.5, None, 0.75]))
    assert line(drawn(samples)["gpu-util"]) == [(0.0, 50.0), (1.0, None), (2.0, 75.0)]


def test_nothing_is_drawn_of_what_was_never_read() -> None:
    samples = sampled(
        *over_time("host", "", "cpu_util_fraction", [0.5, 0.6]),
        *over_time("nvml", "gpu0", "gpu_power_w", [None, None]),
        *over_time("nvml", "", "up", [0.0]),
    )
    assert list(drawn(samples)) == ["host-cpu"]


def test_counters_are_drawn_as_gains_and_begin_anew_without_a_fall() -> None:
    device = "engine:mine"
    samples = sampled(
        *over_time("engine", device, "engine_preemptions_total", [7.0, 9.0, 9.0, 1.0, 2.0]),
        *over_time("engine", device, "engine_output_tokens_total", [0.0, 40.0, 100.0, 0.0, 30.0]),
    )
    panels = drawn(samples)
    assert line(panels["engine-preemptions"])[:3] == [(0.0, 0.0), (1.0, 2.0), (2.0, 2.0)]
    assert line(panels["engine-preemptions"])[3:] == [(3.0, 2.0), (4.0, 3.0)]
    tokens = [y for _, y in line(panels["engine-tokens"])]
    assert tokens == [None, 40.0, 60.0, None, 30.0]
    assert panels["engine-tokens"].key[0].label == "engine mine, generated"


def test_readings_that_are_all_zero_stand_at_the_foot() -> None:
    samples = sampled(*over_time("engine", "e", "engine_preemptions_total", [3.0, 3.0]))
    spec = drawn(samples)["engine-preemptions"].spec
    assert spec is not None
    assert spec["layer"][-1]["encoding"]["y"]["scale"]["domain"] == [0, 1]


def test_the_prefix_cache_share_is_of_what_was_looked_up() -> None:
    samples = sampled(
        *over_time("engine", "e", "engine_prefix_cache_queries_total", [0.0, 200.0, 200.0, 300.0]),
        *over_time("engine", "e", "engine_prefix_cache_hits_total", [0.0, 50.0, 50.0, 150.0]),
    )
    assert line(drawn(samples)["engine-prefix-cache"]) == [(1.0, 25.0), (3.0, 100.0)]


def test_reasons_that_held_clocks_back_are_in_words() -> None:
    samples = sampled(
        *over_time("nvml", "gpu0", "gpu_sm_clock_mhz", [1980.0, 1500.0, 1500.0, 1980.0]),
        *over_time("nvml", "gpu0", "gpu_throttle_bits", [1.0, 4.0, 4.0 + 64.0, 0.0]),
    )
    panels = drawn(samples)
    assert list(panels) == ["gpu-clocks", "gpu-held-back"]
    strip = panels["gpu-held-back"]
    assert strip.spec is not None
    _, held, names = strip.spec["datasets"].values()
    assert [row["text"] for row in names] == [
        "gpu0: power cap (SwPowerCap)",
        "gpu0: temperature, by the hardware (HwThermalSlowdown)",
    ]
    assert [(row["x"], row["end"]) for row in held] == [(1.0, 3.0), (2.0, 3.0)]
    assert strip.table is not None
    assert [[cell.text for cell in row[1:]] for row in strip.table.rows] == [
        ["gpu0", "power cap (SwPowerCap)", "50 %"],
        ["gpu0", "temperature, by the hardware (HwThermalSlowdown)", "25 %"],
    ]
    idle = sampled(*over_time("nvml", "gpu0", "gpu_throttle_bits", [0.0, 1.0, 0.0]))
    assert drawn(idle) == {}


@given(st.integers(0, 2**40))
def test_every_bit_but_idle_is_named_once(mask: int) -> None:
    words = words_of(mask)
    assert len(words) == len(set(words)) == (mask & ~1).bit_count()


def test_every_reason_of_the_driver_has_words() -> None:
    assert set(WORDS) | {"GpuIdle"} == set(REASONS.values())


def test_a_sensors_own_period_is_said() -> None:
    samples = sampled(
        *over_time("nvml", "gpu0", "gpu_power_w", [100.0, 101.0]),
        (-3.0, "nvml", "gpu0", "gpu_power_update_period_s", 0.1),
    )
    [note] = drawn(samples)["gpu-power"].notes
    assert "gpu0 every 100 ms" in note


def test_spells_of_a_sensor_that_was_down_are_told_with_their_reason() -> None:
    ups = over_time("nvml", "gpu0", "up", [1.0, 0.0, 0.0, 1.0])
    never: list[Reading] = [(-5.0, "rapl", "", "up", 0.0)]
    table = outage_table(sampled(*ups, *never, reason="it hangs"), SPAN)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["GPU (NVML)", "gpu0", "1.0 s", "3.0 s", "it hangs"],
        ["processor energy (RAPL)", "all", "before the run", "the end", "it hangs"],
    ]
    before = sampled(*over_time("nvml", "", "up", [0.0, 1.0]), reason="starting")
    assert outage_table(before, Span(5.0, 9.0)).rows == []


@settings(deadline=None)  # a chart is made each time, and the time of that is no matter here
@given(st.lists(st.floats(0, 1) | st.none(), min_size=1, max_size=40))
def test_no_line_has_a_value_that_no_sensor_gave(values: list[float | None]) -> None:
    panels = drawn(sampled(*over_time("nvml", "gpu0", "gpu_util_fraction", values[:10])))
    known = [value for value in values[:10] if value is not None]
    if not known:
        assert panels == {}
    else:
        found = [y for _, y in line(panels["gpu-util"]) if y is not None]
        assert found == [value * 100.0 for value in known]
