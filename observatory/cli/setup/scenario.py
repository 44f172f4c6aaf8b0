"""`observatory scenario`: look at scenario files, check them, plan them; nothing is sent."""

from pathlib import Path
from typing import Annotated

import typer

from observatory.cli.console import echo
from observatory.cli.options import JsonOption
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import Workspace, open_workspace

app = typer.Typer(
    help="List, show, check and plan scenarios.", no_args_is_help=True, rich_markup_mode=None
)
NameArgument = Annotated[str, typer.Argument(help="A scenario's name, or the path of its file.")]


@app.command("list")
def list_(json_output: JsonOption = False) -> None:
    """Every scenario of this workspace, the shipped ones included.

    Example: observatory scenario list
    """
    from observatory.cli.setup.scenario_views import print_json, print_listing
    from observatory.inputs.scenario_files import list_scenarios

    listed = list_scenarios(open_workspace())
    if json_output:
        print_json(
            [
                {
                    "name": entry.name,
                    "path": str(entry.path),
                    "description": entry.scenario.description if entry.scenario else None,
                    "error": entry.error,
                }
                for entry in listed
            ]
        )
    else:
        print_listing(listed)


@app.command()
def show(name: NameArgument, json_output: JsonOption = False) -> None:
    """A scenario as it was understood: every default filled in, its targets resolved.

    Example: observatory scenario show quickstart
    """
    from observatory.cli.setup.scenario_views import print_json, print_scenario
    from observatory.inputs.scenario_files import load_scenario

    loaded = load_scenario(name, open_workspace())
    if json_output:
        resolved = loaded.scenario.model_copy(update={"targets": list(loaded.targets)})
        facts = resolved.model_dump(mode="json")
        if loaded.design is not None:
            from observatory.cli.measure.design_views import design_facts

            facts["matrix"] = {**facts["matrix"], **design_facts(loaded.design)}
        print_json(facts)
    else:
        print_scenario(loaded)


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Names or paths of scenarios, or a targets.yaml (default: all of the workspace).",
        ),
    ] = None,
) -> None:
    """Read scenarios and their datasets, and report everything that is wrong; exit code 2 if anything is.

    Example: observatory scenario check scenarios/chat-steady.yaml
    """
    workspace = open_workspace()
    failures = []
    for name in names or _everything(workspace):
        try:
            echo(f"{name}: {_checked(name, workspace)}")
        except BadInput as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise BadInput("\n".join(str(error) for error in failures))


@app.command()
def schema(
    targets: Annotated[
        bool, typer.Option("--targets", help="The schema of targets.yaml instead.")
    ] = False,
    prices: Annotated[
        bool, typer.Option("--prices", help="The schema of prices.yaml instead.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
) -> None:
    """The JSON Schema that editors complete and check scenario files with.

    VS Code (with the YAML extension) uses it when a file's first comment is
    # yaml-language-server: $schema=scenario.schema.json

    Example: observatory scenario schema --out scenarios/scenario.schema.json
    """
    from observatory.core.money.agreed_prices import PriceFile
    from observatory.core.scenario import Scenario
    from observatory.inputs.json_schemas import json_schema
    from observatory.inputs.target_files import TargetsFile

    text = json_schema(PriceFile if prices else TargetsFile if targets else Scenario)
    if out is None:
        echo(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailed(f"cannot be written: {error.strerror}", where=str(out)) from error


@app.command()
def plan(
    name: NameArgument,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Another seed than the scenario's."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """What a run would send and when: items, stages, tokens, first offsets, the plan's hash.

    Example: observatory scenario plan chat-steady --seed 7
    """
    from observatory.cli.setup.scenario_views import plan_facts, print_json, print_plan
    from observatory.inputs.scenario_files import load_scenario
    from observatory.workload.planning import make_plan

    loaded = load_scenario(name, open_workspace(), seed=seed)
    facts = plan_facts(make_plan(loaded.scenario, loaded.path.parent, _note), loaded.design)
    if json_output:
        print_json(facts)
    else:
        print_plan(facts, loaded.design)


def _note(text: str) -> None:
    echo(f"note: {text}", err=True)


def _everything(workspace: Workspace) -> list[str]:
    from observatory.core.money.agreed_prices import PRICES_FILE
    from observatory.inputs.scenario_files import list_scenarios
    from observatory.inputs.target_files import TARGETS_FILE

    files = [
        str(folder / name) for folder in workspace.scenarios for name in (TARGETS_FILE, PRICES_FILE)
    ]
    return [
        *(str(entry.path) for entry in list_scenarios(workspace)),
        *(file for file in files if Path(file).is_file()),
    ]


def _checked(name: str, workspace: Workspace) -> str:
    """Return the summary of one good file; BadInput where it is not good."""
    from observatory.core.money.agreed_prices import PRICES_FILE
    from observatory.economics.agreed_prices import book_of
    from observatory.inputs.price_files import read_price_file
    from observatory.inputs.scenario_files import load_scenario
    from observatory.inputs.target_files import TARGETS_FILE, read_targets
    from observatory.runner.checks.preflight import check_levels
    from observatory.runner.checks.references import check_references
    from observatory.workload.planning import make_plan

    if Path(name).name == PRICES_FILE:
        return f"fine; prices: {len(book_of(read_price_file(Path(name))).rows)}"
    if Path(name).name == TARGETS_FILE:
        return f"fine; targets: {len(read_targets(Path(name)))}"
    loaded = load_scenario(name, workspace)
    plan = make_plan(loaded.scenario, loaded.path.parent, _note)
    check_references(plan)
    for target in loaded.targets:
        check_levels(loaded.scenario.with_policy(target), plan, loaded.scenario.processes)
    if loaded.design is not None:
        from observatory.cli.measure.design_views import turns_line

        confounded = "".join(f"; confounded: {line}" for line in loaded.design.confounded)
        return (
            f"fine; items: {len(plan.items)}, stages: {len(plan.stages)}, "
            f"{turns_line(loaded.design)}{confounded}"
        )
    return (
        f"fine; items: {len(plan.items)}, stages: {len(plan.stages)}, "
        f"targets: {len(loaded.targets)}"
    )
