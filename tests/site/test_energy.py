"""The energy page: the ledger as it was read, figures with unit and basis, what is withheld and why."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from observatory.presentation.figures import Figure
from observatory.site.charts.levels import LevelSeries, level_chart
from observatory.site.loads import Load
from observatory.site.queries.rows import LedgerRow
from observatory.site.sections.energy_tables import ledger_table
from observatory.site.target_styles import TargetStyle
from tests.site.made_rows import made_row
from tests.site.reading import words

S = 1_000_000_000
LOADS = {0: Load(0, 1.0), 1: Load(1, 4.0)}
MINE = TargetStyle("mine", "self", 1, False)


def row(stage: int | None, **changes: Any) -> LedgerRow:
    start, seconds = (0, 10) if stage is None else (20 * S, 30)
    fields: dict[str, Any] = {
        "stage": stage,
        "subject": "target",
        "scope": "gpu",
        "basis": "measured",
        "method": "nvml_counter",
        "window_start_ns": start,
        "window_end_ns": start + seconds * S,
        "energy_j": 950.0 if stage is None else 9000.0,
        "source": "NVML",
    }
    return made_row(LedgerRow, **fields | changes)


def texts(rows: list[LedgerRow]) -> list[list[str]]:
    return [[cell.text for cell in cells] for cells in ledger_table(rows, LOADS).rows]


def test_the_idle_baseline_stands_beside_and_is_not_subtracted() -> None:
    [cells] = ledger_table([row(None), row(0)], LOADS).rows
    load, whose, scope, energy, idle, basis, method, *_ = cells
    assert [load.text, whose.text, scope.text] == ["1 user", "target", "GPU"]
    assert energy.text == "9,000 J"
    assert energy.under == "300 W on average over 30.0 s"
    assert idle.text == "95 W"
    assert idle.under == "950 J in 10.0 s, not subtracted"
    assert [basis.text, method.text] == ["measured", "NVML energy counter"]


def test_a_baseline_that_no_window_stands_beside_has_its_own_row() -> None:
    found = texts([row(None, scope="cpu", method="rapl"), row(0)])
    assert [line[0] for line in found] == ["1 user", "idle"]
    assert found[0][4] == "–"


def test_rows_stand_by_load_the_target_first_and_checks_behind_what_they_check() -> None:
    check = row(0, method="nvml_power_trapezoid", energy_j=9090.0, counts=False)
    client = row(0, subject="client", scope="cpu")
    found = ledger_table([client, check, row(1), row(0)], LOADS).rows
    assert [(cells[0].text, cells[1].text, cells[3].text) for cells in found] == [
        ("1 user", "target", "9,000 J"),
        ("1 user", "target", "9,090 J"),
        ("1 user", "client", "9,000 J"),
        ("4 users", "target", "9,000 J"),
    ]
    assert found[1][6].under == "a check on the row above: in no sum"


def test_a_modelled_range_keeps_both_ends_and_a_missing_figure_its_reason() -> None:
    modelled = row(
        0, basis="modelled", method="ecologits", scope="host", low_j=400.0, high_j=1600.0
    )
    [cells] = ledger_table([replace(modelled, energy_j=1000.0)], LOADS).rows
    assert cells[3].text == "1,000 J"
    assert cells[3].under == "range 400 J – 1,600 J"
    [alone] = ledger_table([replace(modelled, energy_j=None)], LOADS).rows
    assert alone[3].text == "400 J – 1,600 J"
    [none] = texts([row(0, basis="modelled", method="none", energy_j=None, reason="emulated")])
    assert none[3] == "–"
    assert none[5] == "–"
    assert none[8] == "a stand-in draws no energy of its own"


def test_shapes_tell_the_basis_and_bars_are_ranges() -> None:
    def series(basis: str, **ends: float) -> LevelSeries:
        figure = Figure("j_per_request", "value", 5.0, n=9, basis=basis, **ends)
        return LevelSeries(MINE, "valid", [(LOADS[0], figure)], by_basis=True)

    every = [series("measured"), series("estimated"), series("modelled", low=2.0, high=8.0)]
    drawing = level_chart("e", "", every)
    assert [(entry.label, entry.shape) for entry in drawing.key] == [
        ("mine, measured", "circle"),
        ("mine, estimated", "square"),
        ("mine, modelled", "diamond"),
    ]
    assert "Bars are the model's range, low to high." in drawing.notes
    assert drawing.spec is not None
    shapes = [one["mark"]["shape"] for one in drawing.spec["layer"] if "shape" in one["mark"]]
    assert shapes == ["circle", "square", "diamond"]
    bars = [
        records
        for layer in drawing.spec["layer"]
        if layer["mark"]["type"] == "rule"
        for records in [drawing.spec["datasets"][layer["data"]["name"]]]
    ]
    assert [(one["low"], one["high"]) for [one] in bars] == [(2.0, 8.0)]
    assert drawing.table is not None
    assert drawing.table.rows[2][2].under == "range 2–8 J"


def test_a_figure_that_a_gate_stopped_is_withheld_in_words() -> None:
    reason = (
        "energy_gap: gpu energy has no reading for 6.0 s; energy_window: the window is 9 s long"
    )
    figure = Figure("j_per_request", "value", reason=reason)
    assert figure.text == "withheld"
    assert figure.note == "gpu energy has no reading for 6.0 s; the window is 9 s long"
    assert Figure("j_per_request", "value", reason="no_energy_sensor").text == "–"


def test_the_page_has_figures_with_unit_and_basis_and_what_is_withheld(built: Path) -> None:
    text = words(built / "energy.html")
    for reported in (
        "12.5 Wh measured gpu measured",
        "withheld gpu energy has no reading for 6.0 s of the window",
        "4.5 kg CO2e measured",
        "5 J modelled range 2–8 J; host modelled",
        "1 request/s target GPU 9,000 J 300 W on average over 30.0 s 95 W 380 J in 4.0 s",
        "readings cover 98 %; longest gap 1 s",
        "a check on the row above: in no sum",
        "data centre's overhead 1,800 J",
        "grid DEU, 0.36 kg CO2e per kWh (codecarbon global_energy_mix.json (2023))",
        "PUE 1.2 as stated, in its own row, applied once",
        "emulated-api (emulated): a stand-in draws no energy of its own.",
        "managed-open: no row. No sensor could say",
    ):
        assert reported in text, reported
    assert "tokenizer: smollm2" in text


def test_every_energy_figure_has_its_basis_beside_it(built: Path) -> None:
    html = (built / "energy.html").read_text()
    tables = re.findall(r'<table class="summary">.*?</table>', html, flags=re.S)
    cells = [cell for table in tables for cell in re.findall(r"<td.*?</td>", table, flags=re.S)]
    figures = [cell for cell in cells if re.match(r'<td class="number">[\d.,]+ [A-Zk/]', cell)]
    assert len(figures) > 20
    for cell in figures:
        assert 'class="basis"' in cell, cell


def test_a_run_page_has_the_same_ledger(built: Path) -> None:
    text = words(next((built / "runs").glob("*team-vllm*")))
    assert "target GPU 9,000 J 300 W on average over 30.0 s 95 W 380 J in 4.0 s" in text


def test_an_empty_warehouse_has_an_energy_page(planter: Any) -> None:
    from observatory.site.build import build_site

    assert "No energy yet" in words(build_site(planter()) / "energy.html")
