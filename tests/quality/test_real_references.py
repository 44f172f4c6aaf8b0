"""The scorers on references from outside: GSM8K's answers and BANKING77's labels."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from observatory.quality.scorers import score

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository (../shared/data)")
    return path


def gsm8k() -> list[tuple[str, str]]:
    """(worked answer, the number after its ####) of the test split."""
    lines = shared("gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    return [(answer, answer.rpartition("####")[2].strip()) for answer in answers]


def numbers_right(answers: list[tuple[str, str]]) -> int:
    return sum(
        score("number", expected, answer, finish_reason="stop", labels=None).value == 1.0
        for answer, expected in answers
    )


def test_every_gsm8k_reference_gives_its_own_number() -> None:
    references = gsm8k()
    assert len(references) == 1319
    assert numbers_right(references) == len(references)


def test_gsm8k_as_models_write_it() -> None:
    references = gsm8k()
    dressed = [
        (
            f"{answer.rpartition('####')[0]}**Answer:** ${int(number.replace(',', '')):,} in 1 go",
            number,
        )
        for answer, number in references
    ]
    assert numbers_right(dressed) == len(references)


def test_a_gsm8k_answer_without_its_mark_mostly_ends_in_its_number() -> None:
    references = gsm8k()
    unmarked = [(answer.rpartition("####")[0], number) for answer, number in references]
    assert numbers_right(unmarked) / len(references) > 0.9


def test_another_items_number_is_not_taken_for_right() -> None:
    references = gsm8k()
    shifted = [
        (answer, other)
        for (answer, number), (_, other) in pairwise(references)
        if float(number.replace(",", "")) != float(other.replace(",", ""))
    ]
    assert numbers_right(shifted) == 0


def test_every_banking77_label_is_told_from_every_other() -> None:
    labels = json.loads(shared("banking77_categories.json").read_text(encoding="utf-8"))
    assert len(labels) == 77
    for named in labels:
        for answer in (
            named,
            named.replace("_", " ").upper() + ".",
            f"The intent is {named}, I think.",
        ):
            values = {
                expected: score(
                    "label", expected, answer, finish_reason="stop", labels=labels
                ).value
                for expected in labels
            }
            assert values == {expected: float(expected == named) for expected in labels}
