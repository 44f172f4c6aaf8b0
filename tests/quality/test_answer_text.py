"""What of a model's text counts as its answer."""

import pytest

from observatory.quality.answer_text import (
    compatible,
    fenced_blocks,
    folded,
    opens_with_refusal,
    without_reasoning,
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("billing", "billing"),
        ("<think>maybe login</think>billing", "billing"),
        ("<think>a</think>\n\n<think>b</think>billing", "billing"),
        ("<Thinking>it is 5</Thinking> 7", " 7"),
        ("<reasoning>x</reasoning>7", "7"),
        ("<think>outer <think>inner</think> outer</think>7", "7"),
        ("opened by the template, so only the close is here</think>7", "7"),
        ("7 <think>let me check", "7 "),
        ("<think>never ends 7", ""),
        ("a < b and b > a", "a < b and b > a"),
        ("", ""),
    ],
)
def test_reasoning_is_no_answer(text: str, answer: str) -> None:
    assert without_reasoning(text) == answer


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no fence", []),
        ('```json\n{"a": 1}\n```', ['{"a": 1}']),
        ("first\n```\none\n```\nthen\n~~~py\ntwo\nlines\n~~~", ["one", "two\nlines"]),
        ("```\n~~~ is text inside\n```", ["~~~ is text inside"]),
        ("  ```\nindented fence\n  ```", ["indented fence"]),
        ("```\nnever closed", ["never closed"]),
    ],
)
def test_fenced_blocks(text: str, blocks: list[str]) -> None:
    assert fenced_blocks(text) == blocks


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I cannot do this.",
        "Sorry, that is not possible.",
        "I cannot assist with this request",
        "As an AI language model, I do not have access",
        "Unfortunately, I am not able to",
        '"I apologize, but no',
        "I won't answer this.",
    ],
)
def test_usual_refusals_are_recognised(text: str) -> None:
    assert opens_with_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "The clerk said: I'm sorry, but I can't help with that.",
        "billing",
        "I can help with that",
        "Sorrel soup",
        "Ai Weiwei",
        "I will",
        "",
    ],
)
def test_other_openings_are_no_refusals(text: str) -> None:
    assert not opens_with_refusal(text)


def test_folding_evens_letters_and_space() -> None:
    assert folded("  STRASSE\u00a0Nº\t1\n") == "strasse no 1"
    assert folded("Straße") == folded("STRASSE")
    assert compatible("\u201cﬁne\u201d") == '"fine"'
    assert folded("Cafe\u0301") == folded("Café")


def test_a_run_of_combining_marks_is_folded_in_pieces() -> None:
    marks = "a" + "\u0315\u0300" * 30_000
    assert 0.9 * len(marks) < len(folded(marks)) <= len(marks)
