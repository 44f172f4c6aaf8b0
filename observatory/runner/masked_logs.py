"""Takes the secrets out of a run's logs, in which servers and libraries may have written them.

A runner does so when its run ends. Where it was killed, the next command that seals the run does, with the secrets
of its own environment: keyed hashes, stored with the campaign until then, show whether these are all of them.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from observatory.connect.masking import Masker
from observatory.core.errors import ObservatoryError
from observatory.core.workspace import Workspace
from observatory.store.files import replacing
from observatory.store.folder.target_addresses import secret_hash

LOG_FOLDER = "logs"
"""In a run's folder."""
REMOVED_NAME = "removed.txt"
REMOVED = (
    "The logs of this run were removed: its runner was killed before it took secrets out of them, and they\n"
    "were not all known to the command that sealed the run. Set the same keys before the next command to keep them.\n"
)
_LONGEST_LINE = 1 << 20
"""Characters masked at once: some logs have a progress bar that never ends its line."""


def mask_logs(folder: Path, masker: Masker) -> None:
    """Replace every log that contains one of the masker's secrets. Call when no process writes them.

    A log that cannot be read or replaced is removed: what is in it is not known then.
    """
    for log in sorted(folder.glob("*")):
        try:
            if log.is_file() and any(masker.exact(line) != line for line in _lines(log)):
                with (
                    replacing(log) as part,
                    part.open(
                        "w", encoding="utf-8", errors="surrogateescape", newline=""
                    ) as masked,
                ):
                    masked.writelines(map(masker.exact, _lines(log)))
        except (OSError, ObservatoryError):
            with suppress(OSError):
                log.unlink()


def note_secrets(workspace: Workspace, campaign_id: str, run_id: str, masker: Masker) -> None:
    """Keep keyed hashes of what will have to be taken out, before anything is written to the logs."""
    parts = masker.parts
    needed = [part for part in parts if not any(o in part for o in parts if o != part)]
    path = _hashes_of(workspace, campaign_id, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(msgspec.json.encode([secret_hash(workspace, one) for one in needed]))


def forget_secrets(workspace: Workspace, campaign_id: str, run_id: str) -> None:
    """Remove what note_secrets kept, once the logs are masked."""
    with suppress(OSError):
        _hashes_of(workspace, campaign_id, run_id).unlink()


def mask_logs_of_the_dead(workspace: Workspace, campaign_id: str, folder: Path) -> None:
    """Mask the logs of a run whose process died; remove them where not all of its secrets are known here."""
    logs = folder / LOG_FOLDER
    if not any(log.stat().st_size for log in logs.glob("*")):
        return
    known = Masker(os.environ.values()).parts
    try:
        data = _hashes_of(workspace, campaign_id, folder.name).read_bytes()
        needed = set(msgspec.json.decode(data, type=list[str]))
    except (OSError, msgspec.DecodeError):
        needed = {""}  # of a version that kept none: nothing is known of its secrets
    found = {secret_hash(workspace, part): part for part in known} if needed else {}
    if needed <= found.keys():
        mask_logs(logs, Masker(found[one] for one in needed))
        return
    for log in logs.glob("*"):
        with suppress(OSError):
            log.unlink()
    with suppress(OSError):
        (logs / REMOVED_NAME).write_text(REMOVED, encoding="utf-8")


def _hashes_of(workspace: Workspace, campaign_id: str, run_id: str) -> Path:
    return workspace.campaigns / campaign_id / f"{run_id}.secrets"


def _lines(log: Path) -> Iterator[str]:
    with log.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        while line := lines.readline(_LONGEST_LINE):
            yield line
