"""The latest earlier run of the same target, by the run folders: who answered it.

It reads manifests, the newest first, and no more of them than a person would wait for.
"""

from observatory.core.errors import ObservatoryError
from observatory.core.run import EarlierRun, Manifest
from observatory.core.workspace import Workspace
from observatory.store.folder.manifest import read_manifest, run_folders

_MOST_READ = 200
"""Manifests; each takes well under a millisecond."""


def earlier_run(workspace: Workspace, manifest: Manifest) -> EarlierRun | None:
    """Return what answered it; None where no sealed run of this target, model and address is among the last.

    The address of a target that we start ourselves differs each time and is not compared.
    """
    own = _identity(manifest)
    # A run's name begins with the moment it was made (runner.members.unique_name).
    newest = sorted(run_folders(workspace), key=lambda folder: folder.name, reverse=True)
    for folder in newest[:_MOST_READ]:
        if folder.name == manifest.run_id:
            continue
        try:
            found = read_manifest(folder)
        except ObservatoryError:
            continue
        if not found.sealed or found.created_utc > manifest.created_utc or _identity(found) != own:
            continue
        target = found.target
        if target.model_reported is None and not target.system_fingerprints:
            continue
        return EarlierRun(
            run_id=found.run_id,
            created_utc=found.created_utc,
            model_reported=target.model_reported,
            system_fingerprints=target.system_fingerprints,
        )
    return None


def _identity(manifest: Manifest) -> tuple[str | None, ...]:
    target = manifest.target
    here = target.on_this_host or target.emulated
    return (target.name, target.kind, target.model, None if here else target.endpoint)
