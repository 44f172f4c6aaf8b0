"""Other work on the machine, from injected counters: who took how much, and what verdict that makes."""

from typing import Any

import pytest

from observatory.analysis.checks.foreign_cpu import ForeignCpu, foreign_cpu_of
from observatory.analysis.checks.judge import judge_run
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.run import Finding

STEADY = (5_000_000_000, 35_000_000_000)
ENGINE = {"sensor": "process", "subject": "target", "device": "engine:t"}
HERE = {"on_this_host": True, "kind": "llamacpp"}


def _fill(made: Any, ttft_s: float = 0.5) -> Any:
    for number in range(80):
        made.add(0.4 * number, ttft_s=ttft_s)
    made.healthy_side()
    return made


def _cores(made: Any, busy: float, own: float | None, **more: float) -> None:
    """Counters that grow by so many cores; own None: not known. more: steal, throttled, engine, waits."""
    for second in range(60):
        made.sample(second, 100 + busy * second, "cpu_busy_s")
        value = None if own is None else own * second
        made.sample(second, value, "cpu_s", sensor="own", reason=None if own is not None else "why")
        if "steal" in more:
            made.sample(second, 7 + more["steal"] * second, "cpu_steal_s")
        if "throttled" in more:
            made.sample(second, more["throttled"] * second, "cpu_throttled_s", sensor="cgroup")
        if "engine" in more:
            made.sample(second, more["engine"] * second, "cpu_s", **ENGINE)
        if "waits" in more:
            made.sample(second, more["waits"] * second, "cpu_wait_s", **ENGINE)


def _found(made: Any) -> ForeignCpu | str:
    return foreign_cpu_of(made.manifest, made.frames.samples, *STEADY)


def _findings(made: Any, code: str = "foreign_cpu") -> list[Finding]:
    return [found for found in judge_run(made.manifest, made.frames)[0] if found.code == code]


@pytest.mark.parametrize(
    ("busy", "own", "more", "fraction"),
    [
        (1.9, 0.9, {}, 0.5),
        (1.0, 1.0, {}, 0.0),
        (0.9, 1.0, {}, 0.0),  # counters of 10 ms ticks may disagree a little
        (1.0, 1.0, {"steal": 0.5}, 0.25),
        (0.5, 0.5, {"throttled": 1.0}, 0.5),
        (1.6, 1.0, {"steal": 0.2, "throttled": 0.2}, 0.5),
        (2.0, 0.0, {"steal": 2.0, "throttled": 2.0}, 1.0),
    ],
)
def test_what_others_the_hypervisor_and_a_quota_took_is_added_up(
    made: Any, busy: float, own: float, more: dict[str, float], fraction: float
) -> None:
    _cores(made, busy, own, **more)
    found = _found(made)
    assert isinstance(found, ForeignCpu)
    assert found.machine == 2
    assert found.fraction == pytest.approx(fraction)


def test_a_machine_is_all_its_cores_and_not_those_that_we_may_use(made: Any) -> None:
    made.facts["environment"] = {"cores_usable": 2, "cores_logical": 8}
    _cores(made, 5.0, 1.0)
    found = _found(made)
    assert isinstance(found, ForeignCpu)
    assert found.fraction == pytest.approx(0.5)


def test_runs_without_a_count_of_all_our_processes_use_their_roles(made: Any) -> None:
    made.target = HERE
    for second in range(60):
        made.sample(second, 1.9 * second, "cpu_busy_s")
        for role, cores in (
            ("client", 0.2),
            ("sampler", 0.1),
            ("engine:t", 0.6),
            ("lab:engine", 5.0),
        ):
            made.sample(second, cores * second, "cpu_s", sensor="process", device=role)
    found = _found(made)
    assert isinstance(found, ForeignCpu)
    assert found.others == pytest.approx(1.0)
    assert found.own == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("target", "roles", "reason"),
    [
        ({}, (), "no_sensor"),
        (HERE, ("client", "sampler"), "server_unknown"),
    ],
)
def test_without_its_processes_there_is_no_share_and_a_reason(
    made: Any, figure: Any, target: dict[str, Any], roles: tuple[str, ...], reason: str
) -> None:
    made.target = target
    _fill(made)
    for second in range(60):
        made.sample(second, 1.9 * second, "cpu_busy_s")
        for role in roles:
            made.sample(second, 0.1 * second, "cpu_s", sensor="process", device=role)
    assert _found(made) == reason
    row = figure(stage_metrics(made.manifest, made.frames), "foreign_cpu_fraction")
    assert (row["value"], row["reason"]) == (None, reason)


def test_a_server_whose_process_is_not_known_is_not_taken_for_other_work(made: Any) -> None:
    made.target = {"on_this_host": True, "kind": "url"}
    _cores(_fill(made), 2.0, None)
    assert _found(made) == "server_unknown"
    assert _findings(made) == []


def test_the_share_is_a_figure_of_the_stage(made: Any, figure: Any) -> None:
    _cores(_fill(made), 1.5, 0.5)
    row = figure(stage_metrics(made.manifest, made.frames), "foreign_cpu_fraction")
    assert (row["value"], row["reason"]) == (pytest.approx(0.5), None)


@pytest.mark.parametrize(
    ("others", "waits", "severity"),
    [
        (0.06, 0.5, None),  # 3 % of the machine
        (0.1, 0.5, "degraded"),
        (0.6, 0.01, "note"),  # much of it, and the engine hardly waited
        (
            0.6,
            0.12,
            "degraded",
        ),  # it waited for 0.1 cores because of others, and had 0.9
        (0.6, 1.2, "invalid"),
        (0.2, 1.2, "degraded"),  # a tenth of the machine
        (0.3, 1.2, "invalid"),
    ],
)
def test_it_is_no_graver_than_its_share_nor_than_what_the_engine_felt(
    made: Any, others: float, waits: float, severity: str | None
) -> None:
    made.target = HERE
    _cores(_fill(made), 1.0 + others, 1.0, engine=0.9, waits=waits)
    found = _findings(made)
    assert [one.severity for one in found] == ([] if severity is None else [severity])
    if severity is not None:
        assert found[0].value == pytest.approx(others / 2)
        assert f"other processes kept {others:.2g} of 2 cores busy" in found[0].message


def test_without_the_engines_waits_its_share_decides(made: Any) -> None:
    made.target = HERE
    _cores(_fill(made), 1.9, 0.9, engine=0.8)
    [found] = _findings(made)
    assert (found.severity, found.threshold) == ("invalid", 0.12)


def test_a_server_of_others_is_judged_by_its_own_waits(made: Any) -> None:
    made.target = {"on_this_host": True, "kind": "url"}
    _cores(_fill(made), 1.9, 0.1)
    for second in range(60):
        for metric, cores in (("cpu_s", 0.05), ("cpu_wait_s", 0.03)):
            made.sample(second, cores * second, metric, sensor="own", device="server:t")
    [found] = _findings(made)
    assert found.severity == "note"  # it had a core for all but 3 % of the time


def test_an_engine_that_hardly_computes_loses_no_more_than_it_waited() -> None:
    found = ForeignCpu(2, own=0.1, others=1.9, engine=0.02, waited=0.02)
    assert found.slowed == pytest.approx(0.02 * 1.9 / 1.98)


def test_an_engines_own_threads_and_the_client_are_not_charged_to_others(made: Any) -> None:
    """The threads waited for each other and for the client: others had a twentieth of a core."""
    found = ForeignCpu(machine=2, own=1.9, others=0.05, engine=1.4, waited=0.8)
    assert found.slowed == pytest.approx(0.8 * 0.05 / 0.55 / (1.4 + 0.8 * 0.05 / 0.55))


@pytest.mark.parametrize(("steal", "throttled"), [(0.5, 0.0), (0.0, 0.5)])
def test_steal_and_a_quota_slow_an_engine_that_waits_for_no_process(
    steal: float, throttled: float
) -> None:
    found = ForeignCpu(2, 1.0, 0.0, steal, throttled, engine=1.0, waited=0.0)
    assert found.slowed == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("target", "loop_lag_ns", "severity"),
    [
        ({"kind": "api"}, 100_000, "note"),
        ({"kind": "api"}, 200_000_000, "invalid"),
        ({"kind": "emulated", "emulated": True, "on_this_host": True}, 100_000, "note"),
        ({"kind": "emulated", "emulated": True, "on_this_host": True}, 200_000_000, "invalid"),
    ],
)
def test_of_a_target_elsewhere_what_the_client_felt_decides(
    made: Any, target: dict[str, Any], loop_lag_ns: int, severity: str
) -> None:
    made.target = target
    _fill(made)
    made.ticks.clear()
    for second in range(60):
        made.tick(second, loop_lag_ns=loop_lag_ns)
    _cores(made, 1.9, 0.1)
    [found] = _findings(made)
    assert found.severity == severity
    assert "the load generator was late" in found.message


def test_the_verdict_names_other_work_and_not_the_sharing_of_cores(made: Any) -> None:
    """A host that is all busy while engine and load generator have 0.25 cores is not theirs to share."""
    made.target = HERE
    _cores(_fill(made), 2.0, 0.26, engine=0.15, waits=1.7)
    verdict = judge_run(made.manifest, made.frames)[1]
    assert verdict.codes == ["foreign_cpu"]
    assert "other processes kept 1.7 of 2 cores busy, 87% of the machine" in verdict.sentence
    [shared] = _findings(made, "shared_cores")
    assert (shared.severity, shared.value) == ("note", pytest.approx(0.13))


def test_cores_that_engine_and_client_fill_themselves_are_shared(made: Any) -> None:
    made.target = HERE
    _cores(_fill(made), 1.95, 1.93, engine=1.6, waits=0.4)
    verdict = judge_run(made.manifest, made.frames)[1]
    assert verdict.codes == ["shared_cores"]


@pytest.mark.parametrize(("busy", "named"), [(1.9, True), (1.02, False)])
def test_a_late_client_names_the_other_work_that_the_samples_show(
    made: Any, busy: float, named: bool
) -> None:
    """Also where foreign_cpu is a note: an engine on this machine was hardly slowed by it."""
    made.target = HERE
    for number in range(80):
        made.add(0.4 * number, sent_s=0.4 * number + 0.02, ttft_s=0.5)
    made.healthy_side()
    _cores(made, busy, 1.0, engine=0.9, waits=0.0)
    [delay] = _findings(made, "client_delay")
    assert delay.severity == "degraded"
    assert ("other processes kept 0.9 of 2 cores busy (foreign_cpu)" in delay.message) is named
    assert [found.severity for found in _findings(made)] == (["note"] if named else [])
