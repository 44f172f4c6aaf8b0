"""Each code provoked by what it is about and by nothing else, and a clean run with none."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from observatory.analysis.checks.identity_checks import with_identity
from observatory.analysis.checks.judge import THRESHOLDS, judge_run, verdict_of
from observatory.analysis.checks.thresholds import as_applied
from observatory.core.caps_spent import CapsSpent
from observatory.core.record import Attempt, Tokens
from observatory.core.run import EarlierRun, Finding, SealReport

N = 300
"""Requests of a made window: one every 0.1 s."""


def fill(run: Any, ttft_s: Callable[[int], float] = lambda place: 0.1, **fields: Any) -> Any:
    """Return a window of N requests of 10 tokens each, with a client without faults."""
    run.healthy_side()
    for place in range(N):
        run.add(5 + place / 10, ttft_s=ttft_s(place), gaps_s=[0.01] * 9, **fields)
    return run


def judge(run: Any) -> tuple[list[Finding], Any]:
    return judge_run(run.manifest, run.frames)


def only(run: Any) -> Finding:
    """The one finding of a run."""
    findings, _ = judge(run)
    assert len(findings) == 1, findings
    [finding] = findings
    return finding


def test_a_clean_run_is_valid_without_a_finding(made: Any) -> None:
    findings, verdict = judge(fill(made))
    assert findings == []
    assert (verdict.level, verdict.codes) == ("valid", [])
    assert verdict.sentence == "valid: no check found a reason for doubt"


def test_a_clean_open_loop_run_is_valid_without_a_finding(made: Any) -> None:
    made.kinds = ["constant"]
    assert judge(fill(made))[0] == []


@pytest.mark.parametrize("issued", [N - 1, N + 1])
def test_lost_records(made: Any, issued: int) -> None:
    made.stage_facts = {0: {"issued": issued}}
    finding = only(fill(made))
    assert (finding.code, finding.severity, finding.value) == ("lost_records", "invalid", 1)
    assert f"{issued} requests were issued and {N} recorded" in finding.message


def test_lost_records_of_the_plan(made: Any) -> None:
    made.kinds = ["constant"]
    made.stage_facts = {0: {"planned": N + 3}}
    finding = only(fill(made))
    assert (finding.code, finding.severity, finding.value) == ("lost_records", "invalid", 3)


def test_requests_that_were_never_sent_are_not_lost(made: Any) -> None:
    made.kinds = ["constant"]
    fill(made)
    made.add(2.0, outcome="not_issued", reason="max_in_flight")
    record = made.records[-1]
    made.records[-1] = msgspec.structs.replace(record, attempts=[])
    assert judge(made)[0] == []


def test_lost_worker(made: Any) -> None:
    made.stage_facts = {0: {"lost_workers": ["worker 1"]}}
    finding = only(fill(made))
    assert (finding.code, finding.severity, finding.stage) == ("lost_worker", "degraded", 0)
    assert "worker 1" in finding.message


def two_workers(run: Any, issued_by_the_dead: int) -> Any:
    """Worker 1 answered half of the requests and was killed; worker 0 ended in order."""
    fill(run)
    run.records = [msgspec.structs.replace(r, worker=r.index % 2) for r in run.records]
    run.stage_facts = {0: {"lost_workers": ["worker 1"], "issued": 999}}
    run.tick(38, worker=1, issued=issued_by_the_dead)
    run.end(39, issued=N // 2, recorded=N // 2)
    return run


@pytest.mark.parametrize("issued", [N // 2 - 3, N // 2])
def test_a_dead_worker_that_had_nothing_open_lost_no_record(made: Any, issued: int) -> None:
    """Its last count is up to a second old: more records than counted are no contradiction."""
    assert only(two_workers(made, issued)).code == "lost_worker"


def test_what_a_dead_worker_had_open_is_lost(made: Any) -> None:
    findings, verdict = judge(two_workers(made, N // 2 + 4))
    assert [(f.code, f.severity, f.value) for f in findings] == [
        ("lost_records", "invalid", 4),
        ("lost_worker", "degraded", 1),
    ]
    assert "when worker 1 died" in findings[0].message
    assert verdict.level == "invalid"


def test_what_a_dead_worker_sent_after_its_last_word_is_lost_too(made: Any) -> None:
    two_workers(made, N // 2)
    made.stage_facts[0] |= {"issued": N + 3, "counted": True}
    findings, verdict = judge(made)
    assert [(f.code, f.value) for f in findings] == [("lost_records", 3), ("lost_worker", 1)]
    assert verdict.level == "invalid"


def test_what_a_survivor_lost_is_lost_beside_a_dead_worker(made: Any) -> None:
    two_workers(made, N // 2)
    made.records = [record for record in made.records if record.index != 100]
    assert judge(made)[0][0].code == "lost_records"


@pytest.mark.parametrize(
    ("report", "code", "value"),
    [
        ({"torn": {"journal/stage-00/worker-0.requests": 17}}, "torn_journal", 17),
        ({"duplicates": 2}, "duplicate_records", 2),
    ],
)
def test_what_the_seal_found(made: Any, report: dict[str, Any], code: str, value: int) -> None:
    made.facts = {"seal_report": SealReport(records=N, **report)}
    finding = only(fill(made))
    assert (finding.code, finding.severity, finding.value) == (code, "degraded", value)


@pytest.mark.parametrize(("share", "severity"), [(0.85, "degraded"), (0.97, "invalid")])
def test_client_cpu_is_of_the_busiest_worker(made: Any, share: float, severity: str) -> None:
    fill(made)
    for second in range(1, 60):
        made.tick(second, worker=1, cpu_ns=round(second * share * 1e9))
    finding = only(made)
    assert (finding.code, finding.severity) == ("client_cpu", severity)
    assert finding.value == pytest.approx(share)
    assert "worker 1" in finding.message


def test_work_outside_the_window_does_not_count_as_client_cpu(made: Any) -> None:
    fill(made)
    made.ticks.clear()
    for second in range(1, 60):
        busy = second if second < 5 else 5 + (second - 5) * 0.2
        made.tick(second, cpu_ns=round(busy * 1e9))
    assert judge(made)[0] == []


@pytest.mark.parametrize(("lag_s", "severity"), [(0.003, "degraded"), (0.015, "invalid")])
def test_client_delay_of_sends(made: Any, lag_s: float, severity: str) -> None:
    made.healthy_side()
    for place in range(N):
        late = lag_s if place % 20 == 0 else 0.0
        made.add(5 + place / 10, sent_s=5 + place / 10 + late, gaps_s=[0.01] * 9)
    finding = only(made)
    assert (finding.code, finding.severity) == ("client_delay", severity)
    assert finding.value == pytest.approx(lag_s / 0.1)
    assert finding.message.startswith("requests left")


def test_one_late_request_in_a_small_run_is_no_client_delay(made: Any) -> None:
    made.healthy_side()
    for place in range(100):
        late = 0.05 if place == 50 else 0.0
        made.add(5 + place / 4, sent_s=5 + place / 4 + late, gaps_s=[0.01] * 9)
    assert judge(made)[0] == []


def test_waits_on_purpose_and_opening_connections_are_no_client_delay(made: Any) -> None:
    made.healthy_side()
    for place in range(N):
        at = 5 + place / 10
        facts = {"connect_started": round((at + 0.05) * 1e9), "reused_connection": False}
        made.add(at, sent_s=at + 0.09, gaps_s=[0.01] * 9, facts=facts, pace_wait_ns=50_000_000)
    assert judge(made)[0] == []


@pytest.mark.parametrize(("stall_s", "severity"), [(0.015, "degraded"), (0.05, "invalid")])
def test_client_delay_of_the_loop(made: Any, stall_s: float, severity: str) -> None:
    """One stall a second: events meet more than (stall - 10 ms) of it in 1 % of the time."""
    fill(made)
    made.ticks = [
        (stage, worker, msgspec.structs.replace(tick, loop_lag_ns=round(stall_s * 1e9)))
        for stage, worker, tick in made.ticks
    ]
    finding = only(made)
    assert (finding.code, finding.severity) == ("client_delay", severity)
    assert finding.value == pytest.approx((stall_s - 0.01) / 0.1, rel=0.05)
    assert "loop" in finding.message


def test_one_stall_is_not_the_p99_of_a_window(made: Any) -> None:
    fill(made)
    stage, worker, tick = made.ticks[20]
    made.ticks[20] = (stage, worker, msgspec.structs.replace(tick, loop_lag_ns=200_000_000))
    assert judge(made)[0] == []


@pytest.mark.parametrize(("every", "severity"), [(5, "degraded"), (1, "invalid")])
def test_shared_stamps(made: Any, every: int, severity: str) -> None:
    made.healthy_side()
    for place in range(N):
        shared = {"shared_stamps": 2} if place % every == 0 else {}
        made.add(5 + place / 10, gaps_s=[0.01] * 9, facts=shared)
    finding = only(made)
    assert (finding.code, finding.severity) == ("shared_stamps", severity)
    assert finding.value == pytest.approx(0.2 / every)


@pytest.mark.parametrize(("stretch", "severity"), [(1.05, "degraded"), (1.25, "invalid")])
def test_offered_rate(made: Any, stretch: float, severity: str) -> None:
    """Requests leave slower than planned, held by a limit, which is no fault of the client's."""
    made.kinds = ["poisson"]
    made.healthy_side()
    for place in range(N):
        held_s = place / 10 * (stretch - 1)
        at = 5 + place / 10
        made.add(at, sent_s=at + held_s, gaps_s=[0.01] * 9, pace_wait_ns=round(held_s * 1e9))
    findings = {finding.code: finding for finding in judge(made)[0]}
    assert set(findings) == {"offered_rate", "drift"}  # what is held back piles up
    assert "open in the second half" in findings["drift"].message
    finding = findings["offered_rate"]
    assert finding.severity == severity
    assert finding.value == pytest.approx(1 - 1 / stretch)


def test_offered_rate_misses_what_was_never_issued(made: Any) -> None:
    made.kinds = ["constant"]
    made.healthy_side()
    for place in range(N):
        record = made.add(5 + place / 10, gaps_s=[0.01] * 9)
        if place % 10 == 5:
            made.records[-1] = msgspec.structs.replace(record, outcome="not_issued", attempts=[])
    findings, _ = judge(made)
    assert [finding.code for finding in findings] == ["offered_rate", "left_out"]
    assert findings[0].value == pytest.approx(30 / 299)


def test_a_closed_loop_plans_no_rate(made: Any) -> None:
    made.healthy_side()
    for place in range(N):
        at, sent = 5 + place / 10, 5 + (place + place % 30) / 10
        made.add(at, sent_s=sent, gaps_s=[0.01] * 9, pace_wait_ns=round((sent - at) * 1e9))
    assert judge(made)[0] == []


@pytest.mark.parametrize(("factor", "severity"), [(1.2, "degraded"), (1.5, "invalid")])
def test_drift(made: Any, factor: float, severity: str) -> None:
    noise = [1.0, 1.02, 0.99, 1.01, 0.98]
    fill(made, lambda place: 0.1 * noise[place % 5] * (factor if place >= N / 2 else 1))
    finding = only(made)
    assert (finding.code, finding.severity) == ("drift", severity)
    assert finding.value == pytest.approx(factor - 1, abs=0.02)
    assert "time to first token" in finding.message


def usage(output: int, streamed: int, streamed_from: str, **fields: Any) -> Tokens:
    return Tokens(
        prompt=100,
        output=output,
        streamed=streamed,
        output_from="usage",
        streamed_from=streamed_from,  # type: ignore[arg-type]
        **fields,
    )


@pytest.mark.parametrize(
    ("tokens", "share"),
    [
        (usage(12, 10, "tokenizer"), 1 / 12),
        (usage(0, 10, "events"), 1.0),
        (usage(8, 8, "characters"), 2 / 10),
        (usage(200, 200, "characters"), 39 / 200),
    ],
    ids=["two counts", "usage of nothing", "fewer than events", "more than bytes"],
)
def test_token_mismatch(made: Any, tokens: Tokens, share: float) -> None:
    """Ten events of four characters that ended by themselves: 10 to 161 tokens are possible."""
    finding = only(fill(made, facts={"tokens": tokens}))
    assert (finding.code, finding.severity) == ("token_mismatch", "degraded")
    assert finding.value == pytest.approx(share)


@pytest.mark.parametrize(
    "facts",
    [
        {"tokens": usage(11, 10, "tokenizer")},
        {"tokens": usage(510, 10, "tokenizer", reasoning=500)},
        {"tokens": usage(161, 161, "characters")},
        {"tokens": usage(10, 10, "usage")},
        {"tokens": usage(8, 8, "characters"), "tool_calls": 1},
        {"tokens": Tokens(output=10, streamed=10, output_from="events", streamed_from="events")},
    ],
    ids=["stop token", "hidden reasoning", "merged events", "agreement", "tool call", "no usage"],
)
def test_counts_that_can_be_explained_are_no_mismatch(made: Any, facts: dict[str, Any]) -> None:
    assert judge(fill(made, facts=facts))[0] == []


def test_telemetry_gap(made: Any) -> None:
    fill(made)
    made.samples = [sample for sample in made.samples if not 10e9 < sample.at < 14e9]
    finding = only(made)
    assert (finding.code, finding.severity, finding.value) == ("telemetry_gap", "degraded", 4.0)
    assert "host" in finding.message


def test_telemetry_that_never_came_is_a_gap_as_long_as_the_window(made: Any) -> None:
    fill(made)
    made.samples = []
    assert only(made).value == 30.0


def test_a_slow_interval_that_was_asked_for_is_no_gap(made: Any) -> None:
    made.scenario = {"telemetry": {"interval": "5s"}}
    fill(made)
    made.samples = [sample for sample in made.samples if sample.at % (5 * 10**9) == 0]
    assert judge(made)[0] == []


def test_a_sensor_that_never_worked_is_no_gap(made: Any) -> None:
    fill(made)
    for second in range(60):
        made.sample(second, 0.0, "up", sensor="nvml")
        made.sample(second, None, "gpu_power_w", sensor="nvml", device="gpu0", reason="no driver")
    assert judge(made)[0] == []


def test_clock_step(made: Any) -> None:
    fill(made)
    made.records[100] = msgspec.structs.replace(made.records[100], clock_step=True)
    finding = only(made)
    assert (finding.code, finding.severity, finding.value) == ("clock_step", "degraded", 1)


@pytest.mark.parametrize(("failed", "severity"), [(6, "degraded"), (151, "invalid")])
def test_errors(made: Any, failed: int, severity: str) -> None:
    fill(made)
    for place in range(failed):
        lost = Attempt(
            number=0,
            sent=made.records[place].scheduled,
            ended=made.records[place].scheduled + 190_000_000,
            outcome="error",
        )
        made.records[place] = msgspec.structs.replace(
            made.records[place], outcome="error", attempts=[lost]
        )
    finding = only(made)
    assert (finding.code, finding.severity) == ("errors", severity)
    assert finding.value == pytest.approx(failed / N)


def test_cache_state(made: Any) -> None:
    """Half of each prompt came from the cache; 64 tokens of it may be the template's."""
    tokens = Tokens(prompt=400, cached=200, output=10, streamed=10)
    finding = only(fill(made, facts={"tokens": tokens}))
    assert (finding.code, finding.severity) == ("cache_state", "degraded")
    assert finding.value == pytest.approx(136 / 400)


def test_no_more_of_a_prompt_than_the_whole_came_from_the_cache(made: Any) -> None:
    """The counts contradict each other: 4,000 cached tokens of a prompt of 400."""
    tokens = Tokens(prompt=400, cached=4_000, output=10, streamed=10)
    found = {one.code: one for one in judge(fill(made, facts={"tokens": tokens}))[0]}
    assert found["cache_state"].value == pytest.approx(336 / 400)


@pytest.mark.parametrize(
    ("cache", "cached"), [("cold", 64), ("cold", None), ("natural", 390), ("warm", 390)]
)
def test_a_cache_as_it_was_asked_for_raises_nothing(
    made: Any, cache: str, cached: int | None
) -> None:
    made.scenario = {"workload": {"cache": cache}}
    tokens = Tokens(prompt=400, cached=cached, output=10, streamed=10)
    assert judge(fill(made, facts={"tokens": tokens}))[0] == []


def test_a_primed_cache_that_is_never_hit_is_noted(made: Any) -> None:
    made.scenario = {"workload": {"cache": "warm"}}
    finding = only(fill(made))
    assert (finding.code, finding.severity) == ("cache_state", "note")


def test_percentile_floor(made: Any) -> None:
    made.healthy_side()
    for place in range(40):
        made.add(5 + place / 2, gaps_s=[0.01] * 9)
    finding = only(made)
    assert (finding.code, finding.severity) == ("percentile_floor", "note")
    assert (finding.value, finding.threshold) == (40, 64)
    assert judge(made)[1].level == "valid"


def test_window_cut(made: Any) -> None:
    made.stage_facts = {0: {"steady_ended": 30 * 10**9}}
    finding = only(fill(made))
    assert (finding.code, finding.severity, finding.value) == ("window_cut", "note", 25.0)
    assert "25.0 s of 30 s" in finding.message


def test_no_requests(made: Any) -> None:
    made.healthy_side()
    made.add(1)
    finding = only(made)
    assert (finding.code, finding.severity, finding.stage) == ("no_requests", "invalid", 0)


def test_a_stage_that_never_became_steady_has_no_requests(made: Any) -> None:
    made.stage_facts = {0: {"steady_started": None, "steady_ended": None}}
    assert only(made).code == "no_requests"


def test_shared_cores(made: Any) -> None:
    made.target = {"on_this_host": True}
    fill(made)
    made.samples.clear()
    for second in range(60):
        made.sample(second, 0.98)
    findings, verdict = judge(made)
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("shared_cores", "degraded")
    ]
    assert verdict.sentence == (
        "degraded: the engine and the load generator share 2 cores, 98% busy (shared_cores)"
    )


def test_a_load_generator_with_cores_of_its_own_is_not_said_to_share_them(made: Any) -> None:
    made.target = {"kind": "url", "on_this_host": True}
    made.facts["environment"] = {"cores_usable": 1, "cores_logical": 2}
    fill(made)
    made.samples.clear()
    for second in range(60):
        made.sample(second, 0.98)
    finding = only(made)
    assert (finding.code, finding.severity) == ("shared_cores", "note")
    assert "bound to 1 of 2 cores" in finding.message


def test_sharing_idle_cores_is_noted_only(made: Any) -> None:
    made.target = {"on_this_host": True}
    finding = only(fill(made))
    assert (finding.code, finding.severity, finding.value) == (
        "shared_cores",
        "note",
        pytest.approx(0.3),
    )


def test_an_emulated_target_is_noted_and_shares_no_cores(made: Any) -> None:
    made.target = {"on_this_host": True, "emulated": True}
    findings, verdict = judge(fill(made))
    assert [(finding.code, finding.severity) for finding in findings] == [("emulated", "note")]
    assert verdict.level == "valid"
    assert "emulated" in verdict.sentence


@pytest.mark.parametrize(
    ("status", "severity"),
    [("interrupted", "note"), ("budget_reached", "note"), ("crashed", "degraded")],
)
def test_how_a_run_ended(made: Any, status: str, severity: str) -> None:
    made.facts = {"status": status, "status_reason": "because"}
    finding = only(fill(made))
    assert (finding.code, finding.severity) == (status, severity)
    assert "because" in finding.message


@pytest.mark.parametrize(
    ("spent", "beyond"),
    [
        ({"usd": 1.0, "output_tokens": 500}, None),
        ({"usd": 1.25, "output_tokens": 10, "overrun": 3.0}, 0.25),
        ({"usd": 0.5, "output_tokens": 501, "overrun": 1.5}, 1),
        (None, None),
    ],
)
def test_a_cap_that_was_passed_is_said_with_how_much(
    made: Any, spent: dict[str, Any] | None, beyond: float | None
) -> None:
    made.facts = {"spent": CapsSpent(**spent) if spent else None}
    made.scenario = {"budget": {"usd": 1.0, "output_tokens": 500, "requests": None}}
    fill(made)
    if beyond is None:
        assert judge(made)[0] == []
        return
    finding = only(made)
    assert (finding.code, finding.severity) == ("cap_exceeded", "degraded")
    assert finding.value is not None and finding.threshold is not None
    assert finding.value - finding.threshold == pytest.approx(beyond)
    assert "times its worst case" in finding.message


def test_an_interrupted_run_is_judged_on_the_stages_it_has(made: Any) -> None:
    made.kinds = ["closed", "closed"]
    made.facts = {"status": "interrupted"}
    made.stage_facts = {1: {"steady_started": None, "steady_ended": None}}
    assert only(fill(made)).code == "interrupted"
    made.stage_facts[0] = {"steady_started": None, "steady_ended": None}
    findings, verdict = judge(made)
    assert [finding.code for finding in findings] == ["no_requests", "interrupted"]
    assert verdict.level == "invalid"


def test_every_finding_has_a_threshold_row_and_every_row_says_why() -> None:
    for code, threshold in THRESHOLDS.items():
        assert threshold.code == code
        assert threshold.evidence
        limits = [threshold.degraded, threshold.invalid]
        assert (threshold.as_found is None) == any(limit is not None for limit in limits)


def test_the_table_is_stored_as_it_is_applied() -> None:
    rows = {row.code: row for row in as_applied()}
    assert list(rows) == list(THRESHOLDS)
    assert (rows["drift"].degraded, rows["drift"].invalid, rows["drift"].as_found) == (
        0.1,
        0.3,
        None,
    )
    assert rows["clock_step"].as_found == "degraded"


@pytest.mark.parametrize(
    ("code", "degraded", "invalid"),
    [
        ("client_cpu", 0.8, 0.95),
        ("client_delay", 0.02, 0.1),
        ("shared_stamps", 0.01, 0.1),
        ("offered_rate", 0.02, 0.1),
        ("lost_records", None, 0),
        ("drift", 0.1, 0.3),
        ("token_mismatch", 0.02, None),
        ("telemetry_gap", 3, None),
    ],
)
def test_the_numbers_are_those_that_were_agreed(
    code: str, degraded: float | None, invalid: float | None
) -> None:
    row = THRESHOLDS[code]
    assert (row.degraded, row.invalid, row.as_found) == (degraded, invalid, None)


def test_a_verdict_names_the_gravest_first_and_the_rest_by_code() -> None:
    findings = [
        Finding("drift", "degraded", "it sped up", 2, 0.2, 0.1),
        Finding("drift", "degraded", "it sped up more", 3, 0.25, 0.1),
        Finding("errors", "invalid", "300 of 400 requests failed", 1, 0.75, 0.5),
        Finding("percentile_floor", "note", "few", 1),
    ]
    verdict = verdict_of(findings)
    assert verdict.level == "invalid"
    assert verdict.codes == ["drift", "errors"]
    assert verdict.sentence == (
        "invalid: stage 2: 300 of 400 requests failed (errors); also degraded: drift"
    )
    assert verdict_of(findings[:2]).sentence == (
        "degraded: stage 4: it sped up more and in 1 more (drift)"
    )


def answered(run: Any, **named: Any) -> Any:
    """Return a window in which every fifth answer has the fields of `named`, and the others the usual ones."""
    run.healthy_side()
    run.target = {"model": "m-1"} | run.target
    for place in range(N):
        usual = {"model_reported": "m-1", "system_fingerprint": "fp-1"}
        facts = usual | named if place % 5 == 0 else usual
        run.add(5 + place / 10, gaps_s=[0.01] * 9, facts=facts)
    return run


def test_a_model_that_changes_inside_a_run_degrades_it(made: Any) -> None:
    finding = only(answered(made, model_reported="m-2"))
    assert (finding.code, finding.severity, finding.value) == ("model_changed", "degraded", 1)
    assert finding.message == "m-1 (240), m-2 (60) answered where 1 was requested"


def test_models_asked_in_turn_may_all_answer(made: Any) -> None:
    made.target = {"settings": {"asked_in_turn": ["m-1", "m-2"]}}
    assert judge(answered(made, model_reported="m-2"))[0] == []


def test_fingerprints_of_several_backends_are_a_note(made: Any) -> None:
    finding = only(answered(made, system_fingerprint="fp-2"))
    assert (finding.code, finding.severity, finding.value) == ("fingerprint_changed", "note", 2)
    assert "fp-1 (240), fp-2 (60)" in finding.message


def test_answers_that_name_nothing_are_not_judged(made: Any) -> None:
    assert judge(answered(made, model_reported=None, system_fingerprint=None))[0] == []


@pytest.mark.parametrize(
    ("model", "prints", "codes"),
    [
        ("m-1", ["fp-1"], []),
        ("m-1", ["fp-9", "fp-1"], []),  # one of several backends is still there
        ("m-0", ["fp-1"], ["model_changed"]),
        ("m-1", ["fp-0"], ["fingerprint_changed"]),
        ("m-0", ["fp-0"], ["model_changed", "fingerprint_changed"]),
        (None, [], []),
    ],
)
def test_another_model_or_fingerprint_than_in_the_run_before_is_a_note(
    made: Any, model: str | None, prints: list[str], codes: list[str]
) -> None:
    before = EarlierRun("run-0", "2026-11-20T08:00:00Z", model, prints)
    made.facts = {"earlier": before}
    findings, verdict = judge(answered(made))
    assert [finding.code for finding in findings] == codes
    assert all(finding.severity == "note" for finding in findings)
    assert all("on 2026-11-20 (run run-0)" in finding.message for finding in findings)
    assert verdict.level == "valid"
    if "model_changed" in codes:
        assert findings[0].message.startswith("m-1 answers; m-0 did on")


def test_a_sealed_run_says_who_answered_most(made: Any) -> None:
    run = answered(made, model_reported="m-2", system_fingerprint="fp-2")
    target = with_identity(run.manifest, run.frames).target
    assert (target.model_reported, target.system_fingerprints) == ("m-1", ["fp-1", "fp-2"])
