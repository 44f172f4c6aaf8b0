"""Token F1 against SQuAD's own arithmetic, and exact match after its few allowances."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.quality.texts import exact, token_f1, words


def squad_f1(answer: str, truth: str) -> float:
    """The F1 of evaluate-v1.1.py (Rajpurkar et al. 2016), as published."""

    def normalise(text: str) -> list[str]:
        lower = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", lower).split()

    given_words, true_words = normalise(answer), normalise(truth)
    same = sum((Counter(given_words) & Counter(true_words)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(given_words), same / len(true_words)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("expected", "answer", "value"),
    [
        ("the captain", "Captain", 1.0),
        ("the captain", "The captain remains responsible", 2 / 4),
        ("a fox", "A fox.", 1.0),
        ("red red blue", "red blue blue", 4 / 6),
        ("not stated", "iron", 0.0),
        ("The", "the", 1.0),
        ("The", "a", 0.0),
        ("naïve—really", "naïve-really", 1.0),
    ],
)
def test_known_values(expected: str, answer: str, value: float) -> None:
    found, note = token_f1(expected, answer)
    assert found == pytest.approx(value)
    assert note is None


def test_the_best_of_several_references_counts() -> None:
    assert token_f1(["fifteen", "15"], "15")[0] == 1.0
    assert token_f1(["fifteen", "15"], "twenty")[0] == 0.0


_ascii = st.text(st.sampled_from("aAbB tThHeE n.,-'!\n"), max_size=40)


@given(_ascii, _ascii)
def test_it_is_squads_f1_on_ascii(truth: str, answer: str) -> None:
    if words(truth) and truth.strip():
        assert token_f1(truth, answer)[0] == pytest.approx(squad_f1(answer, truth))


@pytest.mark.parametrize(
    "answer",
    [
        "KeyError",
        " KeyError \n",
        "`KeyError`",
        "**KeyError**",
        '"KeyError"',
        "KeyError.",
        "`KeyError`.",
        "```python\nKeyError\n```",
        "The missing key raises it:\n```\nKeyError\n```\nas said.",
        "Output: KeyError",
        "It looks up 'Ben'.\n**Answer:** `KeyError`",
    ],
)
def test_exact_allows_wrapping(answer: str) -> None:
    assert exact("KeyError", answer) == (1.0, None)


@pytest.mark.parametrize(
    "answer",
    ["keyerror", "KeyError: 'Ben'", "It raises KeyError", "Key Error", "```\na\n```\n```\nb\n```"],
)
def test_exact_allows_no_more(answer: str) -> None:
    assert exact("KeyError", answer) == (0.0, None)


def test_exact_evens_white_space_and_takes_any_of_several() -> None:
    assert exact("1 2\n3", "1  2 3")[0] == 1.0
    assert exact(["a % b", "a%b"], "a%b")[0] == 1.0
    assert exact("*", "*")[0] == 1.0
    assert exact("*", "**")[0] == 0.0
    assert exact(14, "14")[0] == 1.0


@pytest.mark.parametrize("expected", ["", "  ", [], [""], [None], {"a": 1}])
def test_what_is_no_reference(expected: object) -> None:
    with pytest.raises(ValueError, match="text reference"):
        exact(expected, "x")  # type: ignore[arg-type]
