"""`observatory run`: one scenario on its targets, from the plan to the sealed, judged runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observatory.cli.options import JsonOption, ResultsOption

if TYPE_CHECKING:
    from observatory.core.scenario import Scenario
    from observatory.core.target import Target
    from observatory.core.workspace import Workspace


def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or the path of its file.")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="Run on this target (repeatable) instead of its own."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Run on this OpenAI-compatible URL; needs no file.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask for at --url.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Variable that holds the key for --url.")
    ] = None,
    billing: Annotated[
        str, typer.Option(help="How --url is billed: hours (you serve it) or tokens.")
    ] = "hours",
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    processes: Annotated[int | None, typer.Option(help="Load-generating processes.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="Cap the spending, in dollars.")] = None,
    budget_requests: Annotated[int | None, typer.Option(help="Cap the requests of a run.")] = None,
    label: Annotated[str | None, typer.Option(help="A name to find these runs by.")] = None,
    publish: Annotated[bool, typer.Option(help="Mark for the site, and build it.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Plan and check; send nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Start although this machine is estimated to be too small."),
    ] = False,
    json_output: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """Load a scenario's targets, record everything, and say what the numbers are worth.

    Several targets make a campaign: the same requests, in interleaved stages.
    Exit code: 0 fine or degraded, 2 bad input, 3 invalid, 4 target or environment failed,
    7 budget reached, 130 interrupted.

    Example: observatory run chat-steady --url http://127.0.0.1:8000/v1 --model my-model
    """
    from observatory.core.workspace import open_workspace
    from observatory.workload.scenario_files import load_scenario

    workspace = open_workspace(results)
    loaded = load_scenario(scenario, workspace)
    adjusted = _adjusted(loaded.scenario, seed, processes, budget_usd, budget_requests)
    targets = _targets(workspace, loaded.targets, target or [], url, model, api_key_env, billing)
    from observatory.runner.campaign import run_campaign
    from observatory.runner.sitting import Request

    request = Request(
        adjusted, loaded.path.parent, targets, publish=publish, label=label, force=force
    )
    if dry_run:
        from observatory.cli.dry_run import print_dry_run

        print_dry_run(workspace, request, json_output)
        return
    from observatory.cli.progress import open_display

    with open_display() as display:
        result = run_campaign(workspace, request, display)
        site = _publish(workspace, display) if publish else None
    from observatory.cli.comparison import print_json, print_result

    if json_output:
        print_json(result, site)
    else:
        print_result(result, workspace, site)
    raise typer.Exit(int(result.exit_code))


def _adjusted(
    scenario: "Scenario",
    seed: int | None,
    processes: int | None,
    usd: float | None,
    requests: int | None,
) -> "Scenario":
    """The scenario with what the command line says otherwise, checked as a file would be."""
    from pydantic import ValidationError

    from observatory.core.errors import BadInput

    data = scenario.model_dump(mode="json")
    data["seed"] = scenario.seed if seed is None else seed
    data["processes"] = scenario.processes if processes is None else processes
    if usd is not None:
        data["budget"]["usd"] = usd
    if requests is not None:
        data["budget"]["requests"] = requests
    try:
        return type(scenario).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            first["msg"], where="--" + "-".join(str(part) for part in first["loc"])
        ) from error


def _targets(
    workspace: "Workspace",
    own: list["Target"],
    names: list[str],
    url: str | None,
    model: str | None,
    api_key_env: str | None,
    billing: str,
) -> list["Target"]:
    from pydantic import ValidationError

    from observatory.core.errors import BadInput
    from observatory.core.target import UrlTarget
    from observatory.workload.scenario_files import pick_target

    chosen = [pick_target(name, own, workspace) for name in names]
    if url is not None:
        try:
            chosen.append(
                UrlTarget.model_validate(
                    {
                        "kind": "url",
                        "name": _name_of(url, model),
                        "url": url,
                        "model": model,
                        "api_key_env": api_key_env,
                        "billing": billing,
                        "price": "unknown" if billing == "tokens" else None,
                    }
                )
            )
        except ValidationError as error:
            first = error.errors()[0]
            option = "--" + str(first["loc"][-1]).replace("_", "-") if first["loc"] else "--url"
            raise BadInput(first["msg"].removeprefix("Value error, "), where=option) from error
    elif model is not None or api_key_env is not None:
        raise BadInput("--model and --api-key-env belong to --url", fix="add --url http://...")
    return chosen or own


def _name_of(url: str, model: str | None) -> str:
    import re
    from urllib.parse import urlsplit

    text = model.split("/")[-1] if model else (urlsplit(url).netloc or "url")
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60] or "url"


def _publish(workspace: "Workspace", display: object) -> Path:
    from observatory.site.build import build_site

    say = getattr(display, "say", print)
    say("building the site")
    return build_site(workspace)
