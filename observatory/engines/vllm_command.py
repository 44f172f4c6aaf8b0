"""What vLLM is started with: its arguments and its environment, from a target's fields.

Pure: it reads no file and no process. Secrets are in the returned environment and nowhere else.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from observatory.core.connection import resolve
from observatory.core.targets.vllm import VllmTarget
from observatory.core.targets.vllm_options import FlagValue

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank takes (vllm serve --help=LoRAConfig, 0.32)."""
_NOT_INHERITED = (
    "PYTHON",
    "LOCUST_",
    "OBSERVATORY_",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "VLLM_API_KEY",
)
"""Ours and not the engine's. A key would make it require one that the readiness requests do not carry."""
_RECORDED_PREFIXES = (
    "VLLM_",
    "OMP_",
    "KMP_",
    "GOMP_",
    "CUDA_",
    "NCCL_",
    "TORCH",
    "HF_HUB_OFFLINE",
    "LD_PRELOAD",
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


@dataclass(frozen=True, slots=True)
class ServedAdapter:
    """A LoRA adapter where vLLM finds it; rank None where its file does not state it."""

    name: str
    path: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class CpuShare:
    """What a CPU build may take: threads that compute, and GiB for the KV cache (None: its own way)."""

    threads: int
    kv_cache_gib: int | None


def arguments_of(
    target: VllmTarget, *, model: str, name: str, port: int, adapters: Sequence[ServedAdapter] = ()
) -> list[str]:
    """Return the arguments after the command's name. model: what is loaded; name: what requests call it."""
    found = ["serve", model, "--host", "127.0.0.1", "--port", str(port)]
    found += ["--served-model-name", name]
    fields: dict[str, FlagValue] = {
        "revision": target.revision,
        "dtype": target.dtype,
        "quantization": target.quantization,
        "kv-cache-dtype": target.kv_cache_dtype,
        "tensor-parallel-size": target.tensor_parallel_size
        if target.tensor_parallel_size > 1
        else None,
        "max-model-len": target.max_model_len,
        "max-num-seqs": target.max_num_seqs,
        "enable-prefix-caching": target.enable_prefix_caching,
        "enforce-eager": target.enforce_eager,
        "gpu-memory-utilization": target.gpu_memory_utilization,
        **_lora_flags(adapters),
        # A log line for each response costs the engine time and adds no information.
        "disable-uvicorn-access-log": True,
        **target.flags,
    }
    for flag, value in fields.items():
        found += flag_arguments(flag, value)
    return found


def flag_arguments(name: str, value: FlagValue) -> list[str]:
    """Return one flag: null is left out, true is bare, false is its --no- form, a list follows it, a mapping
    is JSON. A value that begins with a dash is joined by "=", so that it is not taken for a flag."""
    match value:
        case None:
            return []
        case True:
            return [f"--{name}"]
        case False:
            return [f"--no-{name}"]
        case list():
            return [f"--{name}", *(str(one) for one in value)]
        case dict():
            return [f"--{name}", json.dumps(value, separators=(",", ":"))]
        case _:
            text = str(value)
            return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]


def environment_of(
    target: VllmTarget,
    inherited: Mapping[str, str],
    *,
    folder: str,
    cpu: CpuShare | None,
) -> dict[str, str]:
    """Return all of the engine's environment, secrets in place: for its process alone, never stored.

    folder: of its command, which comes first in PATH as in an activated environment. cpu: what a CPU
    build may take. Raise BadInput where a ${NAME} is not set.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(_NOT_INHERITED) or name in ("PYTHONUNBUFFERED",)
    }
    kept["PATH"] = f"{folder}:{kept['PATH']}" if kept.get("PATH") else folder
    defaults = chosen_environment(target, inherited, cpu=cpu)
    own = {
        name: resolve(value, f"target {target.name}: environment {name}", inherited)
        for name, value in target.environment.items()
    }
    return kept | defaults | own


def chosen_environment(
    target: VllmTarget, inherited: Mapping[str, str], *, cpu: CpuShare | None
) -> dict[str, str]:
    """Return the variables that we set where neither the target nor the person's own environment does."""
    chosen = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if target.gpus is not None:
        # Indices are then the driver's and NVML's: by place on the bus, not by speed.
        chosen["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if cpu is not None:
        # Threads bound to cores would run on those of the load generator, and on those of a second
        # engine: the kernel places them instead.
        chosen["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        chosen["OMP_NUM_THREADS"] = str(cpu.threads)
        if cpu.kv_cache_gib is not None:
            chosen["VLLM_CPU_KVCACHE_SPACE"] = str(cpu.kv_cache_gib)
    found = {name: value for name, value in chosen.items() if name not in inherited}
    if target.gpus is not None:  # the scenario's setting replaces the shell's
        found["CUDA_VISIBLE_DEVICES"] = ",".join(str(gpu) for gpu in target.gpus)
    return found


def recorded_environment(
    target: VllmTarget, inherited: Mapping[str, str], *, cpu: CpuShare | None
) -> dict[str, dict[str, str]]:
    """Return the relevant environment for the records: given (references unresolved), chosen, inherited.

    Of the inherited ones only variables of the engine and its libraries, none whose name looks like a key's.
    """
    chosen = chosen_environment(target, inherited, cpu=cpu)
    named = {*target.environment, *chosen}
    return {
        "given": dict(target.environment),
        "chosen": {name: value for name, value in chosen.items() if name not in target.environment},
        "inherited": {
            name: value
            for name, value in sorted(inherited.items())
            if name.startswith(_RECORDED_PREFIXES)
            and not name.startswith(_NOT_INHERITED)
            and name not in named
            and not _SECRET.search(name)
        },
    }


def cpu_share(
    target: VllmTarget, inherited: Mapping[str, str], *, cores: int, available_gib: float
) -> CpuShare:
    """Return the cores and memory of a CPU build by default.

    Two cores stay free: vLLM's scheduler keeps one busy (it reserves one for that itself), and the load
    generator needs one. The KV cache gets a quarter of the free memory, at most 4 GiB, where vLLM
    would take nearly the whole machine's.
    """
    sized = target.gpu_memory_utilization is not None or "kv-cache-memory-bytes" in target.flags
    sized = sized or "VLLM_CPU_KVCACHE_SPACE" in {*inherited, *target.environment}
    return CpuShare(
        threads=max(1, cores - 2),
        kv_cache_gib=None if sized else max(1, min(4, int(available_gib / 4))),
    )


def _lora_flags(adapters: Sequence[ServedAdapter]) -> dict[str, FlagValue]:
    if not adapters:
        return {}
    ranks = [adapter.rank for adapter in adapters if adapter.rank is not None]
    needed = max(ranks, default=0)
    return {
        "enable-lora": True,
        "lora-modules": [f"{adapter.name}={adapter.path}" for adapter in adapters],
        # All of them may be in one batch; vLLM's own default of one would make them wait in turn.
        "max-loras": len(adapters),
        "max-lora-rank": next((rank for rank in LORA_RANKS if rank >= needed), needed)
        if needed
        else None,
    }
