"""Opens a llama.cpp target: the model found, the server started, one real completion answered.

The parent's side; xllamacpp is never imported in this process.
"""

import hashlib
import http.client
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from observatory.core.errors import BadInput, EnvironmentFailed, TargetFailed
from observatory.core.target import LlamaCppTarget
from observatory.endpoints import models
from observatory.endpoints.gguf import read_metadata, tokenizer_name
from observatory.endpoints.llamacpp_server import LlamaCppConfig, settings_of
from observatory.endpoints.opened import OpenContext, OpenTarget, connect, facts_of
from observatory.endpoints.server_child import ServerChild

_ERROR_LINE = re.compile(r"^[\d.]+ E ")  # llama.cpp: time, level, then who says what
_POLL_S = 0.05


def open_llamacpp(target: LlamaCppTarget, context: OpenContext) -> OpenTarget:
    """Start llama.cpp on loopback and await its first answer.

    BadInput: no such model, a file that is no GGUF, a GPU that is not there. EnvironmentFailed: too
    little memory, a port that is taken, a model that cannot be fetched. TargetFailed: it does not
    come up within start_timeout, or ends, or answers wrongly; the message has its last log lines.
    """
    path, name = _model_file(target, context)
    metadata = read_metadata(path)
    _fits_memory(path, target)
    digest = _sha256(path, context)
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
    context.say(f"{target.name}: starting llama.cpp with {name}")
    deadline_s = time.monotonic() + target.start_timeout
    child = ServerChild(
        [sys.executable, "-m", "observatory.endpoints.llamacpp_server", str(config_path)],
        context.log_folder / f"engine-{target.name}.log",
        f"llama.cpp of {target.name}",
        _ERROR_LINE,
    )
    try:
        ready = child.wait_ready(deadline_s)
        connection = connect(
            target,
            scheme="http",
            host=ready["host"],
            port=ready["port"],
            base_path="/v1",
            model=name,
        )
        _await_answer(child, connection.host, connection.port, name, deadline_s)
        known = models.MODELS.get(target.model)
        facts = facts_of(
            target,
            connection,
            license=target.license
            or (known.license if known is not None else metadata.get("general.license")),
            tokenizer=target.tokenizer or tokenizer_name(metadata),
            engine="llama.cpp",
            engine_version=f"xllamacpp {ready['version']}",
            model_sha256=digest,
            settings=settings_of(config) | _described(ready, metadata, path),
        )
    except BaseException:
        child.close()
        raise
    return OpenTarget(connection, facts, child)


def default_threads() -> int:
    """All cores but one, at least one: llama.cpp's threads wait for each other at every operation,
    so that one which loses its core to the load generator stalls them all."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def check_model(target: LlamaCppTarget) -> None:
    """BadInput where the target's model is neither in the catalogue nor a GGUF file."""
    if target.model not in models.MODELS:
        read_metadata(_own_file(target))


def _model_file(target: LlamaCppTarget, context: OpenContext) -> tuple[Path, str]:
    """The file, and the name under which it is served."""
    if target.model in models.MODELS:
        return models.pull(target.model, context.say), target.model
    path = _own_file(target)
    return path, path.stem


def _own_file(target: LlamaCppTarget) -> Path:
    path = Path(target.model).expanduser().resolve()
    if not path.is_file():
        raise BadInput(
            f"there is no model {target.model!r}",
            where=f"target {target.name}",
            fix=f"the path of a GGUF file, or one of: {', '.join(models.MODELS)}",
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


def _sha256(path: Path, context: OpenContext) -> str:
    if path.stat().st_size > 2**30:
        context.say(f"hashing {path.name} ({path.stat().st_size / 2**30:.1f} GiB)")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _described(ready: dict[str, Any], metadata: dict[str, Any], path: Path) -> dict[str, Any]:
    build = ready["build"]
    return {
        "llama_cpp_build": f"b{build['build_number']}-{build['commit']}",
        "llama_cpp_compiler": build["compiler"],
        "devices": ready["devices"],
        "features": ready["features"].strip(" |"),
        "model_file_bytes": path.stat().st_size,
        "model_name_in_file": metadata.get("general.name"),
        "trained_context": metadata.get(f"{metadata.get('general.architecture')}.context_length"),
    }


def _await_answer(child: ServerChild, host: str, port: int, model: str, deadline_s: float) -> None:
    """/health, then one real completion of a token, so that the first measured request is not it."""
    while _ask(child, host, port, "GET", "/health", None, deadline_s)[0] != 200:
        time.sleep(_POLL_S)
    body = msgspec.json.encode(
        {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    )
    status, answer = _ask(child, host, port, "POST", "/v1/chat/completions", body, deadline_s)
    if status != 200:
        text = answer.decode("utf-8", "replace")[:200]
        raise TargetFailed(
            f"{child.name} answered its first completion with HTTP {status}: {text}",
            where=str(child.log_path),
        )


def _ask(
    child: ServerChild,
    host: str,
    port: int,
    method: str,
    path: str,
    body: bytes | None,
    deadline_s: float,
) -> tuple[int, bytes]:
    """Status and body; TargetFailed where the server ends or the deadline passes first."""
    left_s = deadline_s - time.monotonic()
    if (ended := child.alive()) is not None:
        raise TargetFailed(ended, where=str(child.log_path))
    if left_s <= 0:
        raise child.too_late()
    connection = http.client.HTTPConnection(host, port, timeout=left_s)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except TimeoutError as error:
        raise child.too_late() from error
    except (OSError, http.client.HTTPException) as error:
        raise TargetFailed(
            child.alive() or f"{child.name} broke its first answer off: {error!r}",
            where=str(child.log_path),
        ) from error
    finally:
        connection.close()
