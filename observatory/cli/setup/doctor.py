"""`observatory doctor`: what is here, what is missing, and the exact fix for each."""

import dataclasses
import json
import os
from typing import TYPE_CHECKING

import typer

from observatory.cli.console import echo_json, open_console
from observatory.cli.options import JsonOption, ResultsOption
from observatory.connect.proxies import named_proxies
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput, ExitCode, ObservatoryError
from observatory.core.workspace import Workspace, open_workspace, shipped
from observatory.providers.catalogue import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observatory.telemetry.machine.checkup import Check

KEY_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "TOGETHER_API_KEY",
    "FIREWORKS_API_KEY",
    "GROQ_API_KEY",
    "DEEPSEEK_API_KEY",
    "OPENROUTER_API_KEY",
    "AZURE_OPENAI_API_KEY",
)
"""Variables that other providers' own documentation names; the catalogue's are added to them."""


def doctor(json_output: JsonOption = False, results: ResultsOption = None) -> None:
    """List what is installed and what is missing, with the fix for each.

    Keys are looked for in the environment and never shown. Exits with 4 where something is missing
    that the quickstart needs, else with 0.

    Example: observatory doctor --json
    """
    from observatory.telemetry.machine.checkup import machine_checks

    workspace = open_workspace(results)
    checks = [
        *package_checks(),
        *engine_checks(),
        *key_checks(workspace),
        proxy_check(),
        *machine_checks(workspace.results),
        calibration_check(workspace),
    ]
    fit = not any(check.needed and check.state == "missing" for check in checks)
    if json_output:
        rows = [dataclasses.asdict(check) for check in checks]
        echo_json(json.dumps({"fit_for_quickstart": fit, "checks": rows}, indent=2))
    else:
        _print_table(checks, fit)
    if not fit:
        raise typer.Exit(ExitCode.TARGET_OR_ENVIRONMENT_FAILED)


def package_checks() -> list["Check"]:
    """Check Python and every package that a run depends on; a missing one has a row of its own."""
    from observatory.telemetry.machine.checkup import Check
    from observatory.telemetry.machine.environment import PACKAGES, software_versions

    versions = software_versions()
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    missing = [name for name in PACKAGES if name not in versions]
    return [
        Check("packages", "ok", found, needed=True),
        *(
            Check(name, "missing", "not installed", f"pip install {PACKAGES[name]}", needed=True)
            for name in missing
        ),
    ]


def engine_checks() -> list["Check"]:
    """Return what each kind of target needs on this machine: engines, and the models of the quickstart."""
    from observatory.endpoints.catalogue import on_this_machine
    from observatory.telemetry.machine.checkup import Check

    return [
        Check(one.name, one.state, one.found, one.fix, needed=one.needed)
        for one in on_this_machine()
    ]


def key_checks(
    workspace: Workspace, environment: "Mapping[str, str] | None" = None
) -> list["Check"]:
    """Return which key variables are set: those of the known providers and of targets.yaml; never values.

    A target that comes with the package is ready for a key that not everybody has: it is not missed.
    """
    from observatory.inputs.target_files import load_targets, read_targets
    from observatory.telemetry.machine.checkup import Check

    values = os.environ if environment is None else environment
    wanted: dict[str, str] = {}
    checks: list[Check] = []
    try:
        ready = read_targets(shipped("scenarios") / "targets.yaml")
        for name, target in load_targets(workspace).items():
            if ready.get(name) == target:
                continue
            variable, listed = target.key_variable, target.listed_model
            if listed is not None and listed.api_key_file is None:
                provider = PROVIDERS.get(listed.provider)
                variable = variable or (provider.key_variable if provider else None)
            if variable:
                wanted[variable] = name
    except ObservatoryError as error:
        checks.append(Check("targets.yaml", "warning", str(error), "observatory target list"))
    known = [*(provider.key_variable for provider in PROVIDERS.values()), *KEY_VARIABLES]
    for variable in dict.fromkeys([*wanted, *known]):
        if values.get(variable):
            checks.append(Check(f"key {variable}", "ok", "set"))
        elif variable in wanted:
            fix = f"export {variable}=... before a run on {wanted[variable]}"
            checks.append(Check(f"key {variable}", "missing", "not set", fix))
    unset = [name for name in dict.fromkeys(known) if name not in wanted and not values.get(name)]
    if unset:
        checks.append(Check("other provider keys", "ok", f"not set: {', '.join(unset)}"))
    return checks


def proxy_check(environment: "Mapping[str, str] | None" = None) -> "Check":
    """Return which proxies the environment names for targets that are not on this machine."""
    from observatory.telemetry.machine.checkup import Check

    try:
        named = named_proxies(environment)
    except BadInput as error:
        return Check("proxy", "warning", str(error.where) + ": " + error.what, error.fix)
    if not named:
        return Check("proxy", "ok", "none in the environment: every target is reached straight")
    found = ", ".join(f"{scheme} through {proxy.address}" for scheme, proxy in named.items())
    return Check("proxy", "ok", f"{found}; loopback and what NO_PROXY names go straight")


def calibration_check(workspace: Workspace) -> "Check":
    """Return what this machine was measured to do as a load generator, and how long ago."""
    from observatory.cli.measure.calibrate import level_words
    from observatory.runner.checks import stored_calibration
    from observatory.telemetry.machine.checkup import Check

    fix = "observatory calibrate (a minute and a half; --quick: half a minute)"
    try:
        stored = stored_calibration.load_calibration(workspace)
    except ObservatoryError as error:
        return Check("calibration", "warning", str(error), fix)
    if stored is None:
        return Check("calibration", "missing", "never measured as a load generator", fix)
    found = (
        f"{level_words(stored.streams)} streams, {level_words(stored.rate)} requests/s on time "
        f"({count_of(stored.processes, 'process', 'processes')}), "
        f"{count_of(round(stored_calibration.age_days(stored)), 'day')} old"
    )
    reasons = stored_calibration.doubts(stored, stored_calibration.this_host())
    if reasons:
        return Check("calibration", "warning", f"{found}; {'; '.join(reasons)}", fix)
    return Check("calibration", "ok", found)


def _print_table(checks: "list[Check]", fit: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", "warning": "yellow", "missing": "yellow"}
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=22)
    table.add_column(overflow="fold")
    for check in checks:
        grave = check.needed and check.state == "missing"
        text = Text(check.found)
        if check.fix:
            text.append(f"\nfix: {check.fix}", style="bold" if grave else "dim")
        state = Text(check.state, style="bold red" if grave else styles[check.state])
        table.add_row(state, check.name, text)
    console = open_console()
    console.print(table)
    if fit:
        console.print(
            "\nThe quickstart can run here: make quickstart, or observatory run quickstart"
        )
    else:
        console.print("\nThe quickstart cannot run here yet: see the fixes in bold.")
