"""What the workers of a stage count so that it outlives them: a file that each maps into its memory.

A heartbeat is up to a second old when its worker is killed; these counts are of the last request. A count
costs its worker one store into memory: no system call, and no message.
"""

import mmap
import os
from contextlib import suppress
from pathlib import Path

from observatory.core.caps_spent import CapsSpent

ISSUED, ENDED, REFUSED, LIKENESS, REFUSED_SINCE, TRIES, OUTPUT_TOKENS, NANO_USD = range(8)
"""Places of a worker's counts. issued: requests handed to users; ended: answers that ended, refusals
included; refused: those that were refused alike; likeness: what the refusals have in common, as a number;
refused_since: when its first refusal was counted (CLOCK_MONOTONIC, nanoseconds), OTHERWISE once anything else
has come. attempts, output_tokens, nano_usd: what of its caps was spent when it last sent a request, what was in
flight at its worst; they stay 0 without caps."""
OTHERWISE = -1
"""As refused_since: the service accepted a request, ended or not, or refused one in another way."""
EMPTY_ALIKE = 4
"""The likeness of answers with nothing in them."""
_WIDTH = 8
_BYTES = 8


def counts_path(journal: Path) -> Path:
    """Return the path of the file, next to the stage's journal folder; in a run it is kept with the journals."""
    return journal.with_name(f"{journal.name}.counts")


class StageCounts:
    """All workers' counts of one stage; each writes only its own. OSError where the disk refuses."""

    def __init__(self, journal: Path, workers: int) -> None:
        size = workers * _WIDTH * _BYTES
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(counts_path(journal), flags, 0o644)
        try:
            # A store into a page that has no room on the disk would be the end of the process.
            os.posix_fallocate(descriptor, 0, size)
            self._mapped = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._all = memoryview(self._mapped).cast("q")
        self._workers = workers

    def of(self, worker: int) -> memoryview:
        """Return one worker's counts, by the places above."""
        return self._all[worker * _WIDTH : (worker + 1) * _WIDTH]

    def others(self, worker: int) -> list[memoryview]:
        """Return the counts of every other worker."""
        return [self.of(number) for number in range(self._workers) if number != worker]


def issued_by_worker(journal: Path) -> dict[int, int]:
    """Return how many requests each worker had issued, to the last; empty where nothing was counted."""
    return {worker: counts[ISSUED] for worker, counts in enumerate(read_counts(journal))}


def spent_of_caps(journal: Path) -> CapsSpent | None:
    """Return all workers' spending; None: not counted."""
    counts = read_counts(journal)
    if not counts:
        return None
    usd = sum(own[NANO_USD] for own in counts) / 1e9
    return CapsSpent(
        requests=sum(own[TRIES] for own in counts),
        output_tokens=sum(own[OUTPUT_TOKENS] for own in counts),
        usd=usd,
        assumed_usd=usd,
    )


def read_counts(journal: Path) -> list[list[int]]:
    """Return every worker's counts, by the places above; empty where nothing was counted."""
    data = b""
    with suppress(OSError):
        data = counts_path(journal).read_bytes()
    counts = memoryview(data[: len(data) // (_WIDTH * _BYTES) * _WIDTH * _BYTES]).cast("q")
    return [counts[place : place + _WIDTH].tolist() for place in range(0, len(counts), _WIDTH)]
