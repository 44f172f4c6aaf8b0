"""What is kept of a calibration and whose it is; whose fault a level was; what its figures cost."""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.calibration.calibrating import burst_ceiling, costs_of, layout
from observatory.calibration.ceiling import Trial
from observatory.calibration.replay import ServerWindow, server_window
from observatory.calibration.trial import CLIENT_CODES, judged
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.run import Finding, Severity
from observatory.core.workspace import open_workspace
from observatory.emulator.replay_server import ReplaySecond
from observatory.runner.checks.stored_calibration import (
    Costs,
    LoadCeiling,
    age_days,
    calibration_path,
    doubts,
    is_of,
    load_calibration,
    save_calibration,
    this_host,
)
from tests.runner.calibrations import HERE, a_calibration, figures

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
KEPT_UP = ServerWindow(0.5, 0.001)
BUSY = ServerWindow(0.95, 0.0)
LATE = ServerWindow(0.5, 0.02)
S = 1_000_000_000


def finding(code: str, severity: Severity = "degraded") -> Finding:
    return Finding(code, severity, f"{code} was seen")


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "results", tmp_path)
    assert load_calibration(workspace) is None
    path = save_calibration(workspace, a_calibration())
    assert load_calibration(workspace) == a_calibration()
    assert [file.name for file in path.parent.iterdir()] == ["calibration.json"]


def test_a_file_of_another_format_or_a_damaged_one_says_so(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path, tmp_path)
    save_calibration(workspace, msgspec.structs.replace(a_calibration(), format=99))
    with pytest.raises(BadInput, match=r"format 99.*observatory calibrate"):
        load_calibration(workspace)
    path = calibration_path(workspace)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(EnvironmentFailed, match="damaged"):
        load_calibration(workspace)


def test_it_is_of_a_machine_not_of_its_software() -> None:
    made = a_calibration()
    assert is_of(made, HERE)
    assert is_of(made, msgspec.structs.replace(HERE, kernel="7.0", python="3.14.0"))
    for other in ({"machine": "x"}, {"cores": 2}, {"cpu_model": None}):
        assert not is_of(made, msgspec.structs.replace(HERE, **other))
    assert doubts(made, HERE, NOW) == []
    assert doubts(made, msgspec.structs.replace(HERE, kernel="7.0"), NOW) == [
        "made with kernel 6.1, now 7.0"
    ]
    assert age_days(made, NOW) == 1.0
    crowded = a_calibration(rate=LoadCeiling(100, "at_least", "", 200, figures(others_busy=0.31)))
    assert doubts(crowded, HERE, NOW) == [
        "other programs took up to 31% of the cores while it was made"
    ]
    assert "31 days old" in doubts(made, HERE, datetime(2026, 12, 21, 12, tzinfo=UTC))[0]


def test_this_host_is_told_without_its_name_or_id() -> None:
    host = this_host()
    assert host == this_host()
    assert host.cores >= 1
    machine_id = Path("/etc/machine-id")
    if machine_id.exists():
        assert host.machine and host.machine not in machine_id.read_text()
    assert os.uname().nodename not in msgspec.json.encode(host).decode().split('"')


def test_the_codes_that_are_asked_for_exist() -> None:
    assert set(CLIENT_CODES) <= set(THRESHOLDS)


def test_a_level_without_a_doubt_is_held() -> None:
    assert judged(8, [], KEPT_UP, figures()).held
    assert judged(
        8, [finding("drift", "invalid"), finding("client_cpu", "note")], KEPT_UP, figures()
    ).held


def test_a_busy_client_is_its_own_fault_and_anything_else_may_be_the_servers() -> None:
    own = judged(8, [finding("client_cpu")], BUSY, figures(others_busy=0.5))
    assert (own.held, own.fault) == (False, "client")
    for server in (BUSY, LATE):
        assert judged(8, [], server, figures()).fault == "server"
        assert judged(8, [finding("shared_stamps")], server, figures()).fault == "server"
    late = judged(8, [finding("shared_stamps")], KEPT_UP, figures())
    assert (late.held, late.fault, late.reason) == (
        False,
        "client",
        "shared_stamps: shared_stamps was seen",
    )


def test_a_client_that_said_too_little_has_held_nothing() -> None:
    trial = judged(8, [], KEPT_UP, figures(client_busy=None))
    assert (trial.held, trial.fault) == (False, "client")
    assert "heartbeats" in trial.reason


def test_what_was_late_beside_other_programs_is_nobodys_ceiling() -> None:
    crowded = figures(others_busy=0.4)
    assert judged(8, [], KEPT_UP, crowded).held
    for trial in (
        judged(8, [finding("client_delay")], KEPT_UP, crowded),
        judged(8, [], LATE, crowded),
    ):
        assert (trial.held, trial.fault) == (False, "others")
        assert "40%" in trial.reason
    assert judged(8, [], BUSY, crowded).fault == "server"


def test_a_servers_window_is_the_seconds_that_it_touches() -> None:
    def second(at: int, cpu: float, events: int, late: int) -> ReplaySecond:
        return ReplaySecond(at * S, at * S, round(cpu * S), 0, events, late, 0)

    one = [
        second(0, 0, 0, 0),
        second(1, 0.9, 100, 50),
        second(2, 1.1, 200, 50),
        second(3, 1.3, 300, 60),
    ]
    two = [second(0, 0, 0, 0), second(4, 3.6, 100, 0)]
    assert server_window([one], S, 3 * S) == ServerWindow(pytest.approx(0.2), 10 / 200)
    assert server_window([one], S + 1, 2 * S + 1).late == 10 / 200
    both = server_window([one, two], S, 3 * S)
    assert both == ServerWindow(pytest.approx(0.9), 10 / 300)
    silent = server_window([one[:1]], S, 3 * S)
    assert silent == ServerWindow(None, 0.0)
    assert silent.saturated is not None


def test_the_cost_of_a_request_and_of_an_event_from_two_mixes() -> None:
    def held(cpu: float) -> LoadCeiling:
        return LoadCeiling(8, "exact", "", None, figures(cpu_s_per_1000_requests=cpu))

    costs = costs_of(held(0.2 + 0.64), held(0.2 + 0.08), 64, 8)
    assert costs is not None
    assert costs.request_cpu_s == pytest.approx(0.0002)
    assert costs.event_cpu_s == pytest.approx(0.00001)
    assert costs_of(held(0.64), held(0.01), 64, 8) == Costs(0.0, 0.00001)
    assert costs_of(held(0.2), held(0.3), 64, 8) == Costs(0.0002, 0.0)
    lost = LoadCeiling(None, "none", "too much", 8, figures())
    assert costs_of(held(0.84), lost, 64, 8) is costs_of(lost, held(0.28), 64, 8) is None


def test_answers_at_once_are_the_clients_ceiling_only_where_it_was_busy() -> None:
    def of(**seen: float) -> LoadCeiling:
        return burst_ceiling(Trial(64, False, "client_cpu", figures=figures(**seen)))

    assert (of(client_busy=0.99).bound, of(client_busy=0.99).level) == ("exact", 800.0)
    server = of(client_busy=0.6, server_busy=0.95)
    assert (server.bound, server.limited_by[:12]) == ("at_least", "server-bound")
    assert of(client_busy=0.6, others_busy=0.5).bound == "at_least"
    assert of(requests_per_s=0.0).level is None


def test_client_and_servers_get_cores_of_their_own_where_there_are_enough() -> None:
    one = layout([0, 1], 1)
    assert (one.client, one.servers, one.server_count, one.apart) == ([0], [1], 1, True)
    many = layout(list(range(8)), 3)
    assert (many.client, many.servers) == ([0, 1, 2], [5, 6, 7])
    few = layout([0, 1, 2], 2)
    assert (few.client, few.servers, few.server_count) == ([0, 1], [2], 1)
    for shared in (layout([0], 1), layout([0, 1], 2)):
        assert (shared.client, shared.server_count, shared.apart) == ([], 1, False)
