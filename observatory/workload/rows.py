"""A person's own requests, from JSONL or CSV: each row checked, every error with its line.

docs/workloads.md describes the columns; scenario-wide settings are put on later, by planning.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
from pydantic import Field, ValidationError, field_validator

from observatory.core.errors import BadInput
from observatory.core.scenario import FileWorkload, Scorer, TaskSet
from observatory.core.strict import Strict
from observatory.inputs.strict_yaml import YamlDocument
from observatory.inputs.text_files import read_text, shown_path
from observatory.inputs.validation_errors import FieldError, field_errors_of, refusal
from observatory.workload.foreign_formats import refuse_foreign_record, refuse_json_document
from observatory.workload.prompt_items import PromptItem
from observatory.workload.row_faults import row_faults
from observatory.workload.row_files import BadCells, csv_values, jsonl_values
from observatory.workload.tasks import read_task_set

MAX_ROWS = 200_000
"""Workers hold every item; a longer file is cut into several."""
ENDINGS = (".jsonl", ".ndjson", ".csv")


def _integer(value: object) -> object:
    """128.0, as data frames write a whole number, is 128; anything else is as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Row(Strict):
    """One request of a file: prompt or messages, and what else is known of it."""

    id: str | None = None
    prompt: str | None = Field(default=None, min_length=1)
    messages: list[dict[str, Any]] | None = Field(default=None, min_length=1)
    tools: list[dict[str, Any]] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    expected: Any = None
    scorer: Scorer | None = None
    labels: list[str] | None = Field(default=None, min_length=1)
    task: str | None = None
    sensitive: bool = False
    metadata: Any = Field(default=None, description="yours; neither sent nor stored")

    @field_validator("id", mode="before")
    @classmethod
    def _number_is_text(cls, value: object) -> object:
        value = _integer(value)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("max_tokens", mode="before")
    @classmethod
    def _integral(cls, value: object) -> object:
        return _integer(value)


def file_prompt_items(
    workload: FileWorkload, folder: Path, note: Callable[[str], None] = lambda text: None
) -> list[PromptItem]:
    """Return every row of the workload's file, in its order; BadInput lists everything that is wrong with every row.

    note gets a sentence on each part of the file that is passed over.
    """
    path = folder / workload.path.expanduser()
    name = shown_path(path)
    text = read_text(path)
    if path.suffix not in ENDINGS:
        refuse_json_document(name, path, text)
        raise BadInput(
            f"{path.suffix or 'a file without ending'} is not read",
            where=name,
            fix="give a .jsonl or .csv file",
        )
    schema = Row.model_json_schema()
    field_errors: list[FieldError] = []
    rows: list[tuple[int, Row]] = []
    values = (
        csv_values(name, text, Row.model_fields, note)
        if path.suffix == ".csv"
        else _lines(name, path, text)
    )
    for line, value in values:
        if len(rows) == MAX_ROWS:
            raise BadInput(f"more than {MAX_ROWS:,} requests", where=f"{name}:{line}")
        if isinstance(value, FieldError):
            field_errors.append(value)
            continue
        read = _read(name, line, value, schema)
        if isinstance(read, Row):
            rows.append((line, read))
        else:
            field_errors += read
    field_errors += _repeated_ids(rows)
    if field_errors:
        raise refusal(name, field_errors)
    if not rows:
        raise BadInput("has no requests in it", where=name)
    return _prompt_items(name, rows, workload)


def _lines(name: str, path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Yield the lines of a JSONL file; raise BadInput where it is a known format or one JSON document."""
    for line, value in jsonl_values(text):
        if isinstance(value, dict) and not value.keys() <= Row.model_fields.keys():
            refuse_foreign_record(f"{name}:{line}", path, value)
        elif isinstance(value, FieldError):
            refuse_json_document(name, path, text)
        break
    yield from jsonl_values(text)


def _read(name: str, line: int, value: Any, schema: dict[str, Any]) -> Row | list[FieldError]:
    """Return the row, or everything that is wrong with it."""
    found = list(value.field_errors) if isinstance(value, BadCells) else []
    columns = value.values if isinstance(value, BadCells) else value
    bad = {field_error.path for field_error in found}
    row: Row | None = None
    try:
        row = Row.model_validate(columns, strict=True)
    except ValidationError as error:
        found += field_errors_of(error, YamlDocument(name, columns, {(): line}), schema)
        bad |= {str(each["loc"][0]) for each in error.errors(include_url=False) if each["loc"]}
    found += row_faults(line, columns, Row.model_fields, bad)
    return found if found or row is None else row


def _repeated_ids(rows: list[tuple[int, Row]]) -> list[FieldError]:
    first: dict[str, int] = {}
    found = []
    for line, row in rows:
        if row.id is not None and first.setdefault(row.id, line) != line:
            found.append(
                FieldError(line, "id", f"{row.id!r} is already the id of line {first[row.id]}")
            )
    return found


def _prompt_items(
    name: str, rows: list[tuple[int, Row]], workload: FileWorkload
) -> list[PromptItem]:
    """Convert rows to prompts. A row without an id is identified by a hash of its content, not by its line."""
    taken: set[str] = {row.id for _, row in rows if row.id is not None}
    prompt_items = []
    for line, row in rows:
        prompt_id = row.id or _content_id(row, taken)
        taken.add(prompt_id)
        prompt_items.append(
            PromptItem(
                prompt_id=prompt_id,
                where=f"{name}:{line}",
                prompt=row.prompt,
                messages=row.messages,
                tools=row.tools,
                max_tokens=row.max_tokens,
                task=row.task,
                expected=row.expected,
                scorer=None if row.expected is None else _scorer(row, workload),
                labels=row.labels,
                sensitive=row.sensitive,
            )
        )
    return prompt_items


def _content_id(row: Row, taken: set[str]) -> str:
    content = msgspec.json.encode([row.prompt, row.messages, row.expected], order="deterministic")
    stem = hashlib.sha256(content).hexdigest()[:12]
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _scorer(row: Row, workload: FileWorkload) -> str:
    """Return the row's scorer, else the scenario's, else its built-in task's, else by what is expected."""
    chosen = row.scorer or workload.scorer
    if chosen is not None:
        return chosen
    if row.task in get_args(TaskSet):
        return read_task_set(cast(TaskSet, row.task))[0].scorer
    expected = row.expected
    if isinstance(expected, str):
        return "label" if row.labels else "token_f1"
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        return "number"
    several = isinstance(expected, list) and all(isinstance(part, str) for part in expected)
    return "token_f1" if several else "json"
