"""Which runs may be compared, and every reason for which a figure stays silent."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.comparison.compare import (
    REASONS,
    ComparedRun,
    Difference,
    differences,
    statement,
)
from observatory.analysis.stage_metrics import stage_metrics
from observatory.analysis.statistics.estimate import Estimate
from tests.analysis.comparisons import side_of, statements

ONE = ComparedRun("run-1", "ours", False, "key", {}, "valid", "m", "tk")
TWO = ComparedRun("run-2", "theirs", False, "key", {}, "degraded", "m", "tk")
FAST, SLOW = Estimate(0.1, 0.09, 0.11), Estimate(0.2, 0.18, 0.22)
SCORES = (Estimate(0.7, 0.6, 0.8), Estimate(0.9, 0.8, 0.95))
TTFT = (0, "ttft_s", "p50")


def test_equal_keys_may_be_compared() -> None:
    assert differences(ONE, TWO) == []


def test_what_keeps_runs_apart_is_named_by_its_path() -> None:
    fields = {"seed": 1, "workload": {"kind": "tasks", "tasks": ["code"]}, "slo": None}
    other = {"seed": 1, "workload": {"kind": "tasks", "tasks": ["code", "extraction"]}, "slo": {}}
    first = replace(ONE, comparison_key="a", comparison_fields=fields)
    second = replace(TWO, comparison_key="b", comparison_fields=other)
    assert differences(first, second) == [
        Difference("slo", None, {}),
        Difference("workload.tasks[1]", None, "extraction"),
    ]


def test_unequal_keys_without_a_visible_difference_say_so() -> None:
    second = replace(TWO, comparison_key="b")
    assert differences(ONE, second) == [Difference("comparison_key", "key", "b")]


def test_a_difference_without_0_makes_a_statement() -> None:
    sentence = statement(ONE, TWO, TTFT, (FAST, SLOW))
    assert (sentence.better, sentence.reason, sentence.ratio.value) == ("ours", None, 2.0)
    assert sentence.difference.value == pytest.approx(0.1)
    assert sentence.difference.low == pytest.approx(0.1 - math.hypot(0.01, 0.02))
    assert sentence.ratio.low is not None
    assert 1.6 < sentence.ratio.low < 2
    assert sentence.text == (
        "stage 1: Time to first token p50 100 ms (ours) against 200 ms (theirs); ours is better"
    )


def test_more_is_better_where_the_metric_says_so() -> None:
    key = (0, "request_rate", "value")
    assert statement(ONE, TWO, key, (FAST, SLOW)).better == "theirs"


@pytest.mark.parametrize(
    ("reason", "changes", "metric", "figures"),
    [
        ("emulated", {"emulated": True}, "ttft_s", (FAST, SLOW)),
        ("different_questions", {"comparison_key": "b"}, "ttft_s", (FAST, SLOW)),
        ("invalid_run", {"verdict": "invalid"}, "ttft_s", (FAST, SLOW)),
        ("not_judged", {"verdict": None}, "ttft_s", (FAST, SLOW)),
        ("no_direction", {}, "attempt_rate", (FAST, SLOW)),
        ("no_value", {}, "ttft_s", (FAST, Estimate(bound=0.2, reason="sample_floor"))),
        ("different_tokenizers", {"model": "x", "tokenizer": "y"}, "tpot_s", (FAST, SLOW)),
        ("different_tokenizers", {"model": "x", "tokenizer": None}, "itl_s", (FAST, SLOW)),
        ("no_score", {"model": "x"}, "ttft_s", (FAST, SLOW)),
        ("no_score", {"model": None}, "ttft_s", (FAST, SLOW)),
        ("no_interval", {}, "ttft_s", (FAST, Estimate(0.2))),
        ("within_noise", {}, "ttft_s", (FAST, Estimate(0.115, 0.1, 0.14))),
    ],
)
def test_every_reason_for_silence(
    reason: str, changes: dict[str, Any], metric: str, figures: tuple[Estimate, Estimate]
) -> None:
    other = replace(TWO, **changes)
    for first, second, pair in ((ONE, other, figures), (other, ONE, figures[::-1])):
        sentence = statement(first, second, (0, metric, "p50"), pair)
        assert (sentence.better, sentence.reason) == (None, reason)
        assert REASONS[reason] in sentence.text


SHARES = [
    (0.02, 0.12, False),
    (0.02, 0.13, True),
    (0.9, 0.5, True),
    (0.0, None, False),
    (None, 0.9, False),
]


@pytest.mark.parametrize(("mine", "other", "apart"), SHARES)
def test_runs_beside_unlike_other_work_make_no_ratio(
    mine: float | None, other: float | None, apart: bool
) -> None:
    first, second = (
        replace(side, foreign_cpu={} if share is None else {0: share})
        for side, share in ((ONE, mine), (TWO, other))
    )
    for key in ((0, "ttft_s", "p50"), (0, "attempt_rate", "value")):
        sentence = statement(first, second, key, (FAST, SLOW))
        assert (sentence.ratio.value is None) is apart
        assert (sentence.difference.value is None) is apart
        assert (sentence.reason == "foreign_cpu") is apart
        assert (sentence.first, sentence.second) == (FAST, SLOW)
    beside = statement(first, second, (1, "ttft_s", "p50"), (FAST, SLOW))
    assert (beside.better, beside.ratio.value) == ("ours", 2.0)  # another stage


def test_different_models_speak_with_their_scores_beside() -> None:
    other = replace(TWO, model="x")
    sentence = statement(ONE, other, TTFT, (FAST, SLOW), SCORES)
    assert sentence.better == "ours"
    assert "scores 0.7 against 0.9" in sentence.text
    assert statement(ONE, other, TTFT, (FAST, SLOW), (SCORES[0], None)).reason == "no_score"


def test_scores_themselves_need_no_score_beside() -> None:
    other = replace(TWO, model="x")
    apart = (Estimate(0.5, 0.4, 0.6), SCORES[1])
    assert statement(ONE, other, (0, "score", "value"), apart).better == "theirs"


def test_an_interval_that_failures_reach_tells_nothing_apart() -> None:
    reaching = Estimate(0.1, 0.09, float("inf"))
    assert statement(ONE, TWO, TTFT, (reaching, SLOW)).reason == "within_noise"


finite = st.floats(0.001, 100)


@settings(deadline=None)
@given(a=st.tuples(finite, finite, finite), b=st.tuples(finite, finite, finite))
def test_a_statement_does_not_depend_on_who_stands_first(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> None:
    low_a, value_a, high_a = sorted(a)
    low_b, value_b, high_b = sorted(b)
    first, second = Estimate(value_a, low_a, high_a), Estimate(value_b, low_b, high_b)
    forth = statement(ONE, TWO, TTFT, (first, second))
    back = statement(TWO, ONE, TTFT, (second, first))
    assert (forth.better, forth.reason) == (back.better, back.reason)
    if forth.better is not None:
        winner = first if forth.better == "ours" else second
        assert winner.value == min(value_a, value_b)


def test_runs_are_compared_figure_by_figure(new_run: Any) -> None:
    runs = []
    for ttft in (0.1, 0.3):
        run = new_run(target={"name": f"at-{ttft}"})
        for place in range(100):
            run.add(5 + place / 5, ttft_s=ttft + place * 37 % 100 / 10_000)
        runs.append(run)
    first, second = (replace(side_of(run.manifest), verdict="valid") for run in runs)
    frames = [stage_metrics(run.manifest, run.frames) for run in runs]
    sentences = {
        (each.metric, each.statistic): each
        for each in statements(first, second, frames[0], frames[1])
    }
    assert sentences["ttft_s", "p50"].better == "at-0.1"
    assert sentences["ttft_s", "p99"].reason == "no_value"
    assert sentences["request_rate", "value"].reason == "within_noise"
    assert not any(statistic.endswith("_ok") for _, statistic in sentences)


def test_what_other_work_took_is_read_from_the_figures(new_run: Any) -> None:
    sides, frames = [], []
    for others in (0.1, 1.0):
        run = new_run(target={"name": f"beside-{others}"})
        for place in range(100):
            run.add(5 + place / 5, ttft_s=0.1 + others / 10)
        for second in range(60):
            run.sample(second, (0.5 + others) * second, "cpu_busy_s")
            run.sample(second, 0.5 * second, "cpu_s", sensor="own")
        sides.append(replace(side_of(run.manifest), verdict="valid"))
        frames.append(stage_metrics(run.manifest, run.frames))
    sentences = statements(*sides, *frames)
    assert {(each.ratio.value, each.reason) for each in sentences} == {(None, "foreign_cpu")}
