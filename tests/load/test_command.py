"""What the runner starts, and what it refuses to start."""

import sys
from pathlib import Path
from typing import Any

import pytest

from observatory.load.command import locust_command, locustfile, simulated_users
from observatory.load.handoff import Handoff
from tests.load.stages import item, make_handoff

CLOSED: dict[str, Any] = {"kind": "closed", "concurrency": 12, "steady_s": 1.0}
OPEN: dict[str, Any] = {"kind": "constant", "rate_per_s": 1.0, "offsets_ns": list(range(100))}


def handoff(stage: dict[str, Any], **more: Any) -> Handoff:
    return make_handoff(Path("unused"), 1, [item("x")], stage=stage, **more)


def test_one_process_runs_headless_and_says_nothing_of_the_handoff() -> None:
    command = locust_command(handoff(CLOSED), Path("/tests"))
    assert command[:3] == [sys.executable, "-m", "observatory.load.child"]
    assert str(Path("/tests/chat.py")) in command
    assert "--headless" in command and "--processes" not in command
    assert not any("/private" in word for word in command)


def test_several_processes_meet_on_a_port_of_their_own_on_loopback() -> None:
    many = handoff(CLOSED, workers=3)
    command = locust_command(many, Path("t"))
    assert command[command.index("--processes") + 1] == "3"
    assert command[command.index("--master-bind-host") + 1] == "127.0.0.1"
    port = command[command.index("--master-bind-port") + 1]
    assert command[command.index("--master-port") + 1] == port != "5557"


@pytest.mark.parametrize(
    ("stage", "workers", "limit", "users"),
    [
        (CLOSED, 1, None, 12),
        ({**CLOSED, "concurrency": 2}, 3, None, 3),
        (OPEN, 1, None, 100),
        ({**OPEN, "max_in_flight": 10}, 1, None, 10),
        ({**OPEN, "max_in_flight": 10}, 4, None, 12),
        ({**OPEN, "max_in_flight": 10}, 2, 4, 4),
    ],
)
def test_users_are_the_concurrency_or_a_pool_large_enough(
    stage: dict[str, Any], workers: int, limit: int | None, users: int
) -> None:
    connection = {"max_concurrency": limit}
    assert simulated_users(handoff(stage, workers=workers, connection=connection)) == users


def test_the_load_test_is_that_of_the_request() -> None:
    assert locustfile(handoff(CLOSED)) == "chat.py"
    assert locustfile(handoff(CLOSED, request="completions")) == "completions.py"
