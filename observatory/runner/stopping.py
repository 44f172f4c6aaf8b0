"""A person's wish to stop, taken at a safe moment: at once while nothing runs, in order under load."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from observatory.core.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S = 0.02
"""How long after a signal during an import it is looked at again."""
_BEFORE = "stopped before the load began"


class Stop:
    """Whether a person (or cron, or a closing terminal) wants the process to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Take the signals over for as long as a campaign lasts."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Interrupt at once while waiting for something slow (an engine, a download): Interrupted is raised there."""
        if self.requested:
            raise Interrupted(_BEFORE)
        self._at_once = True
        try:
            yield
        except Interrupted:
            raise
        except Exception as error:
            if not self.requested:
                raise
            raise Interrupted(_BEFORE) from error  # a library made its own error of the signal
        finally:
            self._at_once = False
        if self.requested:  # the signal's error was taken for a failure of what was waited for
            raise Interrupted(_BEFORE)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._at_once and _importing(frame):
            # An error here would leave a half-made module, and sealing may need that very module.
            again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        elif self._at_once:
            self._at_once = False
            raise Interrupted(_BEFORE)


def _importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported somewhere below this frame."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
