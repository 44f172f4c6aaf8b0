"""Which processes of a host are the engine, where it was not started from here: by id or by command line.

A command line is looked for again every few seconds, because an engine may start later or again.
"""

import os
import time
from collections.abc import Callable, Mapping

import psutil

ROLE = "engine:watched"
AGAIN_S = 5.0
"""Reading every command line of a host with thousands of processes takes tens of milliseconds."""


def matching(words: str, found: Mapping[int, tuple[int, str]], own: int) -> list[int]:
    """Return the processes whose command line holds the words and whose parent's does not.

    found: process id -> (its parent's, its command line). own is ours, whose arguments have the words,
    as those of our parents have (sudo, a shell, timeout): none of them is an engine.
    """
    ours = {own}
    above = own
    while above in found and (above := found[above][0]) not in ours:
        ours.add(above)
    hits = {pid for pid, (_, line) in found.items() if words in line} - ours
    return sorted(pid for pid in hits if found[pid][0] not in hits)


class WatchedEngine:
    """Roles for the sensors: engine:watched, and engine:watched-2 and so on where several match."""

    def __init__(
        self, pid: int | None, command: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pid = pid
        self._command = command
        self._clock = clock
        self._roles: dict[str, int] = {}
        self._looked: float | None = None

    def now(self) -> dict[str, int]:
        """Return role -> process id."""
        if self._pid is not None:
            return {ROLE: self._pid}
        if self._command is None:
            return {}
        if self._looked is None or self._clock() - self._looked >= AGAIN_S:
            self._looked = self._clock()
            lines = {
                process.pid: (process.info["ppid"], " ".join(process.info["cmdline"]))
                for process in psutil.process_iter(["ppid", "cmdline"])
                if process.info["cmdline"] is not None  # as where it may not be read
            }
            found = matching(self._command, lines, os.getpid())
            self._roles = {
                ROLE if place == 1 else f"{ROLE}-{place}": pid
                for place, pid in enumerate(found, start=1)
            }
        return self._roles
