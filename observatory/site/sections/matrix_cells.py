"""The cells of a matrix: their factors' levels, what serves them, and the order of their runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from observatory.core.distribution import engine_levels
from observatory.core.run import status_words
from observatory.presentation.factor_levels import factor_level
from observatory.presentation.figures import DASH
from observatory.site.charts.drawing import CellTable, TableCell
from observatory.site.engines import engine_name
from observatory.site.members import (
    UNJUDGED,
    not_as_sealed,
    page_of,
)
from observatory.site.queries.run_row import RunRow
from observatory.site.target_styles import TargetStyle


@dataclass(frozen=True, slots=True)
class MatrixSetting:
    """One setting of the target. levels: factor -> level, in words."""

    place: int
    target: str
    levels: dict[str, str]
    runs: list[RunRow]
    style: TargetStyle

    @property
    def label(self) -> str:
        """Return its factors' levels, e.g. "dtype bfloat16, max num seqs 8"."""
        return ", ".join(f"{name} {level}" for name, level in self.levels.items()) or self.target


def matrix_cells(runs: Sequence[RunRow], styles: dict[str, TargetStyle]) -> list[MatrixSetting]:
    """Return the cells of one campaign's runs, the first one first."""
    by_cell: dict[int, list[RunRow]] = {}
    for run in runs:
        by_cell.setdefault(run.place, []).append(run)
    levels = {place: _levels(own[0]) for place, own in sorted(by_cell.items())}
    requested = {place: own["engine"] for place, own in levels.items() if "engine" in own}
    for place, engine in engine_levels(
        requested, {p: _distribution(by_cell[p]) for p in requested}
    ).items():
        levels[place]["engine"] = engine
    return [
        MatrixSetting(place, own[0].target, levels[place], own, styles[own[0].target])
        for place, own in sorted(by_cell.items())
    ]


def _distribution(runs: Sequence[RunRow]) -> str | None:
    """Return that of the first run that recorded one."""
    return next((run.engine_distribution for run in runs if run.engine_distribution), None)


def _levels(run: RunRow) -> dict[str, str]:
    factors = json.loads(run.factors or "{}")
    return {name.replace("_", " "): factor_level(value) for name, value in factors.items()}


def cell_table(cells: Sequence[MatrixSetting], sound: set[str]) -> CellTable:
    """Return a row a cell: levels, engine, weights, and how many of its runs are sound."""
    names = list(dict.fromkeys(name for cell in cells for name in cell.levels))
    heads = [("Cell", False), *((name, False) for name in names)]
    heads += [("Served by", False), ("Weights", False), ("Sound runs", True), ("Verdict", False)]
    rows = []
    for cell in cells:
        kept = sum(one.run_id in sound for one in cell.runs)
        first = " (the others are compared with it)" if cell.place == 0 else ""
        rows.append(
            [
                TableCell(
                    f"{cell.place + 1}", under=f"{cell.target}{first}", emulated=cell.style.emulated
                ),
                *(TableCell(cell.levels.get(name, DASH)) for name in names),
                TableCell(_all_of([engine_name(one) for one in cell.runs])),
                TableCell(_all_of([one.weight_format or one.model for one in cell.runs])),
                TableCell(f"{kept} of {len(cell.runs)}", number=True),
                _worth(cell, sound),
            ]
        )
    return CellTable(heads, rows)


def _all_of(texts: Sequence[str | None]) -> str:
    """Return each different one: runs of a cell that was gone on with later may differ."""
    return "; ".join(dict.fromkeys(one for one in texts if one)) or DASH


def _worth(cell: MatrixSetting, sound: set[str]) -> TableCell:
    """Return the least verdict among the runs that enter its figures."""
    kept = [run for run in cell.runs if run.run_id in sound]
    if not kept:
        return TableCell("none counts")
    changed = [words for run in kept if (words := not_as_sealed(run))]
    return TableCell(
        "",
        under=f"{len(changed)} of its runs: {changed[0]}" if changed else None,
        verdict="degraded" if any(r.verdict == "degraded" for r in kept) else "valid",
    )


def order_table(cells: Sequence[MatrixSetting], runs: Sequence[RunRow]) -> CellTable:
    """Return every run in the order in which they were drawn."""
    labels = {cell.place: cell.label for cell in cells}
    heads = [("Turn", True), ("Block", True), ("Cell", False), ("Started (UTC)", False)]
    heads += [("Ended", False), ("Verdict", False)]
    return CellTable(
        heads,
        [
            [
                TableCell(
                    str(place if run.matrix_order is None else run.matrix_order + 1),
                    number=True,
                ),
                TableCell(str((run.block or 0) + 1), number=True),
                TableCell(labels[run.place], link=f"../{page_of(run.run_id)}"),
                TableCell(str(run.created_at)[:19]),
                TableCell(ended(run)),
                TableCell("", verdict=run.verdict or UNJUDGED),
            ]
            for place, run in enumerate(runs, start=1)
        ],
    )


def ended(run: RunRow) -> str:
    """Return how the run ended, in words."""
    return status_words(run.status, run.status_reason)
