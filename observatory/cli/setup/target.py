"""observatory target: the targets that are known by name, and whether one is really there."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observatory.cli.answers import show_table
from observatory.cli.console import echo, echo_json, print_json
from observatory.cli.options import JsonOption
from observatory.cli.setup.endpoint_names import one_url
from observatory.core.errors import BadInput
from observatory.core.system.private_folders import private_folder, sweep_private_folders
from observatory.core.workspace import open_workspace
from observatory.providers.page import as_rows, page_with_tables

if TYPE_CHECKING:
    from observatory.core.connection import Connection
    from observatory.core.targets.catalogue import Target
    from observatory.endpoints.check import TargetCheck
    from observatory.endpoints.opened import OpenTarget

app = typer.Typer(
    no_args_is_help=True,
    help="List and check what can be measured.\n\nExample: observatory target list",
)


@app.command("list")
def list_targets(json_output: JsonOption = False) -> None:
    """List the targets of scenarios/targets.yaml.

    Example: observatory target list --json
    """
    from observatory.inputs.target_files import load_targets

    rows = [target_row(target) for target in load_targets(open_workspace()).values()]
    if json_output:
        print_json(rows)
        return
    if not rows:
        echo("no targets yet: name some in scenarios/targets.yaml")
        return
    columns = ("name", "kind", "hosting", "weights", "billing", "model", "endpoint")
    table = [columns, *(tuple(row[column] for column in columns) for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(columns))]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(cells).rstrip())


def target_row(target: "Target") -> dict[str, str]:
    """Return what the list shows of a target, all text; a dash where it is only known once it is opened."""
    shown = target.model_dump(mode="json")
    endpoint = shown.get("url") or shown.get("base_url") or shown.get("provider")
    return {
        **{field: shown[field] for field in ("name", "kind", "hosting", "weights", "billing")},
        "model": shown.get("model") or ("emulated-model" if target.emulated else "-"),
        "endpoint": endpoint or "started on loopback",
    }


@app.command("providers")
def list_providers(
    json_output: JsonOption = False,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the tables of docs/providers.md into this page."),
    ] = None,
) -> None:
    """List the providers that a target of kind api may name, and whose key is set.

    Example: observatory target providers --json
    """
    if page is not None:
        page.write_text(page_with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
        return
    rows = as_rows(os.environ)
    if json_output:
        print_json(rows)
        return
    show_table(
        ["provider", "title", "wires", "key variable", "set"],
        [
            (
                row["name"],
                row["title"],
                ", ".join(row["wires"]),
                row["key_variable"],
                "yes" if row["key_set"] else "no",
            )
            for row in rows
        ],
    )
    echo("docs/providers.md has each one's address, what it supports, and the sources.")


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="A target of scenarios/targets.yaml.")] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(help="Base URL of an endpoint that no file names."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Its model; default: the only one.")] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="Only show a request: nothing is contacted, and no key is needed."
        ),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Check that a target answers and has its model, and what a request to it would look like.

    It lists models and requests no completion: nothing is billed. A target that the observatory
    starts itself is started for the check and ended.

    Example: observatory target check --url http://127.0.0.1:8000/v1 --model my-model
    """
    from observatory.endpoints.catalogue import open_target, unopened_connection
    from observatory.endpoints.check import check_target
    from observatory.endpoints.opened import OpenContext

    target = requested_target(name, one_url(url), model)
    if show:
        _show(unopened_connection(target), json_output)
        return
    sweep_private_folders()
    # Where it fails, the message names the log in the folder.
    with private_folder("check", keep_on_error=True) as folder:
        context = OpenContext(folder, lambda text: echo(text, err=True))
        with open_target(target, context) as opened:
            found = check_target(opened)
            _print(opened, found, json_output)


def requested_target(
    name: str | None, url: str | None, model: str | None, called: str | None = None
) -> "Target":
    """Return the target that was named, or the one that --url and --model make."""
    from observatory.endpoints.url import ad_hoc_target
    from observatory.inputs.target_files import pick_target

    if (name is None) == (url is None):
        raise BadInput("name a target, or give --url: one of the two")
    if url is not None:
        return ad_hoc_target(url, model, called)
    if model is not None:
        raise BadInput("--model goes with --url; a named target has its model in its file")
    return pick_target(str(name), (), open_workspace())


def _print(opened: "OpenTarget", found: "TargetCheck", json_output: bool) -> None:
    if json_output:
        print_json(found)
        return
    marked = " (EMULATED)" if opened.facts.emulated else ""
    echo(f"{opened.facts.name}{marked}: {found.endpoint} answers")
    if found.models is not None and found.model in found.models:
        others = len(found.models) - 1
        also = f", and {others} other{'s' if others > 1 else ''}" if others else ""
        echo(f"it has the model {found.model!r}{also}")
    if found.proxy is not None:
        echo(f"it is reached through the proxy {found.proxy}, as the environment sets it")
    if found.note is not None:
        echo(f"note: {found.note}")
    _show(opened.connection)


def _show(connection: "Connection", json_output: bool = False) -> None:
    """Print a request as it would leave, with keys by name only."""
    from observatory.endpoints.check import would_send

    if json_output:
        echo_json(json.dumps({"would_send": would_send(connection)}, indent=2))
        return
    echo("\na request would be sent like this (nothing was sent now):\n")
    echo(would_send(connection))
    if connection.transport == "sdk":
        echo("\ntransport: sdk: the openai package sends this body with headers of its own")
