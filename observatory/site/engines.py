"""What served a run: the engine's name with the truth about its build, its model, and its settings.

Wherever a page names an engine it does so by engine_name. Rows of the table runs in, words out.
"""

import json
from typing import Any

from observatory.core.distribution import served_by
from observatory.core.run import ReportedSettings
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
    facts = run.facts
    reported = facts.reported
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
            ("Adapters", ", ".join(facts.adapters)),
            ("GPUs", ", ".join(facts.gpus)),
            ("Flags that differ from the defaults", _flags(reported)),
            ("KV cache", _kv_cache(reported)),
            ("Engine ready in", None if reported.init_s is None else f"{reported.init_s:.3g} s"),
            ("Its own log", _log(run)),
        )
        if words not in (None, "")
    ]


def engine_settings(run: RunRow) -> list[tuple[str, str]]:
    """Return the settings as they were resolved, in order of name; empty where none is known."""
    settings = run.facts.settings
    own = {name: value for name, value in settings.items() if name not in _NOT_HERE}
    resolved = {
        name: value
        for name, value in (settings.get("resolved") or {}).items()
        if name not in _HIDDEN_RESOLVED
    }
    return _flat(own | resolved)


_NOT_HERE = _HIDDEN_SETTINGS | {"adapters", "gpus", "arguments", "resolved"}
"""Settings that are shown elsewhere in the block, or nowhere."""
_HIDDEN_RESOLVED = frozenset({"arguments", "init_s", "kv_cache_tokens", "kv_cache_gib", "seed"})
_OF_THE_ADDRESS = frozenset({"host", "port", "model_tag", "uds", "api_key"})
"""Flags with the address that it listens at, or that repeat the model."""


def _flags(reported: ReportedSettings) -> str | None:
    """Return the settings that the engine itself reports as other than its defaults."""
    if reported.arguments is None:
        return None
    given = {name: v for name, v in reported.arguments.items() if name not in _OF_THE_ADDRESS}
    return ", ".join(f"{name} {value}" for name, value in _flat(given)) or "none"


def _kv_cache(reported: ReportedSettings) -> str | None:
    if reported.kv_cache_tokens is None:
        return None
    size = "" if reported.kv_cache_gib is None else f" in {reported.kv_cache_gib:.3g} GiB"
    return f"{reported.kv_cache_tokens:,.0f} tokens{size}"


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


def _log(run: RunRow) -> str | None:
    """Return where the log of an engine that we started lies, from the results folder."""
    if not kind_traits(run.target_kind).keeps_log or not run.folder:
        return None
    targets = json.loads(run.scenario_json or "{}").get("targets") or []
    own = [one for one in targets if isinstance(one, dict) and one.get("name") == run.target]
    if any(one.get("url") for one in own):
        return None
    return f"runs/{run.folder}/logs/engine-{run.target}.log"
