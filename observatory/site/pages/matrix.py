"""A matrix campaign's page: its cells over their blocks, paired with the first cell, and no winner.

Means, ranges and paired changes are those of view matrix_figures; here they are put into words.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from observatory.core.distribution import engine_levels
from observatory.core.run import status_words
from observatory.core.units import change_text
from observatory.presentation.factor_levels import factor_level
from observatory.presentation.figures import DASH, Figure, Row, figure_title, write
from observatory.site.charts.blocks import CellRow, Spread, blocks_chart
from observatory.site.charts.drawing import Cell, Drawing, Table
from observatory.site.engines import engine_name
from observatory.site.loads import Load, load_of
from observatory.site.members import (
    UNJUDGED,
    asked,
    changed_words,
    not_as_sealed,
    page_of,
    safe_name,
)
from observatory.site.queries import run_queries as queries
from observatory.site.queries.run_queries import Reader
from observatory.site.sections.latest import is_sound
from observatory.site.sections.matrix_doubts import confounded
from observatory.site.target_styles import Look

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
    ("kv_cache_fraction", "value", "Share of the engine's KV cache in use, as the engine says."),
    ("prefix_cache_hit_fraction", "value", "Prompt tokens found in the prefix cache, as it says."),
    ("j_per_output_token", "value", "Energy that the target drew for each token it streamed."),
    ("usd_per_1k_requests", "value", "What a thousand requests cost."),
)
"""What has a chart and a table each, where any cell has a value: metric, statistic, about."""
HARDWARE = (
    ("gpu_util_fraction", "value", "Share of time with any kernel running, however small (NVML)."),
    ("cpu_util_fraction", "value", "Share of all cores of the host that sent the load."),
    ("engine_waiting", "value", "Requests that wait in the engine, as the engine says."),
    ("power_w", "value", "What the target drew on average under load."),
    ("idle_power_w", "value", "Before the load, loaded and without requests; never subtracted."),
)
"""What the machine and the engine did meanwhile: charts as well, and no column of changes."""

Pooled = dict[tuple[str, int, str, str], Row]
"""(target, stage, metric, statistic) -> a row of matrix_figures."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One setting of the target. levels: factor -> level, in words."""

    place: int
    target: str
    levels: dict[str, str]
    runs: list[Row]
    look: Look

    @property
    def label(self) -> str:
        """Its factors' levels, e.g. "dtype bfloat16, max num seqs 8"."""
        return ", ".join(f"{name} {level}" for name, level in self.levels.items()) or self.target


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that enters no figure, and why."""

    cell: MatrixCell
    run: Row
    page: str
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """One campaign."""

    path: str
    first: Row
    asked: list[tuple[str, str]]
    confounded: list[str]
    factors: list[str]
    cells: list[MatrixCell]
    blocks: int
    emulated: bool
    left_out: list[LeftOut]
    empty: list[MatrixCell]
    cell_table: Table
    changes: Table
    drawings: list[Drawing]
    order: Table


def matrix_path(campaign_id: str) -> str:
    """The path of a campaign's page from the site's root."""
    return f"matrices/{safe_name(campaign_id)}.html"


def matrix_campaigns(runs: Sequence[Row]) -> list[list[Row]]:
    """The runs of each matrix campaign, the latest campaign first; runs are given the latest first."""
    found: dict[str, list[Row]] = {}
    for run in runs:
        if run["cell"] is not None:
            found.setdefault(run["campaign_id"], []).append(run)
    return list(found.values())


def matrix_page(reader: Reader, runs: Sequence[Row], looks: dict[str, Look]) -> MatrixPage:
    """The page of one campaign's runs."""
    ordered = sorted(runs, key=_in_order)
    first = ordered[0]
    cells = _cells(ordered, looks)
    campaign = first["campaign_id"]
    pooled = {
        (row["target"], row["stage"], row["metric"], row["statistic"]): row
        for row in queries.matrix_figures(reader, campaign)
    }
    blocks = queries.matrix_blocks(reader, campaign)
    loads = _loads(reader, ordered)
    sound = {row["run_id"] for row in blocks}
    return MatrixPage(
        path=matrix_path(campaign),
        first=first,
        asked=asked(first),
        confounded=confounded(ordered),
        factors=list(dict.fromkeys(name for cell in cells for name in cell.levels)),
        cells=cells,
        blocks=len({run["block"] for run in ordered}),
        emulated=any(cell.look.emulated for cell in cells),
        left_out=[_left_out(cell, run) for cell in cells for run in cell.runs if _out(run, sound)],
        empty=[cell for cell in cells if not any(run["run_id"] in sound for run in cell.runs)],
        cell_table=_cell_table(cells, sound),
        changes=_change_table(cells, pooled, loads),
        drawings=[
            drawing
            for headline in (*HEADLINES, *HARDWARE)
            if (drawing := _drawing(headline, cells, pooled, blocks, loads))
        ],
        order=_order_table(cells, ordered),
    )


def _in_order(run: Row) -> tuple[int, int, str, str]:
    turn, block = run["turn"], run["block"]
    return block or 0, turn if turn is not None else 0, str(run["created_at"]), run["run_id"]


def _cells(runs: Sequence[Row], looks: dict[str, Look]) -> list[MatrixCell]:
    by_cell: dict[int, list[Row]] = {}
    for run in runs:
        by_cell.setdefault(run["cell"], []).append(run)
    levels = {place: _levels(own[0]) for place, own in sorted(by_cell.items())}
    asked = {place: own["engine"] for place, own in levels.items() if "engine" in own}
    for place, engine in engine_levels(
        asked, {p: _distribution(by_cell[p]) for p in asked}
    ).items():
        levels[place]["engine"] = engine
    return [
        MatrixCell(place, own[0]["target"], levels[place], own, looks[own[0]["target"]])
        for place, own in sorted(by_cell.items())
    ]


def _distribution(runs: Sequence[Row]) -> str | None:
    """Of the first run that came so far as to tell."""
    return next((run["engine_distribution"] for run in runs if run["engine_distribution"]), None)


def _levels(run: Row) -> dict[str, str]:
    factors = json.loads(run["factors"] or "{}")
    return {name.replace("_", " "): factor_level(value) for name, value in factors.items()}


def _loads(reader: Reader, runs: Sequence[Row]) -> dict[int, Load]:
    found: dict[int, Load] = {}
    for run in runs:
        for stage in queries.stages(reader, run["run_id"]):
            found.setdefault(stage["stage"], load_of(stage))
    return dict(sorted(found.items()))


def _out(run: Row, sound: set[str]) -> bool:
    return run["run_id"] not in sound


def _left_out(cell: MatrixCell, run: Row) -> LeftOut:
    verdict = str(run["verdict"] or UNJUDGED)
    sentence = str(run["verdict_sentence"] or "").removeprefix(f"{verdict}: ")
    ended = None if run["status"] == "complete" else _ended(run)
    reason, changed = run["status_reason"], changed_words(run).rstrip(".")
    parts = (ended, reason, sentence if not is_sound(run) else None, changed)
    why = "; ".join(str(part) for part in parts if part) or "a later run of the cell took its place"
    return LeftOut(cell, run, page_of(run["run_id"]), verdict, why)


def _ended(run: Row) -> str:
    return status_words(run["status"], run["status_reason"])


def _cell_table(cells: Sequence[MatrixCell], sound: set[str]) -> Table:
    names = list(dict.fromkeys(name for cell in cells for name in cell.levels))
    heads = [("Cell", False), *((name, False) for name in names)]
    heads += [("Served by", False), ("Weights", False), ("Sound runs", True), ("Worth", False)]
    rows = []
    for cell in cells:
        kept = sum(one["run_id"] in sound for one in cell.runs)
        first = " (the others are compared with it)" if cell.place == 0 else ""
        rows.append(
            [
                Cell(
                    f"{cell.place + 1}", under=f"{cell.target}{first}", emulated=cell.look.emulated
                ),
                *(Cell(cell.levels.get(name, DASH)) for name in names),
                Cell(_all_of([engine_name(one) for one in cell.runs])),
                Cell(_all_of([one["weight_format"] or one["model"] for one in cell.runs])),
                Cell(f"{kept} of {len(cell.runs)}", number=True),
                _worth(cell, sound),
            ]
        )
    return Table(heads, rows)


def _all_of(said: Sequence[str | None]) -> str:
    """Each different one: runs of a cell that was gone on with later may differ."""
    return "; ".join(dict.fromkeys(one for one in said if one)) or DASH


def _worth(cell: MatrixCell, sound: set[str]) -> Cell:
    """The least verdict among the runs that enter its figures."""
    kept = [run for run in cell.runs if run["run_id"] in sound]
    if not kept:
        return Cell("none counts")
    changed = [words for run in kept if (words := not_as_sealed(run))]
    return Cell(
        "",
        under=f"{len(changed)} of its runs: {changed[0]}" if changed else None,
        verdict="degraded" if any(r["verdict"] == "degraded" for r in kept) else "valid",
    )


def _change_table(cells: Sequence[MatrixCell], pooled: Pooled, loads: dict[int, Load]) -> Table:
    """The paired changes of every later cell, a row a cell and load, a column a headline."""
    shown = [
        (metric, statistic)
        for metric, statistic, _ in HEADLINES
        if any(
            (cell.target, stage, metric, statistic) in pooled
            for cell in cells[1:]
            for stage in loads
        )
        and any(
            row["change"] is not None
            for key, row in pooled.items()
            if key[2:] == (metric, statistic)
        )
    ]
    heads = [("Cell and load", False), *((figure_title(*one), True) for one in shown)]
    rows = []
    for cell in cells[1:]:
        for stage, load in loads.items():
            found = [pooled.get((cell.target, stage, *one)) for one in shown]
            if any(row is not None for row in found):
                name = Cell(cell.label, under=load.text, emulated=cell.look.emulated)
                rows.append([name, *(_change(row) for row in found)])
    return Table(heads, rows if shown else [])


def _order_table(cells: Sequence[MatrixCell], runs: Sequence[Row]) -> Table:
    """Every run in the order in which they were drawn."""
    labels = {cell.place: cell.label for cell in cells}
    heads = [("Turn", True), ("Block", True), ("Cell", False), ("Started (UTC)", False)]
    heads += [("Ended", False), ("Worth", False)]
    return Table(
        heads,
        [
            [
                Cell(str(place if run["turn"] is None else run["turn"] + 1), number=True),
                Cell(str((run["block"] or 0) + 1), number=True),
                Cell(labels[run["cell"]], link=f"../{page_of(run['run_id'])}"),
                Cell(str(run["created_at"])[:19]),
                Cell(_ended(run)),
                Cell("", verdict=str(run["verdict"] or UNJUDGED)),
            ]
            for place, run in enumerate(runs, start=1)
        ],
    )


def _drawing(
    headline: tuple[str, str, str],
    cells: Sequence[MatrixCell],
    pooled: Pooled,
    blocks: Sequence[Row],
    loads: dict[int, Load],
) -> Drawing | None:
    """The chart of one headline with its table; None where no cell has a value of it."""
    metric, statistic, about = headline
    own = [row for row in blocks if (row["metric"], row["statistic"]) == (metric, statistic)]
    if not any(row["value"] is not None for row in own):
        return None
    rows = [
        CellRow(cell.label, _spreads(cell, headline, pooled, own, loads), cell.look.emulated)
        for cell in cells
    ]
    title = figure_title(metric, statistic)
    name = f"{metric}-{statistic}".replace("_", "-")
    table = _figure_table(metric, statistic, cells, pooled, loads)
    return blocks_chart(name, title, about, rows, table)


def _spreads(
    cell: MatrixCell,
    headline: tuple[str, str, str],
    pooled: Pooled,
    blocks: Sequence[Row],
    loads: dict[int, Load],
) -> list[Spread]:
    metric, statistic, _ = headline
    spreads = []
    for stage, load in loads.items():
        row = pooled.get((cell.target, stage, metric, statistic))
        own = [
            (one["block"] or 0, Figure(metric, statistic, one["value"], reason=one["reason"]))
            for one in blocks
            if one["target"] == cell.target and one["stage"] == stage
        ]
        if row is not None and own:
            spreads.append(Spread(load, own, Figure(metric, statistic, row["mean"])))
    return spreads


def _figure_table(
    metric: str,
    statistic: str,
    cells: Sequence[MatrixCell],
    pooled: Pooled,
    loads: dict[int, Load],
) -> Table:
    """A row a cell and load: mean, range over the blocks, change against the first cell."""
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
            label = Cell(cell.label, emulated=cell.look.emulated)
            rows.append([label, Cell(load.text), *_pooled_cells(metric, statistic, row)])
    return Table(heads, rows)


def _pooled_cells(metric: str, statistic: str, row: Row | None) -> list[Cell]:
    if row is None:
        none = Cell("no sound run", number=True)
        return [none, Cell(DASH, number=True), Cell("0", number=True), Cell(DASH, number=True)]
    mean, least, most = (
        Figure(metric, statistic, row[name]).text for name in ("mean", "least", "most")
    )
    spread = f"{least} – {most}" if row["blocks"] else DASH
    basis = row["basis"] if row["basis"] not in (None, "measured") else None
    return [
        Cell(mean, number=True, basis=basis),
        Cell(spread, number=True),
        Cell(f"{row['blocks']} of {row['runs']}", number=True),
        _change(row),
    ]


def _change(row: Row | None) -> Cell:
    """The paired change with its 95 % interval, or why there is none."""
    if row is None:
        return Cell(DASH, under="no sound run", number=True)
    change = row["change"]
    if change is None or not math.isfinite(change):
        return Cell(DASH, under=row["note"], number=True)
    low, high = row["change_low"], row["change_high"]
    ends = row["note"]
    if low is not None and high is not None:
        ends = f"95 % interval {_signed(low)} to {_signed(high)}, {row['pairs']} pairs"
    return Cell(_signed(change), under=ends, number=True)


def _signed(change: float) -> str:
    """A relative change, e.g. "+12 %"."""
    if (ratio := change_text(change)).endswith(" x"):
        return ratio
    text = write(abs(change), "1", "change_fraction")
    return f"{'−' if change < 0 else '+'}{text}"
