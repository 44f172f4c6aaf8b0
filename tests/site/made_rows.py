"""Rows as the site reads them, made by hand: what a test does not name is null."""

from dataclasses import fields
from typing import Any

import msgspec

from observatory.core.run import TargetFacts
from observatory.site.queries.run_row import RunRow
from observatory.store.queries.typed_rows import Typed


def made_row(row_type: type[Typed], **values: Any) -> Typed:
    """A row with these values; every other column is null."""
    names = [field.name for field in fields(row_type)]  # type: ignore[arg-type]
    return row_type(**dict.fromkeys(names) | values)


def run_row(settings: dict[str, Any] | None = None, **values: Any) -> RunRow:
    """A run of a vLLM that was started here; settings: of its target's facts."""
    facts = TargetFacts("mine", "vllm", "self", "open", "hours", settings=settings or {})
    common = {"target": "mine", "target_kind": "vllm", "emulated": False}
    common |= {"target_facts": msgspec.json.encode(facts).decode()}
    return made_row(RunRow, **common | values)
