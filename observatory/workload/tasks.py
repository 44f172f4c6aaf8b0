"""The built-in task sets: prompts with reference answers, written for this project.

Each is a JSONL file of task_sets/: a header line (TaskSetHeader), then one line an item (TaskLine).
The sets, their scoring and its limits: docs/tasks.md.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from observatory.core.scenario import Scorer, TaskSet

_FOLDER = Path(__file__).parent / "task_sets"


class TaskSetHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: what all items share. Templates are str.format texts over an item's parts."""

    task: TaskSet
    scorer: Scorer
    templates: dict[str, str]
    max_tokens: int
    labels: list[str] | None = None
    system: str | None = None


class TaskLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item as it is written. scorer and max_tokens override the header's.

    check is what the tests recompute `expected` from: a Python expression (arithmetic) or
    assertions that hold of the code once the answer is applied to it; fix is the right line of
    code where the answer is the number of the wrong one.
    """

    id: str
    parts: dict[str, str]
    expected: Any
    template: str = "default"
    scorer: Scorer | None = None
    max_tokens: int | None = None
    check: str | None = None
    fix: str | None = None


class TaskItem(msgspec.Struct, frozen=True):
    """One prompt and its reference for quality.scorers; max_tokens is ample
    for a right answer in the requested form."""

    id: str
    task: TaskSet
    prompt: str
    expected: Any
    scorer: Scorer
    labels: list[str] | None
    max_tokens: int
    system: str | None


def load_tasks(name: TaskSet) -> list[TaskItem]:
    """Return all items of one built-in set, in the file's order."""
    header, lines = read_task_set(name)
    return [
        TaskItem(
            id=line.id,
            task=header.task,
            prompt=header.templates[line.template].format(**line.parts),
            expected=line.expected,
            scorer=line.scorer or header.scorer,
            labels=header.labels,
            max_tokens=line.max_tokens or header.max_tokens,
            system=header.system,
        )
        for line in lines
    ]


@lru_cache(maxsize=8)
def read_task_set(name: TaskSet) -> tuple[TaskSetHeader, tuple[TaskLine, ...]]:
    """Return one set as it is written, with what the tests check it by."""
    head, *rest = (_FOLDER / f"{name}.jsonl").read_bytes().splitlines()
    return (
        msgspec.json.decode(head, type=TaskSetHeader),
        tuple(msgspec.json.decode(line, type=TaskLine) for line in rest),
    )
