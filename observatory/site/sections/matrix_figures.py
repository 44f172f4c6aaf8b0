"""Figures of a matrix over its blocks: means, ranges, and changes paired with the first cell.

They are those of view matrix_figures; here they are written for people.
"""

import math
from collections.abc import Sequence

from observatory.core.units import change_text
from observatory.presentation.figures import DASH, Figure, figure_title, write
from observatory.site.charts.blocks import BlockSpread, CellRow, blocks_chart
from observatory.site.charts.drawing import CellTable, Drawing, TableCell
from observatory.site.loads import Load
from observatory.site.queries.rows import FigureOfBlock, MatrixFigure
from observatory.site.sections.matrix_cells import MatrixSetting

HEADLINES = (
    ("ttft_s", "p50", "Half of the requests saw their first token sooner."),
    ("ttft_s", "p90", "One request in ten waited longer for its first token."),
    ("tpot_s", "p50", "Median of the requests' mean time per token after the first."),
    ("e2e_s", "p50", "Half of the answers were complete sooner."),
    ("output_tps", "value", "Streamed tokens that arrived each second."),
    ("request_rate", "value", "Answers completed each second, failures not counted."),
    ("goodput_fraction", "value", "Share of requests that met every bound of the objective."),
    ("error_rate", "value", "Share of requests that failed."),
    ("score", "value", "Mean score of the very requests that were timed; a failure scores 0."),
    ("kv_cache_fraction", "value", "Share of the engine's KV cache in use, as the engine reports."),
    (
        "prefix_cache_hit_fraction",
        "value",
        "Prompt tokens found in the prefix cache, as it reports.",
    ),
    ("j_per_output_token", "value", "Energy that the target drew for each token it streamed."),
    ("usd_per_1k_requests", "value", "What a thousand requests cost."),
)
"""What has a chart and a table each, where any cell has a value: metric, statistic, about."""
HARDWARE = (
    ("gpu_util_fraction", "value", "Share of time with any kernel running, however small (NVML)."),
    ("cpu_util_fraction", "value", "Share of all cores of the host that sent the load."),
    ("engine_waiting", "value", "Requests that wait in the engine, as the engine reports."),
    ("power_w", "value", "What the target drew on average under load."),
    ("idle_power_w", "value", "Before the load, loaded and without requests; never subtracted."),
)
"""What the machine and the engine did meanwhile: charts as well, and no column of changes."""
Pooled = dict[tuple[str, int, str, str], MatrixFigure]
"""(target, stage, metric, statistic) -> a row of matrix_figures."""


def change_table(
    cells: Sequence[MatrixSetting], pooled: Pooled, loads: dict[int, Load]
) -> CellTable:
    """Return the paired changes of every later cell, a row a cell and load, a column a headline."""
    shown = [
        (metric, statistic)
        for metric, statistic, _ in HEADLINES
        if any(
            (cell.target, stage, metric, statistic) in pooled
            for cell in cells[1:]
            for stage in loads
        )
        and any(
            row.change is not None for key, row in pooled.items() if key[2:] == (metric, statistic)
        )
    ]
    heads = [("Cell and load", False), *((figure_title(*one), True) for one in shown)]
    rows = []
    for cell in cells[1:]:
        for stage, load in loads.items():
            found = [pooled.get((cell.target, stage, *one)) for one in shown]
            if any(row is not None for row in found):
                name = TableCell(cell.label, under=load.text, emulated=cell.style.emulated)
                rows.append([name, *(_change(row) for row in found)])
    return CellTable(heads, rows if shown else [])


def figure_drawing(
    headline: tuple[str, str, str],
    cells: Sequence[MatrixSetting],
    pooled: Pooled,
    blocks: Sequence[FigureOfBlock],
    loads: dict[int, Load],
) -> Drawing | None:
    """Return the chart of one headline with its table; None where no cell has a value of it."""
    metric, statistic, about = headline
    own = [row for row in blocks if (row.metric, row.statistic) == (metric, statistic)]
    if not any(row.value is not None for row in own):
        return None
    rows = [
        CellRow(cell.label, _spreads(cell, headline, pooled, own, loads), cell.style.emulated)
        for cell in cells
    ]
    title = figure_title(metric, statistic)
    name = f"{metric}-{statistic}".replace("_", "-")
    table = _figure_table(metric, statistic, cells, pooled, loads)
    return blocks_chart(name, title, about, rows, table)


def _spreads(
    cell: MatrixSetting,
    headline: tuple[str, str, str],
    pooled: Pooled,
    blocks: Sequence[FigureOfBlock],
    loads: dict[int, Load],
) -> list[BlockSpread]:
    metric, statistic, _ = headline
    spreads = []
    for stage, load in loads.items():
        row = pooled.get((cell.target, stage, metric, statistic))
        own = [
            (one.block or 0, Figure(metric, statistic, one.value, reason=one.reason))
            for one in blocks
            if one.target == cell.target and one.stage == stage
        ]
        if row is not None and own:
            spreads.append(BlockSpread(load, own, Figure(metric, statistic, row.mean)))
    return spreads


def _figure_table(
    metric: str,
    statistic: str,
    cells: Sequence[MatrixSetting],
    pooled: Pooled,
    loads: dict[int, Load],
) -> CellTable:
    """Return a row a cell and load: mean, range over the blocks, change against the first cell."""
    heads = [
        ("Cell", False),
        ("Load", False),
        ("Mean over blocks", True),
        ("Lowest to highest", True),
    ]
    heads += [("Blocks", True), ("Change against the first cell, paired by block", True)]
    rows = []
    for cell in cells:
        for stage, load in loads.items():
            row = pooled.get((cell.target, stage, metric, statistic))
            label = TableCell(cell.label, emulated=cell.style.emulated)
            rows.append([label, TableCell(load.text), *_pooled_cells(metric, statistic, row)])
    return CellTable(heads, rows)


def _pooled_cells(metric: str, statistic: str, row: MatrixFigure | None) -> list[TableCell]:
    if row is None:
        none = TableCell("no sound run", number=True)
        return [
            none,
            TableCell(DASH, number=True),
            TableCell("0", number=True),
            TableCell(DASH, number=True),
        ]
    mean, least, most = (
        Figure(metric, statistic, value).text for value in (row.mean, row.least, row.most)
    )
    spread = f"{least} – {most}" if row.blocks else DASH
    basis = row.basis if row.basis not in (None, "measured") else None
    return [
        TableCell(mean, number=True, basis=basis),
        TableCell(spread, number=True),
        TableCell(f"{row.blocks} of {row.runs}", number=True),
        _change(row),
    ]


def _change(row: MatrixFigure | None) -> TableCell:
    """Return the paired change with its 95 % interval, or why there is none."""
    if row is None:
        return TableCell(DASH, under="no sound run", number=True)
    change = row.change
    if change is None or not math.isfinite(change):
        return TableCell(DASH, under=row.note, number=True)
    low, high = row.change_low, row.change_high
    ends = row.note
    if low is not None and high is not None:
        ends = f"95 % interval {_signed(low)} to {_signed(high)}, {row.pairs} pairs"
    return TableCell(_signed(change), under=ends, number=True)


def _signed(change: float) -> str:
    """Return a relative change, e.g. "+12 %"."""
    if (ratio := change_text(change)).endswith(" x"):
        return ratio
    text = write(abs(change), "1", "change_fraction")
    return f"{'−' if change < 0 else '+'}{text}"
