"""Texts for people count stages from 1 and give their level, as the progress line does."""

from observatory.analysis.checks.judge import verdict_of
from observatory.core.run import Finding, StageTimes
from observatory.core.stage_words import human_stage, stage_words

STAGES = [
    StageTimes(0, "prime", None, None),
    StageTimes(1, "closed", 4, None),
    StageTimes(2, "poisson", None, 0.5),
]


def test_the_first_stage_is_stage_1() -> None:
    assert human_stage(0) == "stage 1"
    assert [stage_words(index, STAGES) for index in (0, 1, 2, 3)] == [
        "stage 1, priming",
        "stage 2, 4 users",
        "stage 3, 0.5 requests/s, poisson",
        "stage 4",
    ]


def test_a_verdict_names_the_stage_with_its_level() -> None:
    finding = Finding("errors", "invalid", "300 of 400 requests failed", 1, 0.75, 0.5)
    assert verdict_of([finding], STAGES).sentence == (
        "invalid: stage 2, 4 users: 300 of 400 requests failed (errors)"
    )
