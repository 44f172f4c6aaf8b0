"""Starts the `observatory` command in a process that has its modules loaded already, forked from one that does
nothing else: loading them takes most of the processor time of a short run."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

LOADED = (
    "observatory.cli.main",
    "observatory.cli.measure.quote_view",
    "observatory.runner.campaign",
    "observatory.runner.finish",
    "observatory.runner.recovery",
    "observatory.runner.campaign_execution",
    "observatory.site.build",
    "observatory.store.queries.query",
    "observatory.store.ingest.rebuild",
)
POLL_S = 0.02


def _command(arguments: list[str], folder: str, output: str, errors: str) -> None:
    """The whole life of the forked process: what a shell would set up, then the command."""
    os.setsid()
    os.chdir(folder)
    for standard, path in enumerate((os.devnull, output, errors)):
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND if standard else os.O_RDONLY
        descriptor = os.open(path, how, 0o600)
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.argv = ["observatory", *arguments]
    runpy.run_module("observatory", run_name="__main__", alter_sys=True)


class WarmCommand:
    """One command under way, with what subprocess.Popen has of pid, poll, wait and kill.

    errors: where its standard error goes, if not where its output goes.
    """

    def __init__(
        self, arguments: list[str], folder: Path, output: Path, errors: Path | None = None
    ) -> None:
        self._output, self._errors = output, errors or output
        self._process = _context().Process(
            target=_command, args=(arguments, str(folder), str(output), str(self._errors))
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, minus the signal that killed it; None while it runs."""
        return self._process.exitcode

    def wait(self, limit_s: float) -> int:
        """Its exit code; subprocess.TimeoutExpired where it runs for longer."""
        until = time.monotonic() + limit_s
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("observatory", limit_s)
            self._process.join(POLL_S)
        return code

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()

    @property
    def output(self) -> str:
        """What it has printed."""
        return _text(self._output)

    @property
    def errors(self) -> str:
        """What it has written to standard error, or all where that is the same file."""
        return _text(self._errors)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context
