"""How a matrix looks before it runs: its cells with their levels, its turns, what it cannot separate."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from observatory.cli.measure.matrix_table import cell_levels
from observatory.core.counted_nouns import count_of
from observatory.core.matrices.design import Design
from observatory.endpoints.catalogue import installed_distribution

SHOWN_TURNS = 12


def design_facts(design: Design) -> dict[str, Any]:
    """Return a design as JSON would have it."""
    return {
        "cells": [{"name": cell.target.name, "factors": cell.factors} for cell in design.cells],
        "repeats": design.repeats,
        "order": design.order,
        "together": design.together,
        "confounded": list(design.confounded),
        "turns": [
            {"block": turn.block, "cells": [design.cells[at].target.name for at in turn.cells]}
            for turn in design.turns
        ],
    }


def print_design(console: Console, design: Design) -> None:
    """Print the cells as a table, how they take turns, and what is confounded."""
    table = Table(box=None, pad_edge=False, title="cells", title_justify="left")
    table.add_column("cell", no_wrap=True)
    for factor in design.factors:
        table.add_column(factor, overflow="fold")
    levels = cell_levels(
        design, {cell.place: installed_distribution(cell.target) for cell in design.cells}
    )
    for cell in design.cells:
        mark = " (emulated)" if cell.target.emulated else ""
        table.add_row(f"{cell.target.name}{mark}", *levels[cell.place])
    console.print(table)
    console.print(turns_line(design))
    for sentence in design.confounded:
        console.print(Text(f"Confounded: {sentence}.", style="bold yellow"))


def turns_line(design: Design) -> str:
    """Return how often and in what order, in a sentence."""
    runs = len(design.cells) * design.repeats
    order = "in seeded random order" if design.order == "randomised" else "in the order written"
    how = "all up at once, stages interleaved" if design.together else "one at a time"
    blocks = count_of(design.repeats, "block")
    cells = count_of(len(design.cells), "cell")
    return f"{cells} in {blocks}: {count_of(runs, 'run')}, {order}, {how}"


def print_turns(console: Console, design: Design) -> None:
    """Print the first turns as they were drawn."""
    for number, turn in enumerate(design.turns[:SHOWN_TURNS]):
        names = ", ".join(design.cells[at].target.name for at in turn.cells)
        console.print(f"turn {number + 1}, block {turn.block + 1}: {names}", soft_wrap=True)
    if len(design.turns) > SHOWN_TURNS:
        console.print(f"... and {count_of(len(design.turns) - SHOWN_TURNS, 'more turn')}")
