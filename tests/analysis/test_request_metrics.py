"""Request-grain metrics: one request worked by hand, and polars against the metric table's SQL."""

import tempfile
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.analysis.frames import REQUEST_EXPRESSIONS, request_frame
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.metric import METRICS, REQUEST_METRICS
from observatory.core.record import Attempt, Tokens

DATABASE = duckdb.connect()
BY_HAND = {
    "ttft_s": 0.10,
    "ttft_connect_s": 0.15,
    "ttft_scheduled_s": 0.85,
    "ttfa_s": 0.20,
    "itl_s": 0.25,
    "tpot_s": 0.0625,
    "e2e_s": 0.65,
    "e2e_scheduled_s": 1.40,
    "pace_wait_s": 0.20,
    "sched_lag_s": 0.05,
    "throttle_wait_s": 0.50,
    "output_tps_user": 16.0,
}
"""Scheduled at 10 s, held 0.2 s, sent at 10.25 and throttled, sent again at 10.75 on a connection
requested at 10.70; reasoning at 10.85 (2 tokens), answer at 10.95 (1) and 11.35 (7), end at 11.40."""


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


@pytest.fixture
def by_hand(made: Any, make_attempt: Any) -> Any:
    refused = Attempt(number=0, sent=ns(10.25), ended=ns(10.3), outcome="throttled")
    answer = make_attempt(
        10.75,
        number=1,
        connect_started=ns(10.70),
        first_event=ns(10.80),
        first_token=ns(10.85),
        first_reasoning=ns(10.85),
        first_answer=ns(10.95),
        last_token=ns(11.35),
        ended=ns(11.40),
        event_ns=[ns(10.85), ns(10.95), ns(11.35)],
        event_tokens=[2, 1, 7],
        event_characters=[8, 4, 28],
        event_shared=[False] * 3,
        tokens=Tokens(prompt=50, output=10, streamed=10, output_from="usage"),
    )
    made.add(10.0, refused, answer, pace_wait_ns=ns(0.2))
    return made


def test_every_metric_of_a_request_is_what_the_hand_worked_out(by_hand: Any, figure: Any) -> None:
    frame = stage_metrics(by_hand.manifest, by_hand.frames)
    with_quantiles = [metric.name for metric in METRICS if metric.quantiles]
    assert sorted(BY_HAND) == sorted(with_quantiles)
    for name, value in BY_HAND.items():
        for statistic in ("mean", "mean_ok"):
            row = figure(frame, name, statistic)
            assert row["value"] == pytest.approx(value, rel=1e-9), name
            assert (row["n"], row["basis"], row["reason"]) == (1, "measured", None), name


def test_hidden_reasoning_does_not_speed_up_the_stream(made: Any, make_attempt: Any) -> None:
    """2,000 hidden reasoning tokens and 50 streamed ones at 10 ms: 10 ms a token."""
    tokens = Tokens(output=2050, reasoning=2000, streamed=50, output_from="usage")
    made.add(10.0, make_attempt(10.0, 30.0, [0.01] * 49, tokens=tokens))
    assert request_frame(made.frames).get_column("tpot_s").item() == pytest.approx(0.01)


def test_a_pace_needs_two_tokens_a_known_split_and_a_whole_answer(
    made: Any, make_attempt: Any
) -> None:
    made.add(10, gaps_s=[])
    made.add(11, facts={"event_tokens": []})
    one_burst = Tokens(output=4, streamed=4)
    made.add(12, gaps_s=[], facts={"event_tokens": [4], "tokens": one_burst})
    made.add(13, make_attempt(13, outcome="error"), outcome="error")
    made.add(14)
    frame = request_frame(made.frames)
    assert frame.get_column("tpot_s").is_null().to_list() == [True] * 4 + [False]
    assert frame.get_column("output_tps_user").is_null().to_list() == [True] * 4 + [False]


def test_polars_and_sql_cover_the_same_metrics() -> None:
    assert sorted(REQUEST_EXPRESSIONS) == sorted(metric.name for metric in REQUEST_METRICS)


def assert_sql_agrees(run: Any) -> None:
    frames = run.frames
    ours = request_frame(frames).select("stage", "request", *REQUEST_EXPRESSIONS)
    columns = ", ".join(f"{metric.sql} AS {metric.name}" for metric in REQUEST_METRICS)
    with tempfile.TemporaryDirectory() as folder:
        frames.requests.write_parquet(f"{folder}/requests.parquet")
        frames.attempts.write_parquet(f"{folder}/attempts.parquet")
        rows = DATABASE.execute(
            f"WITH tries AS (FROM '{folder}/attempts.parquet') "
            f"SELECT r.stage, r.request, {columns} FROM '{folder}/requests.parquet' r "
            "LEFT JOIN tries a ON a.stage = r.stage AND a.request = r.request AND a.final "
            "LEFT JOIN tries f ON f.stage = r.stage AND f.request = r.request AND f.first_sent "
            "ORDER BY r.stage, r.request"
        )
        names = [column[0] for column in rows.description or []]
        theirs = rows.fetchall()
    mine = [value for row in ours.select(names).iter_rows() for value in row]
    other = [value for row in theirs for value in row]
    assert [value is None for value in mine] == [value is None for value in other]
    assert [value for value in mine if value is not None] == pytest.approx(
        [value for value in other if value is not None], rel=1e-12, abs=0
    )


instants = st.none() | st.integers(0, 10**11)
attempts = st.builds(
    Attempt,
    number=st.just(0),
    connect_started=instants,
    sent=instants,
    first_token=instants,
    first_answer=instants,
    last_token=instants,
    ended=instants,
    outcome=st.sampled_from(["ok", "error", "timeout", "throttled"]),
    event_tokens=st.lists(st.integers(0, 5), max_size=4),
    tokens=st.builds(Tokens, streamed=st.none() | st.integers(0, 20)),
)


@given(
    tries=st.lists(st.lists(attempts, max_size=3), max_size=8),
    outcome=st.sampled_from(["ok", "error", "timeout", "interrupted"]),
)
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_polars_says_what_sql_says(new_run: Any, tries: list[list[Attempt]], outcome: str) -> None:
    run = new_run()
    for at, given_tries in enumerate(tries):
        numbered = [msgspec.structs.replace(a, number=i) for i, a in enumerate(given_tries)]
        record = run.add(float(at), outcome=outcome, pace_wait_ns=at * 1000)
        run.records[-1] = msgspec.structs.replace(record, attempts=numbered)
    assert_sql_agrees(run)


def test_polars_says_what_sql_says_of_the_request_by_hand(by_hand: Any) -> None:
    assert_sql_agrees(by_hand)
