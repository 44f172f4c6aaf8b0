"""Takes the secrets out of a finished run's logs, in which servers and libraries may have written them."""

from contextlib import suppress
from pathlib import Path

from observatory.core.errors import ObservatoryError
from observatory.endpoints.masking import Masker
from observatory.store.files import replacing

LOG_FOLDER = "logs"
"""In a run's folder."""
_LONGEST_LINE = 1 << 20
"""Characters masked at once: some logs have a progress bar that never ends its line."""


def mask_logs(folder: Path, masker: Masker) -> None:
    """Replace every log in which one of the masker's secrets stands. Call when nobody writes them.

    A log that cannot be read or replaced is removed: what is in it is not known then.
    """
    for log in sorted(folder.glob("*")):
        try:
            if log.is_file() and _holds_any(log, masker):
                with replacing(log) as part:
                    _copy(log, part, masker)
        except (OSError, ObservatoryError):
            with suppress(OSError):
                log.unlink()


def _holds_any(log: Path, masker: Masker) -> bool:
    with log.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        while line := lines.readline(_LONGEST_LINE):
            if masker.exact(line) != line:
                return True
    return False


def _copy(log: Path, part: Path, masker: Masker) -> None:
    with (
        log.open(encoding="utf-8", errors="surrogateescape", newline="") as lines,
        part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as masked,
    ):
        while line := lines.readline(_LONGEST_LINE):
            masked.write(masker.exact(line))
