"""Read an engine's own description: its name, its version, its cache layout.

Each engine's own pages are read once with a short timeout; a page that does not respond gives null.
"""

import http.client
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from observatory.connect.plain_http import get
from observatory.connect.sent_secrets import masker_of
from observatory.core.connection import Connection

WITHIN_S = 5.0
_LARGEST = 4 << 20
_LONGEST_VALUE = 500
"""Characters kept of a text that a server names itself by."""
_ACCEPT = "application/json, text/plain"
_CACHE_LINE = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_CACHE_LABELS = {
    "block_size": "block_size",
    "num_gpu_blocks": "blocks",
    "kv_cache_size_tokens": "tokens",
    "cache_dtype": "dtype",
    "enable_prefix_caching": "prefix_caching",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "kv_cache_memory_bytes": "bytes",
}
_SGLANG = (
    "model_path",
    "tokenizer_path",
    "dtype",
    "quantization",
    "tp_size",
    "max_total_num_tokens",
    "mem_fraction_static",
    "attention_backend",
)
_TGI = (
    "model_id",
    "model_sha",
    "model_dtype",
    "max_concurrent_requests",
    "max_input_tokens",
    "max_total_tokens",
    "max_batch_total_tokens",
    "sha",
)
_LITERALS = {"True": True, "False": False, "None": None}


@dataclass(frozen=True, slots=True)
class SelfDescription:
    """engine, version and model as the server names them; details: what else of it is worth keeping."""

    engine: str | None = None
    version: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def describe(connection: Connection, owners: list[str | None]) -> SelfDescription:
    """Return which engine serves a URL, by its own pages next to the API.

    owners: owned_by of the models that it lists. Where one of them names the engine, only that engine's
    page is requested; else each engine's page until one responds.
    """
    named = [reader for owner, reader in _BY_OWNER.items() if owner in owners]
    for reader in named or (_vllm, _sglang, _llamacpp, _tgi, _ollama):
        found = reader(connection)
        if found is not None:
            return found
    return SelfDescription()


def engine_version(connection: Connection) -> str | None:
    """Return the version from GET /version (vLLM; Ollama's is elsewhere)."""
    version = _object(connection, "/version").get("version")
    return _text(version)


def cache_config(connection: Connection) -> dict[str, Any] | None:
    """Return how vLLM laid its KV cache out, from the labels of cache_config_info in /metrics; null without."""
    text = _get(connection, "/metrics")
    found = _CACHE_LINE.search(text.decode("utf-8", "replace")) if text is not None else None
    return None if found is None else cache_of(found[1])


def cache_of(labels: str) -> dict[str, Any]:
    """Return the labels that matter, by our names, as plain values."""
    named = dict(_LABEL.findall(labels))
    return {
        ours: _plain(named[theirs]) for theirs, ours in _CACHE_LABELS.items() if theirs in named
    }


def _vllm(connection: Connection) -> SelfDescription | None:
    version = engine_version(connection)
    cache = cache_config(connection)
    if version is None or cache is None:
        return None
    return SelfDescription("vLLM", version, {"resolved": {"cache": cache}})


def _sglang(connection: Connection) -> SelfDescription | None:
    for path in ("/get_server_info", "/server_info"):
        document = _object(connection, path)
        if "version" in document:
            return SelfDescription("SGLang", _text(document["version"]), _kept(document, _SGLANG))
    return None


def _llamacpp(connection: Connection) -> SelfDescription | None:
    document = _object(connection, "/props")
    if "default_generation_settings" not in document:
        return None
    version = _text(document.get("build_info"))
    kept = _kept(document, ("total_slots", "model_path"))
    if isinstance(generation := document.get("default_generation_settings"), dict):
        kept |= _kept(generation, ("n_ctx",))
    return SelfDescription("llama.cpp", version, kept)


def _tgi(connection: Connection) -> SelfDescription | None:
    document = _object(connection, "/info")
    if "max_total_tokens" not in document:
        return None
    return SelfDescription("TGI", _text(document.get("version")), _kept(document, _TGI))


def _ollama(connection: Connection) -> SelfDescription | None:
    version = _object(connection, "/api/version").get("version")
    return SelfDescription("Ollama", _text(version)) if isinstance(version, str) else None


def _kept(document: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return plain values alone: a page is another's, and what it nests there is of no use."""
    kept = {
        name: document[name] for name in names if isinstance(document.get(name), str | int | float)
    }
    return {
        name: value[:_LONGEST_VALUE] if isinstance(value, str) else value
        for name, value in kept.items()
    }


def _text(value: Any) -> str | None:
    return value[:_LONGEST_VALUE] if isinstance(value, str) else None


def _plain(text: str) -> Any:
    if text in _LITERALS:
        return _LITERALS[text]
    read: Callable[[str], Any]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text[:_LONGEST_VALUE]


def _object(connection: Connection, path: str) -> dict[str, Any]:
    text = _get(connection, path)
    if text is None:
        return {}
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _get(connection: Connection, path: str) -> bytes | None:
    """Return the page at the server's root, with the secrets that were sent masked before anything of it is cut; None where
    it does not answer with one."""
    root = connection.base_path.removesuffix("/v1")
    try:
        status, page = get(connection, root + path, WITHIN_S, _LARGEST, _ACCEPT)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    if status != 200:
        return None
    return masker_of(connection).exact(page.decode("utf-8", "replace")).encode()


_BY_OWNER = {"vllm": _vllm, "sglang": _sglang, "llamacpp": _llamacpp}
"""What these write into owned_by (seen with vLLM 0.32; SGLang's and llama.cpp's sources)."""
