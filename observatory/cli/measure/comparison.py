"""What a campaign's end looks like in the terminal: a table per load level, targets side by side.

Every figure has its interval or the reason why it is missing; no winner is named here.
"""

import json
import shutil
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from observatory.cli.console import echo_json, open_console
from observatory.cli.measure.matrix_table import print_matrix, third_party_lines
from observatory.cli.measure.quote_view import bill_line, sum_line
from observatory.core.counted_nouns import count_of
from observatory.core.errors import ObservatoryError
from observatory.core.floors import count_text, needs_text
from observatory.core.reasons import reason_words
from observatory.core.run import REFUSED_ALIKE, StageTimes, status_words
from observatory.core.units import human_level
from observatory.core.workspace import Workspace
from observatory.presentation.figures import Figure, StageFigures, write, write_interval
from observatory.runner.campaign import CampaignResult
from observatory.runner.finished_run import FinishedRun

LINES: tuple[tuple[str, str, str, str], ...] = (
    ("TTFT, median", "ttft_s", "p50", "s"),
    ("TTFT, p90", "ttft_s", "p90", "s"),
    ("Time per output token, median", "tpot_s", "p50", "s"),
    ("End to end, median", "e2e_s", "p50", "s"),
    ("End to end, p90", "e2e_s", "p90", "s"),
    ("Output tokens per second", "output_tps", "value", ""),
    ("Requests per second", "request_rate", "value", ""),
    ("Error rate", "error_rate", "value", "%"),
    ("Goodput (SLO met)", "goodput_fraction", "value", "%"),
    ("Score (0 to 1)", "score", "value", ""),
    ("Cost per 1,000 requests", "usd_per_1k_requests", "value", "USD"),
    ("Energy per request", "j_per_request", "value", "J"),
)
HELD_UP: tuple[tuple[str, str, str, str], ...] = (
    ("Throttle wait, median", "throttle_wait_s", "p50", "s"),
    ("Throttle wait, p90", "throttle_wait_s", "p90", "s"),
    ("Pacing wait, median", "pace_wait_s", "p50", "s"),
    ("Pacing wait, p90", "pace_wait_s", "p90", "s"),
    ("As a user waits: end to end, median", "e2e_scheduled_s", "p50", "s"),
    ("As a user waits: end to end, p90", "e2e_scheduled_s", "p90", "s"),
    ("Throttled HTTP attempts", "throttle_rate", "value", "%"),
)
"""Rows below the service's own latency where any target throttled or was paced."""
BELOW = ("e2e_s", "p90")
"""The line that they follow."""
MANY = 4
"""Run folders that are listed one by one."""
_COLOURS = {"valid": "green", "degraded": "yellow", "invalid": "red"}


def print_result(result: CampaignResult, workspace: Workspace, site: Path | None) -> None:
    """Print the tables, the verdicts, and where each thing lies."""
    console = open_console()
    if result.design is not None:
        print_matrix(console, result.design, result.runs)
    else:
        print_tables(console, result.runs, result.error)
    for run in result.runs if len(result.runs) <= MANY else ():
        if (line := bill_line(run)) is not None:
            console.print(line, soft_wrap=True)
    if (line := sum_line(result.runs)) is not None:
        console.print(line, soft_wrap=True)
    for run in result.runs:
        if run.ingested.message and not run.ingested.failed:
            console.print(run.ingested.message, style="yellow", soft_wrap=True)
    if result.error is not None:
        open_console(err=True).print(f"observatory: {result.error}", style="red", soft_wrap=True)
    if result.unfinished and result.design is not None:
        total = sum(len(turn.cells) for turn in result.design.turns)
        cells = f"{result.unfinished} of {count_of(total, 'run is', 'runs are')}"
        console.print(
            f"\n{cells} still to be measured:\n  {_command()} {resume_words(result)}",
            style="yellow",
            soft_wrap=True,
        )
    _print_places(console, result, workspace, site)


def resume_words(result: CampaignResult) -> str:
    """Return what to type after the command's name to go on with an unfinished matrix."""
    return f"run {result.scenario_argument} --resume {result.campaign_id}"


def print_tables(
    console: Console, runs: list[FinishedRun], error: ObservatoryError | None = None
) -> None:
    """Print a table per load level and a line per verdict; error is printed elsewhere and not repeated."""
    for index in sorted({stage.index for run in runs for stage in run.manifest.stages}):
        table = _level_table(runs, index)
        if table is not None:
            console.print(table)
    for line in third_party_lines(runs):
        console.print(line)
    for run in runs:
        console.print(verdict_line(run, error), soft_wrap=not console.is_terminal)
    if any(run.manifest.target.emulated for run in runs):
        console.print(
            "Emulated targets are stand-ins with made-up delays: no target can be called better.",
            style="dim",
        )


def _level_table(runs: list[FinishedRun], index: int) -> Table | None:
    stages = {
        run.manifest.run_id: stage
        for run in runs
        for stage in run.manifest.stages
        if stage.index == index and not stage.priming
    }
    if not stages:
        return None
    one = next(iter(stages.values()))
    level = human_level(one.kind, one.concurrency, one.rate_per_s)
    table = Table(title=f"Load: {level}", title_justify="left")
    table.add_column("")
    for run in runs:
        target = run.manifest.target
        marks = ["(emulated)"] if target.emulated else []
        marks += [f"({target.through})"] if target.through else []
        table.add_column("\n".join([target.name, *marks]), justify="right")
    found = [run.figures(index) for run in runs]
    levels = [run.manifest.verdict.level if run.manifest.verdict else "not judged" for run in runs]
    table.add_row("Verdict", *(Text(level, style=_COLOURS.get(level, "dim")) for level in levels))
    counts = [_requests(stages.get(r.manifest.run_id), f) for r, f in zip(runs, found, strict=True)]
    table.add_row("Requests in the window", *counts)
    for title, metric, statistic, unit in lines_of(found):
        cells = [
            Text(_OF_INVALID, style="dim")
            if unit == "USD" and (judged := run.manifest.verdict) and judged.level == "invalid"
            else cell(figures.by_key.get((metric, statistic)), unit)
            for run, figures in zip(runs, found, strict=True)
        ]
        if any(text.plain != "–" for text in cells):
            table.add_row(title, *cells)
    return table


_OF_INVALID = "– invalid run"
"""In place of money that is derived from an invalid run."""


def lines_of(found: list[StageFigures]) -> list[tuple[str, str, str, str]]:
    """Return the lines of a level's table: service, waits and what users waited side by side where one of the
    targets throttled or was paced."""
    held_up = any(figures.held_up for figures in found)
    lines: list[tuple[str, str, str, str]] = []
    for line in LINES:
        lines.append(line)
        if held_up and line[1:3] == BELOW:
            lines += HELD_UP
    return lines


def _requests(stage: StageTimes | None, figures: StageFigures) -> Text:
    if stage is None:
        return Text("not run", style="dim")
    found = figures.by_key.get(("e2e_s", "p50")) or figures.get("ttft_s", "p50")
    return Text("0" if found.n is None else count_text(found.n, found.effective_n))


def cell(figure: Figure | None, unit: str) -> Text:
    """Return a figure with its interval and basis, or why there is none."""
    if figure is None:
        return Text("–", style="dim")
    if figure.value is None:
        return _missing(figure, unit)
    text = Text(write(figure.value, unit))
    if figure.low is not None and figure.high is not None:
        text.append(f" [{write_interval(figure.low, figure.high, unit)}]", style="dim")
    if figure.basis not in (None, "measured"):
        text.append(f" {figure.basis}", style="italic dim")
    return text


def _missing(figure: Figure, unit: str) -> Text:
    if figure.reason == "sample_floor":
        needs_n, n = figure.needs_n or 0, figure.n or 0
        return Text(needs_text(needs_n, n, figure.effective_n, figure.needs_s), style="dim")
    if figure.reason == "failures":
        bound = f"> {write(figure.bound, unit)}" if figure.bound is not None else "> timeout"
        return Text(f"{bound} (failures)", style="red")
    return Text(f"– {reason_words(figure.reason)}" if figure.reason else "–", style="dim")


def verdict_line(run: FinishedRun, error: ObservatoryError | None = None) -> Text:
    """Return a run's end and verdict; its reason only where neither verdict nor `error` has it."""
    manifest = run.manifest
    verdict, reason = manifest.verdict, manifest.status_reason
    line = Text(f"{manifest.target.name}: ", style="bold")
    if manifest.status != "complete":
        words = status_words(manifest.status, reason)
        texts = [str(error) if error is not None else "", verdict.sentence if verdict else ""]
        if any((reason or "").removeprefix(f"{REFUSED_ALIKE}: ") in text for text in texts):
            line.append("" if manifest.not_run else f"{words}; ", style="red")
        elif reason and reason.startswith(words):
            line.append(f"{reason}; ", style="red")
        else:
            line.append(f"{words} ({reason}); ", style="red")
    if verdict is not None:
        line.append(verdict.sentence, style=_COLOURS[verdict.level])
    return line


def _print_places(
    console: Console, result: CampaignResult, workspace: Workspace, site: Path | None
) -> None:
    console.print()
    if len(result.runs) > MANY:
        console.print(f"run folders  {_short(workspace.runs)}, {len(result.runs)} of them")
        console.print(f"campaign     {result.campaign_id}", soft_wrap=True)
    for run in result.runs if len(result.runs) <= MANY else ():
        console.print(f"run folder   {_short(run.folder)}", soft_wrap=True)
    console.print(f"database     {_short(workspace.database)}", soft_wrap=True)
    if site is not None:
        console.print(f"site         {_short(site / 'index.html')}", soft_wrap=True)
    command = _command()
    console.print("\nTry next:")
    first = result.runs[0].manifest.run_id if result.runs else "last"
    if result.design is not None:
        console.print(f'  {command} sql "from matrix_comparison"', soft_wrap=True)
    console.print(
        f'  {command} sql "select target, count(*), quantile_cont(ttft_s, .5) '
        'from request_metrics where in_window group by all"',
        soft_wrap=True,
    )
    console.print(f"  {command} runs show {first}", soft_wrap=True)
    console.print(f"  {command} site serve", soft_wrap=True)
    console.print(
        f"  {command} run chat-steady --url http://127.0.0.1:8000/v1 --model YOUR-MODEL",
        soft_wrap=True,
    )


def _command() -> str:
    """Return what to type for this command from here: its path where the shell would not find it."""
    if shutil.which("observatory"):
        return "observatory"
    return _short(Path(sys.argv[0]).absolute())


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_json(result: CampaignResult, site: Path | None) -> None:
    """Print the same for a script."""
    echo_json(
        json.dumps(
            {
                "campaign_id": result.campaign_id,
                "confounded": list(result.design.confounded) if result.design else [],
                "unfinished": result.unfinished,
                "exit_code": int(result.exit_code),
                "error": str(result.error) if result.error is not None else None,
                "site": str(site) if site is not None else None,
                "runs": [
                    {
                        "run_id": run.manifest.run_id,
                        "target": run.manifest.target.name,
                        "emulated": run.manifest.target.emulated,
                        "factors": run.manifest.factors,
                        "cell": run.manifest.cell,
                        "block": run.manifest.block,
                        "status": run.manifest.status,
                        "status_reason": run.manifest.status_reason,
                        "verdict": run.manifest.verdict.level if run.manifest.verdict else None,
                        "codes": run.manifest.verdict.codes if run.manifest.verdict else [],
                        "sentence": run.manifest.verdict.sentence if run.manifest.verdict else None,
                        "quote": run.manifest.quote,
                        "spent": msgspec.to_builtins(run.manifest.spent),
                        "cost_usd": run.cost_usd,
                        "folder": str(run.folder),
                        "ingested": run.ingested.message or "ingested",
                        "metrics": run.metrics.to_dicts(),
                    }
                    for run in result.runs
                ],
            },
            indent=2,
            default=str,
        )
    )
