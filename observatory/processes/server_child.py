"""Both ends of a server that runs as a child process: started, awaited, watched, ended.

The child prints once on its stdout, as one JSON line, its address or why it cannot listen; everything
else that it or its libraries print goes to its log. This module is independent of what is served.
"""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed, ExitCode, TargetFailed
from observatory.processes.server_log import ServerLog

TERM_GRACE_S = 5.0
"""How long a child may take over SIGTERM before it is killed."""


class _Report(msgspec.Struct, omit_defaults=True):
    ready: dict[str, Any] | None = None
    failed: str | None = None
    exit_code: int = int(ExitCode.TARGET_OR_ENVIRONMENT_FAILED)


class ReportChannel:
    """The child's end: claims stdout for itself and points everyone else's at stderr.

    Made before a library that writes to file descriptor 1 is imported.
    """

    def __init__(self) -> None:
        self._file = os.dup(1)
        os.dup2(2, 1)

    def ready(self, facts: dict[str, Any]) -> None:
        """Report that the server listens; facts hold at least host and port."""
        self._send(_Report(ready=facts))

    def failed(self, why: str, exit_code: int) -> None:
        """Report why it cannot listen, in words for a person."""
        self._send(_Report(failed=why, exit_code=exit_code))

    def _send(self, report: _Report) -> None:
        os.write(self._file, msgspec.json.encode(report) + b"\n")


class ServerChild:
    """The parent's end. name is used in messages; its log is appended to.

    error_line matches the lines of its log with the reason of its end, where the server marks them.

    Start it from a thread that lives as long as it should: the kernel ends a child of ours with the
    thread that started it (PR_SET_PDEATHSIG). It has its own session, so that Ctrl-C reaches the
    parent alone, which then ends it in order.
    """

    def __init__(
        self,
        argv: list[str],
        log_path: Path,
        name: str,
        error_line: re.Pattern[str] | None = None,
    ) -> None:
        self.name = name
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self.log = ServerLog(log_path, log.tell(), _marked(error_line))
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log_path(self) -> Path:
        """Return the path of its log."""
        return self.log.path

    @property
    def process_id(self) -> int:
        """Return its process id."""
        return self._process.pid

    def wait_ready(self, deadline_s: float) -> dict[str, Any]:
        """Return the facts that it reports; deadline_s is of time.monotonic().

        Raise BadInput, TargetFailed or EnvironmentFailed as reported by the child; TargetFailed where it dies
        without a report or the deadline passes (the child still runs then: close it).
        """
        line = self._first_line(deadline_s)
        if line is None:
            raise too_late(self.name, self.log)
        try:
            report = msgspec.json.decode(line, type=_Report)
        except msgspec.DecodeError:
            report = _Report()
        if report.ready is not None:
            return report.ready
        self._process.wait()
        if report.failed is None:
            raise TargetFailed(self.alive() or "it ended", where=str(self.log_path))
        fault = BadInput if report.exit_code == ExitCode.BAD_INPUT else EnvironmentFailed
        detail = f"; {self.log.last_words()}" if self.log.reasons() else ""
        raise fault(f"{self.name}: {report.failed}{detail}")

    def _first_line(self, deadline_s: float) -> bytes | None:
        """Return its first line, what there is of it where it ended, None where the deadline passed."""
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        gathered = b""
        with selectors.DefaultSelector() as selector:
            selector.register(file, selectors.EVENT_READ)
            while b"\n" not in gathered:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not selector.select(left_s):
                    return None
                read = os.read(file, 65_536)
                if not read:
                    break
                gathered += read
        return gathered

    def alive(self) -> str | None:
        """Return None while it runs, else how it ended, with its last words."""
        code = self._process.poll()
        return None if code is None else ending(self.name, code, self.log)

    def close(self) -> None:
        """End it: SIGTERM, and SIGKILL where that does not do. Twice is as good as once."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(TERM_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def ending(name: str, code: int, log: ServerLog) -> str:
    """Return how a server ended, with its last words; a negative code is a signal's number."""
    how = f"exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"signal {signal.Signals(-code).name}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return f"{name} ended by {how}{hint}; {log.last_words()}"


def too_late(name: str, log: ServerLog) -> TargetFailed:
    """Return the error to raise where a server was not ready in time."""
    return TargetFailed(
        f"{name} was not ready in time; {log.last_words()}",
        where=str(log.path),
        fix="raise start_timeout if it only needs longer",
    )


def _marked(error_line: re.Pattern[str] | None) -> Callable[[list[str]], list[str]] | None:
    """Return a function that takes the lines that a pattern marks, without the mark."""
    if error_line is None:
        return None
    pattern = error_line

    def reasons(lines: list[str]) -> list[str]:
        stripped = (line.strip() for line in lines[-50:])
        return [pattern.sub("", line) for line in stripped if pattern.match(line)]

    return reasons
