"""`observatory run`: one scenario on its targets, from the plan to the sealed, judged runs."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from observatory.cli.console import echo, someone_there
from observatory.cli.measure import run_options as options
from observatory.cli.options import JsonOption, ResultsOption, check_size
from observatory.cli.setup.endpoint_names import one_url, unused_name
from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from observatory.core.scenario import Scenario
    from observatory.core.targets.catalogue import Target
    from observatory.inputs.scenario_files import LoadedScenario
    from observatory.runner.campaign import CampaignResult
    from observatory.runner.campaign_execution import RunRequest
    from observatory.runner.quoting import CampaignQuote


def run(
    scenario: options.ScenarioArgument,
    target: options.TargetOption = None,
    url: options.UrlOption = None,
    name: options.NameOption = None,
    model: options.ModelOption = None,
    api_key_env: options.ApiKeyEnvOption = None,
    billing: options.BillingOption = "hours",
    seed: options.SeedOption = None,
    processes: options.ProcessesOption = None,
    budget_usd: options.BudgetUsdOption = None,
    budget_requests: options.BudgetRequestsOption = None,
    budget_output_tokens: options.BudgetOutputTokensOption = None,
    yes: options.YesOption = False,
    ask_above: options.AskAboveOption = 1.0,
    label: options.LabelOption = None,
    publish: options.PublishOption = False,
    dry_run: options.DryRunOption = False,
    force: options.ForceOption = False,
    resume: options.ResumeOption = None,
    json_output: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """Load a scenario's targets, record everything, and judge the numbers.

    Several targets make a campaign: the same requests, in interleaved stages. The cells of a matrix
    take turns, in a seeded random order, as often as it repeats; --target varies another target.
    What targets billed by tokens will take and cost is quoted before anything starts.
    Exit code: 0 fine or degraded, 2 bad input, 3 invalid, 4 target or environment failed,
    7 budget reached, 130 interrupted.

    Example: observatory run chat-steady --url http://127.0.0.1:8000/v1 --model my-model
    """
    workspace = open_workspace(results)
    budget = (budget_usd, budget_requests, budget_output_tokens)
    typed = _Options(target or [], seed, processes, *budget, label, publish, force)
    endpoint = _Endpoint(one_url(url), model, api_key_env, billing, name, lists_models=not dry_run)
    request = _request(workspace, scenario, typed, endpoint, resume)
    if dry_run:
        from observatory.cli.measure.dry_run import print_dry_run

        print_dry_run(workspace, request, json_output)
        return
    result, site, failure = _measured(workspace, request, yes=yes, ask_above_usd=ask_above)
    _print(workspace, result, site, json_output)
    if failure is not None:
        raise failure
    raise typer.Exit(int(result.exit_code))


def _print(
    workspace: Workspace, result: "CampaignResult", site: Path | None, json_output: bool
) -> None:
    from observatory.cli.measure.comparison import print_json, print_result

    if json_output:
        print_json(result, site)
        if result.error is not None:
            echo(f"observatory: {result.error}", err=True)
    else:
        print_result(result, workspace, site)
    for finished in result.runs:
        if finished.ingested.failed:
            echo(f"observatory: {finished.ingested.message}", err=True)


def _measured(
    workspace: Workspace, request: "RunRequest", *, yes: bool, ask_above_usd: float
) -> "tuple[CampaignResult, Path | None, Exception | None]":
    """Run the campaign, and build the site where it is published: with the site's failure, if it failed."""
    from observatory.cli.measure.progress import open_display
    from observatory.runner.campaign import run_campaign

    with open_display() as display:

        def agreed(quotes: "CampaignQuote") -> None:
            from observatory.cli.measure.quote_view import agree, short_lines

            for line in short_lines(quotes):
                display.report(line)
            agree(quotes, yes=yes, ask_above_usd=ask_above_usd, terminal=someone_there())

        result = run_campaign(workspace, request, display, agreed)
        site, failure = None, None
        if request.publish:
            try:
                site = _publish(workspace, display)
            except Exception as error:  # what was measured is shown before the error
                failure = error
    return result, site, failure


@dataclass(frozen=True, slots=True)
class _Options:
    """The options typed with the scenario; a resumed campaign keeps them."""

    target: list[str]
    seed: int | None
    processes: int | None
    budget_usd: float | None
    budget_requests: int | None
    budget_output_tokens: int | None
    label: str | None
    publish: bool
    force: bool


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An endpoint given by its address."""

    url: str | None
    model: str | None
    api_key_env: str | None
    billing: str
    name: str | None = None
    lists_models: bool = True
    """Whether the endpoint's list of models may be requested where no model is given."""


def _request(
    workspace: Workspace,
    name: str,
    typed: _Options,
    endpoint: _Endpoint,
    resume: str | None,
) -> "RunRequest":
    from observatory.inputs.scenario_files import read_scenario, resolve_scenario
    from observatory.runner.campaign_execution import RunRequest

    file_read = read_scenario(name, workspace)
    written = file_read.scenario
    matrix = written.matrix
    file = None
    if resume is not None:
        from observatory.runner.matrix_schedule import find_campaign

        if matrix is None:
            raise BadInput(
                f"{written.name} is no matrix: its campaigns are run in one go", where="--resume"
            )
        file = find_campaign(workspace, written.name, resume)
        # What is typed now goes before what was typed when the campaign began.
        typed = replace(typed, **{**file.options, **_given(typed)})
    if matrix is None:
        loaded = resolve_scenario(file_read, workspace, seed=typed.seed)
        targets = _targets(workspace, loaded, typed.target, endpoint)
    else:
        base = _other_base(written.name, bool(matrix.vary), typed.target, endpoint)
        loaded = resolve_scenario(file_read, workspace, base=base, seed=typed.seed)
        targets = loaded.targets
    return RunRequest(
        _adjusted(loaded.scenario, typed),
        loaded.path.parent,
        targets,
        publish=typed.publish,
        label=typed.label,
        force=typed.force,
        design=loaded.design,
        scenario_argument=name,
        options=_given(typed),
        resume=file,
    )


def _given(typed: _Options) -> dict[str, Any]:
    return {
        name: value
        for name, value in asdict(typed).items()
        if value is not None and value is not False and value != []
    }


def _other_base(name: str, varies: bool, targets: list[str], endpoint: _Endpoint) -> str | None:
    """Return the target that a matrix is to vary instead of its own."""
    if endpoint.url is not None or endpoint.model is not None:
        raise BadInput(
            f"{name} is a matrix: it varies a target",
            where="--url",
            fix="write the endpoint into targets.yaml and pass --target NAME",
        )
    if not targets:
        return None
    if not varies or len(targets) > 1:
        what = "varies one target" if varies else "lists its cells with their targets"
        raise BadInput(
            f"{name} is a matrix that {what}",
            where="--target",
            fix="pass one --target" if varies else "copy the scenario and change its cells",
        )
    return targets[0]


def _adjusted(scenario: "Scenario", typed: _Options) -> "Scenario":
    """Return the scenario with the command line's overrides, checked as a file would be."""
    from pydantic import ValidationError

    for name, typed_value in asdict(typed).items():
        check_size("--" + name.replace("_", "-"), typed_value)
    data = scenario.model_dump(mode="json")
    data["processes"] = scenario.processes if typed.processes is None else typed.processes
    for name in ("usd", "requests", "output_tokens"):
        if (cap := getattr(typed, f"budget_{name}")) is not None:
            data["budget"][name] = cap
    if typed.seed is not None:
        data["seed"] = typed.seed
    try:
        return type(scenario).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            first["msg"],
            where="--" + "-".join(str(part) for part in first["loc"]).replace("_", "-"),
        ) from error


def _targets(
    workspace: Workspace, loaded: "LoadedScenario", names: list[str], endpoint: _Endpoint
) -> list["Target"]:
    from pydantic import ValidationError

    from observatory.core.targets.url import UrlTarget
    from observatory.inputs.target_files import pick_target

    url, model = endpoint.url, endpoint.model
    own, folder = loaded.targets, loaded.path.parent
    chosen = [pick_target(name, own, workspace, folder) for name in names]
    if url is not None:
        try:
            chosen.append(
                UrlTarget.model_validate(
                    {
                        "kind": "url",
                        "name": endpoint.name
                        or unused_name(workspace, url, model, list_models=endpoint.lists_models),
                        "url": url,
                        "model": model,
                        "api_key_env": endpoint.api_key_env,
                        "billing": endpoint.billing,
                        "price": "unknown" if endpoint.billing == "tokens" else None,
                    }
                )
            )
        except ValidationError as error:
            first = error.errors()[0]
            option = "--" + str(first["loc"][-1]).replace("_", "-") if first["loc"] else "--url"
            raise BadInput(first["msg"].removeprefix("Value error, "), where=option) from error
    elif model is not None or endpoint.api_key_env is not None or endpoint.name is not None:
        raise BadInput(
            "--model, --name and --api-key-env belong to --url", fix="add --url http://..."
        )
    return chosen or own


def _publish(workspace: Workspace, display: object) -> Path:
    from observatory.site.build import build_site

    report = getattr(display, "report", echo)
    report("building the site of the published runs")
    return build_site(workspace, only_published=True)
