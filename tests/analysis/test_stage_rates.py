"""Stage-grain rates and shares, worked by hand over a window of 30 s from 5 s to 35 s."""

from typing import Any

import polars as pl
import pytest

from observatory.analysis import rates
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.record import Attempt, Tokens

SLO = {
    "slo": {"per_request": {"ttft": "500ms", "tpot": "50ms", "e2e": "2s"}, "attainment": 0.99},
}


@pytest.fixture
def steady(made: Any) -> Any:
    """Every second of the window a request of four tokens (16 characters), 0.25 s apart, the first
    after 0.5 s; before it one of the warm-up, whose tokens arrive at 4.9, 5.15, 5.4 and 5.65 s."""
    for second in range(5, 35):
        made.add(second, ttft_s=0.5, gaps_s=[0.25] * 3)
    made.add(4.4, ttft_s=0.5, gaps_s=[0.25] * 3)
    return made


def metrics(run: Any) -> pl.DataFrame:
    return stage_metrics(run.manifest, run.frames)


def test_tokens_and_characters_count_where_they_arrive(steady: Any, figure: Any) -> None:
    """29 whole answers, two tokens of the last, three of the warm-up's: 121 tokens in 30 s."""
    frame = metrics(steady)
    output = figure(frame, "output_tps")
    assert output["value"] == pytest.approx(121 / 30)
    assert output["n"] == 31
    assert output["low"] < 121 / 30 < output["high"]
    assert figure(frame, "chars_per_s")["value"] == pytest.approx(484 / 30)


def test_requests_count_where_they_end_and_attempts_where_they_are_sent(
    steady: Any, figure: Any
) -> None:
    """The last request ends after the window, the warm-up's within it."""
    frame = metrics(steady)
    assert figure(frame, "request_rate")["value"] == pytest.approx(30 / 30)
    assert figure(frame, "attempt_rate")["value"] == pytest.approx(30 / 30)
    assert figure(frame, "request_rate")["n"] == 30


def test_an_aggregate_without_a_value_has_a_reason(
    steady: Any, figure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One over requests that do not exist, of all and of none."""
    value = pl.col("stage").cast(pl.Float64).filter(False).max()
    for of, reason, n in ((pl.len(), "not_observed", 30), (pl.lit(0), "no_requests", 0)):
        monkeypatch.setitem(rates.STAGE_EXPRESSIONS, "stale_retries", (value, of))
        row = figure(metrics(steady), "stale_retries")
        assert (row["value"], row["reason"], row["n"]) == (None, reason, n)


def test_failures_send_attempts_and_end_nothing(steady: Any, figure: Any) -> None:
    for second in range(10, 20):
        steady.add_failed(second + 0.5)
    frame = metrics(steady)
    assert figure(frame, "request_rate")["value"] == pytest.approx(30 / 30)
    assert figure(frame, "attempt_rate")["value"] == pytest.approx(40 / 30)
    error_rate = figure(frame, "error_rate")
    assert (error_rate["value"], error_rate["n"]) == (10 / 40, 40)
    assert error_rate["low"] < 0.25 < error_rate["high"]


def test_tokens_of_an_answer_that_broke_off_arrived_all_the_same(
    made: Any, make_attempt: Any, figure: Any
) -> None:
    made.add(10, make_attempt(10, outcome="error"), outcome="error")
    assert figure(metrics(made), "output_tps")["value"] == pytest.approx(4 / 30)


def test_a_total_without_a_split_is_shared_out_by_characters(made: Any, figure: Any) -> None:
    """30 tokens over events of 4, 4, 4, 4 characters, of which two arrive in the window."""
    tokens = Tokens(output=30, streamed=30, streamed_from="usage")
    made.add(34.5, ttft_s=0.2, gaps_s=[0.2] * 3, facts={"event_tokens": [], "tokens": tokens})
    row = figure(metrics(made), "output_tps")
    assert row["value"] == pytest.approx(15 / 30)
    assert row["reason"] == "shared_out_by_characters"


def test_unknown_tokens_have_no_rate_but_their_characters_have(made: Any, figure: Any) -> None:
    made.add(10, facts={"event_tokens": [], "tokens": Tokens()})
    frame = metrics(made)
    assert figure(frame, "output_tps")["value"] is None
    assert figure(frame, "output_tps")["reason"] == "tokens_unknown"
    assert figure(frame, "chars_per_s")["value"] == pytest.approx(16 / 30)


@pytest.mark.parametrize("counted_from", ["characters", "events"])
def test_tokens_that_were_not_counted_are_estimated(
    made: Any, figure: Any, counted_from: str
) -> None:
    tokens = Tokens(output=4, streamed=4, streamed_from=counted_from)  # type: ignore[arg-type]
    made.add(10, facts={"tokens": tokens})
    frame = metrics(made)
    assert figure(frame, "output_tps")["basis"] == "estimated"
    assert figure(frame, "tpot_s", "mean")["basis"] == "estimated"
    assert figure(frame, "ttft_s", "mean")["basis"] == "measured"


def test_goodput_holds_every_bound_from_the_intended_send(made: Any, figure: Any) -> None:
    made.scenario = SLO
    for second in (6, 8, 9, 11, 14, 15):
        made.add(second)
    made.add(7, ttft_s=0.51)
    made.add(10, gaps_s=[0.051] * 3)
    made.add(12, gaps_s=[0.04] * 50)
    made.add(13, sent_s=13.45)
    made.add_failed(16)
    made.add(17, outcome="interrupted")
    frame = metrics(made)
    fraction = figure(frame, "goodput_fraction")
    assert (fraction["value"], fraction["n"], fraction["reason"]) == (6 / 11, 11, None)
    assert fraction["low"] < 6 / 11 < fraction["high"]
    rps = figure(frame, "goodput_rps")
    assert rps["value"] == pytest.approx(6 / 30)
    assert rps["low"] == pytest.approx(fraction["low"] * 11 / 30)


def test_an_answer_without_a_pace_meets_a_bound_on_it(made: Any, figure: Any) -> None:
    made.scenario = SLO
    made.add(10, gaps_s=[])
    made.add(11, gaps_s=[], facts={"event_tokens": [9], "tokens": Tokens(output=9, streamed=9)})
    assert figure(metrics(made), "goodput_fraction")["value"] == 1.0


def test_what_cannot_be_decided_is_left_out_and_said(made: Any, figure: Any) -> None:
    made.scenario = SLO
    made.add(10)
    made.add(11, facts={"event_tokens": []})
    made.add(12, clock_step=True)
    row = figure(metrics(made), "goodput_fraction")
    assert (row["value"], row["n"], row["reason"]) == (1.0, 1, "undecided_left_out")


def test_without_an_slo_there_is_no_goodput(steady: Any, figure: Any) -> None:
    assert figure(metrics(steady), "goodput_fraction")["reason"] == "no_slo"
    assert figure(metrics(steady), "goodput_rps")["value"] is None


def test_throttled_attempts_are_a_share_of_all(made: Any, make_attempt: Any, figure: Any) -> None:
    refused = Attempt(number=0, sent=10_000_000_000, ended=10_100_000_000, outcome="throttled")
    made.add(10, refused, make_attempt(11, number=1))
    made.add(12)
    made.add_failed(13, "throttled", attempts=[refused])
    row = figure(metrics(made), "throttle_rate")
    assert (row["value"], row["n"]) == (2 / 4, 4)
    assert figure(metrics(made), "error_rate")["value"] == 1 / 3


def test_an_empty_stage_has_rates_of_nothing_and_shares_of_none(made: Any, figure: Any) -> None:
    frame = metrics(made)
    assert figure(frame, "request_rate")["value"] == 0.0
    assert figure(frame, "error_rate")["reason"] == "no_requests"
    assert figure(frame, "ttft_s", "p50")["reason"] == "no_requests"
    assert figure(frame, "itl_s", "p50")["reason"] == "no_requests"


def test_rates_whose_batches_are_too_short_have_no_interval(made: Any, figure: Any) -> None:
    """Half a minute of 60 ends, their gaps first short and then long: the value has no interval."""
    at = 5.0
    for place in range(60):
        at += 0.3 if place < 30 else 0.6
        made.add(at - 0.2, ttft_s=0.05, gaps_s=[0.05] * 3)
    row = figure(metrics(made), "request_rate")
    assert row["value"] == pytest.approx(60 / 30)
    assert (row["low"], row["high"]) == (None, None)
