"""One prompt, before the scenario's limits, sampling and cache state are applied to it.

Built-in tasks, a person's file and synthetic text are all converted to these; planning reads nothing else.
"""

from dataclasses import dataclass
from typing import Any

DEFAULT_MAX_TOKENS = 128
"""The output limit where neither the scenario nor the item has one (core.scenario)."""


@dataclass(frozen=True, slots=True)
class PromptItem:
    """prompt or messages, one of the two; what is None is left to the scenario.

    prompt_id is stable: neither cache state nor sampling nor the output limit changes it.
    prompt_tokens is given where the text was made to a length. where is file:line, for errors.
    """

    prompt_id: str
    where: str
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    prompt_tokens: int | None = None
    task: str | None = None
    expected: Any = None
    scorer: str | None = None
    labels: list[str] | None = None
    sensitive: bool = False
