"""`observatory limits`: how many requests and tokens a minute a target really lets in."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from observatory.cli.change_notes import note_changes
from observatory.cli.console import echo, print_json
from observatory.cli.options import JsonOption, ResultsOption, check_size
from observatory.cli.setup.endpoint_names import one_url, unused_name
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput, ExitCode
from observatory.core.workspace import Workspace, open_workspace
from observatory.presentation.dollars import write_usd

if TYPE_CHECKING:
    from observatory.core.targets.catalogue import Target
    from observatory.limits.limit_probe import LimitAnswer
    from observatory.limits.search import Only, SearchBounds

REQUESTS, MINUTES = 5_000, 4.0
"""What finding 1,200 requests a minute takes: 1.75 times as many, for the 135 s in which a minute's
window is seen whole."""
UP_TO_RPM, UP_TO_TPM = 3_000.0, 1_000_000.0

NameOption = Annotated[
    str | None,
    typer.Option(help="What --url is called; default: after its model."),
]
ModelOption = Annotated[str | None, typer.Option(help="The model at --url.")]
OnlyOption = Annotated[str | None, typer.Option(help="rpm or tpm: one of the two limits.")]
RequestsOption = Annotated[
    int | None,
    typer.Option(min=1, help=f"Requests of each probe at most; default {REQUESTS:,}."),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="RUN", help="Read it from a run or a label again; send nothing."
    ),
]


def limits(
    target: Annotated[
        str | None, typer.Argument(help="A target of scenarios/targets.yaml.")
    ] = None,
    url: Annotated[list[str] | None, typer.Option(help="Base URL instead of a target.")] = None,
    name: NameOption = None,
    model: ModelOption = None,
    only: OnlyOption = None,
    up_to: Annotated[
        float, typer.Option(min=1, help="Requests a minute that are never exceeded.")
    ] = UP_TO_RPM,
    up_to_tpm: Annotated[
        float, typer.Option(min=1, help="Tokens a minute that are never exceeded.")
    ] = UP_TO_TPM,
    max_requests: RequestsOption = None,
    max_minutes: Annotated[
        float, typer.Option(min=0.5, help="Minutes of each probe at most.")
    ] = MINUTES,
    max_usd: Annotated[
        float | None,
        typer.Option(min=0.0, help="Dollars at most; needed where tokens are billed."),
    ] = None,
    from_run: FromOption = None,
    json_output: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """Find the requests and tokens a minute that are let in.

    More requests are sent than are allowed, for a bounded time; what is let in between refusals is the limit,
    with its 95 % interval, next to the one advertised in headers. Every probe is a run: its attempts
    are rows. Exit code: 0 found, or no refusal up to the highest demand; 2 bad input; 4 failed;
    6 undecided within the bounds; 130 interrupted. docs/limits.md explains every figure.

    Example: observatory limits emulated-limited
    """
    workspace = open_workspace(results)
    if from_run is not None:
        answers = _reread(workspace, from_run)
    else:
        bounds = _bounds(only, up_to, up_to_tpm, max_requests, max_minutes, max_usd)
        from observatory.cli.setup.target import requested_target

        address = one_url(url)
        if name is not None and address is None:
            raise BadInput("--name belongs to --url", fix="add --url http://...")
        called = name or (unused_name(workspace, address, model) if address else None)
        answers = _probe(workspace, requested_target(target, address, model, called), bounds)
    if json_output:
        print_json(answers)
    elif answers:
        from observatory.cli.measure.limit_table import print_limits

        print_limits(answers)
    else:
        echo("nothing was measured")
    raise typer.Exit(_exit_code(answers))


def _bounds(
    only: str | None,
    up_to: float,
    up_to_tpm: float,
    max_requests: int | None,
    max_minutes: float,
    max_usd: float | None,
) -> "SearchBounds":
    """Return the bounds that were typed; BadInput where one is not a size or --only is no limit."""
    from observatory.limits.search import SearchBounds

    for option, value in (
        ("--up-to", up_to),
        ("--up-to-tpm", up_to_tpm),
        ("--max-requests", max_requests),
        ("--max-minutes", max_minutes),
        ("--max-usd", max_usd),
    ):
        check_size(option, value)
    if only not in (None, "rpm", "tpm"):
        raise BadInput(f"{only!r} is neither rpm nor tpm", where="--only")
    return SearchBounds(
        only=cast("Only | None", only),
        up_to_rpm=up_to,
        up_to_tpm=up_to_tpm,
        requests=REQUESTS if max_requests is None else max_requests,
        requests_stated=max_requests is not None,
        minutes=max_minutes,
        usd=max_usd,
    )


def _probe(workspace: Workspace, target: "Target", bounds: "SearchBounds") -> "list[LimitAnswer]":
    from observatory.cli.measure.progress import open_display
    from observatory.limits.search import check_money, find_limits

    check_money(workspace, target, bounds)
    echo(_quote(target, bounds), err=True)
    with open_display() as display:
        found = find_limits(workspace, target, bounds, display)
    if found.answers:
        echo(f"read again with: observatory limits --from {found.label}", err=True)
    return found.answers


def _quote(target: "Target", bounds: "SearchBounds") -> str:
    """Print what it may take before it starts."""
    probes = " and ".join("RPM" if unit == "requests" else "TPM" for unit in bounds.units)
    each = "each " if len(bounds.units) > 1 else ""
    if bounds.usd is not None:
        money = f"{write_usd(bounds.usd)} in all"
    else:
        billed = target.billing == "tokens" and not target.emulated
        money = "at an unknown price" if billed else "no tokens are billed"
    demand = " and ".join(
        f"{bounds.up_to(unit):,.0f} {'RPM' if unit == 'requests' else 'TPM'}"
        for unit in bounds.units
    )
    if target.max_rate is not None and target.max_rate * 60 < bounds.up_to_rpm:
        demand += f", nor {target.max_rate * 60:,.0f} RPM, its own max_rate"
    return (
        f"limits of {target.name}, {probes}: {each}at most {count_of(bounds.requests, 'request')} and "
        f"{bounds.minutes:g} min, never above {demand}; {money}"
    )


def _reread(workspace: Workspace, text: str) -> "list[LimitAnswer]":
    from observatory.limits.limit_probe import reread_limits
    from observatory.store.folder.run_folder import resolve_runs

    chosen = resolve_runs(workspace, text)
    answers = reread_limits(workspace, chosen)
    note_changes(workspace, chosen)
    if len({answer.best.target for answer in answers}) > 1:
        raise BadInput(f"{text!r} has runs of several targets", fix="name one run")
    return answers


def _exit_code(answers: "list[LimitAnswer]") -> int:
    ended = {answer.ended for answer in answers}
    if "interrupted" in ended or not answers:
        return ExitCode.INTERRUPTED
    if "failed" in ended:
        return ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    if ended <= {"found", "up_to", "capacity", "counts_refused", None}:
        return ExitCode.FINE
    return ExitCode.UNDECIDED
