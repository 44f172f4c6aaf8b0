"""The master of several Locust workers: it sends no request and keeps no number but who is over.

A worker that dies before the common start ends the stage at once: its slice of the plan would be missing
from the first request on.
"""

import logging
import os
import signal
import time
from typing import Any

import gevent
import psutil

from observatory.load.command import EXIT_INTERRUPTED, EXIT_WORKERS_LOST

BEGIN, READY, OVER, STOP = (f"observatory_{word}" for word in ("begin", "ready", "over", "stop"))
"""Messages: begin (start_unix_ns) and stop go to workers; ready (pid) and over (pid, code) come back."""
LEAD_NS = 100_000_000
"""How far ahead the common start is put: the message reaches every worker well before."""
LOOK_S = 0.05
STOP_LIMIT_S = 8.0
"""How long workers may take to write their last records after the signal to stop."""
_log = logging.getLogger(__name__)


class Master:
    """Names the common start, notices workers that die, and quits when the living are over.

    It must outlive them until they are over, because they die with it.
    """

    def __init__(self, environment: Any, runner: Any, workers: int) -> None:
        self._environment = environment
        self._workers = workers
        self._runner = runner
        # Locust forked them before its first event; they are its only children.
        self._living = {child.pid for child in psutil.Process().children()}
        self._ready: set[int] = set()
        self._codes: dict[int, int] = {}
        self._exit_codes: list[int] = []
        self._begun = self._stopped = False
        runner.register_message(READY, self._on_ready)
        runner.register_message(OVER, self._on_over)
        environment.events.quitting.add_listener(self._on_quitting)
        gevent.signal_handler(signal.SIGINT, self._on_interrupt)
        gevent.spawn(self._follow)

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready.add(msg.data["pid"])

    def _on_over(self, msg: Any, **_: Any) -> None:
        self._codes[msg.data["pid"]] = msg.data["code"]

    def _follow(self) -> None:
        while not self._all_over():
            gevent.sleep(LOOK_S)
            self._check_start()
            if not self._begun and self._living <= self._ready:
                self._begun = True
                start = {"start_unix_ns": time.time_ns() + LEAD_NS}
                self._runner.send_message(BEGIN, start)
        self._check_start()
        if not self._stopped:
            self._set_code()
            self._runner.quit()

    def _check_start(self) -> None:
        """End this process, and with it the other workers, where a worker died before the start.

        Locust would wait half a minute for the dead one. Nothing has been sent. A worker that ended by
        itself has logged why, and its exit code is ours.
        """
        if self._begun or self._stopped or len(self._living) == self._workers:
            return
        code = max(self._exit_codes, default=0)
        if not code:
            _log.error("a worker process died while it started; nothing was sent")
        logging.shutdown()
        os._exit(code or EXIT_WORKERS_LOST)

    def _all_over(self) -> bool:
        """Return whether every worker that lives has reported its end."""
        for pid in list(self._living):
            if pid not in self._codes and (ended := _ended(pid)) is not None:
                self._exit_codes.append(ended)
                self._living.discard(pid)
                if self._begun:
                    _log.error("worker process %d died; its part of the stage is lost", pid)
        return self._living <= self._codes.keys()

    def _set_code(self) -> None:
        code = max(self._codes.values(), default=EXIT_WORKERS_LOST)
        if self._stopped:
            code = max(code, EXIT_INTERRUPTED)
        self._environment.process_exit_code = code

    def _stop(self) -> None:
        """Make the workers write their last records, and wait for it."""
        if self._stopped:
            return
        self._stopped = True
        if not self._all_over():
            self._runner.send_message(STOP)
            limit = time.monotonic() + STOP_LIMIT_S
            while not self._all_over() and time.monotonic() < limit:
                gevent.sleep(LOOK_S)
        self._set_code()

    def _on_interrupt(self) -> None:
        self._stop()
        self._runner.quit()

    def _on_quitting(self, **_: Any) -> None:
        """Called when Locust goes down: as planned, or on SIGTERM."""
        if not self._all_over():
            self._stop()


def _ended(pid: int) -> int | None:
    """Return the exit code of a child that has ended, 0 where a signal ended it; Locust reaps it, not we."""
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else 0
