"""The label scorer: one label of a closed list, however it is wrapped."""

import pytest

from observatory.quality.labels import label

LABELS = ["billing", "delivery", "feature_request", "card payment", "card payment fee"]


@pytest.mark.parametrize(
    "answer",
    [
        "billing",
        "Billing.",
        "  **BILLING**\n",
        '"billing"',
        "Label: billing",
        "The category is billing.",
        "Final answer: billing",
        "`billing`",
        "This ticket belongs to billing, because money was taken twice.",
        "billing\n\nIt is not a delivery problem, nor a feature request.",
        "It could be delivery or a feature request.\n\nAnswer: billing",
        "ｂｉｌｌｉｎｇ",
    ],
)
def test_the_label_is_found(answer: str) -> None:
    assert label("billing", answer, LABELS) == (1.0, None)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("delivery", "other_label"),
        ("It concerns delivery.", "other_label"),
        ("billing or delivery", "several_labels"),
        ("billing\ndelivery", "several_labels"),
        ("Not billing but delivery.", "several_labels"),
        ("The customer is unhappy.", "no_label"),
        ("billings", "no_label"),
        ("rebilling", "no_label"),
        ("...", "no_label"),
    ],
)
def test_anything_else_scores_nothing_and_says_why(answer: str, note: str) -> None:
    assert label("billing", answer, LABELS) == (0.0, note)


@pytest.mark.parametrize(
    "answer", ["feature request", "Feature-Request", "It is a FEATURE_REQUEST"]
)
def test_separators_within_a_label_are_one(answer: str) -> None:
    assert label("feature_request", answer, LABELS) == (1.0, None)


def test_a_longer_label_does_not_name_the_shorter_one_within_it() -> None:
    assert label("card payment fee", "It is about a card payment fee.", LABELS) == (1.0, None)
    assert label("card payment", "It is about a card payment fee.", LABELS) == (0.0, "other_label")


def test_without_a_list_only_a_line_of_its_own_counts() -> None:
    assert label("positive", "Positive.", None) == (1.0, None)
    assert label("positive", "Sentiment?\npositive", None) == (1.0, None)
    assert label("positive", "It is not positive.", None) == (0.0, "no_label")


def test_labels_without_letters_are_themselves() -> None:
    assert label("+", "+", ["+", "-"]) == (1.0, None)
    assert label("+", "-", ["+", "-"]) == (0.0, "other_label")
    assert label("+", "plus", ["+", "-"]) == (0.0, "no_label")
    assert label("1", "Label: 1", ["1", "2", "10"]) == (1.0, None)
    assert label("1", "10", ["1", "2", "10"]) == (0.0, "other_label")


def test_a_label_named_twice_is_one_label() -> None:
    assert label("billing", "billing, yes, billing", LABELS) == (1.0, None)
