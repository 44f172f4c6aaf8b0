"""A worker's journal: whole frames, written unbuffered, never a torn one before another.

What is written here survives the death of this process. A disk that is full is the end of the
stage, not of what was recorded before.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from observatory.core.journal import encode_entry
from observatory.core.record import JournalEntry, RequestRecord, WorkerEnd, WorkerStart, WorkerTick
from observatory.core.stage_counts import StageCounts
from observatory.load.handoff import Handoff


class JournalFailed(Exception):
    """The journal cannot be written; the text has the reason."""


class _File:
    """One append-only file that must not exist before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except FileExistsError as error:
            raise JournalFailed(f"{path.name} exists: this slice has already run") from error
        except OSError as error:
            raise JournalFailed(f"{path} cannot be written: {error.strerror}") from error
        self._length = 0

    def append(self, entries: Iterable[JournalEntry]) -> None:
        """Append all of them or, where the disk refuses, none: a part that was written is cut off again."""
        data = b"".join(map(encode_entry, entries))
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            os.ftruncate(self._descriptor, self._length)
            raise JournalFailed(f"{self._path} cannot be written: {error.strerror}") from error
        self._length += len(data)

    def close(self) -> None:
        os.close(self._descriptor)


class Recorder:
    """worker-K.requests and worker-K.ticks in the stage's journal folder."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._ticks = _File(folder / f"worker-{worker}.ticks")
        self._requests = _File(folder / f"worker-{worker}.requests")

    def requests(self, records: list[RequestRecord]) -> None:
        """Append records; JournalFailed where that is impossible."""
        self._requests.append(records)

    def beat(self, entry: WorkerStart | WorkerTick | WorkerEnd) -> None:
        """Append a heartbeat; JournalFailed as above."""
        self._ticks.append([entry])

    def close(self) -> None:
        """Close both files."""
        self._ticks.close()
        self._requests.close()


def open_counts(handoff: Handoff) -> StageCounts:
    """Return the counts of the stage's workers that outlive them; JournalFailed where the disk refuses."""
    try:
        return StageCounts(Path(handoff.journal), handoff.workers)
    except OSError as error:
        raise JournalFailed(
            f"{handoff.journal}.counts cannot be written: {error.strerror}"
        ) from error
