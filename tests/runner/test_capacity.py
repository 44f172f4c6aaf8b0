"""A plan's demand on the load generator, by hand and by property; what is refused before the start."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.core.plan import Plan, PlanItem, StagePlan
from observatory.core.scenario import PerRequestSlo, Scenario, Slo
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.url import UrlTarget
from observatory.runner.checks.capacity import (
    BUSY_AT_MOST,
    SHIPPED,
    AnswerPace,
    Basis,
    CapacityEstimate,
    basis_of,
    demand_line,
    estimate,
    pace_of,
)
from observatory.runner.checks.preflight import (
    OWN_FILES,
    Preflight,
    check_before_start,
    check_levels,
)
from observatory.runner.checks.stored_calibration import Costs
from observatory.telemetry.machine.host_limits import HostLimits
from tests.runner.calibrations import HERE, a_calibration

ROOMY = HostLimits(cores=8, open_files=1024, open_files_hard=100_000, ports=28_232)
BASIS = Basis(Costs(request_cpu_s=0.001, event_cpu_s=0.00001), "a test", True)


def stage(**more: Any) -> StagePlan:
    facts: dict[str, Any] = {
        "index": 0, "kind": "closed", "concurrency": None, "rate_per_s": None,
        "warmup_s": 0.0, "steady_s": 1.0, "drain_s": 1.0, **more,
    }  # fmt: skip
    if facts["rate_per_s"] is not None:
        facts["kind"] = "constant"
        facts.setdefault("offsets_ns", list(range(10_000)))
    return StagePlan(**facts)


def plan(*stages: StagePlan, tokens: int = 101, stream: bool = True) -> Plan:
    items = [PlanItem("id", "0", {}, tokens, 10)]
    return Plan("s", 1, "chat", stream, "cold", items, list(stages), "0", "0")


def url(**more: Any) -> UrlTarget:
    return UrlTarget.model_validate({"kind": "url", "name": "u", "url": "http://h:1/v1", **more})


def scenario(processes: int = 1) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "s",
            "workload": {"kind": "tasks", "tasks": ["support-tickets"]},
            "arrivals": {"kind": "closed"},
            "stages": [{"concurrency": 1}],
            "processes": processes,
        }
    )


def look(
    *stages: StagePlan,
    limits: HostLimits = ROOMY,
    processes: int = 1,
    targets: list[Target] | None = None,
    **more: Any,
) -> Preflight:
    return check_before_start(
        scenario(processes), plan(*stages), targets or [url()], limits=limits, host=HERE,
        calibration=more.pop("calibration", None), **more,
    )  # fmt: skip


def test_a_closed_loop_sends_as_fast_as_its_target_is_taken_to_answer() -> None:
    # 0.1 s and 100 gaps of 10 ms are 1.1 s an answer: 110 users make 100 requests and 10,100 events.
    guess = estimate(plan(stage(concurrency=110)), 1, AnswerPace(), BASIS)
    [demand] = guess.stages
    assert demand.requests_per_s == pytest.approx(100)
    assert demand.events_per_s == pytest.approx(10_100)
    assert demand.cores == pytest.approx((100 * 0.001 + 10_100 * 0.00001) / BUSY_AT_MOST)
    assert (guess.cores, demand.connections, demand.least_cores) == (1, 110, 0.0)


def test_think_time_and_whole_answers_ask_less() -> None:
    slow = estimate(plan(stage(concurrency=110, think_time_s=1.1)), 1, AnswerPace(), BASIS).stages[
        0
    ]
    assert slow.requests_per_s == pytest.approx(50)
    whole = estimate(plan(stage(concurrency=110), stream=False), 1, AnswerPace(), BASIS).stages[0]
    assert whole.events_per_s == whole.requests_per_s == pytest.approx(100)


def test_an_open_loop_sends_its_rate_whatever_the_target_does() -> None:
    guess = estimate(plan(stage(rate_per_s=1_500.0)), 1, AnswerPace(), BASIS)
    [demand] = guess.stages
    assert demand.requests_per_s == 1_500
    assert demand.least_cores == pytest.approx(1.5)
    assert demand.cores == pytest.approx((1.5 + 1.515) / BUSY_AT_MOST)
    assert guess.cores == 4
    assert demand.connections == 1024


def test_the_most_demanding_stage_counts_and_priming_does_not() -> None:
    prime = stage(kind="prime", concurrency=1)
    assert estimate(plan(prime), 1, AnswerPace(), BASIS).cores == 0
    assert "priming" in demand_line(estimate(plan(prime), 1, AnswerPace(), BASIS))
    guess = estimate(
        plan(prime, stage(concurrency=1), stage(concurrency=2_000)), 1, AnswerPace(), BASIS
    )
    assert guess.cores == estimate(plan(stage(concurrency=2_000)), 1, AnswerPace(), BASIS).cores > 1
    assert "1,818 requests/s" in demand_line(guess)


def test_the_pace_is_the_objectives_where_it_has_one() -> None:
    def slo(**bounds: str) -> Slo:
        return Slo(per_request=PerRequestSlo.model_validate(bounds))

    assert pace_of(None) == pace_of(slo(e2e="9s")) == AnswerPace()
    reported = pace_of(slo(ttft="500ms", tpot="50ms"))
    assert (reported.first_s, reported.gap_s) == (0.5, 0.05)
    assert "objective" in reported.source
    assert "objective" not in AnswerPace().source


def test_a_calibration_of_another_machine_is_not_reckoned_with() -> None:
    ours = basis_of(a_calibration(), is_ours=True)
    assert (ours.here, ours.costs) == (True, a_calibration().costs)
    for basis in (basis_of(a_calibration(), is_ours=False), basis_of(None, is_ours=False)):
        assert (basis.here, basis.costs) == (False, SHIPPED)
        assert "default" in basis.source
    assert basis_of(a_calibration(costs=None), is_ours=True).costs == SHIPPED


def test_only_an_exact_ceiling_limits_a_process() -> None:
    exact = basis_of(a_calibration(processes=2), is_ours=True)
    assert exact.rate_per_s == 2_000 / 2
    assert exact.events_per_s == 50_000 / 2
    open_ended = basis_of(a_calibration(bound="at_least"), is_ours=True)
    assert (open_ended.rate_per_s, open_ended.events_per_s) == (None, None)
    cheap = Basis(Costs(1e-6, 1e-9), "a test", True, events_per_s=1_000.0, rate_per_s=100.0)
    assert estimate(plan(stage(rate_per_s=350.0), tokens=1), 1, AnswerPace(), cheap).cores == 4
    assert estimate(plan(stage(concurrency=110)), 1, AnswerPace(), cheap).cores == 11


@given(
    users=st.integers(1, 50_000),
    tokens=st.integers(1, 5_000),
    gap_s=st.floats(0.0001, 1),
    more=st.integers(1, 1_000),
)
def test_more_users_a_faster_target_or_dearer_events_never_need_less(
    users: int, tokens: int, gap_s: float, more: int
) -> None:
    def needs(count: int, pace_s: float, costs: Costs) -> CapacityEstimate:
        basis = Basis(costs, "a test", True)
        return estimate(
            plan(stage(concurrency=count), tokens=tokens), 1, AnswerPace(0.1, pace_s), basis
        )

    base = needs(users, gap_s, BASIS.costs)
    assert needs(users + more, gap_s, BASIS.costs).cores >= base.cores >= 1
    assert needs(users, gap_s / 2, BASIS.costs).cores >= base.cores
    assert needs(users, gap_s, Costs(0.001, 0.00002)).cores >= base.cores
    # Never more events than users could get, one each gap.
    assert base.stages[0].events_per_s <= users / min(gap_s, 0.1) * 1.000001


def test_too_few_processes_are_warned_of_with_the_number_needed() -> None:
    assert look(stage(concurrency=10)).warnings == []
    [line] = look(stage(concurrency=2_000)).warnings
    assert line.startswith("this plan needs 4 cores, you gave 1:")
    assert "pass --processes 4" in line
    assert "default" in line
    assert look(stage(concurrency=2_000), processes=4).warnings == []
    small = HostLimits(2, 1024, 100_000, 28_232)
    assert "this machine has 2" in look(stage(concurrency=2_000), limits=small).warnings[0]


def test_more_processes_than_cores_are_warned_of() -> None:
    [line] = look(stage(concurrency=10), processes=9).warnings
    assert line == "9 processes on 8 usable cores will wait for each other"


def test_a_rate_that_sending_alone_exceeds_is_refused_where_it_was_measured() -> None:
    impossible = stage(rate_per_s=9_000.0)
    with pytest.raises(BadInput, match=r"needs \d+ cores, you gave 1.*--force"):
        look(impossible, calibration=a_calibration())
    assert look(impossible, calibration=a_calibration(), force=True).warnings
    assert look(impossible).warnings  # the default is another machine's: no reason to refuse
    assert look(stage(rate_per_s=3_000.0), calibration=a_calibration()).warnings


def test_an_old_or_foreign_calibration_is_named_where_it_matters() -> None:
    foreign = a_calibration(machine="other")
    assert any(
        "another machine" in line
        for line in look(stage(concurrency=1), calibration=foreign).warnings
    )
    old = a_calibration(made_utc="2020-01-01T00:00:00Z")
    assert look(stage(concurrency=1), calibration=old).warnings == []
    assert any(
        "days old" in line for line in look(stage(concurrency=9_000), calibration=old).warnings
    )


def test_descriptors_are_counted_by_process_and_refused_above_the_hard_limit() -> None:
    tight = HostLimits(8, 256, 1_000, 28_232)
    assert look(stage(concurrency=800), limits=tight).open_files == 800 + OWN_FILES
    with pytest.raises(BadInput, match="ulimit -n 1128") as refused:
        look(stage(concurrency=1_000), limits=tight)
    assert "1,000 connections from 1 process need 1,128 open files" in str(refused.value)
    assert "allows 1,000" in str(refused.value)
    assert look(stage(concurrency=1_000), limits=tight, processes=4).open_files == 250 + OWN_FILES
    served: list[Target] = [EmulatedTarget(kind="emulated", name="emulated-a")]
    with pytest.raises(BadInput, match="ulimit -n 1128"):
        look(stage(concurrency=1_000), limits=tight, processes=4, targets=served)


def test_ports_are_a_limit_for_all_processes_together() -> None:
    few = HostLimits(8, 1024, 100_000, 500, "32768 to 33267")
    assert look(stage(concurrency=500), limits=few, processes=4).warnings == []
    with pytest.raises(BadInput, match="ip_local_port_range") as refused:
        look(stage(concurrency=501), limits=few, processes=4)
    assert "501 connections to one target, and 500 local ports (32768 to 33267" in str(
        refused.value
    )
    unknown = HostLimits(8, 1024, 100_000, None)
    assert look(stage(concurrency=50_000), limits=unknown, processes=8).open_files > 6_000


def test_an_open_loop_may_never_reach_its_in_flight_limit_and_is_only_warned() -> None:
    tight = HostLimits(8, 256, 300, 200, "1 to 200")
    ports, files = look(stage(rate_per_s=1.0), limits=tight).warnings
    assert "local ports" in ports
    assert "lower max_in_flight" in files
    capped: list[Target] = [url(max_concurrency=100)]
    assert look(stage(rate_per_s=1.0), limits=tight, targets=capped).warnings == []


@pytest.mark.parametrize(
    ("target", "level", "complaint"),
    [
        ({"max_concurrency": 2}, {"concurrency": 2}, "max_concurrency is 2, which 3 processes"),
        ({}, {"rate_per_s": 1.0, "max_in_flight": 1}, "max_in_flight is 1, which 3 processes"),
        ({"max_concurrency": 3}, {"concurrency": 3}, None),
        (
            {"throttling": {"policy": "pace", "requests_per_minute": 2}},
            {"concurrency": 3},
            "requests_per_minute is 2, which 3 processes",
        ),
    ],
)
def test_a_limit_below_the_number_of_processes_is_refused(
    target: dict[str, Any], level: dict[str, Any], complaint: str | None
) -> None:
    if complaint is None:
        check_levels(url(**target), plan(stage(**level)), 3)
    else:
        with pytest.raises(BadInput, match=complaint):
            check_levels(url(**target), plan(stage(**level)), 3)


def test_the_estimate_stands_in_a_manifest_as_plain_values() -> None:
    facts = look(stage(concurrency=10)).estimate.to_dict()
    assert facts["cores"] == 1
    assert facts["measured_here"] is False
    assert facts["stages"][0]["connections"] == 10
