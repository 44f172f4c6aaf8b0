"""Parse vLLM's own log: the progress of its start, its resolved flags, and why it ended.

Pure: lines in, values out. A line that is not recognised gives null; its forms are of vLLM 0.32, and
of older versions where they differ.
"""

import ast
import re
from collections.abc import Callable, Iterable
from typing import Any

_SPEAKER = re.compile(r"^\((?P<who>[\w. -]+?)(?: pid=\d+)?\) ")
_HEAD = re.compile(r"^(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:]+ \[[^\]]*\] ?")

_STAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Starting to load model"), "loading weights"),
    (
        re.compile(r"Loading [\w.]+ checkpoint shards: .*\| *(\d+/\d+)"),
        "loading weights, shard {0}",
    ),
    (re.compile(r"Time spent downloading weights|Fetching \d+ files"), "downloading weights"),
    (re.compile(r"Loading weights took|Model loading took"), "weights are loaded"),
    (re.compile(r"Warming up model for the compilation|Dynamo bytecode transform"), "compiling"),
    (re.compile(r"Compiling a graph for"), "compiling"),
    (re.compile(r"torch\.compile (?:takes|took)|Warming up done"), "compiled"),
    (re.compile(r"Capturing CUDA graphs?"), "capturing CUDA graphs"),
    (re.compile(r"KV cache size: [\d,]+ tokens"), "KV cache of {0} tokens allocated"),
    (re.compile(r"init engine .*took"), "engine initialised"),
    (re.compile(r"Starting vLLM (?:API )?server"), "starting the server"),
)
_KV_TOKENS = re.compile(r"KV cache size: ([\d,]+) tokens")


def stage_of(line: str) -> str | None:
    """Return the step of vLLM's start in words for a person; None where the line has none."""
    for pattern, words in _STAGES:
        if found := pattern.search(line):
            inner = found.groups() or _KV_TOKENS.findall(line)
            return words.format(*inner)
    return None


def reasons(lines: list[str]) -> list[str]:
    """Return the lines with the reason of its end, the cause first, without vLLM's prefixes.

    Several processes log an exception, each after the one that it received it from; lines that
    only point at another's trace come last, and only where there is no other line.
    """
    messages: list[str] = []
    pointing: list[str] = []
    plain = [_plain(line) for line in lines]
    for place, (level, text) in enumerate(plain):
        if usage := _USAGE_ERROR.match(text):
            return [usage["what"]]
        if _EXCEPTION.match(text):
            message = _with_details(text, (later for _, later in plain[place + 1 : place + 4]))
        elif (level in ("ERROR", "CRITICAL") and _COMPLAINT.search(text)) or _LOST.search(text):
            message = text
        else:
            continue
        known = pointing if _POINTING.search(message) else messages
        if message not in known:
            known.append(message)
    return messages or pointing


def resolved(lines: Iterable[str]) -> dict[str, Any]:
    """Return its resolved flags from the log; null for those that it does not contain."""
    found: dict[str, Any] = dict.fromkeys(_RESOLVED)
    for line in lines:
        _, text = _plain(line)
        if text.startswith("Initializing a V") and ") with config: " in text:
            _read_config(text, found)
            continue
        for name, (pattern, read) in _LINES.items():
            if (match := pattern.search(text)) and found[name] is None:
                found[name] = read(match[1])
    return found


def _read_config(text: str, found: dict[str, Any]) -> None:
    for name, key in _CONFIG.items():
        if match := re.search(rf"[ ,]{key}=('[^']*'|[^,]+)(?:,|$)", text):
            found[name] = _value(match[1])


def _value(text: str) -> Any:
    """Parse a plain Python value; return other text unchanged, torch's names without torch."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text.removeprefix("torch.")
    return value if isinstance(value, str | int | float | bool | None) else text


def _arguments(text: str) -> Any:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return found if isinstance(found, dict) else None


def _plain(line: str) -> tuple[str | None, str]:
    """Return the level where vLLM's logger wrote the line, and its text without the heads."""
    text = _SPEAKER.sub("", line)
    head = _HEAD.match(text)
    return (head["level"], text[head.end() :]) if head else (None, text)


def _with_details(text: str, following: Iterable[str]) -> str:
    """Return the message with its details: pydantic's and click's exceptions have them on indented lines."""
    details = []
    for line in following:
        if not line.startswith("  ") or line.lstrip().startswith(("File ", "For further", "^")):
            break
        details.append(line.strip())
    return " ".join([text.rstrip(), *details])


def _integer(text: str) -> int:
    return int(text.replace(",", ""))


_USAGE_ERROR = re.compile(r"^vllm(?: \w+)?: error: (?P<what>.+)")
_EXCEPTION = re.compile(r"^(?:[\w]+\.)*\w*(?:Error|Exception|Interrupt|Exhausted)(?:: |$)")
_COMPLAINT = re.compile(
    r"died unexpectedly|out of memory|address already in use|not supported", re.I
)
_LOST = re.compile(r"engine core exited unexpectedly")
_POINTING = re.compile(
    r"See root cause above|See stack trace|Executor failed|failed due to an exception in a background"
    r"|please check the stack trace"
)
"""Exceptions that only report another process's exception."""

_LINES: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    "arguments": (re.compile(r"^non-default args: (\{.*\})$"), _arguments),
    "architecture": (re.compile(r"^Resolved architecture: (\w+)"), str),
    "max_num_batched_tokens": (re.compile(r"max_num_batched_tokens=(\d+)"), int),
    "attention_backend": (
        re.compile(r"Using (?:an )?(?:attention backend )?([\w.]+) (?:attention )?backend\b"),
        str,
    ),
    "kv_cache_tokens": (_KV_TOKENS, _integer),
    "kv_cache_concurrency": (re.compile(r"Maximum concurrency for .*: ([\d.]+)x"), float),
    "kv_cache_gib": (
        re.compile(r"(?:Available KV cache memory: |(?:Explicitly|Auto) set \()([\d.]+)"),
        float,
    ),
    "weights_gib": (re.compile(r"Model loading took ([\d.]+) Gi?B"), float),
    "weights_load_s": (re.compile(r"Loading weights took ([\d.]+) seconds"), float),
    "compile_s": (re.compile(r"torch\.compile (?:takes|took) ([\d.]+) s"), float),
    "init_s": (re.compile(r"init engine .*took ([\d.]+) s"), float),
    "cuda_graphs_s": (re.compile(r"Graph capturing finished in (\d+) secs"), float),
}
_CONFIG = {
    "dtype": "dtype",
    "max_model_len": "max_seq_len",
    "load_format": "load_format",
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "data_parallel_size": "data_parallel_size",
    "quantization": "quantization",
    "enforce_eager": "enforce_eager",
    "kv_cache_dtype": "kv_cache_dtype",
    "device": "device_config",
    "seed": "seed",
    "prefix_caching": "enable_prefix_caching",
    "chunked_prefill": "enable_chunked_prefill",
    "tokenizer": "tokenizer",
    "revision": "revision",
    "speculative_config": "speculative_config",
}
_RESOLVED = (*_CONFIG, *_LINES)
