"""`observatory calibrate`: what this machine can do as a load generator, measured and kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observatory.cli.console import echo, open_console, print_json
from observatory.cli.options import JsonOption, ResultsOption
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace

if TYPE_CHECKING:
    from observatory.runner.checks.stored_calibration import Calibration, LoadCeiling


def calibrate(
    quick: Annotated[
        bool, typer.Option("--quick", help="Half a minute instead of a minute and a half.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Load-generating processes.")] = 1,
    gap: Annotated[str, typer.Option(help="Time between the events of a stream.")] = "10ms",
    show: Annotated[
        bool, typer.Option("--show", help="Print the stored one; measure nothing.")
    ] = False,
    json_output: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """Measure this machine's own ceiling: streams held truly, events/s, requests/s, rate.

    The load is a run's, against a server that writes bytes made beforehand. Where that server
    saturates first the answer is "at least". Runs are held against what is stored, before they start.

    Example: observatory calibrate --quick
    """
    from observatory.runner.checks.stored_calibration import load_calibration, save_calibration

    workspace = open_workspace(results)
    if show:
        stored = load_calibration(workspace)
        if stored is None:
            raise BadInput(
                "this workspace has no calibration", fix="measure one: observatory calibrate"
            )
        (print_json if json_output else _print_table)(stored)
        return
    from observatory.calibration.calibrating import calibrate as measure

    made = measure(
        workspace,
        quick=quick,
        processes=processes,
        gap_s=_gap_s(gap),
        report=lambda text: echo(text, err=True),
    )
    path = save_calibration(workspace, made)
    if json_output:
        print_json(made)
        return
    _print_table(made)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    echo(f"\nstored in {shown}; runs are held against it before they start")


def _gap_s(text: str) -> float:
    from observatory.core.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadInput(str(error), where="--gap") from error
    if not 0.001 <= seconds <= 1:
        raise BadInput(f"{text} is not from 1ms to 1s", where="--gap", fix="the usual is 10ms")
    return seconds


def _print_table(calibration: "Calibration") -> None:
    from rich.table import Table

    from observatory.core.units import human_seconds
    from observatory.runner.checks.stored_calibration import age_days, doubts, this_host

    console = open_console()
    host = calibration.host
    console.print(
        f"{host.cpu_model or 'unknown processor'}, {count_of(host.cores, 'core')}, "
        f"{count_of(calibration.processes, 'load process', 'load processes')}, "
        f"{'quick, ' if calibration.quick else ''}{calibration.made_utc} "
        f"({_age(age_days(calibration))})",
    )
    gap = human_seconds(calibration.gap_s)
    table = Table(box=None, pad_edge=False)
    table.add_column("what", overflow="fold")
    table.add_column("ceiling", justify="right", no_wrap=True)
    table.add_column("limited by", overflow="fold")
    for name, ceiling in (
        (f"streams, {gap} between events", calibration.streams),
        ("requests/s, answers at once", calibration.burst),
        ("requests/s, sent on time", calibration.rate),
    ):
        table.add_row(name, level_words(ceiling), ceiling.limited_by)
    console.print(table)
    for line in _cost_lines(calibration):
        console.print(line)
    for doubt in doubts(calibration, this_host()):
        console.print(f"note: {doubt}")


def level_words(ceiling: "LoadCeiling") -> str:
    """Return a ceiling in words: "704", "at least 512", or that none was held."""
    if ceiling.level is None:
        return f"none (not {ceiling.failed_at:,.0f})" if ceiling.failed_at else "none"
    least = "" if ceiling.bound == "exact" else "at least "
    return f"{least}{ceiling.level:,.0f}"


def _cost_lines(calibration: "Calibration") -> list[str]:
    """Return what the levels in the table looked like, and what a request and an event cost."""
    from observatory.calibration.calibrating import human_share
    from observatory.core.units import human_number, human_seconds

    lines = []
    for name, ceiling in (
        ("streams", calibration.streams),
        ("answers at once", calibration.burst),
        ("on time", calibration.rate),
    ):
        figures = ceiling.figures
        if figures is None:
            continue
        lag = f", lag p99 {human_seconds(figures.lag_p99_s)}" if figures.lag_p99_s else ""
        lost = f" ({ceiling.failed_at:,.0f}, not held)" if ceiling.level is None else ""
        lines.append(
            f"{name}{lost}: {human_number(figures.requests_per_s)} requests/s, "
            f"{human_number(figures.events_per_s)} events/s, "
            f"{human_number(figures.cpu_s_per_1000_requests, 2)} CPU-s per 1,000 requests, "
            f"{human_number(figures.cpu_s_per_1000_events, 2)} per 1,000 events; "
            f"client {human_share(figures.client_busy)} busy, "
            f"server {human_share(figures.server_busy)}, "
            f"others {figures.others_busy:.0%}{lag}"
        )
    costs = calibration.costs
    if costs is not None:
        lines.append(
            f"a request costs {human_seconds(costs.request_cpu_s)} of CPU time, "
            f"each event that comes alone {human_seconds(costs.event_cpu_s)} more"
        )
    if not calibration.apart:
        lines.append("client and server shared their cores")
    return lines


def _age(days: float) -> str:
    if days < 1 / 24:
        return "just now"
    if days < 2:
        return f"{count_of(round(days * 24), 'hour')} ago"
    return f"{count_of(round(days), 'day')} ago"
