"""llama.cpp as a child process: `python -m observatory.engines.llamacpp_server CONFIG.json`.

The only file that imports xllamacpp; SIGTERM keeps its default, because a handler that destroys the
server hangs while requests are in flight.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed, ExitCode, ObservatoryError
from observatory.core.system.processes import die_with_parent
from observatory.processes.free_port import check_port
from observatory.processes.server_child import ReportChannel

CACHE_RAM_MIB = 512
"""Memory for prompts of idle slots. llama.cpp's own 8 GiB would fill a small machine."""
HTTP_THREADS = 256
"""A streamed answer holds one of them: with too few, /metrics waits behind the load."""


class LlamaCppConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one server is started with. context is of the tokens in each of the parallel slots."""

    model_path: str
    model_name: str
    parallel: int
    context: int
    threads: int
    gpu_layers: int
    port: int
    parent: int


def settings_of(config: LlamaCppConfig) -> dict[str, Any]:
    """Return the settings as llama.cpp gets them, for the records."""
    return {
        "n_parallel": config.parallel,
        "n_ctx": config.context * config.parallel,
        "n_threads": config.threads,
        "n_gpu_layers": config.gpu_layers,
        "cache_ram_mib": CACHE_RAM_MIB,
        "n_threads_http": HTTP_THREADS,
    }


def start(config: LlamaCppConfig) -> tuple[Any, dict[str, Any]]:
    """Load the model and listen; return the server, to be kept, and the facts to report.

    Raise BadInput where a GPU is required and this build finds none; EnvironmentFailed where the port is taken,
    or llama.cpp cannot start (its reason is on stderr alone).
    """
    check_port(config.port)
    import xllamacpp

    found = xllamacpp.get_device_info()
    devices = [str(device["description"]) for device in found]
    gpus = [str(device["description"]) for device in found if "GPU" in device["type"].name]
    if config.gpu_layers != 0 and not gpus:
        raise BadInput(
            "gpu_layers is set, but this build of llama.cpp sees no GPU",
            where="xllamacpp",
            fix="install xllamacpp for your GPU, or set gpu_layers: 0",
        )
    params = xllamacpp.CommonParams()
    params.model.path = config.model_path
    params.model_alias = {config.model_name}
    params.hostnames = ["127.0.0.1"]
    params.port = config.port
    for name, value in settings_of(config).items():
        if name != "n_threads":
            setattr(params, name, value)
    params.cpuparams.n_threads = config.threads
    params.cpuparams_batch.n_threads = config.threads
    params.fit_params = False  # measure the configured parameters or fail
    params.endpoint_metrics = True
    params.endpoint_slots = False  # it would show prompts
    params.ui = False
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise EnvironmentFailed("llama.cpp could not start") from error
    address = urlsplit(server.listening_address)
    return server, {
        "host": address.hostname,
        "port": address.port,
        "build": xllamacpp.BUILD_INFO,
        "version": xllamacpp.__version__,
        "devices": gpus if config.gpu_layers != 0 else devices,
        "features": xllamacpp.get_system_info(),
    }


def main(arguments: list[str]) -> int:
    """Run the child: one argument, the path of a JSON LlamaCppConfig. Return the exit code."""
    report = ReportChannel()
    try:
        config = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=LlamaCppConfig)
    except (OSError, msgspec.DecodeError, IndexError) as problem:
        report.failed(f"its configuration cannot be read: {problem}", ExitCode.BAD_INPUT)
        return ExitCode.BAD_INPUT
    die_with_parent(config.parent)
    try:
        server, facts = start(config)
    except ObservatoryError as problem:
        report.failed(str(problem), problem.exit_code)
        return problem.exit_code
    report.ready(facts)
    while server is not None:  # it serves in threads of its own, for as long as it is referenced
        signal.pause()
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
