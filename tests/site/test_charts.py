"""Charts as data: what is drawn, how it is marked, and the notes on what is not drawn."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.analysis.windows import Window
from observatory.core.workspace import Workspace
from observatory.presentation.figures import Figure
from observatory.site.charts.distributions import STEPS, curve_of, distribution_chart
from observatory.site.charts.drawing import log_ticks
from observatory.site.charts.levels import LevelSeries, level_chart
from observatory.site.charts.scores import score_chart
from observatory.site.charts.timeline import POINTS, Band, Span, thinned, timeline_chart
from observatory.site.charts.tradeoff import TradeoffSeries, tradeoff_chart
from observatory.site.loads import Load, load_of
from observatory.site.queries import run_queries as queries
from observatory.site.queries.reader import open_reader, shown_runs
from observatory.site.sections.gaps import gap_curve
from observatory.site.target_styles import TargetStyle

REAL = TargetStyle("real", "self", 1, False)
STAND_IN = TargetStyle("emulated-api", "closed", 1, True)
LOADS = [Load(0, 1.0), Load(1, 4.0)]


def figure(value: float | None, **changes: Any) -> Figure:
    ends = {} if value is None else {"low": value * 0.9, "high": value * 1.1}
    given = {"n": 100, "needs_n": 11, "basis": "measured", **ends, **changes}
    return Figure("ttft_s", "p50", value, **given)


def series(style: TargetStyle, *figures: Figure) -> LevelSeries:
    return LevelSeries(style, "valid", list(zip(LOADS, figures, strict=False)))


def marks(spec: dict[str, Any] | None) -> list[dict[str, Any]]:
    assert spec is not None
    return [layer["mark"] for layer in spec["layer"]]


def axis(spec: dict[str, Any] | None, channel: str) -> dict[str, Any]:
    assert spec is not None
    found: dict[str, Any] = next(
        layer["encoding"][channel]
        for layer in spec["layer"]
        if "scale" in layer["encoding"].get(channel, {})
    )
    return found


def test_emulated_lines_are_dashed_and_marks_hollow() -> None:
    drawing = level_chart("x", "", [series(STAND_IN, figure(0.1), figure(0.2))])
    line = next(mark for mark in marks(drawing.spec) if mark["type"] == "line")
    point = next(mark for mark in marks(drawing.spec) if mark["type"] == "point")
    assert line["strokeDash"] == [5, 4]
    assert point["fill"] == "var(--paper)"
    assert drawing.key[0].label == "emulated-api (emulated)"
    assert drawing.key[0].hollow
    assert "Hollow marks and dashed lines are emulated." in drawing.notes
    real = level_chart("x", "", [series(REAL, figure(0.1), figure(0.2))])
    assert next(m for m in marks(real.spec) if m["type"] == "point")["fill"] == REAL.colour


def test_values_start_at_zero_in_a_unit_that_the_axis_names() -> None:
    y = axis(level_chart("x", "", [series(REAL, figure(0.1), figure(0.2))]).spec, "y")
    assert y["title"] == "Time to first token, median (ms)"
    assert y["scale"]["zero"] is True


def test_where_all_is_zero_zero_stands_at_the_foot() -> None:
    y = axis(level_chart("x", "", [series(REAL, figure(0.0), figure(0.0))]).spec, "y")
    assert y["scale"]["domain"] == [0, 1]


def test_a_wide_span_takes_a_log_scale_and_says_so() -> None:
    drawing = level_chart("x", "", [series(REAL, figure(0.01), figure(9.0))])
    y = axis(drawing.spec, "y")
    assert y["scale"]["type"] == "log"
    assert y["title"].endswith("(s, log scale)")
    low, high = y["scale"]["domain"]
    assert low <= 0.009
    assert high >= 9.9


def test_below_the_floor_a_bound_is_drawn_and_no_number() -> None:
    short = figure(None, bound=0.3, n=5, needs_n=11, reason="sample_floor")
    drawing = level_chart("x", "", [series(REAL, figure(0.1), short)])
    assert any(mark.get("shape") == "triangle-up" for mark in marks(drawing.spec))
    assert any("lower bound" in note for note in drawing.notes)
    assert drawing.table is not None
    assert drawing.table.rows[1][2].text == "needs 11, has 5"


def test_failures_are_named_at_the_top_of_the_chart() -> None:
    failed = figure(None, bound=30.0, reason="failures")
    drawing = level_chart("x", "", [series(REAL, figure(0.1), failed)])
    assert any(mark.get("text") == "> timeout" for mark in marks(drawing.spec))


def test_an_open_interval_reaches_the_frame_and_says_so() -> None:
    drawing = level_chart("x", "", [series(REAL, figure(0.1, high=math.inf), figure(0.2))])
    assert any("no upper end" in note for note in drawing.notes)
    assert drawing.spec is not None
    ends = [layer["encoding"].get("y2") for layer in drawing.spec["layer"]]
    assert {"value": 0} in ends


def test_a_target_without_figures_is_named_with_its_reason() -> None:
    none = [figure(None, reason="no_energy_sensor")] * 2
    drawing = level_chart(
        "x", "", [series(REAL, figure(1.0), figure(2.0)), series(STAND_IN, *none)]
    )
    assert [entry.label for entry in drawing.key] == ["real"]
    assert "emulated-api (emulated): no sensor could tell the target's energy apart." in (
        drawing.notes
    )
    alone = level_chart("x", "", [series(STAND_IN, *none)])
    assert alone.spec is None
    assert len(alone.missing) == 1


def test_scores_always_span_zero_to_one() -> None:
    points = [(load, Figure("score", "value", 0.5, 0.4, 0.6, n=9)) for load in LOADS]
    drawing = score_chart("s", "", [LevelSeries(REAL, "valid", points)])
    assert axis(drawing.spec, "x")["scale"]["domain"] == [0, 1]


def test_a_target_without_a_price_is_left_out_of_the_cost_chart_and_named() -> None:
    cost = Figure("usd_per_1k_requests", "value", 0.3, 0.2, 0.4, basis="list_price")
    unpriced = Figure("usd_per_1k_requests", "value", reason="no_price")
    trades = [
        TradeoffSeries(REAL, "valid", [(load, figure(0.2), cost) for load in LOADS]),
        TradeoffSeries(STAND_IN, "valid", [(load, figure(0.2), unpriced) for load in LOADS]),
    ]
    drawing = tradeoff_chart("c", "Cost against latency", "", trades)
    assert [entry.label for entry in drawing.key] == ["real"]
    assert any("emulated-api (emulated) is not drawn: no price" in n for n in drawing.notes)
    assert any("list price" in note for note in drawing.notes)
    assert tradeoff_chart("c", "", "", trades[1:]).spec is None


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_log_ticks_hold_every_value(values: list[float]) -> None:
    ticks = log_ticks(values)
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= min(values) * (1 + 1e-12)
    assert ticks[-1] >= max(values) * (1 - 1e-12)


@given(st.lists(st.floats(0, 1e3) | st.none(), min_size=1, max_size=700))
def test_a_curve_rises_to_the_share_that_succeeded(values: list[float | None]) -> None:
    ordered = sorted(values, key=lambda value: math.inf if value is None else value)
    curve = curve_of(LOADS[0], ordered)
    shares = [share for _, share in curve.steps]
    known = [value for value in ordered if value is not None]
    assert len(curve.steps) <= STEPS + 1
    assert shares == sorted(shares)
    assert [value for value, _ in curve.steps] == sorted(value for value, _ in curve.steps)
    if known:
        assert curve.steps[-1][0] == known[-1]
        assert shares[-1] == pytest.approx(len(known) / len(ordered))
    for value, share in curve.steps:
        assert share <= sum(one <= value for one in known) / len(ordered) + 1e-12


def test_a_curve_with_failures_says_that_it_ends_early() -> None:
    curves = [curve_of(LOADS[0], [0.1, 0.2, None])]
    drawing = distribution_chart("t", "Time to first token", "", curves, "requests", emulated=False)
    assert any("ends below 100 %" in note for note in drawing.notes)
    assert drawing.table is not None
    assert drawing.table.rows[0][3].text == "> timeout"


def test_an_emulated_distribution_is_dashed_and_says_so() -> None:
    curves = [curve_of(LOADS[0], [0.1, 0.2, 0.3])]
    drawing = distribution_chart("t", "Time to first token", "", curves, "requests", emulated=True)
    assert drawing.title == "Time to first token (emulated)"
    assert all(mark["strokeDash"] == [5, 4] for mark in marks(drawing.spec))


@given(fine=st.integers(0, 30_000), bad=st.integers(0, 12_000))
def test_thinning_is_bounded_even_and_said(fine: int, bad: int) -> None:
    n = fine + bad
    requests = pl.DataFrame(
        {
            "start_s": [float(place) for place in range(n)],
            "took_s": [1.0] * n,
            "outcome": ["ok"] * fine + ["error"] * bad,
        },
        schema={"start_s": pl.Float64, "took_s": pl.Float64, "outcome": pl.String},
    )
    kept, note = thinned(requests)
    assert kept.height <= POINTS
    assert (note is None) == (n <= POINTS)
    if bad and bad <= POINTS // 2:
        assert kept.filter(pl.col("outcome") == "error").height == bad
    if note:
        assert f"{kept.height:,} of {n:,} requests" in note


def test_requests_without_an_end_stand_on_the_zero_line() -> None:
    requests = pl.DataFrame(
        {"start_s": [1.0, 2.0], "took_s": [0.5, None], "outcome": ["ok", "not_issued"]}
    )
    band = Band(LOADS[0], 0.0, 3.0)
    drawing = timeline_chart(requests, [band], Span(0.0, 3.0), emulated=False)
    assert [entry.label for entry in drawing.key] == ["ok (1)", "not issued (1)", "steady window"]
    assert any("zero line" in note for note in drawing.notes)


def test_the_drawn_gaps_are_those_that_analysis_counts(whole: Workspace) -> None:
    with open_reader(whole) as reader:
        assert reader is not None
        run_id = next(run.run_id for run in shown_runs(reader) if "frontier" in run.run_id)
        stage = queries.stages(reader, run_id)[0]
        window = Window(0, stage.steady_start_ns or 0, stage.steady_end_ns or 0, False, 0.0)
        attempts = queries.counted_attempts(reader, run_id, 0)
        curve = gap_curve(load_of(stage), window, attempts)
        median = queries.figures(reader, run_id)[0].get("itl_s", "p50")
        drawn = next(value for value, share in curve.steps if share >= 0.5)
        assert median.value is not None
        assert drawn == pytest.approx(median.value, rel=0.01)
        assert f"of {median.n} requests" in curve.counted


def test_latencies_are_over_the_requests_that_analysis_counts(whole: Workspace) -> None:
    with open_reader(whole) as reader:
        assert reader is not None
        for run in shown_runs(reader):
            for stage, found in queries.figures(reader, run.run_id).items():
                frame = queries.latencies(reader, run.run_id, "ttft_s")
                assert frame.filter(pl.col("stage") == stage).height == found.get("ttft_s", "p50").n


def test_charts_carry_no_colour_of_their_own(built: Path) -> None:
    for page in (built / "index.html", next((built / "runs").glob("*frontier*"))):
        for line in page.read_text().splitlines():
            if 'class="spec"' in line:
                assert '"color":"#' not in line
                assert '"stroke":"#' not in line
