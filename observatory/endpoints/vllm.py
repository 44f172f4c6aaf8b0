"""Open a vLLM target: find its engine, start it under a supervisor, await it, and read its description.

vLLM lives in an environment of its own and is never imported here. With `url` it is found, not started.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from observatory.connect.masking import cut_between_words
from observatory.core.connection import Connection, resolve
from observatory.core.counted_nouns import count_of
from observatory.core.distribution import third_party_package
from observatory.core.errors import BadInput, EnvironmentFailed, ObservatoryError, TargetFailed
from observatory.core.run import TargetFacts
from observatory.core.targets.vllm import VllmTarget
from observatory.endpoints.listing_pages import page_in
from observatory.endpoints.opened import (
    Address,
    OpenContext,
    OpenTarget,
    connect,
    facts_of,
    own_connection,
)
from observatory.endpoints.opener import Opener, Prerequisite
from observatory.endpoints.self_description import cache_config, engine_version
from observatory.endpoints.url import address_of, open_found
from observatory.endpoints.vllm_adapters import FoundAdapter, check_adapters, find_adapters
from observatory.endpoints.vllm_model import ServedModel, check_model, facts_of_model, find_model
from observatory.engines import vllm_log
from observatory.engines.first_answer import await_answer, await_completion, await_health
from observatory.engines.installed import installed_engines
from observatory.engines.vllm_command import (
    CpuShare,
    arguments_of,
    cpu_share,
    environment_of,
    recorded_environment,
)
from observatory.engines.vllm_executable import (
    VllmCommand,
    command_of,
    computes_on_gpus,
    installed_distribution,
)
from observatory.processes.free_port import HOST, HeldPort, check_port
from observatory.processes.supervised_child import SupervisedChild

_POLL_S = 0.2
_TAIL_LINES = 25
_OVERHEAD_BYTES = 2 * 2**30
"""Memory of a CPU build in addition to weights and KV cache: 2.0 GiB were seen in the worker of a 0.25 GiB
model with 1 GiB of KV cache (vLLM 0.32), and 1.2 GiB in its two other processes."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that is decided before it is started."""

    command: VllmCommand
    model: ServedModel
    adapters: list[FoundAdapter]
    cpu: CpuShare | None


def open_vllm(target: VllmTarget, context: OpenContext) -> OpenTarget:
    """Start vLLM on loopback and await its first answers, or find the one at the target's URL.

    Raise BadInput for an unknown engine, model, adapter or variable; EnvironmentFailed for too little memory
    or a port that is taken; TargetFailed where it does not come up within start_timeout, ends, or responds
    wrongly: the message has vLLM's own reason, and the end of its log is printed.
    """
    if target.url is not None:
        return open_found(target, target.model, _connection(target))
    plan = _plan(target, context.report)
    deadline_s = time.monotonic() + target.start_timeout
    with HeldPort(target.port) as held:
        arguments = arguments_of(
            target,
            model=plan.model.argument,
            name=plan.model.name,
            port=held.port,
            adapters=[adapter.served for adapter in plan.adapters],
        )
        environment = environment_of(
            target, os.environ, folder=str(plan.command.path.parent), cpu=plan.cpu
        )
        called = third_party_package(plan.command.distribution) or "vLLM"
        context.report(f"{target.name}: starting {called} with {plan.model.name}")
        child = SupervisedChild(
            [str(plan.command.path), *arguments],
            environment,
            context.log_folder / f"engine-{target.name}.log",
            f"{called} of {target.name}",
            vllm_log.reasons,
        )
        try:
            connection = _await_answers(target, context, plan, child, held, deadline_s)
            facts = _facts(target, plan, child, connection, arguments, context.report)
        except BaseException as error:
            child.close()
            if isinstance(error, TargetFailed):
                for line in child.log.tail(_TAIL_LINES):
                    context.report(f"{target.name} | {cut_between_words(line, 300)}")
            raise
    return OpenTarget(connection, facts, child)


def check_vllm(target: VllmTarget) -> None:
    """Raise BadInput or EnvironmentFailed for what is wrong and can be known before anything is started."""
    if target.url is not None:
        return
    command_of(target)
    check_model(target)
    check_adapters(target)
    for name, value in target.environment.items():
        resolve(value, f"target {target.name}: environment {name}")
    if target.port:
        check_port(target.port, f"target {target.name}")
    gpus = target.gpus
    if gpus is not None and target.tensor_parallel_size > len(gpus):
        raise BadInput(
            f"tensor_parallel_size is {target.tensor_parallel_size}, and {count_of(len(gpus), 'GPU is', 'GPUs are')} given",
            where=f"target {target.name}",
            fix=f"set tensor_parallel_size to {len(gpus) or 1} or less, or give more gpus",
        )


def _plan(target: VllmTarget, report: Callable[[str], None]) -> _Plan:
    command = command_of(target)
    model = find_model(target, report)
    cpu = None
    if command.build == "cpu" or (command.build is None and not Path("/dev/nvidiactl").exists()):
        available = psutil.virtual_memory().available
        cores = len(os.sched_getaffinity(0))
        cpu = cpu_share(target, os.environ, cores=cores, available_gib=available / 2**30)
        _fits_memory(target, model, cpu, available)
    return _Plan(command, model, find_adapters(target, report), cpu)


def _fits_memory(target: VllmTarget, model: ServedModel, cpu: CpuShare, available: int) -> None:
    """Refuse what memory cannot hold: the kernel would kill the engine, or us."""
    text = target.environment.get("VLLM_CPU_KVCACHE_SPACE") or os.environ.get(
        "VLLM_CPU_KVCACHE_SPACE"
    )
    cache_gib = cpu.kv_cache_gib or (int(text) if text and text.isdigit() else 0)
    weights = model.size_bytes or 0
    needed = weights + cache_gib * 2**30 + _OVERHEAD_BYTES
    if needed > available:
        raise EnvironmentFailed(
            f"{needed / 2**30:.1f} GiB of memory are needed (weights {weights / 2**30:.1f}, KV cache "
            f"{cache_gib}, vLLM itself {_OVERHEAD_BYTES / 2**30:.0f}) and {available / 2**30:.1f} are free",
            where=f"target {target.name}",
            fix="take a smaller model, set environment: {VLLM_CPU_KVCACHE_SPACE: '1'}, or free memory",
        )


def _await_answers(
    target: VllmTarget,
    context: OpenContext,
    plan: _Plan,
    child: SupervisedChild,
    held: HeldPort,
    deadline_s: float,
) -> Connection:
    """Request health, the list of models, and one real completion of each model that the load will use."""
    name = plan.model.name
    address = Address("http", HOST, held.port)
    connection = connect(target, address, name, models=request_names(target, name))
    stages: list[str] = []

    def moment() -> None:
        for line in child.log.fresh():
            stage = vllm_log.stage_of(line)
            if stage is not None and stages[-1:] != [stage]:
                stages.append(stage)
                context.report(f"{target.name}: {stage}")

    await_health(child, connection, deadline_s, poll_s=_POLL_S, moment=moment)
    held.close()
    status, text = await_answer(child, connection, "GET", "/v1/models", None, deadline_s)
    try:
        listed = set(page_in(text)[0]) if status == 200 else set()
    except ValueError:
        listed = set()
    wanted = [connection.model, *connection.models]
    if missing := [name for name in wanted if name not in listed]:
        raise TargetFailed(
            f"{child.name} does not serve {', '.join(missing)}: GET /v1/models answered HTTP {status} "
            f"with {', '.join(sorted(listed)) or 'no model'}",
            where=str(child.log_path),
        )
    for name in dict.fromkeys(connection.models or [connection.model]):
        # Completions need no chat template, which base models do not have.
        body: dict[str, object] = {"model": name, "prompt": "Hello", "max_tokens": 1}
        await_completion(child, connection, "/v1/completions", body, deadline_s)
    return connection


def request_names(target: VllmTarget, served: str) -> list[str]:
    """Return the model names that requests use in turn; empty where it is always the same."""
    return [served if name == "base" else name for name in target.ask]


def _facts(
    target: VllmTarget,
    plan: _Plan,
    child: SupervisedChild,
    connection: Connection,
    arguments: list[str],
    report: Callable[[str], None],
) -> TargetFacts:
    model = facts_of_model(target, plan.model, report)
    resolved = vllm_log.resolved(child.log.lines())
    settings: dict[str, Any] = {
        "arguments": arguments,
        "environment": recorded_environment(target, os.environ, cpu=plan.cpu),
        "resolved": resolved | {"cache": cache_config(connection)},
        "gpus": target.gpus,
        "adapters": [adapter.facts() for adapter in plan.adapters],
        "model_file_bytes": model.size_bytes,
    }
    return facts_of(
        target,
        connection,
        license=target.license or model.license,
        tokenizer=target.tokenizer or plan.model.name,
        engine="vLLM",
        engine_version=engine_version(connection),
        engine_distribution=plan.command.distribution,
        engine_sha256=plan.command.sha256,
        model_sha256=model.sha256,
        model_revision=model.revision,
        parameters=model.parameters,
        weight_format=model.weight_format,
        dtype=resolved["dtype"],
        quantization=resolved["quantization"] or model.quantization,
        settings={name: value for name, value in settings.items() if value is not None},
    )


def _connection(target: VllmTarget) -> Connection:
    if target.url is None:
        return own_connection(target)
    address = address_of(target.url, f"target {target.name}")
    return connect(target, address, target.model or "", models=target.ask)


def prerequisites() -> list[Prerequisite]:
    """Return the vLLM environments that are installed, else a `vllm` on the path."""
    try:
        engines = installed_engines("vllm")
    except ObservatoryError as error:
        return [Prerequisite("vllm", "warning", str(error), "observatory engine list")]
    if engines:
        titles = ", ".join(engine.title() for engine in engines)
        return [Prerequisite("vllm", "ok", titles)]
    fix = "observatory engine install vllm (only to serve with vLLM)"
    if found := shutil.which("vllm"):
        other = f"{found} (not an engine of ours: name it as executable)"
        return [Prerequisite("vllm", "ok", other)]
    return [Prerequisite("vllm", "missing", "no engine is installed", fix)]


OPENER = Opener(
    open_vllm,
    _connection,
    check_vllm,
    distribution=installed_distribution,
    claims_gpus=computes_on_gpus,
    prerequisites=prerequisites,
)
