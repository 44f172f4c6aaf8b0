"""`observatory limits`: how many requests and tokens a minute a target really lets in."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from observatory.cli.console import echo, echo_json
from observatory.cli.endpoint_names import one_url, unused_name
from observatory.cli.options import JsonOption, ResultsOption, check_size
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput

if TYPE_CHECKING:
    from observatory.core.targets.catalogue import Target
    from observatory.core.workspace import Workspace
    from observatory.limits.limit_probe import LimitAnswer

REQUESTS, MINUTES = 5_000, 4.0
"""What finding 1,200 requests a minute takes: 1.75 times as many, for the 135 s in which a minute's
window is seen whole."""
LABEL_NAME = 30
"""Characters of a target's name in the label that its probes' runs share."""
UP_TO_RPM, UP_TO_TPM = 3_000.0, 1_000_000.0


def limits(
    target: Annotated[
        str | None, typer.Argument(help="A target of scenarios/targets.yaml.", show_default=False)
    ] = None,
    url: Annotated[
        list[str] | None, typer.Option(help="Base URL instead of a target.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What --url is called; default: after its model.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model at --url.", show_default=False)
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="rpm or tpm: one of the two limits.", show_default=False)
    ] = None,
    up_to: Annotated[
        float, typer.Option(min=1, help="Requests a minute that are never exceeded.")
    ] = UP_TO_RPM,
    up_to_tpm: Annotated[
        float, typer.Option(min=1, help="Tokens a minute that are never exceeded.")
    ] = UP_TO_TPM,
    max_requests: Annotated[
        int | None,
        typer.Option(min=1, help=f"Requests of each probe at most; default {REQUESTS:,}."),
    ] = None,
    max_minutes: Annotated[
        float, typer.Option(min=0.5, help="Minutes of each probe at most.")
    ] = MINUTES,
    max_usd: Annotated[
        float | None,
        typer.Option(min=0.0, help="Dollars at most; needed where tokens are billed."),
    ] = None,
    from_run: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="RUN", help="Read it from a run or a label again; send nothing."
        ),
    ] = None,
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
    from observatory.core.workspace import open_workspace

    workspace = open_workspace(results)
    if from_run is not None:
        answers = _reread(workspace, from_run)
    else:
        for option, value in (
            ("--up-to", up_to),
            ("--up-to-tpm", up_to_tpm),
            ("--max-requests", max_requests),
            ("--max-minutes", max_minutes),
            ("--max-usd", max_usd),
        ):
            check_size(option, value)
        typed = _Typed(only, up_to, up_to_tpm, max_requests, max_minutes, max_usd)
        from observatory.cli.target import asked_target

        address = one_url(url)
        if name is not None and address is None:
            raise BadInput("--name belongs to --url", fix="add --url http://...")
        called = name or (unused_name(workspace, address, model) if address else None)
        answers = _probe(workspace, asked_target(target, address, model, called), typed)
    _print(answers, json_output)
    raise typer.Exit(_exit_code(answers))


class _Typed:
    """The bounds as they were typed."""

    def __init__(
        self,
        only: str | None,
        up_to: float,
        up_to_tpm: float,
        max_requests: int | None,
        max_minutes: float,
        max_usd: float | None,
    ) -> None:
        from observatory.core.errors import BadInput

        if only not in (None, "rpm", "tpm"):
            raise BadInput(f"{only!r} is neither rpm nor tpm", where="--only")
        self.only = only
        self.up_to: dict[str, float] = {"requests": up_to, "tokens": up_to_tpm}
        self.requests_typed = max_requests is not None
        self.requests = REQUESTS if max_requests is None else max_requests
        self.minutes = max_minutes
        self.usd = max_usd

    @property
    def units(self) -> tuple[Literal["requests", "tokens"], ...]:
        """What is looked for, in this order: the request limit tells how large token requests must be."""
        if self.only is None:
            return ("requests", "tokens")
        return ("requests",) if self.only == "rpm" else ("tokens",)


def _probe(workspace: "Workspace", target: "Target", typed: _Typed) -> "list[LimitAnswer]":
    from observatory.cli.progress import open_display
    from observatory.limits.limit_probe import (
        Probe,
        find_limit,
        requests_known,
        token_size,
        tokens_said,
    )
    from observatory.limits.limit_steps import Bounds
    from observatory.runner.members import unique_name

    _check_money(workspace, target, typed)
    echo(_quote(target, typed), err=True)
    answers: list[LimitAnswer] = []
    usd, label = typed.usd, unique_name(f"limits-{target.name[:LABEL_NAME]}")
    rate = target.max_rate * 60 if target.max_rate is not None else float("inf")
    with open_display() as display:
        for unit in typed.units:
            each, said, up_to = 1.0, None, min(typed.up_to["requests"], rate)
            if unit == "tokens":
                said, known = tokens_said(answers), requests_known(answers)
                each = token_size(typed.up_to["tokens"], said, known)
                up_to = min(typed.up_to["tokens"], rate * each)
            bounds = Bounds(typed.requests, typed.minutes, up_to, usd)
            probe = Probe(unit, target, bounds, each, said, label)
            answer = find_limit(workspace, probe, display)
            if answer is None:
                break
            answers.append(answer)
            if usd is not None:
                usd = max(0.0, usd - answer.capped_usd)
            if answer.ended in ("interrupted", "failed", "all_refused"):
                break
    if answers:
        echo(f"read again with: observatory limits --from {label}", err=True)
    return answers


def _check_money(workspace: "Workspace", target: "Target", typed: _Typed) -> None:
    """A target billed by tokens wants a cap in dollars, or in requests where it has no price."""
    from observatory.core.errors import BadInput
    from observatory.economics.prices import prices_of
    from observatory.inputs.price_files import agreed_prices

    if target.kind == "emulated" or target.billing != "tokens" or typed.usd is not None:
        return
    if prices_of(target, agreed=agreed_prices(workspace)).output_usd_per_token is not None:
        raise BadInput(
            f"target {target.name} is billed by tokens: state what the probe may cost",
            where="--max-usd",
            fix="e.g. --max-usd 2",
        )
    if not typed.requests_typed:
        raise BadInput(
            f"target {target.name} is billed by tokens and has no known price: dollars cannot be capped",
            where="--max-requests",
            fix="state how many requests a probe may send, e.g. --max-requests 1000",
        )


def _quote(target: "Target", typed: _Typed) -> str:
    """Print what it may take before it starts."""
    from observatory.core.units import plain_number

    probes = " and ".join("RPM" if unit == "requests" else "TPM" for unit in typed.units)
    each = "each " if len(typed.units) > 1 else ""
    if typed.usd is not None:
        money = f"${plain_number(typed.usd)} in all"
    else:
        billed = target.billing == "tokens" and target.kind != "emulated"
        money = "at an unknown price" if billed else "no tokens are billed"
    demand = " and ".join(
        f"{typed.up_to[unit]:,.0f} {'RPM' if unit == 'requests' else 'TPM'}" for unit in typed.units
    )
    if target.max_rate is not None and target.max_rate * 60 < typed.up_to["requests"]:
        demand += f", nor {target.max_rate * 60:,.0f} RPM, its own max_rate"
    return (
        f"limits of {target.name}, {probes}: {each}at most {count_of(typed.requests, 'request')} and "
        f"{typed.minutes:g} min, never above {demand}; {money}"
    )


def _reread(workspace: "Workspace", text: str) -> "list[LimitAnswer]":
    from observatory.cli.change_notes import note_changes
    from observatory.core.errors import BadInput
    from observatory.limits.limit_probe import reread_limits
    from observatory.store.run_folder import resolve_runs

    chosen = resolve_runs(workspace, text)
    answers = reread_limits(workspace, chosen)
    note_changes(workspace, chosen)
    if len({answer.best.target for answer in answers}) > 1:
        raise BadInput(f"{text!r} has runs of several targets", fix="name one run")
    return answers


def _print(answers: "list[LimitAnswer]", json_output: bool) -> None:
    import msgspec

    if json_output:
        echo_json(msgspec.json.format(msgspec.json.encode(answers), indent=2))
    elif answers:
        from observatory.cli.limit_table import print_limits

        print_limits(answers)
    else:
        echo("nothing was measured")


def _exit_code(answers: "list[LimitAnswer]") -> int:
    from observatory.core.errors import ExitCode

    ended = {answer.ended for answer in answers}
    if "interrupted" in ended or not answers:
        return ExitCode.INTERRUPTED
    if "failed" in ended:
        return ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    if ended <= {"found", "up_to", "capacity", "counts_refused", None}:
        return ExitCode.FINE
    return ExitCode.UNDECIDED
