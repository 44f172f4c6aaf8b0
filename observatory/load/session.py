"""One hand-off carried by Locust: its events started, its messages sent, its exit code set.

A single process runs the whole stage. With --processes the master runs nothing (master.py), and
each worker owns the slice that its index names and never another's, also where Locust moves the
users of one that died.
"""

import gc
import logging
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust.runners import MasterRunner, WorkerRunner

from observatory.core.errors import ObservatoryError
from observatory.core.system.processes import die_with_parent
from observatory.load.command import (
    EXIT_BAD_INPUT,
    EXIT_CRASHED,
    EXIT_FINE,
    EXIT_INTERRUPTED,
)
from observatory.load.connections.endpoint import make_endpoint
from observatory.load.handoff import HANDOFF_VARIABLE, RUNNER_VARIABLE, Handoff, read_handoff
from observatory.load.master import BEGIN, OVER, READY, STOP, Master
from observatory.load.reading import kernel_stamps
from observatory.load.recorder import Ending, JournalFailed
from observatory.load.stage import StageRun

EXIT_CODES: dict[Ending, int] = {
    "complete": EXIT_FINE,
    "budget_reached": EXIT_FINE,
    "interrupted": EXIT_INTERRUPTED,
    "crashed": EXIT_CRASHED,
}
LEAD_NS = 20_000_000
"""How far ahead a single process puts its own start: by then its users sleep."""
GARBAGE_AT = 20_000
"""Objects made and not freed before the collector looks: an answer leaves few cycles, and none large."""
_log = logging.getLogger(__name__)


def bind_to_runner() -> None:
    """End this process with its runner, and each worker with the master, however they end.

    Called while the locustfile is imported, before Locust forks. Either parent may have died already: the
    runner while Python imported Locust, the master before its worker was set up. A worker whose master is
    gone would otherwise wait a minute for it.
    """
    if HANDOFF_VARIABLE not in os.environ:
        return
    runner = os.environ.get(RUNNER_VARIABLE)
    die_with_parent(int(runner) if runner is not None else None)
    os.register_at_fork(after_in_child=partial(die_with_parent, os.getpid()))


def start(environment: Any, runner: Any, path: Path) -> None:
    """Take on the hand-off, in whichever process this is; once, from Locust's init event."""
    logging.getLogger("locust.stats_logger").setLevel(logging.WARNING)
    try:
        handoff = read_handoff(path)
        if isinstance(runner, MasterRunner):
            # What would fail in every worker is reported once, here.
            make_endpoint(
                handoff.connection, handoff.anchor, request=handoff.request, stream=handoff.stream
            )
            Master(environment, runner, handoff.workers)
        else:
            environment.observatory = Session(environment, runner, handoff)
    except ObservatoryError as error:
        _log.error("%s", error)
        raise SystemExit(EXIT_BAD_INPUT) from error
    except JournalFailed as error:
        _log.error("%s", error)
        raise SystemExit(EXIT_CRASHED) from error


class Session:
    """A process that sends: the only one, or a worker."""

    def __init__(self, environment: Any, runner: Any, handoff: Handoff) -> None:
        self._environment = environment
        self._runner = runner
        self._worker = isinstance(runner, WorkerRunner)
        self._quitting = False
        self._primed = kernel_stamps.prime()
        self._primed_at = time.monotonic()
        number = runner.worker_index if self._worker else 0
        if number >= handoff.workers:
            raise JournalFailed(f"worker {number} has no slice: there are {handoff.workers}")
        self.stage = StageRun(handoff, number, self._over)
        events = environment.events
        events.spawning_complete.add_listener(self._spawned)
        events.test_stopping.add_listener(self._stopping)
        events.quitting.add_listener(self._stopping)
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        if self._worker:
            runner.register_message(BEGIN, self._begin)
            runner.register_message(STOP, self._interrupt)

    def _spawned(self, **_: Any) -> None:
        """Called when all users are there."""
        gc.collect()
        gc.freeze()  # what lives now lives on: it need not be looked through again
        gc.set_threshold(GARBAGE_AT)
        gevent.sleep(max(0.0, self._primed_at + kernel_stamps.PRIMING_S - time.monotonic()))
        if self._worker:
            self._runner.send_message(READY, {"pid": os.getpid()})
        else:
            self.stage.begin(time.time_ns() + LEAD_NS)

    def _begin(self, msg: Any, **_: Any) -> None:
        self.stage.begin(msg.data["start_unix_ns"])

    def _interrupt(self, **_: Any) -> None:
        self.stage.stop("interrupted", "asked to stop")

    def _stopping(self, **_: Any) -> None:
        """Called when Locust itself stops; after the stage's own end nothing is left to do."""
        self._quitting = True
        self._interrupt()

    def _over(self, ending: Ending) -> None:
        """Called when the stage is over; may be called in the hub, where nothing may wait."""
        code = EXIT_CODES[ending]
        self._environment.process_exit_code = code
        if self._worker:
            gevent.spawn(self._runner.send_message, OVER, {"pid": os.getpid(), "code": code})
        elif not self._quitting:
            gevent.spawn(self._runner.quit)
