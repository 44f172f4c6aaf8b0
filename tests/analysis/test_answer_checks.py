"""Answers too short, too long, not streamed, filtered, of another model, with odd events: known answers."""

from dataclasses import replace
from typing import Any

import msgspec
import polars as pl
import pytest

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.record import Attempt, Tokens
from observatory.core.run import Finding
from observatory.economics.price_rows import AppliedPrices, PriceRow
from tests.analysis.comparisons import side_of, statements

N = 100
SLO = {"slo": {"per_request": {"ttft": "500ms"}, "attainment": 0.9}}


def judged(run: Any) -> dict[str, Finding]:
    return {finding.code: finding for finding in judge_run(run.manifest, run.frames)[0]}


def window(run: Any, some: int, facts: dict[str, Any], **fields: Any) -> Any:
    """N whole answers in the window; the first `some` of them with these facts."""
    run.healthy_side()
    for place in range(N):
        run.add(5 + place / 4, facts=facts if place < some else {}, **fields)
    return run


def figures(run: Any, metric: str) -> dict[str, dict[str, Any]]:
    frame = stage_metrics(run.manifest, run.frames).filter(pl.col("metric") == metric)
    return {row["statistic"]: row for row in frame.iter_rows(named=True)}


def complete_answer(make_attempt: Any, at_s: float) -> Attempt:
    """Return an attempt with one JSON document, 0.13 s after its request."""
    made: Attempt = make_attempt(at_s, 0.13, [], streamed=False)
    tokens = msgspec.structs.replace(made.tokens, output=4, streamed=4)
    return msgspec.structs.replace(
        made, event_tokens=[4], event_characters=[16], answer_characters=16, tokens=tokens
    )


@pytest.mark.parametrize(
    ("limit", "ignore_eos", "some", "severity"),
    [
        (1024, True, N, "degraded"),
        (1024, True, 1, "note"),
        (1024, False, N, None),
        (5, True, N, None),  # one token less is the end of the sequence
        (4, True, N, None),
    ],
)
def test_fewer_tokens_than_were_asked_for(
    made: Any, limit: int, ignore_eos: bool, some: int, severity: str | None
) -> None:
    made.scenario = {"workload": {"cache": "cold", "ignore_eos": ignore_eos}}
    made.healthy_side()
    for place in range(N):
        made.add(5 + place / 4, max_tokens=limit if place < some else 4)
    found = judged(made).get("short_answers")
    assert (found.severity if found else None) == severity
    if found is not None:
        assert found.message.endswith("typically 4 of 1,024")
        assert found.message.startswith(f"{some} of 100 answers have fewer tokens")


@pytest.mark.parametrize(
    ("workload", "extra_body", "words"),
    [
        (None, {"ignore_eos": True}, "typically 4 of 1,024"),
        (True, {"ignore_eos": None}, None),
        (True, {"ignore_eos": False}, None),
        (None, {"min_tokens": 64}, "typically 4 of 64"),
        (None, {"min_tokens": 2_000}, "typically 4 of 1,024"),
        (None, {"min_tokens": 4}, None),
        (None, {"min_tokens": "64"}, None),
    ],
)
def test_a_target_may_ask_for_the_length_too(
    made: Any, workload: bool | None, extra_body: dict[str, Any], words: str | None
) -> None:
    made.scenario = {"workload": {"cache": "cold", "ignore_eos": workload}}
    made.target = {"settings": {"extra_body": extra_body}}
    made.healthy_side()
    for place in range(N):
        made.add(5 + place / 4, max_tokens=1024)
    found = judged(made).get("short_answers")
    assert (found is not None) == (words is not None)
    assert found is None or found.message.endswith(str(words))


@pytest.mark.parametrize(
    ("limit", "found"), [(1, True), (2, True), (3, False), (4, False), (None, False)]
)
def test_more_tokens_than_the_limit(made: Any, limit: int | None, found: bool) -> None:
    finding = judged(window(made, 0, {}, max_tokens=limit)).get("long_answers")
    assert (finding is not None) == found
    if finding is not None:
        assert finding.severity == "degraded"
        assert finding.message.endswith(f"typically 4 of {limit}")


def test_a_stage_whose_answers_came_at_once_has_no_first_token(
    made: Any, make_attempt: Any
) -> None:
    made.scenario = SLO
    made.healthy_side()
    for place in range(N):
        made.add(5 + place / 4, complete_answer(make_attempt, 5 + place / 4))
    found = judged(made)["not_streamed"]
    assert (found.severity, found.value) == ("degraded", N)
    assert found.message.startswith("100 of 100 answers did not come as a stream")
    for metric in ("ttft_s", "ttft_scheduled_s", "ttfa_s", "itl_s", "tpot_s", "output_tps_user"):
        for row in figures(made, metric).values():
            assert (row["value"], row["bound"], row["reason"]) == (None, None, "not_streamed")
    assert figures(made, "e2e_s")["p50"]["value"] == pytest.approx(0.13)
    for metric in ("goodput_fraction", "goodput_rps"):
        row = figures(made, metric)["value"]
        assert (row["value"], row["reason"]) == (None, "not_streamed")


def test_three_of_forty_answers_that_were_not_streamed(made: Any, make_attempt: Any) -> None:
    made.scenario = SLO
    made.healthy_side()
    for place in range(40):
        at = 5 + place / 2
        made.add(at, *([complete_answer(make_attempt, at)] if place < 3 else []))
    assert judged(made)["not_streamed"].message.startswith("3 of 40 answers")
    assert figures(made, "ttft_s")["p50"]["n"] == 37
    row = figures(made, "goodput_fraction")["value"]
    assert (row["value"], row["n"], row["reason"]) == (1.0, 37, "undecided_left_out")


def test_goodput_without_a_bound_of_a_stream_stands(made: Any, make_attempt: Any) -> None:
    made.scenario = {"slo": {"per_request": {"e2e": "1s"}, "attainment": 0.9}}
    for place in range(N):
        made.add(5 + place / 4, complete_answer(make_attempt, 5 + place / 4))
    assert figures(made, "goodput_fraction")["value"]["value"] == 1.0


def test_a_pace_bound_is_not_met_by_an_answer_that_has_none(made: Any, make_attempt: Any) -> None:
    made.scenario = {"slo": {"per_request": {"tpot": "50ms"}, "attainment": 0.9}}
    for place in range(40):
        at = 5 + place / 2
        made.add(at, *([complete_answer(make_attempt, at)] if place < 3 else []))
    assert figures(made, "goodput_fraction")["value"]["n"] == 37


def test_where_no_stream_was_asked_for_there_is_no_finding_and_no_first_token(
    made: Any, make_attempt: Any
) -> None:
    made.scenario = {"workload": {"cache": "cold", "stream": False}}
    made.healthy_side()
    for place in range(N):
        made.add(5 + place / 4, complete_answer(make_attempt, 5 + place / 4))
    assert "not_streamed" not in judged(made)
    assert figures(made, "ttft_s")["p50"]["reason"] == "not_streamed"


def test_a_stage_that_was_not_streamed_is_in_no_statement_with_one_that_was(
    made: Any, make_attempt: Any
) -> None:
    window(made, 0, {})
    sides = []
    for streamed in (True, False):
        made.stage_facts = {0: {"streamed": streamed}}
        side = msgspec.structs.replace(made.manifest, target=made.manifest.target)
        sides.append(side_of(side))
    metrics = stage_metrics(made.manifest, made.frames)
    first, second = (replace(side, verdict="valid") for side in sides)
    reasons = {one.reason for one in statements(first, second, metrics, metrics)}
    assert "not_streamed" in reasons
    assert reasons <= {"not_streamed", "different_questions"}
    alike = {one.reason for one in statements(second, second, metrics, metrics)}
    assert "not_streamed" not in alike


@pytest.mark.parametrize(("some", "severity"), [(N, "degraded"), (5, None), (0, None)])
def test_streams_that_come_at_one_instant(
    made: Any, make_attempt: Any, some: int, severity: str | None
) -> None:
    made.healthy_side()
    for place in range(N):
        at = 5 + place / 4
        gaps = [0.0] * 7 if place < some else [0.01] * 7
        made.add(at, make_attempt(at, 0.5, gaps, streamed=True))
    found = judged(made).get("burst_streams")
    assert (found.severity if found else None) == severity
    if found is not None:
        assert found.message.startswith(
            "100 of 100 streams came whole at one instant, as several events"
        )


def test_odd_events_are_counted_with_an_example(made: Any) -> None:
    found = judged(window(made, 7, {"odd_events": 2, "odd_event": ": PROCESSING"}))["odd_events"]
    assert (found.severity, found.value) == ("note", 14)
    assert "7 answers hold 14 events" in found.message and '": PROCESSING"' in found.message


def test_filtered_answers_are_errors_and_infinite(made: Any, make_attempt: Any) -> None:
    made.healthy_side()
    for place in range(N):
        at = 5 + place / 4
        if place < 60:
            cut = make_attempt(
                at, outcome="filtered", error_phase="stream", error_kind="content_filter"
            )
            made.add(at, cut, outcome="filtered")
        else:
            made.add(at)
    assert figures(made, "error_rate")["value"]["value"] == pytest.approx(0.6)
    for metric in ("ttft_s", "e2e_s"):
        row = figures(made, metric)["p50"]
        assert (row["value"], row["reason"], row["n"]) == (None, "failures", N)
    assert "60 filtered" in judged(made)["errors"].message


@pytest.mark.parametrize(
    ("requested", "named", "found"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", False),
        ("gpt-4o", "gpt-4o-mini", True),
        (None, "anything", False),
    ],
)
def test_another_model_than_the_one_asked_for(
    made: Any, requested: str | None, named: str, found: bool
) -> None:
    made.target = {"model": requested}
    finding = judged(window(made, N, {"model_reported": named})).get("model_substituted")
    assert (finding is not None) == found
    if finding is not None:
        assert finding.message == "gpt-4o-mini (100) answered; gpt-4o was requested"


def test_where_some_answers_name_the_model_it_has_changed(made: Any) -> None:
    made.target = {"model": "m"}
    made.healthy_side()
    for place in range(N):
        made.add(5 + place / 4, facts={"model_reported": "m" if place % 2 else "other"})
    codes = judged(made)
    assert "model_changed" in codes and "model_substituted" not in codes


ZERO = Tokens(prompt=0, cached=0, output=0, streamed=4, output_from="usage", streamed_from="events")


EVENTS = Tokens(prompt=50, output=4, streamed=4, output_from="events", streamed_from="events")
UNEXPLAINED = Tokens(prompt=50, streamed=4, streamed_from="usage")


@pytest.mark.parametrize("some", [N, 1])
@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (ZERO, "token_counts_contradict"),
        (EVENTS, "token_counts_missing"),
        (UNEXPLAINED, "token_counts_contradict"),
    ],
)
def test_counts_that_are_not_stated_or_cannot_be_make_the_cost_unknown(
    made: Any, some: int, tokens: Tokens, reason: str
) -> None:
    rows = [PriceRow("input", 3.0, "stated", "x"), PriceRow("output", 15.0, "stated", "x")]
    made.prices, made.target = AppliedPrices(rows, "stated"), {"billing": "tokens"}
    window(made, some, {"tokens": tokens})
    row = figures(made, "cost_usd")["value"]
    assert (row["value"], row["reason"]) == (None, reason)
    assert made.frames.requests.get_column("cost_usd").null_count() == some


EMPTY = {"first_token": None, "first_answer": None, "last_token": None, "event_tokens": [0],
    "event_characters": [0], "answer_characters": 0, "finish_reason": "stop"}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "some", "severity"),
    [
        ({}, N, "degraded"),
        ({}, 2, "degraded"),
        ({}, 1, "note"),
        ({"reasoning_characters": 40}, N, None),  # reasoning alone
        ({"tool_calls": 1, "finish_reason": "tool_calls"}, N, None),
        ({"finish_reason": "length"}, N, "degraded"),  # hidden reasoning took the limit
    ],
)
def test_answers_without_any_text(
    made: Any, changes: dict[str, Any], some: int, severity: str | None
) -> None:
    found = judged(window(made, some, {**EMPTY, **changes})).get("empty_answers")
    assert (found.severity if found else None) == severity
    if found is not None:
        reason = changes.get("finish_reason", "stop")
        assert f"{some:,} of {N:,} answers are empty" in found.message
        assert f"finish reason: {reason} {some}" in found.message


def test_an_empty_answer_is_left_out_of_ttft_and_stays_in_end_to_end(made: Any) -> None:
    window(made, 20, EMPTY)
    assert figures(made, "ttft_s")["p50"]["n"] == N - 20
    assert figures(made, "e2e_s")["p50"]["n"] == N
