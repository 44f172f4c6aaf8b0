"""JSONL and CSV taken apart into rows of values, each with its line; what a row may hold is rows' part.

A bad line becomes a Complaint in its place, so that all of a file's errors are told at once.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from observatory.core.errors import BadInput
from observatory.workload.complaints import Complaint

_JSON_COLUMNS = ("messages", "tools", "metadata")
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def jsonl_values(text: str) -> Iterator[tuple[int, Any]]:
    """(line, object or Complaint) of every line that is not blank."""
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            value = json.loads(
                written, object_pairs_hook=_without_duplicates, parse_constant=_not_json
            )
            if not isinstance(value, dict):
                raise ValueError("a line must be one JSON object")
            yield line, value
        except json.JSONDecodeError as error:
            yield line, Complaint(line, "", f"not JSON: {error.msg} at column {error.colno}")
        except (ValueError, RecursionError) as error:
            yield line, Complaint(line, "", str(error))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is written twice")
    return value


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def csv_values(name: str, text: str, known: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """(first line, columns or Complaint) of every row; an empty cell is an absent value."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(name, first, cells, known)
            elif len(cells) != len(header):
                what = f"has {len(cells)} cells, the header has {len(header)}"
                yield first, Complaint(first, "", what, "quote cells that contain a comma")
            else:
                yield first, _columns(first, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        yield line, Complaint(line, "", f"not CSV: {error}", 'write a quote inside quotes as ""')


def _header(name: str, line: int, cells: list[str], known: Iterable[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({cell for cell in names if names.count(cell) > 1})
    if twice:
        raise BadInput(f"column {twice[0]!r} is written twice", where=f"{name}:{line}")
    if "prompt" not in names and "messages" not in names:
        raise BadInput(
            f"the header has neither a prompt nor a messages column: {', '.join(names)[:80]}",
            where=f"{name}:{line}",
            fix=f"separate columns by commas; known columns: {', '.join(known)}",
        )
    return names


def _columns(line: int, cells: dict[str, str]) -> dict[str, Any] | Complaint:
    """Cells as the values that a JSON line would hold."""
    values: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell.strip():
            continue
        values[column] = cell
        try:
            if column in _JSON_COLUMNS:
                values[column] = json.loads(cell, parse_constant=_not_json)
            elif column == "labels":
                values[column] = [label.strip() for label in cell.split("|")]
            elif column == "max_tokens":
                values[column] = int(cell)
            elif column == "sensitive":
                values[column] = _YES[cell.strip().lower()]
        except KeyError:
            return Complaint(line, column, f"{cell[:40]!r} is not true or false")
        except ValueError as error:
            return Complaint(line, column, f"cannot be read: {error}")
    return values
