"""Public names stay: whatever tests/data/public_names.json lists is still there. New names may join it.

To add new names to the list: `python -m tests.test_frozen`. A name is never taken out of it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.cli.main import app
from observatory.core.errors import ExitCode
from observatory.core.reasons import REASONS
from observatory.core.scenario import Scenario
from observatory.store.schema.dictionary import data_dictionary
from observatory.store.views.macro_catalogue import MACROS

MODELS_NOW = {"OpenArrivals": ("ConstantArrivals", "PoissonArrivals")}
"""Models of the list that are several now. Their keys are in each: files name keys, and never a model."""
LIST = Path(__file__).parent / "data" / "public_names.json"


def public_names() -> dict[str, list[str]]:
    """Verbs, options, exit codes, scenario keys, tables, columns, macros, finding and reason codes of this code."""
    verbs = dict(_verbs(typer.main.get_command(app), ()))
    return {
        "verbs": sorted(verbs),
        "options": sorted(
            f"{verb} {option}" for verb, options in verbs.items() for option in options
        ),
        "exit codes": sorted(f"{code.name} = {code.value}" for code in ExitCode),
        "scenario keys": sorted(set(_keys(Scenario.model_json_schema()))),
        "tables and columns": sorted(
            f"{entry.name}.{column.name}" for entry in data_dictionary() for column in entry.columns
        ),
        "macros": sorted(
            f"{macro.name}({parameter.name})" for macro in MACROS for parameter in macro.parameters
        ),
        "finding codes": sorted(THRESHOLDS),
        "reason codes": sorted(REASONS),
    }


def _verbs(command: Any, name: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    options = [o for one in command.params for o in (*one.opts, *one.secondary_opts)]
    yield " ".join(("observatory", *name)), options
    inner: dict[str, Any] = getattr(command, "commands", {})
    for word, one in inner.items():
        yield from _verbs(one, (*name, word))


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    """Each key, after the name of the model that has it."""
    models = {"Scenario": schema, **schema.get("$defs", {})}
    for model, inner in models.items():
        yield from (f"{model}.{key}" for key in inner.get("properties", {}))
    for old, new in MODELS_NOW.items():
        in_each = [set(models[model]["properties"]) for model in new]
        yield from (f"{old}.{key}" for key in set.intersection(*in_each))


def test_no_public_name_is_gone() -> None:
    kept: dict[str, list[str]] = json.loads(LIST.read_text(encoding="utf-8"))
    names = public_names()
    assert sorted(kept) == sorted(names)
    assert all(len(listed) > 5 for listed in kept.values())
    gone = {kind: sorted(set(listed) - set(names[kind])) for kind, listed in kept.items()}
    assert not any(gone.values()), gone


if __name__ == "__main__":
    listed = json.loads(LIST.read_text(encoding="utf-8")) if LIST.exists() else {}
    merged = {
        kind: sorted({*names, *listed.get(kind, [])}) for kind, names in public_names().items()
    }
    LIST.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
