"""Requests that an in-flight limit held back until the drain limit: infinite as users wait."""

from typing import Any

import msgspec
import pytest

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.metric import METRICS

PLANNED, UNSENT = 100, 40


@pytest.fixture
def held(made: Any) -> Any:
    """100 requests planned in the window; the last 40 never got a place before the drain ended.

    Those that were sent waited 10 ms more for each place in the line: 0.1 s + 10 ms x place.
    """
    made.kinds = ["constant"]
    made.healthy_side()
    made.scenario = {"slo": {"per_request": {"ttft": "400ms"}, "attainment": 0.9}}
    for place in range(PLANNED):
        at = 5 + place * 0.3
        if place < PLANNED - UNSENT:
            wait = place * 0.01
            made.add(at, sent_s=at + wait, ttft_s=0.1, pace_wait_ns=round(wait * 1e9))
        else:
            hold_back(made, at)
    return made


def hold_back(run: Any, at_s: float, reason: str = "drain_limit") -> None:
    record = run.add(at_s, outcome="not_issued", reason=reason)
    run.records[-1] = msgspec.structs.replace(record, attempts=[], released=None)


@pytest.mark.parametrize("metric", ["ttft_scheduled_s", "e2e_scheduled_s"])
def test_time_from_the_schedule_counts_them_as_infinite(
    held: Any, figure: Any, metric: str
) -> None:
    """The 90th of 100 was never sent. The line grows all the time, so there is no median to estimate."""
    frame = stage_metrics(held.manifest, held.frames)
    middle, tail = figure(frame, metric, "p50"), figure(frame, metric, "p90")
    assert (middle["value"], middle["n"]) == (None, PLANNED)
    assert (middle["reason"], middle["effective_n"]) == ("sample_floor", 0)
    assert (tail["value"], tail["reason"], tail["bound"]) == (None, "failures", 20.0)
    assert figure(frame, metric, "mean")["reason"] == "failures"
    assert figure(frame, metric, "p50_ok")["n"] == PLANNED - UNSENT


def test_time_from_the_send_knows_nothing_of_them(held: Any, figure: Any) -> None:
    frame = stage_metrics(held.manifest, held.frames)
    from_sent = [m.name for m in METRICS if m.quantiles and "scheduled" not in m.name]
    for metric in from_sent:
        assert figure(frame, metric, "p50")["n"] == PLANNED - UNSENT, metric
    assert figure(frame, "ttft_s", "p50")["value"] == pytest.approx(0.1)


def test_goodput_and_errors_are_of_all_that_were_offered(held: Any, figure: Any) -> None:
    """31 of 100 had their first token within 400 ms of the intended send: the first ones, so that no
    share of a steady service is estimated. What failed is counted all the same."""
    frame = stage_metrics(held.manifest, held.frames)
    for name in ("goodput_fraction", "goodput_rps"):
        row = figure(frame, name)
        assert (row["value"], row["reason"], row["n"]) == (None, "sample_floor", PLANNED)
        assert (row["needs_n"], row["effective_n"]) == (30, 0)
    row = figure(frame, "error_rate")
    assert (row["value"], row["n"]) == (UNSENT / PLANNED, PLANNED)
    assert row["low"] < 0.1 < 0.8 < row["high"]
    assert figure(frame, "request_rate")["value"] == pytest.approx((PLANNED - UNSENT) / 30)


def test_the_verdict_says_who_never_got_a_place(held: Any) -> None:
    found = {finding.code: finding for finding in judge_run(held.manifest, held.frames)[0]}
    assert found["errors"].value == UNSENT / PLANNED
    assert "40 of them held back by a limit" in found["errors"].message
    assert "left_out" not in found


def test_a_line_that_grows_until_the_end_is_drift(made: Any, figure: Any) -> None:
    """Ten a second are due, four a second leave; the rest is still open when the window ends."""
    made.kinds = ["constant"]
    made.healthy_side()
    for place in range(300):
        at = 5 + place / 10
        if place % 5 < 2:
            made.add(at, gaps_s=[0.01] * 9)
        else:
            hold_back(made, at)
    change = figure(stage_metrics(made.manifest, made.frames), "open_requests_change")
    assert (change["value"], change["reason"]) == (pytest.approx(2.0, rel=0.05), None)
    found = {finding.code: finding for finding in judge_run(made.manifest, made.frames)[0]}
    assert found["drift"].severity == "invalid"
    assert "more requests were open" in found["drift"].message


@pytest.mark.parametrize("reason", ["interrupted", "crashed", None])
def test_what_was_not_sent_for_another_reason_counts_nowhere(
    made: Any, figure: Any, reason: str | None
) -> None:
    made.kinds = ["constant"]
    for place in range(20):
        made.add(6 + place)
    hold_back(made, 30, reason)
    frame = stage_metrics(made.manifest, made.frames)
    assert figure(frame, "ttft_scheduled_s", "p50")["n"] == 20
    assert figure(frame, "error_rate")["value"] == 0
