"""observatory model: the models that come by name; fetch or make one, or list them with where they lie."""

from typing import Any

import typer

from observatory.cli.console import echo, print_json
from observatory.cli.options import JsonOption
from observatory.models import model_catalogue, models

app = typer.Typer(
    no_args_is_help=True,
    help="Fetch, make and list the built-in models.\n\nExample: observatory model list",
)


@app.command()
def pull(
    name: str = typer.Argument(..., help="A name of `observatory model list`, or a group's."),
) -> None:
    """Fetch or make a model, check its SHA-256, and keep it in the cache folder.

    A GGUF file comes through pip, whose own configuration names the index. Other formats
    of its weights are made from it in the environment of an installed engine (observatory engine
    install). OBSERVATORY_CACHE is the folder for models. One that is there already is only checked.

    Example: observatory model pull smollm2-135m-instruct-q4_1
    """
    for each in models.names_of(name):
        echo(models.pull(each, lambda text: echo(text, err=True)))


@app.command("list")
def list_models(json_output: JsonOption = False) -> None:
    """List the models with size, licence, what each really is, and where it lies or would lie.

    Example: observatory model list --json
    """
    rows = [model_row(name) for name in model_catalogue.MODELS]
    if json_output:
        print_json(rows)
        return
    for row in rows:
        state = "here" if row["here"] else f"not here: observatory model pull {row['name']}"
        echo(f"{row['name']}  ({row['title']})")
        echo(f"  {row['bytes'] / 1e6:.0f} MB, {row['license']}, {state}")
        if row["note"]:
            echo(f"  {row['note']}")
        echo(f"  {row['path']}")
    for group, names in model_catalogue.GROUPS.items():
        echo(f"{group}  (all of: {', '.join(names)})")


def model_row(name: str) -> dict[str, Any]:
    """Return the list's facts of a model; download_bytes is null for one that is made here."""
    model = model_catalogue.MODELS[name]
    made = isinstance(model, model_catalogue.MadeModel)
    return {
        "name": name,
        "title": model.title,
        "format": model.format,
        "weight_format": model.weight_format,
        "parameters": model.parameters,
        "bytes": model.size_bytes,
        "download_bytes": None
        if isinstance(model, model_catalogue.MadeModel)
        else model.wheel_bytes,
        "license": model.license,
        "sha256": model.sha256,
        "made_from": model.source if isinstance(model, model_catalogue.MadeModel) else None,
        "needs_engine": made and model.format != "lora",
        "note": model.note,
        "here": models.is_here(name),
        "path": str(models.model_path(name)),
    }
