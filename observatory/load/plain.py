"""A load test under plain `locust -f`, with its web page: the plan is made when the test starts.

Planning needs what Locust's process must not load, so it happens in a child process. Concurrency is
set on the page, the loop runs until it is stopped, and rows are journalled as always.
"""

import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from locust.exception import StopTest
from locust.runners import LocalRunner

from observatory.core.record import RequestRecord
from observatory.load.handoff import Handoff, nameless_file, take_handoff
from observatory.load.reading import kernel_stamps
from observatory.load.recorder import JournalFailed
from observatory.load.stage import StageRun

ENDLESS_S = 1e8
"""Some three years: the person stops the test."""
_log = logging.getLogger(__name__)


def add_arguments(parser: Any) -> None:
    """Add the observatory's own arguments on Locust's command line and start page."""
    group = parser.add_argument_group("observatory", "what to send (needs --host, up to /v1)")
    group.add_argument("--scenario", default="chat-steady", help="scenario whose workload is sent")
    group.add_argument("--model", default="", help="model to request; default: the only one listed")
    group.add_argument("--results", default="results", help="folder that rows are journalled in")
    group.add_argument(
        "--api-key-env", default="", help="name of the variable that holds the key, never the key"
    )


def start(environment: Any, runner: Any) -> None:
    """Wait for the test to be started."""
    environment.observatory = PlainRun(environment, runner)


class PlainRun:
    """One after another, the tests that a person starts. problem: why the last one could not."""

    def __init__(self, environment: Any, runner: Any) -> None:
        self._environment = environment
        self._local = isinstance(runner, LocalRunner)
        self._primed = kernel_stamps.prime()
        self.stage: StageRun | None = None
        self.problem: str | None = None
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stopping.add_listener(self._stop)
        environment.events.quitting.add_listener(self._stop)

    def _start(self, **_: Any) -> None:
        self.stage = None
        try:
            handoff = self._plan()
            self.stage = StageRun(handoff, 0, lambda ending: None, self._report_to_locust)
        except (ValueError, JournalFailed) as error:
            self.problem = str(error)
            _log.error("%s", error)
            return
        self.stage.begin(time.time_ns())
        _log.warning("rows are journalled in %s", handoff.journal)

    def _stop(self, **_: Any) -> None:
        if self.stage is not None:
            self.stage.stop("interrupted", "stopped in Locust")

    def _plan(self) -> Handoff:
        """Make the hand-off in a child process; raise ValueError with the reason where there is none."""
        options = self._environment.parsed_options
        if not self._local:
            raise ValueError("plain Locust runs in one process; `observatory run` uses several")
        if not self._environment.host:
            raise ValueError("no host: pass --host http://127.0.0.1:8000/v1")
        results = Path(options.results).resolve()
        (results / "plain").mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(
            prefix=time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()), dir=results / "plain"
        )
        command = [sys.executable, "-m", "observatory.runner.plain_handoff"]
        command += ["--scenario", options.scenario, "--url", self._environment.host]
        command += ["--out", folder, "--results", str(results)]
        for name, value in (("--model", options.model), ("--api-key-env", options.api_key_env)):
            command += [name, value] if value else []
        with nameless_file() as descriptor:
            command += ["--descriptor", str(descriptor)]
            made = subprocess.run(
                command, pass_fds=(descriptor,), capture_output=True, text=True, check=False
            )
            if made.returncode:
                message = (made.stderr.strip() or "no message").splitlines()[-1]
                raise ValueError(f"the plan could not be made: {message}")
            handoff = take_handoff(descriptor)
        stage = msgspec.structs.replace(
            handoff.stage, kind="closed", offsets_ns=None, warmup_s=0.0, steady_s=ENDLESS_S
        )
        return msgspec.structs.replace(handoff, stage=stage, workers=1)

    def _report_to_locust(self, record: RequestRecord) -> None:
        """Report to Locust for its page alone: no figure of the observatory comes from Locust's statistics."""
        if not record.attempts:
            return
        attempt = record.attempts[-1]
        spent_ns = (attempt.ended or 0) - (attempt.sent or attempt.ended or 0)
        failed = record.outcome != "ok"
        self._environment.events.request.fire(
            request_type="POST",
            name=record.task or "request",
            response_time=spent_ns / 1e6,
            response_length=attempt.bytes_received,
            exception=StopTest(attempt.error_text or record.outcome) if failed else None,
            context={},
        )
