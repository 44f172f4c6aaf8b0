"""How rows are shown and written by the verbs that answer with rows: table, CSV, JSON.

A missing value is a dash in a table, empty in CSV, null in JSON; an infinite one stays infinite.
"""

import csv
import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

import msgspec

MISSING = "–"
LONGEST_CELL = 120
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_PIPED_WIDTH = 10_000
"""Columns of a table that goes into a file or a pipe: nothing is cut there."""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], limit: int = 0) -> None:
    """Print rows as a table on standard output, at most `limit` (0: all), and say if there are more."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    remaining = iter(rows)
    shown = list(islice(remaining, limit) if limit else remaining)
    numeric = [
        bool(values := [row[place] for row in shown if row[place] is not None])
        and all(isinstance(value, int | float | Decimal) and value is not True for value in values)
        for place in range(len(columns))
    ]
    table = Table(header_style="bold")
    for name, is_number in zip(columns, numeric, strict=True):
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in shown:
        table.add_row(*(Text(cell_text(value)) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPED_WIDTH)
    console.print(table)
    if limit and next(remaining, None) is not None:
        console.print(f"The first {limit} rows; there are more (--limit 0, or --format csv).")
    elif not shown:
        console.print("No rows.")


def cell_text(value: Any) -> str:
    """One value for reading."""
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
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def plain(value: Any) -> Any:
    """A value as JSON can hold it: infinite and not-a-number become text, dates ISO 8601."""
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
    """Rows with a header line; lists and structures as JSON text."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_field(value) for value in row])


def write_json(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]], stream: TextIO
) -> None:
    """An array of objects, a row a line; columns are (name, SQL type), and JSON columns stay JSON."""
    separator = "[\n"
    for row in rows:
        fields = {
            name: msgspec.Raw(value.encode())
            if kind == "JSON" and value is not None
            else plain(value)
            for (name, kind), value in zip(columns, row, strict=True)
        }
        stream.write(separator + _ENCODER.encode(fields).decode())
        separator = ",\n"
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


def _csv_field(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | dict() | tuple():
            return _ENCODER.encode(plain(value)).decode()
        case float():
            return repr(value)
        case _:
            return plain(value)
