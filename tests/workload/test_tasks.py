"""The built-in task sets: enough items, no two alike, and every reference recomputed or found."""

import contextlib
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from observatory.core.scenario import TaskSet
from observatory.quality.answer_text import folded
from observatory.quality.scorers import reference_problem, score
from observatory.quality.texts import references, words
from observatory.workload.tasks import TaskLine, load_tasks, read_task_set

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
SETS: tuple[TaskSet, ...] = get_args(TaskSet)
ARITHMETIC_NAMES = {"round": round, "min": min, "sum": sum, "next": next, "range": range}
every_set = pytest.mark.parametrize("name", SETS)


def as_answers(scorer: str, expected: Any) -> list[str]:
    """The reference (or each accepted one) as a model that is right would write it."""
    return [json.dumps(expected)] if scorer == "json" else references(expected)


@every_set
def test_there_are_enough_items_and_each_is_complete(name: TaskSet) -> None:
    items = load_tasks(name)
    assert len(items) >= 40
    for item in items:
        assert item.task == name
        assert item.prompt.strip() == item.prompt
        assert item.max_tokens > 0
        assert reference_problem(item.scorer, item.expected, item.labels) is None


def test_no_id_and_no_prompt_comes_twice() -> None:
    items = [item for name in SETS for item in load_tasks(name)]
    assert len({item.id for item in items}) == len(items)
    assert len({item.prompt for item in items}) == len(items)


@every_set
def test_no_item_is_another_with_its_words_swapped(name: TaskSet) -> None:
    """Any two items share less than a third of their runs of three words (numbers taken as one)."""
    runs = []
    for line in read_task_set(name)[1]:
        text = re.sub(r"\d+", "0", " ".join(line.parts.values()))
        tokens = text.split()
        runs.append((line.id, set(zip(tokens, tokens[1:], tokens[2:], strict=False))))
    for place, (one, first) in enumerate(runs):
        for other, second in runs[place + 1 :]:
            assert len(first & second) <= len(first | second) / 3, (one, other)


@every_set
def test_every_reference_scores_one_against_itself(name: TaskSet) -> None:
    for item in load_tasks(name):
        for answer in as_answers(item.scorer, item.expected):
            found = score(
                item.scorer, item.expected, answer, finish_reason="stop", labels=item.labels
            )
            assert (found.value, found.note) == (1.0, None), item.id


@every_set
def test_another_items_reference_scores_less_on_average(name: TaskSet) -> None:
    items = load_tasks(name)
    values = [
        score(
            item.scorer,
            item.expected,
            as_answers(other.scorer, other.expected)[0],
            finish_reason="stop",
            labels=item.labels,
        ).value
        for item, other in zip(items, items[1:] + items[:1], strict=True)
    ]
    assert all(value is not None for value in values)
    assert sum(value or 0.0 for value in values) / len(values) < 0.25


@every_set
def test_the_reference_fits_into_max_tokens(name: TaskSet) -> None:
    """At two characters a token, fewer than any common tokenizer needs for such text."""
    for item in load_tasks(name):
        longest = max(len(answer) for answer in as_answers(item.scorer, item.expected))
        assert longest / 2 <= item.max_tokens or name == "summarisation", item.id
        assert longest / 3 <= item.max_tokens, item.id


def test_support_tickets_are_short_balanced_and_in_their_list() -> None:
    items = load_tasks("support-tickets")
    counts = Counter(item.expected for item in items)
    assert set(counts) == set(items[0].labels or [])
    assert set(counts.values()) == {7}
    for item in items:
        assert item.labels == items[0].labels
        assert all(label in item.prompt for label in item.labels or [])
        assert len(item.prompt) <= 420, item.id
    first_of_each = [item.expected for item in items[:7]]
    assert sorted(first_of_each) == sorted(counts)


def test_no_ticket_names_a_label() -> None:
    """So that repeating the ticket is no way to a score."""
    header, lines = read_task_set("support-tickets")
    for line in lines:
        named = set(folded(line.parts["ticket"]).split()) & set(header.labels or [])
        assert not named, line.id


def test_arithmetic_references_are_what_their_expressions_give() -> None:
    for line in read_task_set("arithmetic")[1]:
        assert line.check is not None, line.id
        value = eval(line.check, {"__builtins__": ARITHMETIC_NAMES})
        assert value == pytest.approx(line.expected, rel=1e-9), line.id


def printed(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"__name__": "__main__"})
    return out.getvalue().strip()


def code_lines(template: str) -> list[TaskLine]:
    found = [line for line in read_task_set("code")[1] if line.template == template]
    assert found
    return found


def holds(code: str, check: str) -> bool:
    """Whether `check` is true once `code` has run; an exception counts as no."""
    names: dict[str, object] = {}
    exec(code, names)
    try:
        return bool(eval(check, names))
    except Exception:
        return False


@pytest.mark.parametrize("line", code_lines("prints"), ids=lambda line: line.id)
def test_a_program_prints_its_reference(line: TaskLine) -> None:
    assert printed(line.parts["code"]) == line.expected


@pytest.mark.parametrize("line", code_lines("fill"), ids=lambda line: line.id)
def test_every_accepted_piece_makes_the_code_right(line: TaskLine) -> None:
    assert line.check is not None
    assert line.parts["code"].count("____") == 1
    for piece in references(line.expected):
        assert holds(line.parts["code"].replace("____", piece), line.check), piece


@pytest.mark.parametrize("line", code_lines("raises"), ids=lambda line: line.id)
def test_a_program_ends_in_its_exception(line: TaskLine) -> None:
    with pytest.raises(Exception) as caught:
        printed(line.parts["code"])
    assert type(caught.value).__name__ == line.expected


@pytest.mark.parametrize("line", code_lines("line"), ids=lambda line: line.id)
def test_the_named_line_is_the_wrong_one(line: TaskLine) -> None:
    assert line.check is not None
    assert line.fix is not None
    rows = line.parts["code"].split("\n")
    assert [int(row.split(":")[0]) for row in rows] == list(range(1, len(rows) + 1))
    code = [row.split(": ", 1)[1] for row in rows]
    assert not holds("\n".join(code), line.check)
    code[line.expected - 1] = line.fix
    assert holds("\n".join(code), line.check)


DERIVED = {  # fields whose value is inferred from the text and is not in it
    "rooms", "bar_used", "checked_bags", "winner", "closed_on", "crashes_fixed", "currency",
    "osprey", "seat", "guests", "vegetarian", "present",
}  # fmt: skip


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    match value:
        case dict():
            return [leaf for key, member in value.items() for leaf in leaves(member, key)]
        case list():
            return [leaf for member in value for leaf in leaves(member, name)]
        case _:
            return [(name, value)]


@pytest.mark.parametrize("line", read_task_set("extraction")[1], ids=lambda line: line.id)
def test_extracted_values_stand_in_their_text(line: TaskLine) -> None:
    text = folded(line.parts["text"])
    plain = text.replace(",", "")
    for name, value in leaves(line.expected):
        if name in DERIVED or value is None or isinstance(value, bool):
            continue
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            year, day = value[:4], int(value[8:])
            assert value in text or (year in text and re.search(rf"\b{day}\b", text)), name
        elif isinstance(value, str):
            assert folded(value) in text, (name, value)
        else:
            numeral = rf"(?<![\d.]){re.escape(f'{value:g}' if value < 1e5 else str(value))}0?(?!\d)"
            words_for = {1: "one|a", 2: "two|twice", 3: "three", 5: "five", 9: "nine"}
            assert re.search(numeral, plain) or re.search(
                rf"\b(?:{words_for.get(value, '-')})\b", text
            ), (name, value)


@pytest.mark.parametrize("line", read_task_set("extraction")[1], ids=lambda line: line.id)
def test_every_expected_field_is_asked_for(line: TaskLine) -> None:
    for name in line.expected:
        assert f'"{name}"' in line.parts["fields"]


def test_summaries_are_short_and_keep_to_their_texts() -> None:
    for line in read_task_set("summarisation")[1]:
        text, summary = line.parts["text"], line.expected
        assert 100 <= len(text.split()) <= 180, line.id
        assert 20 <= len(summary.split()) <= 45, line.id
        known = set(words(text))
        for numeral in re.findall(r"\d[\d,.:]*\d|\d", summary):
            assert words(numeral)[0] in known or numeral in text, (line.id, numeral)
        shared = sum(word in known for word in words(summary))
        assert shared / len(words(summary)) >= 0.45, line.id


def test_passages_hold_their_answers_or_do_not_say() -> None:
    unanswerable = 0
    for line in read_task_set("passage-questions")[1]:
        passage = line.parts["passage"]
        assert 80 <= len(passage.split()) <= 200, line.id
        accepted = references(line.expected)
        if accepted == ["not stated"]:
            unanswerable += 1
            continue
        assert any(
            re.search(rf"(?<!\w){re.escape(folded(answer))}(?!\w)", folded(passage))
            for answer in accepted
        ), line.id
    assert 4 <= unanswerable <= 10


def test_no_address_of_a_real_site_or_mailbox_is_in_a_task() -> None:
    for name in SETS:
        for item in load_tasks(name):
            for domain in re.findall(r"[\w.-]+@([\w.-]+)|https?://([\w.-]+)", item.prompt):
                assert "".join(domain).rstrip(".").endswith(".example"), item.id


@every_set
def test_the_document_counts_them_right(name: TaskSet) -> None:
    assert f"| `{name}` | {len(load_tasks(name))} |" in DOCUMENT.read_text(encoding="utf-8")
