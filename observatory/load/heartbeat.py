"""What a worker reports once a second: its counts, its CPU time, its lag, its clocks."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent

from observatory.core.record import RequestRecord, WorkerEnd, WorkerTick
from observatory.load.budget import WorkerBudget
from observatory.load.clock_watch import ClockWatch
from observatory.load.pacing import Timer
from observatory.load.refusals import Refusals, likeness

BEAT_S = 1.0
PROBE_NS = 20_000_000
"""How often lag is measured: an absolute instant, against when the loop came to it."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class HeartbeatCounts:
    """Since the stage began. recorded counts issued requests only; refusal: the first one's words."""

    issued: int = 0
    recorded: int = 0
    not_issued: int = 0
    errors: int = 0
    refused: int = 0
    refusal: str | None = None
    streamed_tokens: int = 0
    recent_ttft_ns: list[int] = field(default_factory=list)

    def take(self, records: list[RequestRecord]) -> None:
        """Count requests that were issued and are now in the journal."""
        self.recorded += len(records)
        for record in records:
            attempt = record.attempts[-1]
            if record.outcome != "ok":
                self.errors += 1
                if likeness(attempt):
                    self.refused += 1
                    self.refusal = self.refusal or attempt.error_text
            self.streamed_tokens += attempt.tokens.streamed or 0
            unstreamed = attempt.streamed is False
            if not unstreamed and attempt.first_token is not None and attempt.sent is not None:
                self.recent_ttft_ns.append(attempt.first_token - attempt.sent)


class Heartbeat:
    """Calls `beat` about once a second; `tick` makes the entry from what it measures and its arguments."""

    def __init__(self, clock: ClockWatch, beat: Callable[[], None]) -> None:
        self._clock = clock
        self._cpu_began = time.process_time_ns()
        self._lag_ns = 0
        self._stepped = False
        self._timer: Any = gevent.get_hub().loop.timer(BEAT_S, BEAT_S)
        self._timer.start(beat)
        self._probe = Timer(self._probed)
        self._expected = time.monotonic_ns() + PROBE_NS
        self._probe.arm(self._expected)

    @property
    def cpu_ns(self) -> int:
        """CPU time of this process since the stage was set up."""
        return time.process_time_ns() - self._cpu_began

    def restart(self) -> None:
        """Forget the lag of setting up: the stage begins."""
        self._lag_ns = 0
        self._expected = time.monotonic_ns() + PROBE_NS
        self._probe.arm(self._expected)

    def _probed(self) -> None:
        now = time.monotonic_ns()
        self._lag_ns = max(self._lag_ns, now - self._expected)
        self._stepped |= self._clock.check()
        self._expected = max(self._expected + PROBE_NS, now + PROBE_NS // 2)
        self._probe.arm(self._expected)

    def tick(
        self,
        at: int,
        counts: HeartbeatCounts,
        *,
        in_flight: int,
        decode_queue: int,
        spent_usd: float,
        spent_output_tokens: int,
    ) -> WorkerTick:
        """Return the entry for this interval; the next interval starts here."""
        recent = counts.recent_ttft_ns
        tick = WorkerTick(
            at=at,
            issued=counts.issued,
            recorded=counts.recorded,
            in_flight=in_flight,
            errors=counts.errors,
            cpu_ns=self.cpu_ns,
            loop_lag_ns=self._lag_ns,
            offset_change_ns=self._clock.offset_change_ns,
            clock_step=self._stepped,
            decode_queue=decode_queue,
            rss_bytes=_resident_bytes(),
            streamed_tokens=counts.streamed_tokens,
            ttft_recent_ns=round(statistics.median(recent)) if recent else None,
            spent_usd=spent_usd,
            spent_output_tokens=spent_output_tokens,
        )
        recent.clear()
        self._lag_ns = 0
        self._stepped = False
        return tick

    def end(
        self, at: int, counts: HeartbeatCounts, budget: WorkerBudget, refusals: Refusals
    ) -> WorkerEnd:
        """Return the last entry of a stage that ended as planned."""
        return WorkerEnd(
            at=at,
            issued=counts.issued,
            recorded=counts.recorded,
            not_issued=counts.not_issued,
            cpu_ns=self.cpu_ns,
            reason="complete",
            spent_usd=budget.spent_usd,
            spent_output_tokens=budget.spent_tokens,
            spent_requests=budget.requests,
            assumed_usd=budget.assumed_usd,
            overrun=budget.overrun,
            refused=counts.refused,
            alike=refusals.likeness,
            refusal=counts.refusal,
        )

    def close(self) -> None:
        """Stop."""
        self._timer.close()
        self._probe.close()


def _resident_bytes() -> int:
    """Return the resident bytes of this process; 0 where the system has no figure."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - 10 us, once a second
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
