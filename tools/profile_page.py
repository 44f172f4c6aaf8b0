"""The profile reference of docs/emulator.md and the profiles' JSON Schema, written from the model.

`python -m tools.profile_page docs/emulator.md scenarios/profile.schema.json` rewrites both,
the page between its two marks; a test compares them with the model.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from observatory.core.emulation.profile import Part, Profile
from tools.doc_tables import rewrite


def fields_markdown() -> str:
    """Return the tables: the profile's own fields first, then one of each mapping in it."""
    own, parts = _rows(Profile)
    lines = ["| field | default | meaning |", "|---|---|---|", *own]
    for name, part in parts:
        lines += ["", f"`{name}:`. {_sentence(part)}", ""]
        lines += ["| field | default | meaning |", "|---|---|---|", *_rows(part)[0]]
    return "\n".join(lines)


def profile_schema() -> str:
    """Return the JSON Schema of a profile file, for editors."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Profile.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _rows(model: type[Part]) -> tuple[list[str], list[tuple[str, type[Part]]]]:
    rows, parts = [], []
    defaults = model.model_construct().model_dump(mode="json")
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        part = _part_of(field)
        if part is not None:
            parts.append((name, part))
        default = "–" if part is not None else _written(defaults.get(name))
        if field.is_required():
            default = "required"
        meaning = f"{field.description}{_choices(properties[name])}"
        rows.append(f"| `{name}` | {default} | {meaning} |")
    return rows, parts


def _part_of(field: FieldInfo) -> type[Part] | None:
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, Part):
            return candidate
    return None


def _choices(schema: dict[str, Any]) -> str:
    values = schema.get("enum")
    return " (" + ", ".join(f"`{value}`" for value in values) + ")" if values else ""


def _written(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("0.0s", "0s")


def _sentence(part: type[Part]) -> str:
    return " ".join((part.__doc__ or "").split())


if __name__ == "__main__":
    rewrite(sys.argv[1], {"profile fields": fields_markdown()})
    Path(sys.argv[2]).write_text(profile_schema(), encoding="utf-8")
