"""observatory emulate: an OpenAI-compatible stand-in in the foreground, until Ctrl-C."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observatory.cli.console import echo
from observatory.core.counted_nouns import count_of
from observatory.core.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from observatory.core.emulation.profile import Profile
    from observatory.emulator.emulator import Served

ProfileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROFILE]",
        help="A profile's name (--list shows them), or the path of its file [default: chat-api].",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Variable with the only key that is accepted (default: any key, or none).",
    ),
]
TruthOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write here, as JSON lines, when each request was read and each event written.",
    ),
]


def emulate(
    profile: ProfileArgument = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8100,
    model: Annotated[str, typer.Option(help="The name of the only model.")] = "emulated-model",
    accept_key_env: KeyOption = None,
    truth_log: TruthOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    allow_other_hosts: Annotated[
        bool, typer.Option("--allow-other-hosts", help="Let --host be more than loopback.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the profiles and end.")] = False,
) -> None:
    """Serve an emulated model: seeded latencies and faults, filler text, the real wire.

    It speaks /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages and /v1/models,
    streamed or not, and /metrics under vLLM's names. What is measured against it is about the client and never about a model.
    docs/emulator.md explains profiles and the truth log.

    Example: observatory emulate steady --port 8100 --truth-log truth.jsonl
    """
    from observatory.emulator.emulator import EmulatorConfig, serve
    from observatory.inputs.profile_files import DEFAULT_PROFILE, load_profile

    workspace = open_workspace()
    if list_:
        for line in listing(workspace):
            echo(line)
        return
    config = EmulatorConfig(
        profile=load_profile(profile or DEFAULT_PROFILE, workspace.scenarios),
        host=host,
        port=port,
        model=model,
        accept_key_env=accept_key_env,
        allow_other_hosts=allow_other_hosts,
        truth_log=truth_log,
    )

    def banner(at_host: str, at_port: int) -> None:
        for line in banner_lines(config.profile, model, at_host, at_port):
            echo(line)

    echo("\n" + farewell(serve(config, banner)))


def listing(workspace: Workspace) -> list[str]:
    """Return each profile's name and what it is for, or why it cannot be read."""
    from observatory.inputs.profile_files import list_profiles

    listed = list_profiles(workspace)
    width = max(len(entry.name) for entry in listed)
    return [
        f"{entry.name:{width}}  "
        + ((entry.profile.description or "-") if entry.profile else f"unreadable: {entry.error}")
        for entry in listed
    ]


def banner_lines(profile: "Profile", model: str, host: str, port: int) -> list[str]:
    """Return what a person reads when it serves: that it is emulated, where, how, and what to try."""
    from observatory.core.units import human_number, human_seconds
    from observatory.emulator.capacity import capacity_rps

    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    ttft = f"{human_seconds(profile.ttft_median)}, p95 {human_seconds(profile.ttft_p95)}"
    gap = (
        f"{human_seconds(profile.inter_token_median)}, p95 {human_seconds(profile.inter_token_p95)}"
    )
    rate, capacity = capacity_rps(profile), ""
    if rate is not None:
        capacity = f"{human_number(rate)} requests/s with answers of its own length (computed)"
    limits = profile.limits.model_dump(exclude_defaults=True)
    faults = [(kind, rate) for kind, rate in profile.faults.rates() if rate > 0]
    rows = [
        ("base URL", url),
        ("model", model),
        ("profile", profile.name or "-"),
        ("", profile.imitates.sentence() if profile.imitates else ""),
        ("first token", f"median {ttft}"),
        ("between", f"median {gap}"),
        (
            "answer",
            f"median {count_of(profile.output_tokens_median, 'token')}, p95 {profile.output_tokens_p95}; "
            "max_tokens is kept",
        ),
        ("at once", str(profile.slots or "no limit")),
        ("capacity", capacity),
        ("limits", ", ".join(f"{value} {name}" for name, value in limits.items())),
        ("faults", ", ".join(f"{kind} {rate:.1%}" for kind, rate in faults)),
        ("seed", str(profile.seed)),
    ]
    return [
        "EMULATED endpoint: seeded latencies, filler text. No figure is of a real model.",
        *(f"  {name:<13} {text}" for name, text in rows if text),
        f"try: observatory target check --url {url} --model {model}",
        "Ctrl-C ends it.",
    ]


def farewell(served: "Served") -> str:
    """Return how much it served, and how late it was itself."""
    from observatory.core.units import human_seconds

    requests = count_of(served.requests, "request")
    late = served.lateness
    if not late["writes"]:
        return f"emulator ended after {requests}"
    figures = ", ".join(
        f"{name} {human_seconds(late[key])}"
        for name, key in (("p50", "p50_s"), ("p99", "p99_s"), ("max", "max_s"))
    )
    return f"emulator ended after {requests}; its own writes were late by {figures}"
