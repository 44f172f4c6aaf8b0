"""Who answered: the model and the fingerprint that answers name, inside a run and since the one before.

A service may change both without a word; what was measured is then of two, or of another than before.
"""

from collections.abc import Iterator

import msgspec

from observatory.analysis.checks.findings import as_found, over_limit
from observatory.core.run import Finding, Manifest
from observatory.core.targets.model_names import same_model
from observatory.providers.catalogue import PROVIDERS
from observatory.store.frames import RunFrames

_MOST_NAMED = 20
"""Fingerprints kept of a run, the most frequent first: a service with more has no identity in them."""


def with_identity(manifest: Manifest, frames: RunFrames) -> Manifest:
    """Return the manifest with what the answers named: model_reported (most often), system_fingerprints."""
    models = _named(frames, "model_reported")
    prints = _named(frames, "system_fingerprint")
    target = msgspec.structs.replace(
        manifest.target,
        model_reported=next(iter(models), manifest.target.model_reported),
        system_fingerprints=list(prints)[:_MOST_NAMED],
    )
    return msgspec.structs.replace(manifest, target=target)


def identity_changes(manifest: Manifest, frames: RunFrames) -> Iterator[Finding]:
    """Yield more models than were requested, or several fingerprints; then what differs from the run before."""
    models = _named(frames, "model_reported")
    in_turn = manifest.target.models_in_turn
    wanted = len(set(in_turn)) or 1
    counted = "1 was" if wanted == 1 else f"{wanted} were"
    message = f"{_counted(models)} answered where {counted} requested"
    yield from over_limit("model_changed", len(models) - wanted, message, None)
    yield from _substituted(manifest, models, in_turn)
    prints = _named(frames, "system_fingerprint")
    if len(prints) > 1:
        message = f"answers came from {len(prints)} fingerprints: {_counted(prints)}"
        yield as_found("fingerprint_changed", message, None, len(prints), 1)
    yield from _since(manifest, models, prints)


def _substituted(
    manifest: Manifest, models: dict[str, int], in_turn: list[str]
) -> Iterator[Finding]:
    """Find a run in which no answer names the requested model. Where some answers do, the run is of several
    models and `model_changed` reports it. An engine that the run starts itself serves the files that it was given, and a
    deployment has a name of its own."""
    target = manifest.target
    requested = in_turn or ([target.model] if target.model else [])
    provider = PROVIDERS.get(target.provider or "")
    deployment = provider is not None and provider.names_deployments
    if not models or not requested or deployment or target.model_sha256 is not None:
        return
    if any(same_model(one, name) for one in requested for name in models):
        return
    message = f"{_counted(models)} answered; {', '.join(map(str, requested[:4]))} was requested"
    yield from over_limit("model_substituted", 1.0, message, None)


def _since(manifest: Manifest, models: dict[str, int], prints: dict[str, int]) -> Iterator[Finding]:
    before = manifest.earlier
    if before is None:
        return
    when = f"on {before.created_utc[:10]} (run {before.run_id})"
    if models and before.model_reported and before.model_reported not in models:
        now = next(iter(models))
        yield Finding("model_changed", "note", f"{now} answers; {before.model_reported} did {when}")
    if prints and before.system_fingerprints and not set(prints) & set(before.system_fingerprints):
        now = next(iter(prints))
        then = before.system_fingerprints[0]
        yield as_found("fingerprint_changed", f"the fingerprint is {now}; it was {then} {when}")


def _named(frames: RunFrames, column: str) -> dict[str, int]:
    """Return what the whole answers named, and how many each, the most frequent first."""
    counts = (
        frames.attempts.filter(outcome="ok")
        .drop_nulls(column)
        .group_by(column)
        .len()
        .sort(["len", column], descending=[True, False])
    )
    return dict(counts.iter_rows())


def _counted(named: dict[str, int]) -> str:
    shown = [f"{name} ({count})" for name, count in list(named.items())[:4]]
    more = len(named) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
