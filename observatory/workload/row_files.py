"""Parse JSONL and CSV into rows of values, each with its line; rows.py defines what a row may hold.

A bad line becomes a FieldError in its place, so that all of a file's errors are reported at once.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.inputs.validation_errors import FieldError, did_you_mean
from observatory.workload.foreign_formats import refuse_foreign_header

_JSON_COLUMNS = ("messages", "tools", "metadata")
_INDEX = re.compile(r"^(Unnamed: \d+)?$")
"""What pandas calls a column without a name."""
_DECIMAL = re.compile(r"^[+-]?\d{1,18}(\.\d*)?([eE]\+?\d{1,2})?$")
_MOST_DIGITS = 100
_NO_VALUE = frozenset({"na", "n/a", "#n/a", "nan", "none", "null", "nil", "-"})
"""What R, data frames and spreadsheets write where there is no value."""
_SEPARATOR_LINE = re.compile(r"sep=.?")
"""Excel's own first line, which names the separator."""
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class BadCells:
    """A row with cells that cannot be read: a validation error for each, and the values of the others."""

    values: dict[str, Any]
    field_errors: list[FieldError]


def jsonl_values(text: str) -> Iterator[tuple[int, Any]]:
    """Yield (line, object or FieldError) of every line that is not blank."""
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            value = json.loads(
                written,
                object_pairs_hook=_without_duplicates,
                parse_constant=_not_json,
                parse_int=_json_int,
            )
            if not isinstance(value, dict):
                raise ValueError("a line must be one JSON object")
            yield line, value
        except json.JSONDecodeError as error:
            comma = written.rstrip().endswith(",") and error.msg == "Extra data"
            fix = "remove the comma at its end" if comma else None
            what = f"not JSON: {error.msg}" + ("" if comma else f" at column {error.colno}")
            yield line, FieldError(line, "", what, fix)
        except (ValueError, RecursionError) as error:
            yield line, FieldError(line, "", str(error))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = dict.fromkeys(repr(name) for name in names if names.count(name) > 1)
        be = "is" if len(twice) == 1 else "are"
        raise ValueError(f"{', '.join(twice)} {be} written twice")
    return value


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _json_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(
            f"a whole number has {len(digits.lstrip('-')):,} digits, more than 64 bits"
        )
    return int(digits)


def csv_values(
    name: str, text: str, known: Iterable[str], note: Callable[[str], None] = lambda text: None
) -> Iterator[tuple[int, Any]]:
    """Yield (first line, columns, BadCells or FieldError) of every row; an empty cell is an absent value.

    A column without a name (a data frame's index, a comma at the end) is passed over with a note.
    """
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header and _SEPARATOR_LINE.fullmatch(cells[0].strip()) and not any(cells[1:]):
                continue
            if not header:
                header = _header(name, first, cells, list(known), note)
                continue
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()
            if len(cells) != len(header):
                what = f"has {count_of(len(cells), 'cell')}, the header has {len(header)}"
                yield first, FieldError(first, "", what, "quote cells that contain a comma")
            else:
                yield first, _columns(first, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        yield line, FieldError(line, "", f"not CSV: {error}", 'write a quote inside quotes as ""')


def _header(
    name: str, line: int, cells: list[str], known: list[str], note: Callable[[str], None]
) -> list[str]:
    """Return the columns' names; those that are passed over are empty."""
    where = f"{name}:{line}"
    names = [cell.strip() for cell in cells]
    names = ["" if _INDEX.match(cell) else cell for cell in names]
    twice = sorted({cell for cell in names if cell and names.count(cell) > 1})
    if twice:
        named = ", ".join(map(repr, twice))
        columns, be = ("columns", "are") if len(twice) > 1 else ("column", "is")
        raise BadInput(f"{columns} {named} {be} written twice", where=where)
    unknown = [cell for cell in names if cell and cell not in known]
    if unknown:
        refuse_foreign_header(where, names)
    if "prompt" not in names and "messages" not in names:
        raise BadInput(
            f"the header has neither a prompt nor a messages column: {', '.join(names)[:80]}",
            where=where,
            fix=_separator(names) or f"known columns: {', '.join(known)}",
        )
    if unknown:
        named = "; ".join(f"{cell!r}{did_you_mean(cell, known)}" for cell in unknown)
        raise BadInput(
            f"unknown column{'s' if len(unknown) > 1 else ''} {named}",
            where=where,
            fix=f"remove or rename it; known columns: {', '.join(known)}",
        )
    nameless = [str(place) for place, cell in enumerate(names, start=1) if not cell]
    if nameless:
        several = len(nameless) > 1
        columns = f"column{'s' if several else ''} {', '.join(nameless)}"
        note(f"{where}: {columns} of the file: no name, passed over")
    return names


def _separator(names: list[str]) -> str | None:
    """Return the advice for columns that are separated by another character than a comma."""
    for mark, words in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        inside = [part.strip(' "') for cell in names for part in cell.split(mark)]
        if "prompt" in inside or "messages" in inside:
            return f"its columns are separated by {words}: export it with commas"
    return None


def _columns(line: int, cells: dict[str, str]) -> dict[str, Any] | BadCells:
    """Return cells as the values that a JSON line would hold, with a validation error for each that cannot be."""
    values: dict[str, Any] = {}
    bad: list[FieldError] = []
    for column, cell in cells.items():
        if not column or not cell.strip():
            continue
        values[column] = cell
        try:
            if column in _JSON_COLUMNS:
                values[column] = json.loads(cell, parse_constant=_not_json, parse_int=_json_int)
            elif column == "labels":
                values[column] = [label.strip() for label in cell.split("|")]
            elif column == "max_tokens":
                values[column] = _integer(cell)
            elif column == "sensitive":
                values[column] = _YES[cell.strip().lower()]
        except KeyError:
            bad.append(FieldError(line, column, f"{cell[:40]!r} is not true or false"))
        except ValueError as error:
            integer = column == "max_tokens"
            none = integer and cell.strip().lower() in _NO_VALUE
            fix = "leave a cell without a value empty" if none else None
            message = str(error) if integer else f"cannot be read: {error}"
            bad.append(FieldError(line, column, message, fix))
    if not bad:
        return values
    wrong = {field_error.path for field_error in bad}
    return BadCells({name: values[name] for name in values if name not in wrong}, bad)


def _integer(cell: str) -> int:
    """Return a whole number, also as a data frame writes it: 128.0."""
    try:
        return int(cell)
    except ValueError:
        number = float(cell) if _DECIMAL.match(cell.strip()) else math.nan
        if not number.is_integer():
            raise ValueError(f"{cell[:40]!r} is not a whole number") from None
        return int(number)
