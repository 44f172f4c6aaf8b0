"""Flags and variables that a vLLM target may set in addition to its own fields.

Pure checks; `engines.vllm_command` writes them on a command line.
"""

import re
from collections.abc import Mapping
from typing import Any

from observatory.core.connection import ENVIRONMENT_REFERENCE
from observatory.core.targets.literal_secrets import ENVIRONMENT_NAME, no_literal_secret_in

FlagValue = bool | int | float | str | None | list[str | int | float] | dict[str, Any]
"""true: a bare switch; false: its --no- form; null: left out; a list: the flag with several values;
a mapping: its JSON."""
_OF_ENGINE = (
    "served_model_name", "revision", "dtype", "quantization", "kv_cache_dtype", "tensor_parallel_size",
    "max_model_len", "max_num_seqs", "enable_prefix_caching", "enforce_eager", "gpu_memory_utilization", "port",
)  # fmt: skip
"""Fields of a target that are flags of `vllm serve` of the same name."""
_STARTED_ONLY = frozenset({*_OF_ENGINE, "flags", "environment", "adapters"})
"""Fields of a target that do not apply to one that runs already."""
_PROMPTS_IN_LOG = "its log is kept with the run and must contain no prompts and answers"
_SPOKEN_OTHERWISE = "the observatory speaks plain HTTP with it, on loopback"
_FLAGS_REFUSED = {
    "hf-token": "a key would be visible in the process list; write environment: {HF_TOKEN: ${HF_TOKEN}}",
    "enable-log-requests": _PROMPTS_IN_LOG,
    "enable-log-outputs": _PROMPTS_IN_LOG,
    "enable-log-deltas": _PROMPTS_IN_LOG,
    "ssl-keyfile": _SPOKEN_OTHERWISE,
    "ssl-certfile": _SPOKEN_OTHERWISE,
    "root-path": _SPOKEN_OTHERWISE,
    "grpc": _SPOKEN_OTHERWISE,
    "headless": "nothing would answer",
}

_FLAGS_OF_OURS = frozenset(
    {
        *_OF_ENGINE,
        *(
            "model",
            "no_enable_prefix_caching",
            "host",
            "uds",
            "api_key",
            "lora_modules",
            "enable_lora",
        ),
    }
)


def untrue(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Return the fields set to other than the default that do not apply to a vLLM that runs already."""
    return sorted(name for name in _STARTED_ONLY if fields[name] != defaults[name])


def checked_flags(flags: dict[str, FlagValue]) -> dict[str, FlagValue]:
    """Return the flags as vLLM's help writes them; raise ValueError for those that are ours, or would do harm."""
    taken = [name for name in flags if name.strip("-").replace("-", "_") in _FLAGS_OF_OURS]
    if taken:
        raise ValueError(f"must not set {', '.join(taken)}: the target has fields for it")
    hyphened = {_hyphened(name): value for name, value in flags.items()}
    for name in hyphened:
        if name in _FLAGS_REFUSED:
            raise ValueError(f"must not set {name}: {_FLAGS_REFUSED[name]}")
    if ENVIRONMENT_REFERENCE.search(str(flags)):
        raise ValueError("a secret in a flag would be visible in the process list; use environment")
    return hyphened


def checked_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables; raise ValueError where one has no variable's name, or holds a secret literally."""
    for name in environment:
        if not re.fullmatch(ENVIRONMENT_NAME, name):
            raise ValueError(f"{name!r} is no name of a variable")
    no_literal_secret_in(environment)
    return environment


def _hyphened(flag: str) -> str:
    """Return the flag as vLLM's help writes it; the part after a dot is a key of JSON and stays."""
    head, dot, keys = flag.strip("-").partition(".")
    return head.replace("_", "-") + dot + keys
