"""How busy hardware was, and the server's counts next to the client's: known answers on the overview."""

from pathlib import Path
from typing import Any

from observatory.presentation.figures import Figure
from observatory.site.charts.phases import Times, phases_chart
from observatory.site.loads import Load
from observatory.site.target_styles import TargetStyle
from tests.site.reading import words

LOAD = Load(0, 4.0)
REAL, STAND_IN = TargetStyle("real", "self", 1, False), TargetStyle("emulated-x", "closed", 1, True)


def times(style: TargetStyle, e2e: float | None, **phases: float | None) -> Times:
    client = Figure("e2e_s", "mean", e2e, reason=None if e2e else "failures")
    return Times(
        style, "valid", LOAD, {"queue": None, "prefill": None, "decode": None} | phases, client
    )


def records(drawing: Any, mark: str) -> list[list[dict[str, Any]]]:
    layers = [one for one in drawing.spec["layer"] if one["mark"]["type"] == mark]
    return [drawing.spec["datasets"][one["data"]["name"]] for one in layers]


def test_phases_follow_one_another_and_the_clients_mean_is_a_mark_apart() -> None:
    drawing = phases_chart("p", [times(REAL, 1.6, queue=0.1, prefill=0.2, decode=1.2)])
    bars = [(one["x"], one["end"]) for rows in records(drawing, "rect") for one in rows]
    assert [(round(a, 6), round(b, 6)) for a, b in bars] == [(0.0, 0.1), (0.1, 0.3), (0.3, 1.5)]
    [[mark]] = records(drawing, "point")
    assert mark["x"] == 1.6
    assert [entry.label for entry in drawing.key][-1].endswith("at the client")
    assert "as the server reports" in drawing.title


def test_a_phase_that_was_not_told_is_no_bar_and_a_dash() -> None:
    drawing = phases_chart("p", [times(REAL, None, queue=0.1), times(STAND_IN, 0.5, decode=0.4)])
    assert [len(rows) for rows in records(drawing, "rect")] == [1, 0, 1]
    assert any("No mark" in note for note in drawing.notes)
    assert "Pale bars are emulated." in drawing.notes
    assert drawing.table is not None
    assert [one.text for one in drawing.table.rows[0][2:5]] == ["100 ms", "–", "–"]


def test_utilisation_is_of_the_gpu_or_of_the_cpu_where_there_is_none(built: Path) -> None:
    html = (built / "index.html").read_text()
    quick, chat = html.index("<h2>quickstart</h2>"), html.index("<h2>chat-steady</h2>")
    end = html.index("<h2>classify-short</h2>")
    assert 'id="c1-cpu_util_fraction-value"' in html[quick:chat]
    assert "gpu_util_fraction" not in html[quick:chat]
    assert 'id="c2-gpu_util_fraction-value"' in html[chat:end]
    assert 'id="c2-sm_active_fraction-value"' in html[chat:end]
    assert 'id="c2-cpu_util_fraction-value"' not in html[chat:end]
    assert 'id="c1-kv_cache_fraction-value"' in html[quick:chat]


def test_the_servers_word_stands_beside_the_clients(built: Path) -> None:
    text = words(built / "index.html")
    assert "Where the time went, as the server reports" in text
    assert "As the server reports, next to what the client saw" in text
    for head in (
        "Time to first token, mean: client",
        "Time to first token, mean: server",
        "Running: server",
    ):
        assert head in text
    assert "Queue: server" in text
