"""The emulator as a process: `python -m observatory.emulator.emulator CONFIG.json`, or in a verb.

It listens on loopback by default, prints its address on stdout (one JSON line), and serves
until it is ended.
"""

import asyncio
import errno
import gc
import ipaddress
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from observatory.core.emulation.profile import Profile
from observatory.core.errors import BadInput, EnvironmentFailed, ObservatoryError
from observatory.core.strict import Strict
from observatory.core.system.processes import die_with_parent
from observatory.emulator.model import EmulatedModel
from observatory.emulator.precise_timers import new_precise_loop
from observatory.emulator.server import ClientConnection
from observatory.emulator.truth import TruthLog
from observatory.processes.server_child import ReportChannel

EMULATED_MODEL = "emulated-model"


class EmulatorConfig(Strict):
    """What one emulator serves, and where. Port 0 takes a free one.

    accept_key_env names the variable with the key that requests must carry; without it any key, or
    none, is accepted. truth_log is written as it serves and ends when it does. parent is the process that it must not outlive.
    """

    profile: Profile = Profile()
    host: str = "127.0.0.1"
    port: int = 0
    model: str = EMULATED_MODEL
    accept_key_env: str | None = None
    allow_other_hosts: bool = False
    truth_log: Path | None = None
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What an emulator has done in its life: requests that came, and how late its writes were."""

    requests: int
    lateness: dict[str, Any]


def serve(config: EmulatorConfig, ready: Callable[[str, int], None]) -> Served:
    """Serve until SIGINT or SIGTERM. ready gets host and port.

    BadInput: a host that is not loopback without allow_other_hosts, a key variable that is not set.
    EnvironmentFailed: the address cannot be listened on, the truth log cannot be written.
    """
    _refuse_other_hosts(config)
    key = _key(config.accept_key_env)
    truth = None
    if config.truth_log is not None:
        about = {"model": config.model, "profile": config.profile.model_dump(mode="json")}
        truth = TruthLog(config.truth_log, about)
    with asyncio.Runner(loop_factory=new_precise_loop) as runner:
        clock = runner.get_loop().time
        model = EmulatedModel(config.profile, config.model, clock, key=key, truth=truth)
        try:
            runner.run(_serve(model, config, ready))
        finally:
            if truth is not None:
                truth.close(model.lateness)
    return Served(model.requests, model.lateness.summary())


def _key(variable: str | None) -> str | None:
    key = os.environ.get(variable) if variable is not None else None
    if variable is not None and not key:
        raise BadInput(
            f"the environment variable {variable} is not set",
            where="accept_key_env",
            fix=f"export {variable}=...",
        )
    return key


async def _serve(
    model: EmulatedModel, config: EmulatorConfig, ready: Callable[[str, int], None]
) -> None:
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            lambda: ClientConnection(model), config.host, config.port, backlog=4096
        )
    except OSError as problem:
        taken = problem.errno == errno.EADDRINUSE
        raise EnvironmentFailed(
            "the port is taken" if taken else f"cannot listen: {problem.strerror or problem}",
            where=f"{config.host}:{config.port}",
            fix="choose another port, or 0 for a free one",
        ) from problem
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    gc.freeze()  # what was imported is not looked through again at every collection
    ready(config.host, server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()


def _refuse_other_hosts(config: EmulatorConfig) -> None:
    try:
        loopback = ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        loopback = config.host == "localhost"
    if not loopback and not config.allow_other_hosts:
        raise BadInput(
            "this address can be reached from other machines",
            where=config.host,
            fix="listen on 127.0.0.1, or allow other hosts on purpose",
        )


def main(arguments: list[str]) -> int:
    """Run the child: one argument, the path of a JSON EmulatorConfig. Return the exit code."""
    report = ReportChannel()
    try:
        config = EmulatorConfig.model_validate_json(Path(arguments[0]).read_bytes())
    except (OSError, ValidationError, IndexError) as problem:
        report.failed(f"its configuration cannot be read: {problem}", BadInput.exit_code)
        return BadInput.exit_code
    die_with_parent(config.parent)
    try:
        serve(config, lambda host, port: report.ready({"host": host, "port": port}))
    except ObservatoryError as problem:
        report.failed(str(problem), problem.exit_code)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
