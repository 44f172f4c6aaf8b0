"""How the runner starts Locust for one stage, and what the child's exit codes mean.

Light: it imports neither locust nor gevent, so the runner may import it.
"""

import socket
import sys
from pathlib import Path

from observatory.load.handoff import Handoff

CHILD_MODULE = "observatory.load.child"
"""Locust, without the settings that a person keeps for other tests."""
EXIT_FINE = 0
"""The stage ended as planned, or its budget was reached."""
EXIT_BAD_INPUT = 2
"""A secret, certificate or item cannot be used; the last line of the log names it."""
EXIT_WORKERS_LOST = 70
"""Every worker process died. EX_SOFTWARE."""
EXIT_CRASHED = 75
"""A worker had to give up: its journal cannot be written (a full disk, for example), or a bug of ours. Its end
entry or the log has the reason; what was written is whole. EX_TEMPFAIL."""
EXIT_INTERRUPTED = 130
"""Stopped by a signal; what was in flight is recorded as interrupted."""


def locust_command(handoff: Handoff, loadtests: Path) -> list[str]:
    """Return the child's argv; the hand-off's path goes in the environment (HANDOFF_VARIABLE), no key anywhere.

    The child writes its log to standard error and ends by itself. Limits are at least the number of
    processes, so that each has a share (runner.checks.preflight sees to it).
    """
    users = simulated_users(handoff)
    command = [sys.executable, "-m", CHILD_MODULE]
    command += ["--locustfile", str(loadtests / locustfile(handoff))]
    command += ["--headless", "--only-summary", "--loglevel", "WARNING"]
    command += ["--users", str(users), "--spawn-rate", str(users)]
    if handoff.workers > 1:
        port = str(_free_port())
        command += ["--processes", str(handoff.workers), "--expect-workers-max-wait", "30"]
        command += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
        command += ["--master-host", "127.0.0.1", "--master-port", port]
    return command


def locustfile(handoff: Handoff) -> str:
    """Return the load test's file name."""
    return "chat.py" if handoff.request == "chat" else "completions.py"


def simulated_users(handoff: Handoff) -> int:
    """Return how many Locust users carry the stage: its concurrency, or (open loop) a pool to send from."""
    stage, workers = handoff.stage, handoff.workers
    if stage.offsets_ns is None:
        return max(stage.concurrency or 1, workers)
    # Every worker gets its share of the pool, rounded up; the in-flight limit is kept elsewhere.
    in_flight = min(stage.max_in_flight, handoff.connection.max_concurrency or stage.max_in_flight)
    share = min(-(-in_flight // workers), -(-max(1, len(stage.offsets_ns)) // workers))
    return share * workers


def _free_port() -> int:
    """Return a free port: Locust's default port would let one campaign at a time run on a machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
