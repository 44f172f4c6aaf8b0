"""Run folders under results/runs: made, listed, labelled, found by what a person calls them."""

import re
from dataclasses import dataclass
from pathlib import Path

from observatory.core.errors import BadInput, ObservatoryError
from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.store.folder.annotations import annotate, label_of
from observatory.store.folder.manifest import (
    check_folder_name,
    read_manifest,
    run_folders,
)
from observatory.store.folder.run_lock import is_running
from observatory.store.folder.seals import changed_since_sealed

LAST_STATUSES = ("complete", "budget_reached", "interrupted")
LAST = "last"
_LABEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$")


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run folder: its manifest, or the problem that keeps it from being read."""

    folder: Path
    manifest: Manifest | None
    label: str | None
    running: bool
    problem: str | None = None
    changed: str | None = None
    """What has changed since it was sealed, as far as the manifest alone shows."""

    @property
    def run_id(self) -> str:
        """The run's name, which is its folder's."""
        return self.folder.name

    @property
    def state(self) -> str:
        """running (a live process writes it), unsealed (none does), else its status."""
        if self.manifest is None:
            return "unreadable"
        if self.running:
            return "running"
        return self.manifest.status if self.manifest.sealed else "unsealed"


def list_runs(workspace: Workspace) -> list[RunEntry]:
    """Return every run folder by time of creation, read from disk: no database is needed."""
    entries = [_entry(folder) for folder in run_folders(workspace)]
    return sorted(entries, key=lambda entry: (_created(entry), entry.run_id))


def _entry(folder: Path) -> RunEntry:
    try:
        manifest = read_manifest(folder)
        check_folder_name(folder, manifest)
        label = label_of(folder, manifest)
    except ObservatoryError as error:
        return RunEntry(folder, None, None, is_running(folder), str(error))
    changed = changed_since_sealed(folder)
    return RunEntry(folder, manifest, label, is_running(folder), changed=changed)


def _created(entry: RunEntry) -> str:
    return entry.manifest.created_utc if entry.manifest is not None else ""


def set_label(folder: Path, label: str | None) -> None:
    """Give a run a label, or take it away (None); it is a file next to the sealed ones."""
    if label is not None:
        check_label(label)
    annotate(folder, label=label)


def check_label(label: str) -> None:
    """Raise BadInput where a label could be taken for another name, or not be typed."""
    if label == LAST or not _LABEL.match(label):
        raise BadInput(
            f"{label!r} cannot be a label",
            fix="letters, digits, spaces and . _ - (at most 63, not `last`)",
        )


def resolve_runs(workspace: Workspace, text: str) -> list[str]:
    """Return the run ids that a person means: a run id, a campaign id, a label, or `last`.

    `last` is the latest campaign that ended and holds a run that was measured (LAST_STATUSES): its
    sealed runs, also while another one runs. BadInput where nothing fits.
    """
    entries = list_runs(workspace)
    readable = [entry for entry in entries if entry.manifest is not None]
    if not entries:
        raise BadInput(
            "there are no runs yet",
            where=str(workspace.runs),
            fix="observatory run quickstart, or point --results at another folder",
        )
    if text == LAST:
        return _last(workspace, readable)
    found = [entry.run_id for entry in entries if entry.run_id == text]
    found = found or [e.run_id for e in readable if e.manifest and e.manifest.campaign_id == text]
    found = found or [entry.run_id for entry in readable if entry.label == text]
    if not found:
        raise BadInput(
            f"no run, campaign or label is called {text!r}",
            where=str(workspace.runs),
            fix="observatory runs list",
        )
    return found


def _last(workspace: Workspace, entries: list[RunEntry]) -> list[str]:
    """Return the sealed runs of the latest campaign that is over and was measured."""
    known = [(entry, entry.manifest) for entry in entries if entry.manifest is not None]
    going_on = {manifest.campaign_id for entry, manifest in known if entry.running}
    for entry, manifest in reversed(known):
        measured = manifest.sealed and manifest.status in LAST_STATUSES
        if manifest.campaign_id in going_on or is_running(
            workspace.campaigns / manifest.campaign_id  # a matrix between two of its runs
        ):
            continue
        if measured and not entry.running:
            own = [one for one in known if one[1].campaign_id == manifest.campaign_id]
            return [one.run_id for one, its in own if its.sealed]
    raise BadInput(
        "no run has been measured to its end yet",
        where=str(workspace.runs),
        fix="observatory runs list shows those that there are",
    )
