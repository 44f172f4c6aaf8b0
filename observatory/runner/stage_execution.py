"""One stage on one target: a hand-off, a Locust child, its heartbeats, and how it ended.

The child runs in its own session, so that a Ctrl-C in the terminal reaches us alone and we end it
in order. The kernel kills it if we die; until it is dead it holds the target's lock with us.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from observatory.connect.masking import cut_between_words
from observatory.core.connection import Connection
from observatory.core.errors import EnvironmentFailed
from observatory.core.run import StageTimes
from observatory.core.stage_counts import issued_by_worker
from observatory.core.system.priority import set_niceness
from observatory.core.system.private_folders import private_folder
from observatory.load.command import EXIT_WORKERS_LOST, locust_command
from observatory.load.handoff import HANDOFF_VARIABLE, RUNNER_VARIABLE, Handoff, handed_over
from observatory.runner.refused import refusals_paid, refused_alike
from observatory.runner.ticks import Heartbeats, LastWord

Outcome = Literal["complete", "interrupted", "budget_reached", "crashed"]
POLL_S = 0.25
GRACE_S = 20.0
"""How much longer than its own stage and drain a child may take before it is ended."""
LOAD_NICENESS = -10
"""Where this user may, the load generator goes before what else wants its core: it needs little at a time,
and would measure its own waiting."""
STOP_S = 10.0
"""How long a child that got a stop signal may take to write its last records."""


@dataclass(frozen=True, slots=True)
class StageExecution:
    """What is to run: the hand-off, where its log goes, and where the locustfiles lie.

    lock: the descriptor of the target's lock, which the child inherits; None without one.
    """

    handoff: Handoff
    log: Path
    loadtests: Path
    lock: int | None = None

    @property
    def length_s(self) -> float:
        """Warm-up and steady state, in seconds; the drain comes on top."""
        stage = self.handoff.stage
        return stage.warmup_s + stage.steady_s


@dataclass(frozen=True, slots=True)
class StageExecutionResult:
    """How it ended; reason is None where it ended as planned. last_words: of each worker by its number,
    a tick where it died, None where it never reported."""

    times: StageTimes
    last_words: list[LastWord]
    outcome: Outcome
    reason: str | None


def run_stage_execution(
    stage_execution: StageExecution,
    *,
    stopping: Callable[[], bool],
    failed: Callable[[], str | None],
    started: Callable[[int], None],
    moment: Callable[[Heartbeats], None],
) -> StageExecutionResult:
    """Run the stage to its end.

    stopping: the person wants to stop. failed: why the target died, else None. started: gets the
    child's process id. moment: gets the heartbeats, a few times a second.
    """
    journal = Path(stage_execution.handoff.journal)
    journal.mkdir(parents=True, exist_ok=True)
    beats = Heartbeats(journal)
    with (
        private_folder() as private,
        handed_over(private, stage_execution.handoff) as (path, descriptors),
    ):
        child = _start(stage_execution, path, private, descriptors)
        try:
            set_niceness(child.pid, LOAD_NICENESS)
            started(child.pid)
            cause = _follow(stage_execution, child, beats, stopping, failed, moment)
        finally:
            _end(child)
    beats.read()
    outcome, reason = _judge(stage_execution, child.returncode, beats, cause)
    last_words = [beats.last_word(number) for number in range(stage_execution.handoff.workers)]
    return StageExecutionResult(
        stage_times(stage_execution.handoff, beats), last_words, outcome, reason
    )


def _start(
    stage_execution: StageExecution, handoff: str, private: Path, descriptors: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        HANDOFF_VARIABLE: handoff,
        RUNNER_VARIABLE: str(os.getpid()),
        "OPENBLAS_NUM_THREADS": "1",
    }
    stage_execution.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with stage_execution.log.open("ab") as log:
            return subprocess.Popen(
                locust_command(stage_execution.handoff, _loadtests(stage_execution, private)),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=private,
                start_new_session=True,
                pass_fds=descriptors
                if stage_execution.lock is None
                else (*descriptors, stage_execution.lock),
            )
    except OSError as error:
        raise EnvironmentFailed(f"Locust could not be started: {error}") from error


def _loadtests(stage_execution: StageExecution, private: Path) -> Path:
    """Return the folder of load tests under a name that Locust reads as one: it splits names at commas."""
    path = str(stage_execution.loadtests)
    if "," not in path and path == path.strip():
        return stage_execution.loadtests
    link = private / "loadtests"
    link.symlink_to(stage_execution.loadtests, target_is_directory=True)
    return Path(link.name)  # relative to the child's folder, whose own path may hold a comma


def _follow(
    stage_execution: StageExecution,
    child: subprocess.Popen[bytes],
    beats: Heartbeats,
    stopping: Callable[[], bool],
    failed: Callable[[], str | None],
    moment: Callable[[Heartbeats], None],
) -> tuple[Outcome, str] | None:
    """Wait for the child; answers why it was ended from outside, None where it ended itself."""
    began = time.monotonic()
    limit = stage_execution.length_s + stage_execution.handoff.stage.drain_s + GRACE_S
    if stage_execution.handoff.stage.priming:
        limit += len(stage_execution.handoff.items) * _longest_s(stage_execution.handoff.connection)
    while child.poll() is None:
        elapsed = time.monotonic() - began
        beats.read()
        moment(beats)
        if stopping():
            return "interrupted", "stopped by the person who ran it"
        death = failed()
        if death is not None:
            return "crashed", death
        if elapsed > limit:
            return "crashed", f"the load generator did not end within {limit:.0f} s"
        try:
            child.wait(POLL_S)
        except subprocess.TimeoutExpired:
            continue
    return None


def _longest_s(connection: Connection) -> float:
    """Return how long one request may take, with what its policy lets it wait before and between its attempts."""
    throttle = connection.throttle
    if throttle.policy == "record":
        return connection.total_timeout_s
    pace_s = 60 / throttle.requests_per_minute if throttle.requests_per_minute else 0.0
    return throttle.max_attempts * connection.total_timeout_s + throttle.max_wait_s + pace_s


def _end(child: subprocess.Popen[bytes]) -> None:
    """Send the child the signal to stop, then kill it, its whole session included."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _judge(
    stage_execution: StageExecution, code: int, beats: Heartbeats, cause: tuple[Outcome, str] | None
) -> tuple[Outcome, str | None]:
    if cause is not None:
        return cause
    refused = refused_alike(beats.ends) if stage_execution.handoff.stop_on_refusals else None
    if refused is not None:
        return "crashed", refused
    reasons = {end.reason: end.detail for end in beats.ends}
    if "crashed" in reasons:
        return "crashed", reasons[
            "crashed"
        ] or f"a load worker failed (see {stage_execution.log.name})"
    if "budget_reached" in reasons:
        why = reasons["budget_reached"] or "the budget is spent"
        return "budget_reached", why + refusals_paid(beats.ends)
    if "interrupted" in reasons and code != 0:
        return "interrupted", reasons["interrupted"]
    if code == EXIT_WORKERS_LOST and beats.ends:
        return "complete", None  # the others carried on; the judge names the lost ones
    if code != 0 or not beats.ends:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log = stage_execution.log
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = cut_between_words(lines[-1], 300) if lines else f"{log.name} is empty"
        return "crashed", f"the load generator ended with {how}: {last}"
    return "complete", None


def stage_times(handoff: Handoff, beats: Heartbeats) -> StageTimes:
    """Return when the stage ran, from its workers' own words; None for what never came."""
    stage = handoff.stage
    began = beats.began
    counted = issued_by_worker(Path(handoff.journal))
    entries = (entry for state in beats.workers.values() for entry in (state.end, state.tick))
    last = max((entry.at for entry in entries if entry is not None), default=None)
    steady = end = None
    if began is not None and not stage.priming:
        steady = began + round(stage.warmup_s * 1e9)
        end = steady + round(stage.steady_s * 1e9)
        if last is None or last <= steady:
            steady = end = None
        else:
            end = min(end, last)
    return StageTimes(
        index=stage.index,
        kind=stage.kind,
        concurrency=stage.concurrency,
        rate_per_s=stage.rate_per_s,
        started=began,
        steady_started=steady,
        steady_ended=end,
        ended=last,
        planned=len(stage.offsets_ns) if stage.offsets_ns is not None else None,
        issued=sum(beats.issued(number, counted.get(number)) for number in range(handoff.workers)),
        recorded=beats.count("recorded"),
        not_issued=beats.count("not_issued"),
        lost_workers=[f"worker {number}" for number in beats.silent],
        counted=bool(counted),
    )
