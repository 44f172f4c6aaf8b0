"""A worker's journal: whole frames, written unbuffered, never a torn one before another.

What is written here survives the death of this process. A disk that is full is the end of the
stage, not of what was recorded before.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from observatory.core.journal import encode_entry
from observatory.core.record import JournalEntry, RequestRecord, WorkerEnd, WorkerStart, WorkerTick
from observatory.core.stage_counts import ISSUED, StageCounts
from observatory.load.admission import Admission
from observatory.load.clock_watch import ClockWatch
from observatory.load.handoff import Handoff
from observatory.load.heartbeat import Heartbeat, HeartbeatCounts
from observatory.load.refusals import Refusals

Ending = Literal["complete", "interrupted", "budget_reached", "crashed"]


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


class StageJournal:
    """Owns the files, the counts and the heartbeat. What writes raises JournalFailed where the disk refuses.

    lasting: where the count of issued requests outlives this process (core.stage_counts). beat is called
    about once a second. recorded gets every record written (plain Locust's statistics).
    """

    def __init__(
        self,
        handoff: Handoff,
        worker: int,
        clock: ClockWatch,
        lasting: memoryview,
        beat: Callable[[], None],
        recorded: Callable[[RequestRecord], None] | None,
    ) -> None:
        """Raise JournalFailed also where the slice has already run."""
        self.counts = HeartbeatCounts()
        self._handoff = handoff
        self._worker = worker
        self._lasting = lasting
        self._recorder = Recorder(Path(handoff.journal), worker)
        self._recorded = recorded
        self._heartbeat = Heartbeat(clock, beat)

    def begin(self, started: int) -> None:
        """Write that the stage begins at that instant (nanoseconds from the anchor)."""
        self._heartbeat.restart()
        entry = WorkerStart(
            worker=self._worker,
            pid=os.getpid(),
            stage=self._handoff.stage.index,
            at=self._handoff.anchor.now(),
            stage_started=started,
        )
        self._recorder.beat(entry)

    def issued(self) -> None:
        """Count a request that goes out."""
        counts = self.counts
        counts.issued = self._lasting[ISSUED] = counts.issued + 1

    def write(self, records: list[RequestRecord], *, issued: bool) -> None:
        """Write records, all of requests that were issued or all of such as were not."""
        self._recorder.requests(records)
        if issued:
            self.counts.take(records)
        else:
            self.counts.not_issued += len(records)
        if self._recorded is not None:
            for record in records:
                self._recorded(record)

    def beat(self, admission: Admission, queued: int) -> None:
        """Write a heartbeat; queued: ended requests that are not decoded yet."""
        budget = admission.budget
        tick = self._heartbeat.tick(
            self._handoff.anchor.now(),
            self.counts,
            in_flight=admission.in_flight,
            decode_queue=queued,
            spent_usd=budget.spent_usd,
            spent_output_tokens=budget.spent_tokens,
        )
        self._recorder.beat(tick)

    def end(
        self,
        admission: Admission,
        refusals: Refusals,
        queued: int,
        reason: Ending,
        detail: str | None,
    ) -> None:
        """Write the last heartbeat, and how the stage ended."""
        now = self._handoff.anchor.now()
        end = self._heartbeat.end(now, self.counts, admission.budget, refusals)
        self.beat(admission, queued)
        self._recorder.beat(replace(end, reason=reason, detail=detail))

    def close(self) -> None:
        """Close the files and stop the heartbeat."""
        self._recorder.close()
        self._heartbeat.close()
