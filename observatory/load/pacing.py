"""Things done on time: due instants kept to some tens of microseconds, under gevent.

Loop timers sleep in whole milliseconds, so the wake-up is a timerfd armed a little early, and the
rest is spun away; the spin is bounded, for nothing is read meanwhile. Times are CLOCK_MONOTONIC.
"""

import ctypes
import heapq
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import gevent

from observatory.load.reading.kernel_stamps import LINUX

EARLY_NS = 100_000
"""How long before the due instant the timer fires; covers the wake-up, measured 30 to 90 us."""
IDLE_EARLY_NS = 300_000
"""The same after IDLE_NS without an alarm: a core that has gone to sleep wakes later, and its caches
have gone to others."""
IDLE_NS = 5_000_000
TURN_NS = 300_000
"""Due work done in one go before the loop may read again."""
_CLOCK_MONOTONIC = 1
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1


class Timer:
    """One absolute wake-up: a timerfd watched by the loop, or a loop timer where there is none."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._loop = gevent.get_hub().loop
        self._callback = callback
        self._descriptor: int | None = None
        if LINUX:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS)
            self._spec = (ctypes.c_long * 4)()  # struct itimerspec: interval, value
            self._watcher: Any = self._loop.io(self._descriptor, 1)
            self._watcher.priority = self._loop.MAXPRI
            self._watcher.start(self._fired)
        else:
            self._watcher = None

    def arm(self, due_ns: int) -> None:
        """Fire once at that monotonic instant, or at once where it has passed."""
        if self._descriptor is None:
            if self._watcher is not None:
                self._watcher.close()
            self._watcher = self._loop.timer(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            self._watcher.start(self._callback)
            return
        self._spec[2], self._spec[3] = divmod(max(due_ns, 1), 10**9)
        self._libc.timerfd_settime(
            self._descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None
        )

    def _fired(self) -> None:
        try:
            os.read(self._descriptor or 0, 8)
        except BlockingIOError:
            return  # armed again since
        self._callback()

    def close(self) -> None:
        """Stop for good."""
        if self._watcher is not None:
            self._watcher.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class AlarmClock:
    """Calls functions at monotonic instants, in the hub: they must not block.

    failed gets what one of them raises; the others are called all the same.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._timer = Timer(self._ring)
        self._armed: int | None = None
        self._early_ns = EARLY_NS
        self._closed = False

    def call_at(self, due_ns: int, function: Callable[[], None]) -> None:
        """Call `function` at that instant, or soon where it has passed."""
        if self._closed:
            return
        heapq.heappush(self._due, (due_ns, next(self._order), function))
        if self._armed is None or due_ns < self._armed:
            self._arm(due_ns)

    def _arm(self, due_ns: int) -> None:
        self._armed = due_ns
        idle = due_ns - time.monotonic_ns() > IDLE_NS
        self._early_ns = IDLE_EARLY_NS if idle else EARLY_NS
        self._timer.arm(due_ns - self._early_ns)

    def _ring(self) -> None:
        due = self._due
        began = now = time.monotonic_ns()
        self._armed = -1  # what is called may set alarms: they are armed below
        while due and due[0][0] - now <= self._early_ns and now - began < TURN_NS:
            at, _, function = heapq.heappop(due)
            while now < at:
                now = time.monotonic_ns()
            try:
                function()
            except Exception as error:
                self._failed(error)
            now = time.monotonic_ns()
        self._armed = None
        if due:
            self._arm(due[0][0])

    def close(self) -> None:
        """Drop every alarm, those to come too."""
        self._closed = True
        self._due.clear()
        self._timer.close()
