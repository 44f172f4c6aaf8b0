"""observatory probe: this host's sensors over HTTP, in the foreground, until Ctrl-C."""

import os
from pathlib import Path
from typing import Annotated

import typer

from observatory.cli.console import echo
from observatory.core.errors import BadInput

TokenEnvOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Variable with the token that readers must have.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File with that token."),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="PEM certificate (and key): serve over TLS."),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="PEM key, where it is apart."),
]
PidOption = Annotated[
    int | None,
    typer.Option(
        metavar="PID",
        min=1,
        help="The engine's process: names the GPUs of the target.",
    ),
]
CommandOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="The same by a part of its command line, looked for all along.",
    ),
]


def probe(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 9410,
    bind: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; others need a token.")
    ] = "127.0.0.1",
    interval: Annotated[str, typer.Option(help="Between readings, e.g. 500ms.")] = "1s",
    token_env: TokenEnvOption = None,
    token_file: TokenFileOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    watch_pid: PidOption = None,
    watch_command: CommandOption = None,
    links: Annotated[
        bool, typer.Option("--links", help="Also read PCIe and NVLink traffic.")
    ] = False,
    name_host: Annotated[
        bool, typer.Option("--name-host", help="Let readers see this host's name.")
    ] = False,
) -> None:
    """Serve this host's sensors (GPUs, processors, memory) to a run on another host.

    Read-only; the token is read from a variable or a file and never given on the command line. The
    scenario names the probe under telemetry.probes; docs/telemetry.md has a worked example.

    Example: observatory probe --bind 10.0.0.7 --token-env PROBE_TOKEN --certificate gpu1.pem --watch-command "vllm serve"
    """
    from observatory.telemetry.probe.probe import ProbeConfig, is_loopback, serve_probe

    if watch_pid is not None and watch_command is not None:
        raise BadInput("give --watch-pid or --watch-command, not both")
    config = ProbeConfig(
        bind=bind,
        port=port,
        interval_s=_interval(interval),
        token=read_token(token_env, token_file),
        certificate=certificate,
        key=key,
        watch_pid=watch_pid,
        watch_command=watch_command,
        name_host=name_host,
        links=links,
    )

    def banner(host: str, at: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        scheme = "http" if certificate is None else "https"
        echo(f"probe at {scheme}://{shown}:{at} (Ctrl-C ends it)")
        if config.token is None:
            echo("no token: everybody on this host may read it")
        elif certificate is None and not is_loopback(bind):
            echo(
                "warning: without --certificate the token travels in clear; use it on a network "
                "that you trust, or through an SSH tunnel to 127.0.0.1"
            )

    serve_probe(config, banner)


def read_token(variable: str | None, file: Path | None) -> str | None:
    """Return the token; None where neither is given. BadInput where it is not to be had."""
    if variable is not None and file is not None:
        raise BadInput("give --token-env or --token-file, not both")
    if variable is not None:
        token = os.environ.get(variable, "").strip()
        if not token:
            raise BadInput(
                f"the environment variable {variable} is not set",
                fix=f"export {variable}=$(python -c 'import secrets; echo(secrets.token_urlsafe(32))')",
            )
        return token
    if file is None:
        return None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the token file cannot be read: {error}", where=str(file)) from error
    if not token:
        raise BadInput("the token file is empty", where=str(file))
    return token


def _interval(text: str) -> float:
    from observatory.core.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadInput(str(error), where="--interval") from error
    if seconds <= 0:
        raise BadInput("it must be above zero", where="--interval")
    return seconds
