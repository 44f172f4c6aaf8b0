"""The runner's end of an engine that has processes of its own: started under a supervisor, watched, ended.

Nothing of an engine outlives its runner: the supervisor ends it all when we are gone, we end it where the
supervisor was killed, and `lost_engines` where both were. It is independent of what is served.
"""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from observatory.core.errors import EnvironmentFailed
from observatory.processes import lost_engines, process_tree, supervisor
from observatory.processes.server_child import ending
from observatory.processes.server_log import ServerLog

_ROOT = Path(__file__).parents[2]
_RUN_SUPERVISOR = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from observatory.processes.supervisor import main; sys.exit(main(sys.argv[1:]))"
)
_FIRST_WORD_S = 20.0
"""A supervisor needs some hundredths of a second; a machine that swaps needs more."""


class SupervisedChild:
    """An engine and the processes that it starts; its log is appended to.

    environment: all of the engine's, and nothing of ours. name is used in messages. reasons: see
    ServerLog. grace_s: how long its first process may take to end in order. Start it from a thread
    that lives as long as it should (PR_SET_PDEATHSIG); close() ends everything, also what left the
    engine's session.

    EnvironmentFailed where the command cannot be executed.
    """

    def __init__(
        self,
        argv: list[str],
        environment: Mapping[str, str],
        log_path: Path,
        name: str,
        reasons: Callable[[list[str]], list[str]] | None = None,
        grace_s: float = supervisor.MAIN_GRACE_S,
    ) -> None:
        self.name = name
        self._grace_s = grace_s
        self._marker = lost_engines.new_marker(secrets.token_hex(8))
        self._record = lost_engines.record_path(self._marker)
        self._lineage = process_tree.Lineage(self._marker)
        self._code: int | None = None
        self._ended = False
        self._gathered = b""
        self._supervisor_lost: str | None = None
        log_path.parent.mkdir(parents=True, exist_ok=True)
        held, self._hold = os.pipe()
        self._status, status = os.pipe()
        try:
            with log_path.open("ab") as log:
                self.log = ServerLog(log_path, log.tell(), reasons)
                facts: dict[str, Any] = {"name": name, "runner": lost_engines.this_process()}
                facts["grace_s"] = grace_s
                # -I -S: neither our environment nor our packages; it needs the standard library.
                command = [sys.executable, "-I", "-S", "-c", _RUN_SUPERVISOR, str(_ROOT)]
                command += [str(status), str(self._record), json.dumps(facts)]
                self._supervisor = subprocess.Popen(
                    command + argv,
                    env={**environment, process_tree.MARKER: self._marker},
                    stdin=held,
                    stdout=log,
                    stderr=log,
                    pass_fds=(status,),
                    start_new_session=True,
                )
        finally:
            os.close(held)
            os.close(status)
        os.set_blocking(self._status, False)
        try:
            self._await_start(argv[0])
        except BaseException:
            self.close()
            raise

    @property
    def process_id(self) -> int:
        """Return the process id of the engine's first process."""
        assert self._lineage.engine is not None
        return self._lineage.engine[0]

    @property
    def supervisor_id(self) -> int:
        """Return the supervisor's process id."""
        return self._supervisor.pid

    @property
    def marker(self) -> str:
        """Return the value of MARKER in the environment of every process of the engine."""
        return self._marker

    @property
    def log_path(self) -> Path:
        """Return the path of its log."""
        return self.log.path

    def alive(self) -> str | None:
        """Return None while it runs, else how it ended, with its last words.

        Where the supervisor was killed, all of the engine is ended first.
        """
        self._listen()
        if (
            not self._ended
            and self._supervisor_lost is None
            and self._supervisor.poll() is not None
        ):
            self._listen()
            if not self._ended:
                self._sweep()
                code = self._supervisor.returncode
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                self._supervisor_lost = (
                    f"{self.name} was ended, because the process that keeps it was ended by {how}; "
                    f"{self.log.last_words()}"
                )
        if self._supervisor_lost is not None:
            return self._supervisor_lost
        if not self._ended:
            return None
        return ending(self.name, self._code or 0, self.log)

    def close(self) -> None:
        """End it and its process tree. A second call has no effect."""
        if self._hold >= 0:
            os.close(self._hold)  # the supervisor sees the end of its stdin
            self._hold = -1
        if self._status < 0:
            return
        try:
            self._supervisor.wait(self._grace_s + supervisor.LIMIT_S + 5.0)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._listen()
        self._sweep()
        os.close(self._status)
        self._status = -1

    def _await_start(self, command: str) -> None:
        deadline = time.monotonic() + _FIRST_WORD_S
        while self._lineage.engine is None:
            over = self._supervisor.poll() is not None or time.monotonic() > deadline
            select.select([self._status], [], [], max(0.0, deadline - time.monotonic()))
            self._listen(command)
            if over and self._lineage == process_tree.Lineage(self._marker):
                raise EnvironmentFailed(
                    f"the process that keeps {self.name} did not start it; {self.log.last_words()}",
                    where=sys.executable,
                )

    def _listen(self, command: str = "") -> None:
        """Read the supervisor's reports since the last call."""
        if self._status < 0:
            return
        with suppress(BlockingIOError):
            while data := os.read(self._status, 4096):
                self._gathered += data
        *lines, self._gathered = self._gathered.split(b"\n")
        for line in lines:
            report: dict[str, Any] = json.loads(line)
            if "started" in report:
                pid, started = report["started"]
                self._lineage = process_tree.Lineage(self._marker, (pid, started))
            elif "failed" in report:
                raise EnvironmentFailed(f"it cannot be executed: {report['failed']}", where=command)
            elif "ended" in report:
                self._ended, self._code = True, report["ended"]

    def _sweep(self) -> None:
        """End what the supervisor left, having been killed itself, or held up."""
        record = lost_engines.read_record(self._record)
        known = record.lineage.known if record is not None else frozenset[tuple[int, int]]()
        lineage = process_tree.Lineage(self._marker, self._lineage.engine, known)

        def find() -> list[process_tree.Process]:
            return process_tree.belonging(process_tree.read_processes(), lineage)

        if not process_tree.end_all(
            find, grace_s=min(supervisor.GRACE_S, self._grace_s), limit_s=supervisor.LIMIT_S
        ):
            self._record.unlink(missing_ok=True)
