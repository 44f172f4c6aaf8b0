"""An asyncio loop whose timers are good to the kernel's, not to epoll's whole milliseconds.

epoll_wait takes milliseconds and asyncio rounds up, so that a timer fires up to 1 ms late; here a
timerfd, polled with the sockets, wakes it instead (Linux; elsewhere the ordinary loop).
"""

import asyncio
import contextlib
import ctypes
import os
import selectors
import sys
import time

if sys.platform == "linux":

    class _TimerSelector(selectors.EpollSelector):
        """epoll with a timerfd among its files, armed for each wait that has an end."""

        def __init__(self) -> None:
            super().__init__()
            self._libc = ctypes.CDLL(None, use_errno=True)
            # TFD_NONBLOCK and TFD_CLOEXEC are the O_ flags (timerfd_create(2)); os.timerfd_create
            # is Python 3.13.
            self._timer: int = self._libc.timerfd_create(
                time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC
            )
            if self._timer < 0:
                raise OSError(ctypes.get_errno(), "timerfd_create")
            self._spec = (ctypes.c_int64 * 4)()  # struct itimerspec: interval, value
            self.register(self._timer, selectors.EVENT_READ)

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0:
                seconds, fraction = divmod(timeout, 1.0)
                self._spec[2] = int(seconds)
                self._spec[3] = max(1, int(fraction * 1e9))  # all zeros would disarm it
                self._libc.timerfd_settime(self._timer, 0, self._spec, None)
                timeout = None
            ready = super().select(timeout)
            for place, (key, _) in enumerate(ready):
                if key.fd == self._timer:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._timer, 8)
                    del ready[place]
                    break
            return ready

        def close(self) -> None:
            super().close()
            if self._timer >= 0:
                os.close(self._timer)
                self._timer = -1


def new_precise_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop, not yet set; the caller runs and closes it (asyncio.Runner does)."""
    if sys.platform == "linux":
        return asyncio.SelectorEventLoop(_TimerSelector())
    return asyncio.new_event_loop()
