"""What served a run: the engine's name with the truth about its build, its model, and its settings.

Wherever a page names an engine it does so by engine_name. Rows of the table runs in, words out.
"""

import json
from typing import Any

from observatory.core.distribution import served_by
from observatory.core.targets.catalogue import kind_traits
from observatory.site.queries.run_row import RunRow

_HIDDEN_SETTINGS = frozenset({"headers", "query", "extra_body", "api_key", "environment"})
"""Settings of the connection to the endpoint, or that may hold something private."""
_BILLIONS, _MILLIONS = 1e9, 1e6


def engine_name(run: RunRow) -> str | None:
    """Return the engine as every page calls it; None where none is known."""
    return served_by(run.engine, run.engine_version, run.engine_distribution, kind=run.target_kind)


def engine_facts(run: RunRow) -> list[tuple[str, str]]:
    """Return engine, build and model as (term, words); what is not known is left out."""
    settings = _settings(run)
    return [
        (term, str(words))
        for term, words in (
            ("Engine", engine_name(run)),
            ("Wheel, SHA-256", run.engine_sha256),
            ("Model", run.model),
            ("Model as reported", _other(run.model_reported, run.model)),
            ("Revision", run.model_revision),
            ("Weights, SHA-256", run.model_sha256),
            ("Parameters", parameters_in_words(run.parameters)),
            ("Weight format", run.weight_format),
            ("Computes in", run.dtype),
            ("Quantisation", run.quantization),
            ("Licence", run.license),
            ("Tokenizer", run.tokenizer),
            ("Adapters", _adapters(settings.get("adapters"))),
            ("GPUs", _listed(settings.get("gpus"))),
            ("Flags that differ from the defaults", _flags(settings)),
            ("KV cache", _kv_cache(_resolved(settings))),
            ("Engine ready in", _seconds(_resolved(settings).get("init_s"))),
            ("Its own log", _log(run)),
        )
        if words not in (None, "")
    ]


def engine_settings(run: RunRow) -> list[tuple[str, str]]:
    """Return the settings as they were resolved, in order of name; empty where none is known."""
    settings = _settings(run)
    own = {name: value for name, value in settings.items() if name not in _NOT_HERE}
    resolved = {
        name: value for name, value in _resolved(settings).items() if name not in _HIDDEN_RESOLVED
    }
    return _flat(own | resolved)


_NOT_HERE = _HIDDEN_SETTINGS | {"adapters", "gpus", "arguments", "resolved"}
"""Settings that are shown elsewhere in the block, or nowhere."""
_HIDDEN_RESOLVED = frozenset({"arguments", "init_s", "kv_cache_tokens", "kv_cache_gib", "seed"})
_OF_THE_ADDRESS = frozenset({"host", "port", "model_tag", "uds", "api_key"})
"""Flags with the address that it listens at, or that repeat the model."""


def _settings(run: RunRow) -> dict[str, Any]:
    facts = json.loads(run.target_facts or "{}")
    settings = facts.get("settings")
    return settings if isinstance(settings, dict) else {}


def _resolved(settings: dict[str, Any]) -> dict[str, Any]:
    found = settings.get("resolved")
    return found if isinstance(found, dict) else {}


def _flags(settings: dict[str, Any]) -> str | None:
    """Return the settings that the engine itself reports as other than its defaults."""
    given = _resolved(settings).get("arguments")
    if not isinstance(given, dict):
        return None
    named = _flat({name: value for name, value in given.items() if name not in _OF_THE_ADDRESS})
    return ", ".join(f"{name} {value}" for name, value in named) or "none"


def _kv_cache(resolved: dict[str, Any]) -> str | None:
    tokens, gib = resolved.get("kv_cache_tokens"), resolved.get("kv_cache_gib")
    if not isinstance(tokens, int | float):
        return None
    size = f" in {gib:.3g} GiB" if isinstance(gib, int | float) else ""
    return f"{tokens:,.0f} tokens{size}"


def _flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in sorted(settings.items()):
        if value is None or value in ({}, []):
            continue
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name.replace('_', ' ')}, ")
        else:
            found.append((f"{prefix}{name.replace('_', ' ')}", _written(value)))
    return found


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(_written(item) for item in value)
    text = str(value)
    if text.startswith(("/", "~/")):  # where a file is on a machine is private
        return text.rstrip("/").rsplit("/", 1)[-1]
    return text


def parameters_in_words(parameters: int | None) -> str | None:
    """Return a model's size as people write it, with the count: "135 M (134,515,008)"."""
    if parameters is None:
        return None
    unit, scale = ("B", _BILLIONS) if parameters >= _BILLIONS else ("M", _MILLIONS)
    return f"{parameters / scale:.3g} {unit} ({parameters:,})"


def _other(reported: str | None, requested: str | None) -> str | None:
    return reported if reported != requested else None


def _adapters(adapters: Any) -> str | None:
    if not isinstance(adapters, list):
        return None
    names = [item.get("name", "") if isinstance(item, dict) else item for item in adapters]
    return ", ".join(str(name) for name in names) or None


def _listed(value: Any) -> str | None:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else value


def _seconds(value: Any) -> str | None:
    return f"{value:.3g} s" if isinstance(value, int | float) else None


def _log(run: RunRow) -> str | None:
    """Return where the log of an engine that we started lies, from the results folder."""
    if not kind_traits(run.target_kind).keeps_log or not run.folder:
        return None
    targets = json.loads(run.scenario_json or "{}").get("targets") or []
    own = [one for one in targets if isinstance(one, dict) and one.get("name") == run.target]
    if any(one.get("url") for one in own):
        return None
    return f"runs/{run.folder}/logs/engine-{run.target}.log"
