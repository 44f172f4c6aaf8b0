"""Requests of several tries: their latencies side by side, and the doubts that refusals raise."""

from typing import Any

import pytest
from msgspec.structs import replace

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.frames import CLIENT_LAG_S, request_frame
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.record import Attempt
from observatory.core.run import Finding

S = 1_000_000_000
N = 300


def refused(number: int, sent_s: float, status: int = 429) -> Attempt:
    """Refused within 50 ms."""
    return Attempt(
        number=number,
        sent=round(sent_s * S),
        ended=round((sent_s + 0.05) * S),
        http_status=status,
        outcome="throttled",
        error_phase="headers",
        error_kind="http_status",
    )


def judged(run: Any) -> dict[str, Finding]:
    return {finding.code: finding for finding in judge_run(run.manifest, run.frames)[0]}


def window(run: Any, make_attempt: Any, hit: int, *, outcome: str = "ok") -> Any:
    """N requests, one every 0.1 s; the first `hit` are refused once (for ever, where not ok)."""
    run.healthy_side()
    for place in range(N):
        at = 5 + place / 10
        if place % (N // hit) == 0:
            tries = [refused(0, at)]
            if outcome == "ok":
                tries.append(make_attempt(at + 2, 0.1, [0.01] * 9, number=1))
            run.add(at, *tries, outcome=outcome)
        else:
            run.add(at, gaps_s=[0.01] * 9)
    return run


def test_a_request_that_succeeded_on_its_third_try(made: Any, make_attempt: Any) -> None:
    """Due at 10, held 0.2 s, refused at 10.25 and at 12, sent at 15.5: first token 0.1 s later, whole
    after 0.13 s. Service 0.13 s, throttle wait 5.25 s, pace wait 0.2 s, and the user waited 5.63 s."""
    tries = [refused(0, 10.25), refused(1, 12.0, 529), make_attempt(15.5, number=2)]
    made.add(10.0, *tries, pace_wait_ns=round(0.2 * S))
    row = request_frame(made.frames).row(0, named=True)
    expected = {
        "ttft_s": 0.1,
        "e2e_s": 0.13,
        "throttle_wait_s": 5.25,
        "pace_wait_s": 0.2,
        "sched_lag_s": 0.05,
        "ttft_scheduled_s": 5.6,
        "e2e_scheduled_s": 5.63,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert expected["e2e_scheduled_s"] == pytest.approx(
        sum(expected[name] for name in ("sched_lag_s", "pace_wait_s", "throttle_wait_s", "e2e_s"))
    ), "the parts are the whole"
    assert (row["attempts_throttled"], row["attempts_recorded"]) == (2, 3)


def test_quantiles_count_requests_and_not_tries(made: Any, make_attempt: Any, figure: Any) -> None:
    """Eleven requests of two tries are enough for a median and not one more."""
    for place in range(11):
        at = 6.0 + place
        made.add(at, refused(0, at), make_attempt(at + 1 + place * 4 % 11, number=1))
    frame = stage_metrics(made.manifest, made.frames)
    assert figure(frame, "throttle_wait_s", "p50")["value"] == pytest.approx(6.0)
    assert figure(frame, "throttle_wait_s", "p50")["n"] == 11
    assert figure(frame, "e2e_s", "p50")["value"] == pytest.approx(0.13)
    assert figure(frame, "e2e_scheduled_s", "p50")["value"] == pytest.approx(6.13)
    p90 = figure(frame, "throttle_wait_s", "p90")
    assert (p90["value"], p90["reason"], p90["needs_n"]) == (None, "sample_floor", 64)
    assert figure(frame, "throttle_rate")["value"] == pytest.approx(0.5)


def test_what_never_succeeded_is_infinite_in_all_three(
    made: Any, make_attempt: Any, figure: Any
) -> None:
    for place in range(20):
        at = 6.0 + place
        tries = [refused(number, at + number / 10) for number in range(3)]
        if place % 10 in (1, 5, 6):
            made.add(at, *tries, make_attempt(at + 1, number=3))
        else:
            made.add(at, *tries, outcome="throttled", reason="max_attempts")
    frame = stage_metrics(made.manifest, made.frames)
    for metric in ("e2e_s", "throttle_wait_s", "e2e_scheduled_s"):
        row = figure(frame, metric, "p50")
        assert (row["value"], row["reason"]) == (None, "failures"), metric
        assert figure(frame, metric, "mean_ok")["n"] == 6
    assert figure(frame, "pace_wait_s", "p50")["value"] == 0.0, (
        "pacing is the client's, none failed"
    )
    assert figure(frame, "error_rate")["value"] == pytest.approx(14 / 20)


@pytest.mark.parametrize(("hit", "severity"), [(3, "note"), (30, "degraded")])
def test_throttled_tries_are_found_and_alone(
    made: Any, make_attempt: Any, hit: int, severity: str
) -> None:
    found = judged(window(made, make_attempt, hit))
    assert set(found) == {"throttled"}
    finding = found["throttled"]
    assert finding.severity == severity
    assert finding.value == pytest.approx(hit / (N + hit))
    assert finding.message == (
        f"{hit} of {N + hit} HTTP attempts were throttled; {hit} of {N} requests met that, and {hit} of "
        "them were served in the end"
    )


def test_refusals_that_nobody_waited_on_are_failures_too(made: Any, make_attempt: Any) -> None:
    found = judged(window(made, make_attempt, 30, outcome="throttled"))
    assert set(found) == {"errors", "throttled"}
    assert found["errors"].message == "30 of 300 requests failed (30 rate limited)"
    assert found["throttled"].message.endswith("and 0 of them were served in the end")


def test_what_a_loaded_service_does_is_told_apart(made: Any) -> None:
    made.healthy_side()
    failures = (
        [{"outcome": "throttled", "http_status": 429}] * 5
        + [{"outcome": "throttled", "http_status": 529}] * 2
        + [{"outcome": "error", "http_status": 503}] * 2
        + [{"outcome": "error", "error_kind": "reset", "http_status": 200}] * 3
        + [{"outcome": "timeout", "error_kind": "stall", "http_status": 200}] * 2
        + [{"outcome": "timeout", "error_kind": "timeout"}]
        + [{"outcome": "timeout", "error_kind": "no_end", "http_status": 200}] * 2
        + [{"outcome": "error", "http_status": 500, "error_kind": "http_status"}]
    )
    for place in range(N):
        at = 5 + place / 10
        fields: dict[str, Any] = failures[place // 17] if place % 17 == 0 else {}
        if fields:
            end = round((at + 0.2) * S)
            lost = Attempt(number=0, sent=round(at * S), ended=end, **fields)
            made.add(at, lost, outcome=fields["outcome"])
        else:
            made.add(at, gaps_s=[0.01] * 9)
    assert judged(made)["errors"].message == (
        "18 of 300 requests failed (5 rate limited, 4 overloaded, 3 connections reset, 2 stalled, "
        "2 whole answers without the stream's end, "
        "1 other errors, 1 timed out)"
    )


def test_a_429_of_a_paced_run_is_noted_and_of_no_other(new_run: Any, make_attempt: Any) -> None:
    paced = window(new_run(target={"throttling": "pace"}), make_attempt, 2)
    found = judged(paced)
    assert set(found) == {"throttled", "pace_not_kept"}
    assert (found["pace_not_kept"].severity, found["pace_not_kept"].value) == ("note", 2)
    assert "2 of 302 HTTP attempts got a 429" in found["pace_not_kept"].message
    obeying = window(new_run(target={"throttling": "obey"}), make_attempt, 2)
    assert set(judged(obeying)) == {"throttled"}


def test_a_limit_that_is_stated_with_another_status_is_noted_too(
    new_run: Any, make_attempt: Any
) -> None:
    """Of a paced run: one inside a 200 and a 429, and an overload inside a 200, which is no limit."""
    run = new_run(target={"throttling": "pace"})
    run.healthy_side()
    kinds = {50: (200, "rate_limited"), 100: (429, "http_status"), 150: (200, "overloaded")}
    for place in range(N):
        at = 5 + place / 10
        if place in kinds:
            status, kind = kinds[place]
            lost = replace(refused(0, at, status), error_kind=kind)
            run.add(at, lost, make_attempt(at + 2, 0.1, [0.01] * 9, number=1))
        else:
            run.add(at, gaps_s=[0.01] * 9)
    found = judged(run)["pace_not_kept"]
    assert found.value == 2
    assert found.message == (
        "2 of 303 HTTP attempts got a 429, or the same refusal with another status (1), "
        "although they were paced"
    )


def test_failures_inside_a_200_are_told_apart_like_those_of_a_status(
    new_run: Any, make_attempt: Any
) -> None:
    run = new_run()
    run.healthy_side()
    for place in range(N):
        at = 5 + place / 10
        kind = {0: "overloaded", 1: "rate_limited"}.get(place % 30)
        if kind:
            lost = replace(refused(0, at, 200), error_kind=kind)
            run.add(at, lost, outcome="throttled")
        else:
            run.add(at, gaps_s=[0.01] * 9)
    assert judged(run)["errors"].message == (
        "20 of 300 requests failed (10 overloaded, 10 rate limited)"
    )


@pytest.mark.parametrize("policy", ["pace", "obey", "record"])
def test_a_client_is_not_blamed_for_waits_that_were_asked_for(
    new_run: Any, make_attempt: Any, policy: str
) -> None:
    """Open loop; every second request is refused and waits 1 s: it left on time nevertheless."""
    run = new_run(target={"throttling": policy}, kinds=["constant"])
    run.healthy_side()
    for place in range(N):
        at = 5 + place / 10
        tries = [refused(0, at)] if place % 2 else []
        run.add(at, *tries, make_attempt(at + len(tries), 0.1, [0.01] * 9, number=len(tries)))
    found = judged(run)
    assert not {"offered_rate", "client_delay", "client_cpu"} & set(found)
    lags = request_frame(run.frames).select(CLIENT_LAG_S).to_series()
    assert lags.max() == 0


@pytest.mark.parametrize(("policy", "blamed"), [("pace", False), ("obey", True), (None, True)])
def test_what_pace_held_back_was_meant_and_what_another_limit_did_was_not_offered(
    new_run: Any, policy: str | None, blamed: bool
) -> None:
    """A tenth of the planned rate is held back more and more, as by a limit that is too small."""
    run = new_run(target={"throttling": policy}, kinds=["constant"])
    run.healthy_side()
    for place in range(N):
        at, held_s = 5 + place / 10, place / 100
        run.add(at, sent_s=at + held_s, gaps_s=[0.01] * 9, pace_wait_ns=round(held_s * S))
    found = judged(run)
    assert ("offered_rate" in found) == blamed
    assert "client_delay" not in found
    assert "drift" in found, "what is held back piles up, whoever holds it"
