"""How rows are shown and written by the verbs that answer with rows: table, CSV, JSON.

A missing value is a dash in a table, empty in CSV, null in JSON; an infinite one stays infinite.
"""

import csv
import math
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from observatory.cli.console import json_for, open_console
from observatory.cli.escaping import one_line
from observatory.core.counted_nouns import count_of

if TYPE_CHECKING:
    from rich.console import Console

MISSING = "–"
LONGEST_CELL = 120
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_PIPED_WIDTH = 10_000
"""Columns of a table that goes into a file or a pipe: nothing is folded there."""
_FOLDS = 2.0
"""A table this much wider than the terminal is unreadable when its cells are folded to fit."""


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    limit: int = 0,
    longest: int = LONGEST_CELL,
    width: int | None = None,
) -> None:
    """Print rows on standard output, at most `limit` (0: all), and report whether there are more.

    Cells are cut at `longest` characters. width is the terminal's (None: as it is; nothing is
    folded where the output is no terminal); rows that are far too wide for it are printed one
    below the other.
    """
    console = open_console(width=width)
    if not console.is_terminal and width is None:
        console = open_console(width=_PIPED_WIDTH)
    remaining = iter(rows)
    shown = list(islice(remaining, min(limit, sys.maxsize)) if limit else remaining)
    cells = [[cell_text(value, longest) for value in row] for row in shown]
    widths = (max(map(len, column)) for column in zip(columns, *cells, strict=True))
    needed = sum(widths) + 3 * len(columns)
    if shown and needed > _FOLDS * console.width:
        _print_records(console, columns, cells)
    else:
        _print_grid(console, columns, cells, _numeric(columns, shown))
    if limit and next(remaining, None) is not None:
        console.print(
            f"The first {count_of(limit, 'row')}; there are more (--limit 0, or --format csv)."
        )
    elif not shown:
        console.print("No rows.")


def _numeric(columns: Sequence[str], rows: list[Sequence[Any]]) -> list[bool]:
    """Return which columns hold numbers and nothing else."""
    known = [
        [row[place] for row in rows if row[place] is not None] for place in range(len(columns))
    ]
    return [
        bool(values)
        and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)
        for values in known
    ]


def _print_grid(
    console: "Console", columns: Sequence[str], cells: list[list[str]], numeric: list[bool]
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for name, is_number in zip(columns, numeric, strict=True):
        table.add_column(
            Text(one_line(name)), justify="right" if is_number else "left", overflow="fold"
        )
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_records(console: "Console", columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich.text import Text

    margin = max(len(name) for name in columns)
    for number, row in enumerate(cells, start=1):
        console.print(Text(f"row {number}", style="bold"))
        for name, cell in zip(columns, row, strict=True):
            console.print(Text(f"  {one_line(name):<{margin}}  {cell}"), soft_wrap=True)


def cell_text(value: Any, longest: int = LONGEST_CELL) -> str:
    """Return one value for reading, cut at `longest` characters."""
    match value:
        case None:
            return MISSING
        case bool():
            return "true" if value else "false"
        case float() | Decimal():
            return f"{value:.6g}"
        case datetime():
            return value.isoformat(sep=" ")
        case list() | dict() | tuple():
            text = _ENCODER.encode(plain(value)).decode()
        case bytes():
            text = value.hex()
        case _:
            text = str(value)
    text = one_line(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: infinite and not-a-number become text, dates ISO 8601."""
    match value:
        case bool() | int() | str() | Decimal() | None:
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case bytes():
            return value.hex()
        case _:
            return str(value)


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], stream: TextIO) -> None:
    """Write rows with a header line; lists and structures as JSON text."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_field(value) for value in row])


def write_json(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]], stream: TextIO
) -> None:
    """Write an array of objects, a row a line; columns are (name, SQL type), and JSON columns stay JSON."""
    separator = "[\n"
    for row in rows:
        fields = {
            name: msgspec.Raw(value.encode())
            if kind == "JSON" and value is not None
            else plain(value)
            for (name, kind), value in zip(columns, row, strict=True)
        }
        stream.write(separator + json_for(_ENCODER.encode(fields).decode(), stream.encoding))
        separator = ",\n"
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


def _csv_field(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case list() | dict() | tuple():
            return _ENCODER.encode(plain(value)).decode()
        case float():
            return value  # csv writes it with repr
        case _:
            return plain(value)  # csv writes None as nothing
