"""The page of a matrix campaign: its cells over their blocks, paired with the first cell, and no winner."""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.site.charts.drawing import CellTable, Drawing
from observatory.site.loads import Load, load_of
from observatory.site.members import (
    UNJUDGED,
    changed_words,
    matrix_path,
    page_of,
    request_terms,
)
from observatory.site.queries import run_queries as queries
from observatory.site.queries.reader import Reader
from observatory.site.queries.run_row import RunRow
from observatory.site.sections.matrix_cells import (
    MatrixSetting,
    cell_table,
    ended,
    matrix_cells,
    order_table,
)
from observatory.site.sections.matrix_doubts import confounded
from observatory.site.sections.matrix_figures import (
    HARDWARE,
    HEADLINES,
    change_table,
    figure_drawing,
)
from observatory.site.target_styles import TargetStyle


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that enters no figure, and why."""

    cell: MatrixSetting
    run: RunRow
    page: str
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """One campaign."""

    path: str
    first: RunRow
    request_terms: list[tuple[str, str]]
    confounded: list[str]
    factors: list[str]
    cells: list[MatrixSetting]
    blocks: int
    emulated: bool
    left_out: list[LeftOut]
    empty: list[MatrixSetting]
    cell_table: CellTable
    changes: CellTable
    drawings: list[Drawing]
    order: CellTable


def matrix_campaigns(runs: Sequence[RunRow]) -> list[list[RunRow]]:
    """Return the runs of each matrix campaign, the latest campaign first; runs are given the latest first."""
    found: dict[str, list[RunRow]] = {}
    for run in runs:
        if run.cell is not None:
            found.setdefault(run.campaign_id, []).append(run)
    return list(found.values())


def matrix_page(
    reader: Reader, runs: Sequence[RunRow], styles: dict[str, TargetStyle]
) -> MatrixPage:
    """Return the page of one campaign's runs."""
    ordered = sorted(runs, key=_in_order)
    first = ordered[0]
    cells = matrix_cells(ordered, styles)
    campaign = first.campaign_id
    pooled = {
        (row.target, row.stage, row.metric, row.statistic): row
        for row in queries.matrix_figures(reader, campaign)
    }
    blocks = queries.matrix_blocks(reader, campaign)
    loads = _loads(reader, ordered)
    sound = {row.run_id for row in blocks}
    return MatrixPage(
        path=matrix_path(campaign),
        first=first,
        request_terms=request_terms(first),
        confounded=confounded(ordered),
        factors=list(dict.fromkeys(name for cell in cells for name in cell.levels)),
        cells=cells,
        blocks=len({run.block for run in ordered}),
        emulated=any(cell.style.emulated for cell in cells),
        left_out=[
            _left_out(cell, run) for cell in cells for run in cell.runs if run.run_id not in sound
        ],
        empty=[cell for cell in cells if not any(run.run_id in sound for run in cell.runs)],
        cell_table=cell_table(cells, sound),
        changes=change_table(cells, pooled, loads),
        drawings=[
            drawing
            for headline in (*HEADLINES, *HARDWARE)
            if (drawing := figure_drawing(headline, cells, pooled, blocks, loads))
        ],
        order=order_table(cells, ordered),
    )


def _in_order(run: RunRow) -> tuple[int, int, str, str]:
    return run.block or 0, run.matrix_order or 0, str(run.created_at), run.run_id


def _loads(reader: Reader, runs: Sequence[RunRow]) -> dict[int, Load]:
    found: dict[int, Load] = {}
    for run in runs:
        for stage in queries.stages(reader, run.run_id):
            found.setdefault(stage.stage, load_of(stage))
    return dict(sorted(found.items()))


def _left_out(cell: MatrixSetting, run: RunRow) -> LeftOut:
    verdict = run.verdict or UNJUDGED
    sentence = (run.verdict_sentence or "").removeprefix(f"{verdict}: ")
    early = None if run.status == "complete" else ended(run)
    reason, changed = run.status_reason, changed_words(run).rstrip(".")
    parts = (early, reason, sentence if not run.sound else None, changed)
    why = "; ".join(str(part) for part in parts if part) or "a later run of the cell took its place"
    return LeftOut(cell, run, page_of(run.run_id), verdict, why)
