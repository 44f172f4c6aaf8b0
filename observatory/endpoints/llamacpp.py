"""Opens a llama.cpp target: the model found, the server started, one real completion answered.

The parent's side; xllamacpp is never imported in this process.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from observatory.core.connection import Connection
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.run import TargetFacts
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.endpoints.opened import (
    Address,
    OpenContext,
    OpenTarget,
    connect,
    facts_of,
    own_connection,
)
from observatory.endpoints.opener import Opener, Prerequisite
from observatory.engines.first_answer import await_completion, await_health
from observatory.engines.llamacpp_server import LlamaCppConfig, settings_of
from observatory.models import model_catalogue, models
from observatory.models.gguf import (
    read_metadata,
    read_parameters,
    tokenizer_name,
    weight_format,
)
from observatory.models.weights import hash_file
from observatory.processes.free_port import check_port
from observatory.processes.server_child import ServerChild

_ERROR_LINE = re.compile(r"^[\d.]+ E ")  # llama.cpp: time, level, then source and message


def open_llamacpp(target: LlamaCppTarget, context: OpenContext) -> OpenTarget:
    """Start llama.cpp on loopback and await its first answer.

    BadInput: no such model, a file that is no GGUF, a GPU that is not there. EnvironmentFailed: too
    little memory, a port that is taken, a model that cannot be fetched. TargetFailed: it does not
    come up within start_timeout, or ends, or answers wrongly; the message has its last log lines.
    """
    path, name = _model_file(target, context)
    metadata = read_metadata(path)
    _fits_memory(path, target)
    digest = hash_file(path, context.report)
    config = LlamaCppConfig(
        model_path=str(path),
        model_name=name,
        parallel=target.parallel,
        context=target.context,
        threads=target.threads or default_threads(),
        gpu_layers=target.gpu_layers,
        port=target.port,
        parent=os.getpid(),
    )
    context.log_folder.mkdir(parents=True, exist_ok=True)
    config_path = context.log_folder / f"llamacpp-{target.name}.json"
    config_path.write_bytes(msgspec.json.format(msgspec.json.encode(config)))
    context.report(f"{target.name}: starting llama.cpp with {name}")
    deadline_s = time.monotonic() + target.start_timeout
    child = ServerChild(
        [sys.executable, "-m", "observatory.engines.llamacpp_server", str(config_path)],
        context.log_folder / f"engine-{target.name}.log",
        f"llama.cpp of {target.name}",
        _ERROR_LINE,
    )
    try:
        ready = child.wait_ready(deadline_s)
        connection = connect(target, Address("http", ready["host"], ready["port"]), name)
        await_health(child, connection, deadline_s)
        body = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        await_completion(child, connection, "/v1/chat/completions", body, deadline_s)
        facts = _facts(target, connection, path, metadata, digest, settings_of(config), ready)
    except BaseException:
        child.close()
        raise
    return OpenTarget(connection, facts, child)


def _facts(
    target: LlamaCppTarget,
    connection: Connection,
    path: Path,
    metadata: dict[str, Any],
    digest: str,
    settings: dict[str, Any],
    ready: dict[str, Any],
) -> TargetFacts:
    known = model_catalogue.MODELS.get(target.model)
    return facts_of(
        target,
        connection,
        license=target.license
        or (known.license if known is not None else metadata.get("general.license")),
        tokenizer=target.tokenizer or tokenizer_name(metadata),
        engine="llama.cpp",
        engine_version=_build(ready),
        engine_distribution=f"xllamacpp {ready['version']} (a binding with llama.cpp built in)",
        model_sha256=digest,
        parameters=read_parameters(path),
        weight_format=_weight_format(path, metadata),
        quantization=weight_format(metadata).removeprefix("GGUF").strip() or None,
        settings=settings | _described(ready, metadata, path),
    )


def default_threads() -> int:
    """Return all cores but one, at least one: llama.cpp's threads wait for each other at every operation,
    so that one which loses its core to the load generator stalls them all."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _weight_format(path: Path, metadata: dict[str, Any]) -> str:
    """Return the format in the file; of a model that was made here also its source."""
    known = models.catalogued(path)
    return known.weight_format if known is not None else weight_format(metadata)


def check_model(target: LlamaCppTarget) -> None:
    """BadInput where the target's model is neither in the catalogue nor a GGUF file."""
    if target.model not in model_catalogue.MODELS:
        read_metadata(_own_file(target))
    else:
        _check_format(target)


def check_llamacpp(target: LlamaCppTarget) -> None:
    """Raise BadInput as check_model; EnvironmentFailed where its port is taken."""
    check_model(target)
    if target.port:
        check_port(target.port, f"target {target.name}")


def _check_format(target: LlamaCppTarget) -> None:
    known = model_catalogue.MODELS[target.model]
    if known.format != "gguf":
        raise BadInput(
            f"llama.cpp reads GGUF files, and {target.model} is {known.weight_format}",
            where=f"target {target.name}: model",
            fix=f"one of: {', '.join(model_catalogue.names_of_format('gguf'))}",
        )


def _model_file(target: LlamaCppTarget, context: OpenContext) -> tuple[Path, str]:
    """Return the file, and the name under which it is served."""
    if target.model in model_catalogue.MODELS:
        _check_format(target)
        return models.pull(target.model, context.report), target.model
    path = _own_file(target)
    return path, path.stem


def _own_file(target: LlamaCppTarget) -> Path:
    path = Path(target.model).expanduser().resolve()
    if not path.is_file():
        raise BadInput(
            f"there is no model {target.model!r}",
            where=f"target {target.name}",
            fix=f"the path of a GGUF file, or one of: {', '.join(model_catalogue.MODELS)}",
        )
    return path


def _fits_memory(path: Path, target: LlamaCppTarget) -> None:
    """Refuse weights that memory cannot hold: llama.cpp would read them from disk at every token."""
    size, free = path.stat().st_size, psutil.virtual_memory().available
    if target.gpu_layers == 0 and size > free:
        raise EnvironmentFailed(
            f"the model has {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB of memory are free",
            where=str(path),
            fix="take a smaller model or quantisation, or a machine with more memory",
        )


def _described(ready: dict[str, Any], metadata: dict[str, Any], path: Path) -> dict[str, Any]:
    return {
        "llama_cpp_build": _build(ready),
        "llama_cpp_compiler": ready["build"]["compiler"],
        "devices": ready["devices"],
        "features": ready["features"].strip(" |"),
        "model_file_bytes": path.stat().st_size,
        "model_name_in_file": metadata.get("general.name"),
        "trained_context": metadata.get(f"{metadata.get('general.architecture')}.context_length"),
    }


def _build(ready: dict[str, Any]) -> str:
    """Return llama.cpp's own version: the number of its build and the commit."""
    return f"b{ready['build']['build_number']}-{ready['build']['commit']}"


def prerequisites() -> list[Prerequisite]:
    """Return whether the binding can be imported, and which catalogued GGUF models are in the cache."""
    # In a child: a build for another processor ends the process that imports it.
    tried = subprocess.run(
        [sys.executable, "-c", "import xllamacpp"], capture_output=True, text=True, check=False
    )
    if tried.returncode == 0:
        found = [Prerequisite("llama.cpp", "ok", "xllamacpp can be imported", needed=True)]
    else:
        last = (tried.stderr.strip().splitlines() or [f"ended with {tried.returncode}"])[-1]
        fix = "pip install --force-reinstall xllamacpp"
        found = [Prerequisite("llama.cpp", "missing", last, fix, needed=True)]
    for name in (
        name
        for name, model in model_catalogue.MODELS.items()
        if isinstance(model, model_catalogue.Model)
    ):
        path = models.model_path(name)
        if path.is_file():
            found.append(Prerequisite(f"model {name}", "ok", str(path)))
        else:
            fix = f"observatory model pull {name} (the quickstart does it by itself)"
            found.append(Prerequisite(f"model {name}", "missing", "not in the cache", fix))
    return found


OPENER = Opener(open_llamacpp, own_connection, check_llamacpp, prerequisites=prerequisites)
