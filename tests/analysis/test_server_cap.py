"""The server's own concurrency against the client's, reading by reading."""

from typing import Any

import pytest

from observatory.analysis.checks.judge import judge_run
from observatory.core.run import Finding

USERS = 16


def load(run: Any, users: int = USERS, answer_s: float = 1.0) -> Any:
    """A closed loop of users whose answers take a second; all are open all the time."""
    run.healthy_side()
    for user in range(users):
        for turn in range(-6, 40):
            at = 5 + user / users + turn * answer_s
            run.add(at, ttft_s=0.1, gaps_s=[answer_s - 0.1])
    return run


def report(run: Any, running: float, waiting: float | None = None, **fields: Any) -> None:
    given = {"sensor": "engine", "subject": "target", "device": "engine:t", **fields}
    for second in range(60):
        run.sample(second + 0.5, running, "engine_requests_running", **given)
        if waiting is not None:
            run.sample(second + 0.5, waiting, "engine_requests_waiting", **given)


def found(run: Any) -> list[Finding]:
    return [f for f in judge_run(run.manifest, run.frames)[0] if f.code != "percentile_floor"]


def test_a_server_that_runs_fewer_than_are_open_is_the_cap(made: Any) -> None:
    report(load(made), 4, 12)
    [finding] = found(made)
    assert (finding.code, finding.severity, finding.stage) == ("server_cap", "degraded", 0)
    assert (finding.value, finding.threshold) == (4, USERS)
    assert finding.message == (
        "the server ran at most 4 at once of the 16 requests that were open, 12 waited in it"
    )


def test_a_server_that_does_not_say_who_waits_is_found_too(made: Any) -> None:
    report(load(made), 4)
    assert "waited" not in found(made)[0].message


@pytest.mark.parametrize(("users", "running"), [(16, 16), (16, 14), (3, 1), (1, 1), (40, 36)])
def test_what_can_be_on_the_way_is_no_cap(made: Any, users: int, running: int) -> None:
    report(load(made, users), running, users - running)
    assert found(made) == []


@pytest.mark.parametrize(("users", "running"), [(16, 13), (4, 1), (40, 35)])
def test_more_than_can_be_on_the_way_is_one(made: Any, users: int, running: int) -> None:
    report(load(made, users), running)
    assert [finding.code for finding in found(made)] == ["server_cap"]


def test_a_short_burst_of_waiting_is_no_cap(made: Any) -> None:
    load(made)
    for second in range(60):
        held = 12 if second % 5 == 0 else 0
        given = {"sensor": "engine", "subject": "target", "device": "engine:t"}
        made.sample(second + 0.5, USERS - held, "engine_requests_running", **given)
    assert found(made) == []


def test_a_server_that_tells_nothing_is_not_judged(made: Any) -> None:
    assert found(load(made)) == []


def test_another_targets_engine_is_not_this_ones(made: Any) -> None:
    report(load(made), 1, 5, subject="shared_host", device="engine:other")
    assert found(made) == []


def test_two_readings_in_the_window_are_too_few(made: Any) -> None:
    report(load(made), 4, 12)
    made.samples = [
        s for s in made.samples if s.sensor != "engine" or s.at in (6_500_000_000, 7_500_000_000)
    ]
    assert found(made) == []
