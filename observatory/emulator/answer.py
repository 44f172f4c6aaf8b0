"""When each byte of one emulated answer leaves: it plays a script at absolute deadlines.

Every step is due a gap after the step before was due, so that a late timer delays one write and
never the ones after it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from observatory.emulator.load import DelayFactor, Slots
from observatory.emulator.script import Ending, Stretch, WriteStep
from observatory.emulator.truth import Trace, WriteLateness


@dataclass(eq=False, kw_only=True, slots=True)
class EmulatedAnswer:
    """One answer in progress, from its request's arrival to its last byte.

    script returns the steps when the answer has its slot. send writes bytes to the client;
    ended is called once, after the last of them, with how the connection ends; not after cancel.
    """

    script: Callable[[], Iterator[WriteStep]]
    slots: Slots
    pace: DelayFactor
    lateness: WriteLateness
    trace: Trace | None
    send: Callable[[bytes], None]
    ended: Callable[[Ending | None], None]
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _due: float = 0.0
    _queued: bool = False
    _streaming: bool = False
    _steps: Iterator[WriteStep] | None = None
    _next: WriteStep | None = None
    _timer: asyncio.TimerHandle | None = None
    _comments: asyncio.TimerHandle | None = None

    def begin(self, arrived_s: float) -> None:
        """Queue for a slot; arrived_s, of the loop's clock, is when the request was fully read."""
        self._due = arrived_s
        self.slots.take(self._start)
        self._queued = self._steps is None

    def cancel(self) -> None:
        """Called when the client is gone: stop sending and free the slot."""
        if self.slots.forget(self._start):
            return
        self._stop_timers()
        self.slots.give_back()

    def keep_alive(self, data: bytes, every_s: float) -> None:
        """Write this, too, every so often between events, from the stream's head on."""

        def again() -> None:
            if self._streaming and not (self._next is not None and self._next.inside):
                self.send(data)
            self._comments = self._loop.call_later(every_s, again)

        self._comments = self._loop.call_later(every_s, again)

    def _start(self) -> None:
        now = self._loop.time()
        if self._queued:
            self._due = now
        if self.trace is not None:
            self.trace.started_ns = time.time_ns()
        self._steps = self.script()
        self._advance(self._steps)
        if self._due <= now and not self._queued:
            self._play(now)
        else:
            # One that waited was called by the end of another: not within it, or a long queue of
            # short answers would exhaust the stack.
            self._timer = self._loop.call_at(self._due, self._fire)

    def _advance(self, steps: Iterator[WriteStep]) -> None:
        """Take the next step and fix its deadline."""
        step = self._next = next(steps, None)
        if step is not None and step.gap_s:
            self._due += step.gap_s if self.pace.even else step.gap_s * self._times(step.stretch)

    def _times(self, stretch: Stretch) -> float:
        match stretch:
            case "load":
                return self.pace.by_load()
            case "drift":
                return self.pace.by_time()
        return 1.0

    def _fire(self) -> None:
        # It is due because its timer fired, even if the clock reads slightly less.
        self._play(max(self._loop.time(), self._due))

    def _play(self, now: float) -> None:
        """Write every step that is due; those that are due together leave in one write."""
        assert self._steps is not None
        data, events, tokens, since = b"", 0, 0, self._due
        while (step := self._next) is not None and self._due <= now:
            _, more, _, more_events, more_tokens, alone, _, ending = step
            if alone and data:
                self._write(data, events, tokens, since)
                data, events, tokens = b"", 0, 0
            if data:
                data += more
            else:
                data, since = more, self._due
            events += more_events
            tokens += more_tokens
            if ending is not None:
                self._write(data, events, tokens, since)
                self._finish(ending)
                return
            if alone:
                self._write(data, events, tokens, since)
                data, events, tokens = b"", 0, 0
            self._advance(self._steps)
        self._write(data, events, tokens, since)
        if self._next is None:
            self._finish(None)
        else:
            self._timer = self._loop.call_at(self._due, self._fire)

    def _write(self, data: bytes, events: int, tokens: int, due: float) -> None:
        if not data:
            return
        late_s = self._loop.time() - due
        self.lateness.add(late_s)
        if self.trace is not None:
            self.trace.writes.append((time.time_ns(), round(late_s * 1e9), events, tokens))
        self.send(data)
        self._streaming = self._streaming or events > 0
        self.slots.generated_tokens += tokens

    def _finish(self, ending: Ending | None) -> None:
        self._stop_timers()
        self.slots.give_back()
        self.ended(ending)

    def _stop_timers(self) -> None:
        self._steps = None
        for timer in (self._timer, self._comments):
            if timer is not None:
                timer.cancel()
