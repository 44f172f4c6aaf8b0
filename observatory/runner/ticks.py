"""Follows the workers' heartbeats while a stage runs: small files, read from where we stopped."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path

from observatory.core.journal import decode_entries, intact_length
from observatory.core.record import WorkerEnd, WorkerStart, WorkerTick

LastWord = WorkerEnd | WorkerTick | None


@dataclass(slots=True)
class WorkerState:
    """The latest entries of one worker; None for one that it has not sent yet."""

    start: WorkerStart | None = None
    tick: WorkerTick | None = None
    before: WorkerTick | None = None
    end: WorkerEnd | None = None
    offset: int = 0


@dataclass(slots=True)
class Heartbeats:
    """All workers of one stage, by their number."""

    journal: Path
    workers: dict[int, WorkerState] = field(default_factory=dict)

    def read(self) -> None:
        """Take in what was written since the last call."""
        for path in sorted(self.journal.glob("worker-*.ticks")):
            state = self.workers.setdefault(int(path.stem.split("-")[1]), WorkerState())
            with path.open("rb") as file:
                file.seek(state.offset)
                data = file.read()
            for entry in decode_entries(data):
                match entry:
                    case WorkerStart():
                        state.start = entry
                    case WorkerTick():
                        state.before, state.tick = state.tick, entry
                    case WorkerEnd():
                        state.end = entry
                    case _:
                        pass
            state.offset += intact_length(data)

    @property
    def began(self) -> int | None:
        """When the first worker began the stage; None before one has."""
        starts = (state.start.stage_started for state in self.workers.values() if state.start)
        return min((start for start in starts if start is not None), default=None)

    @property
    def ends(self) -> list[WorkerEnd]:
        """The workers' last words, of those that had any."""
        return [state.end for state in self.workers.values() if state.end is not None]

    def last_word(self, worker: int) -> LastWord:
        """Return the last entry of one worker: its end, else its latest tick, else None."""
        state = self.workers.get(worker, WorkerState())
        return state.end or state.tick

    @property
    def silent(self) -> list[int]:
        """Return the workers that started and never reported how they ended."""
        return sorted(number for number, state in self.workers.items() if state.end is None)

    def issued(self, worker: int, counted: int | None) -> int:
        """Return how many requests a worker issued: by its end entry, else as counted, else by its latest tick."""
        last = self.last_word(worker)
        if isinstance(last, WorkerEnd) or counted is None:
            return last.issued if last is not None else 0
        return counted

    def count(self, name: str) -> int:
        """Return the sum over workers of a count of their latest entry (issued, recorded, errors ...)."""
        total = 0
        for state in self.workers.values():
            latest = state.end if state.end is not None and hasattr(state.end, name) else state.tick
            total += getattr(latest, name, 0) if latest is not None else 0
        return total

    def ttft_s(self) -> float | None:
        """Return the median of the workers' recent medians, in seconds; for the display alone."""
        recent = [
            state.tick.ttft_recent_ns
            for state in self.workers.values()
            if state.tick is not None and state.tick.ttft_recent_ns is not None
        ]
        return statistics.median(recent) / 1e9 if recent else None

    def tokens_per_s(self) -> float | None:
        """Return the streamed tokens a second over the workers' last interval; for the display alone."""
        rates = [
            (state.tick.streamed_tokens - state.before.streamed_tokens)
            * 1e9
            / (state.tick.at - state.before.at)
            for state in self.workers.values()
            if state.tick is not None
            and state.before is not None
            and state.tick.at > state.before.at
        ]
        return sum(rates) if rates else None
