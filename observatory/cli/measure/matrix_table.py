"""What a matrix looks like in the terminal: a table per load level, a column per cell, factors first.

Every figure has the lowest and highest of its blocks and its change against the first cell.
No winner is named: where the interval of a change holds zero, the blocks do not separate the cells.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from observatory.analysis.comparison.blocks import FOREIGN, Pooled, apart, pooled
from observatory.analysis.comparison.undeclared import FACTS, OpenedTarget, undeclared
from observatory.core.distribution import engine_levels, in_words, third_party_package
from observatory.core.matrices.design import Cell, Design
from observatory.core.metric import FOREIGN_CPU
from observatory.core.units import change_text, human_level
from observatory.presentation.factor_levels import factor_level
from observatory.presentation.figures import write
from observatory.runner.finished_run import FinishedRun

COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("TTFT, median", "ttft_s", "p50", "s"),
    ("TTFT, p90", "ttft_s", "p90", "s"),
    ("Time per token, median", "tpot_s", "p50", "s"),
    ("End to end, median", "e2e_s", "p50", "s"),
    ("Output tokens/s", "output_tps", "value", ""),
    ("Error rate", "error_rate", "value", "%"),
    ("Goodput", "goodput_fraction", "value", "%"),
    ("Score", "score", "value", ""),
    ("Energy per token", "j_per_output_token", "value", "J"),
    ("$ per 1,000 requests", "usd_per_1k_requests", "value", "USD"),
)
DONE = ("complete", "budget_reached")
NAME_WIDTH = 24
CELL_WIDTH = 24
"""Characters; an interval such as "-0.12 % to +0.34 %" and its frame fit."""


def print_matrix(console: Console, design: Design, runs: Sequence[FinishedRun]) -> None:
    """Print what cannot be separated, a table per load level, what each run is worth."""
    for sentence in design.confounded:
        console.print(Text(f"Confounded: {sentence}.", style="bold yellow"))
    for difference in undeclared_differences(design, runs):
        console.print(Text(difference, style="bold yellow"))
    sound = [run for run in runs if run.manifest.whole]
    levels = {
        stage.index: human_level(stage.kind, stage.concurrency, stage.rate_per_s)
        for run in runs
        for stage in run.manifest.stages
        if not stage.priming
    }
    in_cells = [(run.manifest.cell, run.manifest.target.engine_distribution) for run in runs]
    rows = cell_levels(design, {cell: served for cell, served in in_cells if cell is not None})
    for index, level in sorted(levels.items()):
        title = f"Load: {level}"
        for table in _tables(design, rows, sound, index, title, console.width):
            console.print(table)
    if levels:
        console.print(_legend(design), style="dim")
    for line in [*third_party_lines(runs), *_worth(design, runs)]:
        console.print(line)
    if any(run.manifest.target.emulated for run in runs):
        console.print(
            "Emulated targets are stand-ins with made-up delays: no cell can be called better.",
            style="dim",
        )


def undeclared_differences(design: Design, runs: Sequence[FinishedRun]) -> list[str]:
    """Return what the targets, once they were up, turned out to differ in although no factor names it."""
    opened = [
        OpenedTarget(
            run.manifest.cell,
            design.cells[run.manifest.cell].target.name,
            {fact: getattr(run.manifest.target, fact) for fact in FACTS},
        )
        for run in runs
        if run.manifest.cell is not None
    ]
    return [f"Confounded: {line}." for line in undeclared(design.factors, opened)]


def third_party_lines(runs: Sequence[FinishedRun]) -> list[Text]:
    """Return a line for each target that a third party's build served, with that build's name."""
    sentences = dict.fromkeys(
        f"{target.name} was served by {in_words(target.engine_distribution)}."
        for target in (run.manifest.target for run in runs)
        if target.engine_distribution and third_party_package(target.engine_distribution)
    )
    return [Text(line, style="yellow") for line in sentences]


Figures = dict[tuple[int, str, str], dict[int, float]]
"""(cell, metric, statistic) -> block -> value. Of AT_ONCE 1 where the stage's answers did not come as streams."""
AT_ONCE = "answers_at_once"


def _figures(runs: Sequence[FinishedRun], index: int) -> Figures:
    found: Figures = defaultdict(dict)
    for run in runs:
        cell, block = run.manifest.cell, run.manifest.block
        if cell is None or block is None:
            continue
        if any(one.index == index and one.streamed is False for one in run.manifest.stages):
            found[cell, AT_ONCE, "value"][block] = 1.0
        for key, figure in run.figures(index).by_key.items():
            if figure.value is not None:
                found[cell, *key][block] = figure.value
    return found


def _tables(
    design: Design,
    levels: dict[int, list[str]],
    runs: Sequence[FinishedRun],
    index: int,
    title: str,
    width: int,
) -> Iterator[Table]:
    """Yield as many tables as the terminal's width wants; the first cell is in each, to compare with."""
    found = _figures(runs, index)
    first, *others = design.cells
    columns = max(1, (width - NAME_WIDTH) // CELL_WIDTH - 1)
    for start in range(0, max(len(others), 1), columns):
        cells = [first, *others[start : start + columns]]
        table = Table(title=title, title_justify="left", show_lines=True)
        table.add_column("", max_width=NAME_WIDTH)
        for cell in cells:
            table.add_column(_cell_heading(design, cell, levels[cell.place]), justify="right")
        table.add_row("blocks", *(_blocks(runs, index, cell) for cell in cells))
        for column in COLUMNS:
            name, metric, statistic, unit = column
            if any(found.get((cell.place, metric, statistic)) for cell in design.cells):
                table.add_row(
                    _heading(name, runs, index, metric, statistic),
                    *(_cell(_pooled(found, cell, column), unit, design.repeats) for cell in cells),
                )
        yield table


def _cell_heading(design: Design, cell: Cell, levels: list[str]) -> Text:
    """Return a cell's level of each factor, a line each; an emulated one is marked."""
    lines = [
        Text.assemble((f"{factor} ", "not bold dim"), level)
        for factor, level in zip(design.factors, levels, strict=True)
    ]
    return Text("\n").join(lines + [Text("(emulated)")] * cell.target.emulated)


def _blocks(runs: Sequence[FinishedRun], index: int, cell: Cell) -> str:
    blocks = {
        run.manifest.block
        for run in runs
        if run.manifest.cell == cell.place
        and any(stage.index == index for stage in run.manifest.stages)
    }
    return str(len(blocks))


def _heading(
    name: str, runs: Sequence[FinishedRun], index: int, metric: str, statistic: str
) -> Text:
    """Return a column's name, and what its figures rest on where they were not measured."""
    found = [run.figures(index).get(metric, statistic) for run in runs]
    bases = {figure.basis for figure in found if figure.value is not None and figure.basis}
    text = Text(name)
    if named := sorted(bases - {"measured"}):
        text.append(f"\n{', '.join(named)}", style="italic dim")
    return text


def _pooled(found: Figures, cell: Cell, column: tuple[str, str, str, str]) -> Pooled:
    _, metric, statistic, _ = column
    first = found.get((0, metric, statistic), {}) if cell.place else None
    shares = (found.get((place, FOREIGN_CPU, "value"), {}) for place in (cell.place, 0))
    own, other = (set(found.get((place, AT_ONCE, "value"), {})) for place in (cell.place, 0))
    values = found.get((cell.place, metric, statistic), {})
    return pooled(values, first, apart(*shares), frozenset(own ^ other))


def cell_levels(design: Design, served: Mapping[int, str | None]) -> dict[int, list[str]]:
    """Return each cell's levels in the order of the factors; served: distributions, where they are known."""
    requested = {
        cell.place: factor_level(cell.factors["engine"])
        for cell in design.cells
        if "engine" in cell.factors
    }
    engines = engine_levels(requested, served)
    return {
        cell.place: [
            engines[cell.place] if factor == "engine" and cell.place in engines
            else factor_level(cell.factors[factor]) if factor in cell.factors
            else "–"
            for factor in design.factors
        ]
        for cell in design.cells
    }  # fmt: skip


def _cell(figure: Pooled, unit: str, repeats: int) -> Text:
    """Return the mean, the range of the blocks, the change against the first cell.

    Where every cell has one block the legend states once that no change has an interval.
    """
    if figure.mean is None or figure.least is None or figure.most is None:
        return Text("–", style="dim")
    text = Text(write(figure.mean, unit))
    if figure.least < figure.most:
        text.append(f"\n{write(figure.least, unit)} to {write(figure.most, unit)}", style="dim")
    if figure.change is not None:
        text.append(f"\n{change_text(figure.change)}")
        if figure.change_low is not None and figure.change_high is not None:
            ends = f"\n{change_text(figure.change_low)} to {change_text(figure.change_high)}"
            text.append(ends, style="dim")
            if not figure.differs:
                text.append("\nmay be equal", style="dim italic")
        elif repeats > 1:
            text.append("\nno interval", style="dim italic")
    elif figure.note == FOREIGN:
        text.append("\nno change: other work differs", style="dim italic")
    return text


def _legend(design: Design) -> str:
    first = design.cells[0].target.name
    if design.repeats == 1:
        return (
            f"Changes are against {first}. One block: how far two runs of one cell lie apart is not "
            "known, so that no difference is shown to be more than noise; set repeats to 3 or more."
        )
    return (
        f"Mean over the blocks, lowest to highest block; change against {first} within each block, "
        "with its 95 % interval over the blocks. Where that holds 0 the cells may be equal."
    )


def _worth(design: Design, runs: Sequence[FinishedRun]) -> list[Text]:
    """Return a line per cell, and one for each run that is not valid, with its reason."""
    lines = []
    for cell in design.cells:
        mine = [run for run in runs if run.manifest.cell == cell.place]
        counts = Counter(_state(run) for run in mine)
        states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "not run"
        line = Text(f"{cell.target.name}: ", style="bold")
        lines.append(line.append(states, style="green" if set(counts) == {"valid"} else "yellow"))
        for run in mine:
            manifest = run.manifest
            if _state(run) == "valid":
                continue
            why = manifest.verdict.sentence if manifest.verdict else "not judged"
            if manifest.status != "complete":
                why = f"{manifest.status}: {manifest.status_reason or 'no reason given'}"
            block = (manifest.block or 0) + 1
            lines.append(Text(f"  block {block}: {why}", style="dim"))
    return lines


def _state(run: FinishedRun) -> str:
    if run.manifest.status not in DONE:
        return run.manifest.status
    return run.manifest.verdict.level if run.manifest.verdict else "not judged"
