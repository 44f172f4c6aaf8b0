"""What the emulator really did and when: its lateness against its own deadlines, and the truth log.

docs/emulator.md documents the log's lines. Nothing here decides anything about an answer.
"""

import time
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from observatory.core.errors import EnvironmentFailed

TRUTH_FORMAT = 1
BUFFER_BYTES = 1 << 16
"""Bytes of lines kept before they are written: some 20 us of the server's time, once in many
requests."""
_A_SECOND = 1_000_000
_BUCKETS = 100_000
"""Buckets of a microsecond: quantiles are exact to one up to 0.1 s; the maximum is kept apart."""


class WriteLateness:
    """How late writes were against their deadlines."""

    def __init__(self) -> None:
        self._counts = [0] * (_BUCKETS + 1)
        self._writes = 0
        self._max_s = 0.0

    def add(self, late_s: float) -> None:
        """Count one write; an early one has no lateness."""
        place = int(late_s * _A_SECOND)
        self._counts[place if 0 <= place < _BUCKETS else _BUCKETS if place > 0 else 0] += 1
        self._writes += 1
        if late_s > self._max_s:
            self._max_s = late_s

    def quantile_s(self, share: float) -> float | None:
        """Return the lateness that this share of writes did not exceed, to a microsecond; None without any."""
        if not self._writes:
            return None
        rank, seen = max(1, -int(-share * self._writes // 1)), 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return self._max_s if place == _BUCKETS else min(self._max_s, (place + 1) * 1e-6)
        return self._max_s

    def summary(self) -> dict[str, Any]:
        """Return the writes, and seconds late at p50, p99 and the most; null without a write."""
        most = self._max_s if self._writes else None
        return {
            "writes": self._writes,
            "p50_s": self.quantile_s(0.5),
            "p99_s": self.quantile_s(0.99),
            "max_s": most,
        }


class Trace(msgspec.Struct, eq=False):
    """What happened to one request; instants are CLOCK_REALTIME nanoseconds.

    writes: (instant just before the write, nanoseconds late, events in it, tokens in it).
    """

    read_ns: int
    facts: dict[str, Any]
    started_ns: int | None = None
    writes: list[tuple[int, int, int, int]] = []


class TruthLog:
    """A file of JSON lines: what it is first, a line for each request, its lateness last."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        try:
            self._file: BinaryIO = path.open("wb", buffering=BUFFER_BYTES)
        except OSError as problem:
            raise EnvironmentFailed(
                f"the truth log cannot be written: {problem.strerror}", where=str(path)
            ) from problem
        self._encode = msgspec.json.Encoder().encode
        self._requests = 0
        self._line({"truth": TRUTH_FORMAT, "clock": "CLOCK_REALTIME", **about})

    def request(self, trace: Trace, **more: Any) -> None:
        """Log a request that is over."""
        self._requests += 1
        self._line(
            {
                **trace.facts,
                "read_ns": trace.read_ns,
                "started_ns": trace.started_ns,
                "ended_ns": time.time_ns(),
                **more,
                "writes": trace.writes,
            }
        )

    def close(self, lateness: WriteLateness) -> None:
        """Write the last line and close the file."""
        self._line({"end": True, "requests": self._requests, "lateness": lateness.summary()})
        self._file.close()

    def _line(self, value: dict[str, Any]) -> None:
        self._file.write(self._encode(value) + b"\n")
