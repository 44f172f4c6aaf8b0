"""The one door: guards, notes, and what holds of every scorer on any text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.quality.scorers import ANSWER_LIMIT, SCORER_NAMES, Score, reference_problem, score

LABELS = ["billing", "delivery"]
REFERENCES: dict[str, Any] = {
    "label": "billing",
    "number": 12.5,
    "json": {"a": 1, "b": ["x", None]},
    "token_f1": "not a drop to drink",
    "exact": "[12, 12]",
}
BUILDING_BLOCKS = [
    "<think>", "</think>", "```", "```json\n", "{", "}", "[", "]", '{"a": 1}', '"', ",", "####",
    "Answer: ", "answer is", "\\boxed{", "-", "$", "1,000", "3/4", ".", "e5", "billing", "Label:",
    "delivery", "I'm sorry", "\n", " ", "\u0300", "\ud800", "½", "Ａ", "x" * 300, "9" * 5000,
]  # fmt: skip
texts = st.text() | st.lists(st.sampled_from(BUILDING_BLOCKS), max_size=12).map("".join)


def judged(scorer: str, answer: str, finish_reason: str | None = "stop") -> Score:
    return score(scorer, REFERENCES[scorer], answer, finish_reason=finish_reason, labels=LABELS)


@pytest.mark.parametrize("scorer", REFERENCES)
@given(answer=texts, finish_reason=st.sampled_from([None, "stop", "length", "content_filter", "?"]))
def test_any_text_gets_a_score_between_nought_and_one(
    scorer: str, answer: str, finish_reason: str | None
) -> None:
    found = judged(scorer, answer, finish_reason)
    assert found.value is not None
    assert 0.0 <= found.value <= 1.0
    assert found.scorer == scorer
    assert found == judged(scorer, answer, finish_reason)


@pytest.mark.parametrize("scorer", REFERENCES)
@pytest.mark.parametrize("answer", ["", "  \n", "<think>all of it is reasoning"])
def test_an_empty_answer_scores_nothing(scorer: str, answer: str) -> None:
    assert judged(scorer, answer) == Score(0.0, scorer, "empty")
    assert judged(scorer, answer, "length") == Score(0.0, scorer, "truncated, empty")


def test_a_truncated_answer_is_judged_and_noted() -> None:
    assert judged("label", "billing", "length") == Score(1.0, "label", "truncated")
    assert judged("json", '{"a": 1', "max_tokens") == Score(0.0, "json", "truncated, invalid_json")


@pytest.mark.parametrize("reason", ["content_filter", "refusal", "SAFETY"])
def test_a_withheld_answer_is_refused_whatever_it_says(reason: str) -> None:
    assert judged("label", "billing", reason) == Score(0.0, "label", "refused")


@pytest.mark.parametrize("scorer", REFERENCES)
def test_a_refusing_phrase_is_named(scorer: str) -> None:
    answer = "I'm sorry, but I cannot drink to that."
    assert judged(scorer, answer) == Score(0.0, scorer, "refused")


def test_a_right_answer_that_sounds_like_a_refusal_stays_right() -> None:
    expected = "I cannot let you in"
    assert score("exact", expected, expected, finish_reason="stop", labels=None).value == 1.0


def test_reasoning_does_not_count() -> None:
    answer = "<think>billing? delivery? It is 99.</think>\nbilling"
    assert judged("label", answer) == Score(1.0, "label")


def test_nothing_expected_gives_no_score() -> None:
    for scorer in SCORER_NAMES:
        assert score(scorer, None, "x", finish_reason=None, labels=None) == Score(None, scorer)
    assert score("none", "x", "x", finish_reason=None, labels=None) == Score(None, "none")


def test_an_unusable_reference_gives_no_score_and_says_so() -> None:
    found = score("number", "many", "5", finish_reason=None, labels=None)
    assert found == Score(None, "number", "unusable_reference")


def test_an_unknown_scorer_is_our_bug() -> None:
    with pytest.raises(ValueError, match="no scorer 'rouge'"):
        score("rouge", "x", "x", finish_reason=None, labels=None)


@pytest.mark.parametrize(
    ("scorer", "expected", "problem"),
    [
        ("label", "billing", None),
        ("label", "refund", "'refund' is not one of the labels billing, delivery"),
        ("label", 3, "a label must be a text that is not empty"),
        ("number", "1,200", None),
        ("number", "a dozen", "'a dozen' is not a number"),
        ("json", "{}", "a JSON reference must be an object or a list with something in it"),
        ("json", [1], None),
        ("token_f1", ["a", "b"], None),
        ("exact", "", "a text reference must be a text that is not empty, or a list of such"),
        ("exact", "x" * 70_000, "a reference longer than 65536 characters cannot be met"),
        ("none", object(), None),
    ],
)
def test_references_are_checked_before_a_run(
    scorer: str, expected: object, problem: str | None
) -> None:
    assert reference_problem(scorer, expected, LABELS) == problem


def test_a_longer_answer_is_judged_by_its_ends_and_noted() -> None:
    assert judged("number", "7 " * ANSWER_LIMIT + "\n#### 12.5") == Score(1.0, "number", "cut")
    assert judged("label", "billing\n" + "x" * ANSWER_LIMIT) == Score(1.0, "label", "cut")


_MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "piece",
    [
        "a", "{", "[", '{"a":', '{"a": "', "1", "1,", "111,", "1/", "1e", " ", "\n", "```\n", "~~~ x\n",
        "<think>", "</think>", "<", "\u0315\u0300", "ﷺ", "billing ", "answer: ", "answer      ",
        "####", "\\boxed{", "$", "-", "*", '"', "1\u00a0", "I'm sorry ", ".", "= 1 + ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scorer", REFERENCES)
def test_a_megabyte_of_anything_is_judged(scorer: str, piece: str) -> None:
    """A scorer whose time grows with the square of the text would need hours here."""
    answer = piece * (_MEGABYTE // len(piece))
    assert judged(scorer, answer).value is not None
