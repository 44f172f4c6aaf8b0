"""What rate limits did: known waits in tables and bars, and no text where no request was held up."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from observatory.core.workspace import Workspace
from observatory.presentation.figures import Figure, StageFigures
from observatory.site.build import build_site
from observatory.site.charts.latency_breakdown import LatencyParts, breakdown_chart
from observatory.site.loads import Load
from observatory.site.queries.rows import ThrottlingRow
from observatory.site.sections.latency_breakdown import count_cells
from observatory.site.target_styles import TargetStyle
from tests.site.reading import words

Planter = Callable[..., Workspace]
LOAD = Load(0, 4)


def figure(metric: str, value: float | None, reason: str | None = None) -> Figure:
    return Figure(metric, "p90", value=value, n=200, needs_n=64, reason=reason)


def wait(service: float | None, user: float | None, *, emulated: bool = False) -> LatencyParts:
    why = "failures" if user is None else None
    return LatencyParts(
        TargetStyle("target", "closed", 1, emulated),
        "valid",
        LOAD,
        figure("e2e_s", service, why),
        figure("throttle_wait_s", 4.0),
        figure("pace_wait_s", 0.0),
        figure("e2e_scheduled_s", user, why),
    )


def bars(waits: list[LatencyParts]) -> list[dict[str, Any]]:
    spec = breakdown_chart("waits", "p90", waits).spec
    assert spec is not None
    rows = [row for rows in spec["datasets"].values() for row in rows]
    return [row for row in rows if "end" in row]


def test_a_bar_is_as_long_as_the_user_waited_and_full_as_far_as_the_service_took() -> None:
    whole, service = bars([wait(0.5, 5.0)])
    assert (whole["x"], whole["end"], service["x"], service["end"]) == (0, 5.0, 0, 0.5)
    assert whole["User"] == "5 s"
    assert whole["Service"] == "500 ms"
    assert whole["Throttle wait"] == "4 s"
    assert whole["Pacing wait"] == "0 s"


def test_where_failures_reach_the_percentile_the_bar_has_no_end_and_says_so() -> None:
    drawing = breakdown_chart("waits", "p90", [wait(None, None), wait(0.5, 5.0)])
    assert any("so many requests failed" in note for note in drawing.notes)
    assert drawing.spec is not None
    [far] = [layer for layer in bars([wait(None, None), wait(0.5, 5.0)]) if layer["end"] > 5]
    x = next(layer["encoding"]["x"] for layer in drawing.spec["layer"] if "x2" in layer["encoding"])
    assert far["end"] == x["scale"]["domain"][1]
    assert drawing.table is not None
    assert [cell.text for cell in drawing.table.rows[0]][-1] == "> timeout"


def test_a_chart_without_any_user_figure_says_why() -> None:
    short = replace(wait(0.5, 5.0), user=Figure("e2e_scheduled_s", "p90", n=9, needs_n=64))
    drawing = breakdown_chart("waits", "p90", [short])
    assert drawing.spec is None
    assert drawing.missing == ["target, 4 users: needs 64, has 9."]


def test_emulated_bars_are_hollow_and_said_to_be() -> None:
    drawing = breakdown_chart("waits", "p90", [wait(0.5, 5.0, emulated=True)])
    assert "Hollow bars are emulated." in drawing.notes
    assert drawing.key[0].label == "target (emulated)"
    assert drawing.spec is not None
    fills = [layer["mark"].get("fill") for layer in drawing.spec["layer"]]
    assert "var(--paper)" in fills


def test_a_millisecond_of_the_loop_is_no_pacing() -> None:
    def of(refused: float, paced_s: float) -> StageFigures:
        return StageFigures(
            {
                ("throttle_rate", "value"): Figure("throttle_rate", "value", value=refused),
                ("pace_wait_s", "mean"): Figure("pace_wait_s", "mean", value=paced_s),
            }
        )

    assert not of(0.0, 0.0009).held_up
    assert of(0.0, 0.01).held_up
    assert of(0.001, 0.0).held_up
    assert not StageFigures({}).held_up


def test_counts_have_their_share_and_what_was_overload() -> None:
    row = ThrottlingRow(
        stage=0,
        requests=200,
        attempts=310,
        throttled_attempts=110,
        overloaded_attempts=10,
        throttled_requests=50,
        throttled_share=0.25,
        served_after_waiting=45,
        given_up=5,
        throttle_lost_s=123.0,
        pace_lost_s=0.0,
    )
    cells = count_cells(row)
    assert [cell.text for cell in cells] == [
        "200", "310", "110", "50", "45", "5", "123 s", "0 s"
    ]  # fmt: skip
    assert cells[2].under == "10 of them overloaded"
    assert cells[3].under == "25 %"
    assert {cell.text for cell in count_cells(None)} == {"–"}


def test_the_pages_show_service_waits_and_user_side_by_side(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    built = build_site(planter(seeds["closed-limited"], seeds["team-vllm"]))
    text = words(built / "index.html")
    assert "What rate limits did" in text
    assert "As users waited, p90" in text
    assert "End-to-end latency as users waited, p90" in text
    row = pl.read_parquet(built / "data" / "throttling.parquet").filter(
        (pl.col("target") == "closed-limited") & (pl.col("stage") == 0)
    )
    [reported] = row.to_dicts()
    assert (
        reported["throttled_requests"]
        == reported["served_after_waiting"] + reported["given_up"]
        > 0
    )
    assert (
        reported["attempts"]
        == reported["requests"] + reported["throttled_attempts"] - reported["given_up"]
    )
    assert reported["user_p90_s"] > reported["service_p90_s"] + 1
    page = words(next((built / "runs").glob("*closed-limited*")))
    counts = f"{reported['requests']} {reported['attempts']} {reported['throttled_attempts']}"
    for shown in (text, page):
        assert f"{counts} {reported['throttled_requests']}" in shown
    assert (
        "Policy obey: a refused request is sent again at the time that the service states." in page
    )
    html = (built / "index.html").read_text()
    cards = re.findall(r'<article class="card.*?</article>', html, flags=re.S)
    assert ["As users waited, p90" in card for card in cards] == [False, True]


def test_where_nobody_was_held_up_nothing_is_said_of_limits(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    built = build_site(planter(seeds["smollm2-llamacpp"], seeds["smollm2-vllm"]))
    for path in (built / "index.html", *(built / "runs").iterdir()):
        text = words(path)
        assert "What rate limits did" not in text
        assert "as users waited" not in text.lower()
        assert "What was refused or held back" not in text


def test_an_emulated_target_that_was_throttled_is_marked(built: Path) -> None:
    html = (built / "index.html").read_text()
    [sheet] = [
        one
        for one in html.split('<div class="sheet">')
        if "<h4>What was refused or held back</h4>" in one and "emulated-api" in one
    ]
    for row in re.findall(r"<tr[^>]*>.*?</tr>", sheet, flags=re.S):
        if "emulated-api" in row:
            assert 'class="emulated"' in row
