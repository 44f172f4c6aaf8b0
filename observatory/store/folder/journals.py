"""The journals of a run folder: which there are, and their entries, read without loading a file.

A torn tail is what a killed worker leaves: it is counted, never an error.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast

import msgspec

from observatory.core.errors import EnvironmentFailed
from observatory.core.journal import decode_entries, decode_samples, intact_length
from observatory.core.record import JournalEntry
from observatory.core.sample import Sample
from observatory.store.files import disk_error

JOURNAL_FOLDER = "journal"
Kind = Literal["requests", "ticks"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerJournal:
    """One file that one worker wrote in one stage."""

    path: Path
    stage: int
    worker: int


def worker_journals(folder: Path, kind: Kind) -> list[WorkerJournal]:
    """Return the journals of a run folder by stage, then worker; other files are left alone."""
    found = []
    for path in (folder / JOURNAL_FOLDER).glob(f"stage-*/worker-*.{kind}"):
        stage = path.parent.name.removeprefix("stage-")
        worker = path.stem.removeprefix("worker-")
        if stage.isdecimal() and worker.isdecimal():
            found.append(WorkerJournal(path, int(stage), int(worker)))
    return sorted(found, key=lambda journal: (journal.stage, journal.worker))


def entries(path: Path) -> Iterator[JournalEntry]:
    """Yield every whole entry; EnvironmentFailed where one is not of this version's kind."""
    yield from _decoded(path, decode_entries)


def samples(path: Path) -> Iterator[Sample]:
    """Yield every whole sample of a samples journal; EnvironmentFailed as in entries."""
    yield from _decoded(path, decode_samples)


def torn_bytes(path: Path) -> int:
    """Return bytes after the last whole entry, 0 in a journal that was closed in order."""
    with _mapped(path) as data:
        return len(data) - intact_length(data)


@contextmanager
def _mapped(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes without reading them all: a map slices and unpacks as bytes do."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                yield b""
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield cast(bytes, mapped)
    except OSError as error:
        raise disk_error(error, path) from error


def _decoded(path: Path, decode: Callable[[bytes], Iterator[T]]) -> Iterator[T]:
    with _mapped(path) as data:
        try:
            yield from decode(data)
        except msgspec.MsgspecError as error:
            raise EnvironmentFailed(
                f"an entry cannot be understood: {error}",
                where=str(path),
                fix="seal it with the version of the observatory that wrote it",
            ) from error
