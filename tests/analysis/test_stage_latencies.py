"""Distributions of a stage: who counts, what a failure does, what a stepped clock leaves out."""

from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.metric import FLOORS, METRICS
from observatory.core.record import Attempt
from observatory.store.frames import RunFrames
from observatory.store.schema.tables import STAGE_METRICS


def metrics(run: Any) -> pl.DataFrame:
    return stage_metrics(run.manifest, run.frames)


def test_rows_are_those_of_the_schema_for_every_metric_and_statistic(made: Any) -> None:
    made.add(10)
    frame = metrics(made)
    assert frame.columns == [c.name for c in STAGE_METRICS.columns if c.name != "run_id"]
    assert frame.select("stage", "metric", "statistic").is_unique().all()
    for metric in METRICS:
        statistics = frame.filter(pl.col("metric") == metric.name).get_column("statistic")
        if metric.quantiles:
            plain = [*FLOORS, "mean"]
            assert statistics.to_list() == plain + [f"{name}_ok" for name in plain]
        else:
            assert statistics.to_list() == ["value"]


def test_only_requests_scheduled_in_the_window_count_and_are_followed_to_their_end(
    made: Any, figure: Any
) -> None:
    made.add(4.999, ttft_s=9)
    made.add(5.0, ttft_s=0.1)
    made.add(34.999, ttft_s=0.3)
    made.add(35.0, ttft_s=9)
    row = figure(metrics(made), "ttft_s", "mean")
    assert row["value"] == pytest.approx(0.2)
    assert row["n"] == 2


def test_a_failure_is_infinitely_slow_and_successes_stand_beside(made: Any, figure: Any) -> None:
    for place in range(9):
        made.add(6 + place, ttft_s=0.1 + place * 4 % 9 / 100)
    for place in range(11):
        made.add_failed(20 + place)
    frame = metrics(made)
    p50 = figure(frame, "ttft_s", "p50")
    assert (p50["value"], p50["reason"], p50["bound"], p50["n"]) == (None, "failures", 20.0, 20)
    assert figure(frame, "ttft_s", "mean")["reason"] == "failures"
    assert figure(frame, "ttft_s", "mean_ok")["value"] == pytest.approx(0.14)
    assert figure(frame, "ttft_s", "p50_ok")["reason"] == "sample_floor"
    assert figure(frame, "e2e_s", "p50")["reason"] == "failures"


def test_a_failure_after_the_measured_instant_counts_with_its_time(
    made: Any, make_attempt: Any, figure: Any
) -> None:
    """It broke off in mid-stream: the first token came, the end did not, and one gap never ended."""
    broken = make_attempt(10, 0.2, [0.01, 0.03], outcome="error", ended=12_000_000_000)
    made.add(10, broken, outcome="error")
    frame = metrics(made)
    assert figure(frame, "ttft_s", "mean")["value"] == pytest.approx(0.2)
    assert figure(frame, "ttft_s", "mean_ok")["n"] == 0
    for name in ("e2e_s", "tpot_s", "itl_s"):
        assert figure(frame, name, "mean")["reason"] == "failures"


def test_failures_are_the_slow_end_of_a_rate_too(made: Any, figure: Any) -> None:
    for place in range(5):
        made.add(6 + place)
    for place in range(6):
        made.add_failed(20 + place)
    p50 = figure(metrics(made), "output_tps_user", "p50")
    assert (p50["value"], p50["reason"], p50["bound"]) == (None, "failures", 0.0)
    made.add(30)
    made.add(31)
    for place in range(30):
        made.add(15 + place / 7 if place % 2 else 19.5 + place / 70)
        if place % 3:
            made.add_failed(15.05 + place / 7)
    later = figure(metrics(made), "output_tps_user", "p50")
    assert later["value"] == pytest.approx(100)
    assert later["low"] == 0.0


def test_the_bound_of_failures_is_the_shortest_wait_that_was_given_up(
    made: Any, figure: Any
) -> None:
    for place in range(11):
        gone = Attempt(number=0, sent=10**10, ended=10**10 + (place + 8) * 10**9, outcome="timeout")
        made.add(10, gone, outcome="timeout")
    assert figure(metrics(made), "e2e_s", "p50")["bound"] == 8.0


def test_the_clients_own_lag_knows_no_failures_of_the_target(made: Any, figure: Any) -> None:
    made.add(10, sent_s=10.02)
    made.add(11, Attempt(number=0, outcome="error", error_phase="connect"), outcome="error")
    row = figure(metrics(made), "sched_lag_s", "mean")
    assert (row["value"], row["n"]) == (pytest.approx(0.02), 1)


@pytest.mark.parametrize("outcome", ["interrupted", "not_issued", "refused_by_budget"])
def test_what_the_target_is_not_answerable_for_is_left_out(
    made: Any, figure: Any, outcome: str
) -> None:
    made.add(10)
    made.add(11, outcome=outcome)
    frame = metrics(made)
    assert figure(frame, "e2e_s", "mean")["n"] == 1
    assert figure(frame, "error_rate")["n"] == 1


def test_a_stepped_clock_leaves_latencies_out_and_nothing_else(made: Any, figure: Any) -> None:
    made.add(10)
    made.add(11, clock_step=True, ttft_s=5)
    frame = metrics(made)
    assert figure(frame, "ttft_s", "mean")["n"] == 1
    assert figure(frame, "itl_s", "mean")["n"] == 1
    assert figure(frame, "request_rate")["value"] == pytest.approx(2 / 30)


def test_gaps_with_another_segments_stamp_are_left_out_at_both_ends(made: Any, figure: Any) -> None:
    """The third event bears the fourth's stamp: the gaps before and after it are not true."""
    made.add(
        10,
        gaps_s=[0.01, 0.05, 0.0, 0.02],
        facts={"event_shared": [False, False, True, False, False], "shared_stamps": 1},
    )
    assert figure(metrics(made), "itl_s", "mean")["value"] == pytest.approx(0.015)


def test_gaps_count_where_they_end_and_the_first_is_none(made: Any, figure: Any) -> None:
    made.add(34.8, ttft_s=0.1, gaps_s=[0.05, 0.5, 0.5])
    row = figure(metrics(made), "itl_s", "mean")
    assert (row["value"], row["n"]) == (pytest.approx(0.05), 1)


def test_a_metric_that_no_success_shows_is_not_observed(made: Any, figure: Any) -> None:
    for place in range(12):
        made.add(6 + place, facts={"first_answer": None, "event_tokens": []})
    made.add_failed(30)
    frame = metrics(made)
    assert figure(frame, "ttfa_s", "p50")["reason"] == "not_observed"
    assert figure(frame, "tpot_s", "mean")["reason"] == "not_observed"
    assert figure(frame, "ttft_s", "p50")["value"] is not None


def test_stages_are_kept_apart_and_priming_is_none(made: Any, figure: Any) -> None:
    made.kinds = ["prime", "closed", "closed"]
    made.scenario = {"stages": [{"concurrency": 1}, {"concurrency": 2}]}
    made.add(10, stage=1, ttft_s=0.1)
    made.add(10, stage=2, ttft_s=0.2)
    frame = metrics(made)
    assert frame.get_column("stage").unique().sort().to_list() == [1, 2]
    assert figure(frame, "ttft_s", "mean", stage=1)["value"] == pytest.approx(0.1)
    assert figure(frame, "ttft_s", "mean", stage=2)["value"] == pytest.approx(0.2)


def test_a_stage_without_a_window_says_so_in_every_row(made: Any) -> None:
    made.add(1)
    made.stage_facts = {0: {"steady_started": None, "steady_ended": None}}
    frame = metrics(made)
    assert frame.get_column("reason").unique().to_list() == ["no_window"]
    assert frame.get_column("value").null_count() == frame.height
    expected = sum(2 * (len(FLOORS) + 1) if metric.quantiles else 1 for metric in METRICS)
    assert frame.height == expected


def test_a_window_that_was_cut_is_as_long_as_it_lasted(made: Any, figure: Any) -> None:
    made.stage_facts = {0: {"steady_ended": 15_000_000_000}}
    made.add(8)
    made.add(20)
    frame = metrics(made)
    assert figure(frame, "request_rate")["value"] == pytest.approx(1 / 10)
    assert figure(frame, "ttft_s", "mean")["n"] == 1


def test_what_an_emulated_target_did_is_emulated(made: Any, figure: Any) -> None:
    made.target = {"emulated": True, "kind": "emulated"}
    made.add(10)
    made.sample(10)
    frame = metrics(made)
    measured = frame.filter(pl.col("basis") == "measured").get_column("metric").unique()
    assert measured.to_list() == ["cpu_util_fraction"]
    assert figure(frame, "ttft_s", "mean")["basis"] == "emulated"
    assert figure(frame, "energy_j")["reason"] == "emulated"


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(new_run: Any, seed: int) -> None:
    run = new_run()
    for place in range(40):
        run.add(5 + place / 2, ttft_s=0.1 + (place * 7 % 11) / 100, score=place % 2, scorer="label")
    run.add_failed(30)
    frames = run.frames
    shuffled = RunFrames(
        frames.requests.sample(fraction=1, shuffle=True, seed=seed),
        frames.attempts.sample(fraction=1, shuffle=True, seed=seed + 1),
        frames.samples,
        frames.ticks,
    )
    ours = stage_metrics(run.manifest, frames)
    theirs = stage_metrics(run.manifest, shuffled)
    assert ours.select("metric", "statistic", "n", "reason").equals(
        theirs.select("metric", "statistic", "n", "reason")
    )
    for column in ("value", "low", "high", "bound"):
        pairs = zip(ours.get_column(column), theirs.get_column(column), strict=True)
        for one, other in pairs:
            assert one == other or one == pytest.approx(other, rel=1e-9)
