"""observatory emulate: an OpenAI-compatible stand-in in the foreground, until Ctrl-C."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from observatory.core.target import LatencyProfile

ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        metavar="FILE",
        help="YAML with the latency profile's fields, e.g. ttft_median: 200ms (default: built-in).",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--accept-key-env",
        metavar="NAME",
        help="Variable with the only key that is accepted (default: any key, or none).",
        show_default=False,
    ),
]


def emulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8100,
    profile: ProfileOption = None,
    model: Annotated[str, typer.Option(help="The name of the only model.")] = "emulated-model",
    accept_key_env: KeyOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    allow_other_hosts: Annotated[
        bool, typer.Option("--allow-other-hosts", help="Let --host be more than loopback.")
    ] = False,
) -> None:
    """Serve an emulated model: seeded latencies, filler text, the real wire.

    It speaks /v1/chat/completions, /v1/completions and /v1/models, streamed or not. Whatever is
    measured against it is about the client and never about a model.

    Example: observatory emulate --port 8100 --profile slow.yaml
    """
    from observatory.endpoints.emulator import EmulatorConfig, serve

    config = EmulatorConfig(
        profile=_profile(profile),
        host=host,
        port=port,
        model=model,
        accept_key_env=accept_key_env,
        allow_other_hosts=allow_other_hosts,
    )

    def banner(at_host: str, at_port: int) -> None:
        for line in banner_lines(config.profile, model, at_host, at_port):
            typer.echo(line)

    requests = serve(config, banner)
    typer.echo(f"\nemulator ended after {requests} request{'' if requests == 1 else 's'}")


def banner_lines(profile: "LatencyProfile", model: str, host: str, port: int) -> list[str]:
    """What a person reads when it serves: that it is emulated, where, how, and what to try."""
    from observatory.core.units import human_seconds

    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    ttft = f"{human_seconds(profile.ttft_median)}, p95 {human_seconds(profile.ttft_p95)}"
    gap = (
        f"{human_seconds(profile.inter_token_median)}, p95 {human_seconds(profile.inter_token_p95)}"
    )
    return [
        "EMULATED endpoint: seeded latencies, filler text. It says nothing of any real model.",
        f"  base URL      {url}",
        f"  model         {model}",
        f"  first token   median {ttft}",
        f"  between       median {gap}",
        f"  answer        median {profile.output_tokens_median} tokens, "
        f"p95 {profile.output_tokens_p95}; max_tokens is kept",
        f"  at once       {profile.slots or 'no limit'}",
        f"  errors        {profile.error_fraction:.1%} HTTP 500, "
        f"{profile.throttle_fraction:.1%} HTTP 429",
        f"  seed          {profile.seed}",
        f"try: observatory target check --url {url} --model {model}",
        "Ctrl-C ends it.",
    ]


def _profile(path: Path | None) -> "LatencyProfile":
    """The profile in a YAML file; BadInput names its line."""
    import json

    from pydantic import ValidationError

    from observatory.core.target import LatencyProfile
    from observatory.workload.complaints import complaints_of, refusal
    from observatory.workload.strict_yaml import read_yaml

    if path is None:
        return LatencyProfile()
    document = read_yaml(path)
    try:
        return LatencyProfile.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        complaints = complaints_of(error, document, LatencyProfile.model_json_schema())
        raise refusal(document.name, complaints) from error
