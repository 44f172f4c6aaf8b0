"""`observatory runs`: lists, shows, annotates and deletes runs, from their folders; needs no database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from observatory.cli.answers import show_table
from observatory.cli.console import echo, print_json, someone_there
from observatory.cli.escaping import one_line
from observatory.cli.options import JsonOption, ResultsOption
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observatory.core.run import Manifest, TargetFacts
    from observatory.store.folder.run_folder import RunEntry

app = typer.Typer(help="List, show, label and delete runs.", no_args_is_help=True)

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, a campaign, a label, or `last`.")
]


@app.command("list")
def list_(json_output: JsonOption = False, results: ResultsOption = None) -> None:
    """List every run, oldest first, with status and verdict, and what can be resumed.

    Example: observatory runs list
    """
    from observatory.store.folder.manifest import stray_folders
    from observatory.store.folder.run_folder import list_runs

    workspace = open_workspace(results)
    entries = list_runs(workspace)
    rows = [_row(entry) for entry in entries]
    for folder in stray_folders(workspace):
        echo(f"note: {folder} is no run folder: it has no manifest.json", err=True)
    if json_output:
        print_json(rows)
        return
    if not rows:
        _print_unfinished(workspace)
        echo(f"No runs in {workspace.runs} yet; observatory run quickstart makes the first.")
        return

    columns = ("run", "status", "verdict", "requests", "started", "label", "problem")
    marked = [_marked(_row(entry), entry) for entry in entries]
    hidden = () if any(row["problem"] for row in marked) else ("problem",)
    shown = [column for column in columns if column not in hidden]
    show_table(shown, [[row[column] for column in shown] for row in marked])
    _print_unfinished(workspace)


def _print_unfinished(workspace: Workspace) -> None:
    """Print the matrices that were ended early, each with the command that continues it."""
    from observatory.store.folder.campaigns import missing, unfinished_campaigns

    for campaign in unfinished_campaigns(workspace):
        left = sum(len(cells) for _, cells in missing(campaign))
        total = sum(len(turn.cells) for turn in campaign.turns)
        echo(
            f"unfinished: {campaign.scenario}, {left} of {count_of(total, 'run is', 'runs are')} still to be measured\n"
            f"  observatory run {campaign.asked} --resume {campaign.campaign_id}"
        )


@app.command()
def show(run: RunArgument, json_output: JsonOption = False, results: ResultsOption = None) -> None:
    """Show runs: scenario, target, status, verdict and findings.

    Example: observatory runs show last
    """
    from observatory.store.folder.run_folder import list_runs

    workspace, chosen = _chosen(run, results)
    entries = [entry for entry in list_runs(workspace) if entry.run_id in chosen]
    if json_output:
        print_json([{**_row(e), "manifest": msgspec.to_builtins(e.manifest)} for e in entries])
        return
    for entry in entries:
        for line in _lines(entry):
            echo(one_line(line))


@app.command()
def label(
    run: RunArgument,
    text: Annotated[str | None, typer.Argument(metavar="LABEL", help="The label.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the label away.")] = False,
    results: ResultsOption = None,
) -> None:
    """Give runs a name to find them by; several runs may share it.

    Example: observatory runs label last "baseline"
    """
    from observatory.store.ingest.housekeeping import label_runs

    _check_text(text, remove, "label")
    workspace, chosen = _chosen(run, results)
    delay = label_runs(workspace, chosen, text)
    _echo_each(chosen, "no label" if text is None else text, delay)


@app.command()
def publish(
    run: RunArgument,
    remove: Annotated[bool, typer.Option("--remove", help="Publish it no longer.")] = False,
    results: ResultsOption = None,
) -> None:
    """Mark runs for the published site (`site build --published-only`) after they were made.

    Example: observatory runs publish last
    """
    from observatory.store.ingest.housekeeping import publish_runs

    workspace, chosen = _chosen(run, results)
    delay = publish_runs(workspace, chosen, not remove)
    _echo_each(chosen, "not published" if remove else "published", delay)


@app.command()
def note(
    run: RunArgument,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="The note.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the note away.")] = False,
    results: ResultsOption = None,
) -> None:
    """Write a note to runs, which `runs show` prints; what was measured stays as it is.

    Example: observatory runs note last "the fan of node 3 was broken"
    """
    from observatory.store.folder.annotations import annotate

    _check_text(text, remove, "note")
    workspace, chosen = _chosen(run, results)
    for run_id in chosen:
        annotate(workspace.runs / run_id, notes=text)
    _echo_each(chosen, "no note" if text is None else text)


@app.command()
def delete(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not require a yes.")] = False,
    results: ResultsOption = None,
) -> None:
    """Remove runs for good: their folders, and their rows in the database.

    Example: observatory runs delete 20261121T225300Z-quickstart-emulated-api-1a2b --yes
    """
    from observatory.store.ingest.housekeeping import delete_runs

    workspace, chosen = _chosen(run, results)
    if not yes:
        if not someone_there(sys.stdout):
            raise BadInput("no terminal to confirm on", where="runs delete", fix="add --yes")
        echo("\n".join(chosen))
        if not typer.confirm(f"Delete {count_of(len(chosen), 'run')} for good?"):
            echo("Nothing was deleted.")
            return
    delete_runs(workspace, chosen)
    echo("\n".join(f"deleted {run_id}" for run_id in chosen))


def _chosen(run: str, results: Path | None) -> tuple[Workspace, list[str]]:
    """Return the workspace and the ids of the runs that the argument names."""
    from observatory.store.folder.run_folder import resolve_runs

    workspace = open_workspace(results)
    return workspace, resolve_runs(workspace, run)


def _check_text(text: str | None, remove: bool, what: str) -> None:
    """Raise BadInput unless there is either a text or --remove."""
    if (text is None) != remove:
        raise BadInput(f"give a {what}, or --remove", where=f"runs {what}")


def _echo_each(run_ids: "Sequence[str]", value: str, delay: str | None = None) -> None:
    """Print the new value of each run, and why the database does not have it yet."""
    for run_id in run_ids:
        echo(f"{run_id}: {value}")
    if delay:
        echo(f"note: {delay}", err=True)


def _row(entry: "RunEntry") -> dict[str, Any]:
    manifest = entry.manifest
    row: dict[str, Any] = {"run": entry.run_id, "status": entry.state, "problem": entry.problem}
    if manifest is None:
        names = (
            "verdict requests started label campaign scenario target emulated sentence folder"
            " changed_since_sealed"
        )
        return {**dict.fromkeys(names.split()), **row}
    report, verdict = manifest.seal_report, manifest.verdict
    return {
        **row,
        "verdict": verdict.level if verdict else None,
        "requests": report.records if report else None,
        "started": manifest.created_utc,
        "label": entry.label,
        "campaign": manifest.campaign_id,
        "scenario": manifest.scenario_name,
        "target": manifest.target.name,
        "emulated": manifest.target.emulated,
        "sentence": verdict.sentence if verdict else None,
        "folder": str(entry.folder),
        "changed_since_sealed": entry.changed,
    }


def _marked(row: dict[str, Any], entry: "RunEntry") -> dict[str, Any]:
    from observatory.store.folder.seals import in_words

    mark = " (emulated)" if row["emulated"] else ""
    changed = row["changed_since_sealed"]
    problem = in_words(changed) if changed else row["problem"]
    status = "not run" if entry.manifest and entry.manifest.not_run else row["status"]
    return {**row, "run": f"{row['run']}{mark}", "status": status, "problem": problem}


def _lines(entry: "RunEntry") -> list[str]:
    manifest = entry.manifest
    if manifest is None:
        return [f"{entry.run_id}: {entry.problem}", ""]
    from observatory.store.folder.annotations import notes_of
    from observatory.store.folder.seals import changed_since_sealed, in_words

    target = manifest.target
    what = f"{target.kind}, {target.hosting}, {target.weights} weights, billed by {target.billing}"
    lines = [
        entry.run_id,
        f"  campaign  {manifest.campaign_id}",
        f"  scenario  {manifest.scenario_name}, seed {manifest.seed}",
        f"  target    {target.name}{' (emulated)' if target.emulated else ''}: {what}",
        f"  model     {target.model_reported or target.model or '–'}",
        *([f"  measured  {target.through}"] if target.through else []),
        *_engine_lines(target),
        *_matrix_lines(manifest),
        f"  started   {manifest.created_utc}, ended {manifest.ended_utc or '–'}",
        f"  status    {_status(entry.state, manifest.status_reason)}",
        f"  verdict   {manifest.verdict.sentence if manifest.verdict else 'not judged yet'}",
        f"  label     {entry.label or '–'}",
        *([f"  notes     {notes}"] if (notes := notes_of(entry.folder)) else []),
        f"  folder    {entry.folder}",
    ]
    if changed := changed_since_sealed(entry.folder, thorough=True):
        words = in_words(changed)
        lines.insert(1, f"  {words[:1].upper()}{words[1:]}")
    return [*lines, *_finding_and_stage_lines(manifest), ""]


def _status(state: str, reason: str | None) -> str:
    from observatory.core.run import status_words

    words = status_words(state, reason) if reason else state
    return (
        reason if reason and reason.startswith(words) else f"{words}: {reason}" if reason else words
    )


def _engine_lines(target: "TargetFacts") -> list[str]:
    """Return what served it, with the truth about its build."""
    from observatory.core.distribution import served_by

    server = served_by(
        target.engine, target.engine_version, target.engine_distribution, kind=target.kind
    )
    return [f"  engine    {server}"] if server else []


def _matrix_lines(manifest: "Manifest") -> list[str]:
    if manifest.cell is None or manifest.block is None:
        return []
    levels = ", ".join(f"{name} {level}" for name, level in manifest.factors.items())
    lines = [f"  cell      {manifest.cell + 1}, block {manifest.block + 1}: {levels}"]
    return lines + [f"  confounded: {sentence}" for sentence in manifest.confounded]


def _finding_and_stage_lines(manifest: "Manifest") -> list[str]:
    from observatory.core.stage_words import stage_words

    lines = []
    for finding in manifest.findings:
        where = "" if finding.stage is None else f"{stage_words(finding.stage, manifest.stages)}: "
        text = f"{finding.severity}: {where}{finding.message} ({finding.code})"
        lines.append(f"  finding   {text}")
    for stage in manifest.stages:
        window = "no steady window"
        if stage.steady_started is not None and stage.steady_ended is not None:
            window = f"{(stage.steady_ended - stage.steady_started) / 1e9:.1f} s steady"
        requests = count_of(stage.recorded or 0, "request")
        lines.append(f"  {stage_words(stage.index, manifest.stages)}, {window}, {requests}")
    return lines
