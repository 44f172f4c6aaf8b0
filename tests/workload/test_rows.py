"""A person's JSONL and CSV: every column, every odd but legal file, every mistake with its line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.core.scenario import FileWorkload
from observatory.workload.prompt_items import PromptItem
from observatory.workload.row_files import csv_values, jsonl_values
from observatory.workload.rows import Row, file_prompt_items


def _prompt_items(
    folder: Path, text: str | bytes, name: str = "mine.jsonl", **fields: object
) -> list[PromptItem]:
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    workload = FileWorkload.model_validate({"kind": "file", "path": name, **fields})
    return file_prompt_items(workload, folder)


def _refusal(folder: Path, text: str | bytes, name: str = "mine.jsonl") -> str:
    with pytest.raises(BadInput) as caught:
        _prompt_items(folder, text, name)
    return str(caught.value).replace(str(folder) + "/", "")


def test_every_column_of_a_json_line_is_carried(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "hi", "name": "eva"}]
    tools = [{"type": "function", "function": {"name": "clock"}}]
    (ask,) = _prompt_items(
        tmp_path,
        json.dumps(
            {
                "id": 7,
                "messages": messages,
                "tools": tools,
                "max_tokens": 9,
                "expected": "a",
                "scorer": "label",
                "labels": ["a", "b"],
                "task": "greeting",
                "sensitive": True,
                "metadata": {"any": ["thing"]},
            }
        ),
    )
    assert ask == PromptItem(
        prompt_id="7",
        where=f"{tmp_path}/mine.jsonl:1",
        messages=messages,
        tools=tools,
        max_tokens=9,
        task="greeting",
        expected="a",
        scorer="label",
        labels=["a", "b"],
        sensitive=True,
    )


def test_marks_blank_lines_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n   \n{"prompt": "b\xe2\x80\xa8c"}\r\n\n'
    asks = _prompt_items(tmp_path, text)
    assert [ask.prompt for ask in asks] == ["a", "b\u2028c"]
    assert [ask.where.rsplit(":", 1)[1] for ask in asks] == ["1", "4"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ('"text"', "a line must be one JSON object"),
        ("[]", "a line must be one JSON object"),
        ("{}", "give prompt or messages, one of the two"),
        ('{"prompt": "a", "messages": [{"role": "user", "content": "b"}]}', "give prompt or mess"),
        ('{"prompt": ""}', "prompt: is empty"),
        ('{"prompt": 5}', "prompt: 5 is not text (put it in quotes)"),
        ('{"promt": "a"}', "promt: unknown key 'promt', did you mean 'prompt'? — allowed here: "),
        ('{"prompt": "a", "prompt": "b"}', "'prompt' is written twice"),
        ('{"prompt": "a", "max_tokens": "9"}', "max_tokens: '9' is not a whole number: remove the"),
        ('{"prompt": "a", "max_tokens": 0}', "max_tokens: 0 is out of range: at least 1"),
        ('{"prompt": "a", "max_tokens": NaN}', "NaN is not JSON"),
        ('{"prompt": "a", "sensitive": "no"}', "sensitive: 'no' is not true or false"),
        ('{"prompt": "a", "scorer": "exakt", "expected": 1}', "scorer: 'exakt' is not allowed, did"),
        ('{"prompt": "a", "scorer": "exact"}', "scorer exact needs expected"),
        ('{"prompt": "a", "expected": "c", "labels": ["a"]}', "expected 'c' is not one of the labels"),
        ('{"messages": []}', "messages: needs at least 1"),
        ('{"messages": "hi"}', "messages: 'hi' is not a list"),
        ('{"messages": [{"role": "boss", "content": "x"}]}', "messages: message 1: role 'boss' is"),
        ('{"messages": [{"role": "user"}]}', "messages: message 1: content must be text"),
        ('{"messages": [{"role": "user", "content": ["x"]}]}', "messages: message 1: content must"),
    ],
)  # fmt: skip
def test_a_bad_json_line_is_told_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    refusal = _refusal(tmp_path, f'{{"prompt": "fine"}}\n\n{line}\n')
    assert refusal.startswith("mine.jsonl:3: ")
    assert message in refusal


def test_all_bad_lines_are_told_together(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, '{"prompt": 1}\n{"prompt": "a"}\nnonsense\n{"x": 1}\n')
    lines = [line.split(": ")[0] for line in refusal.splitlines()]
    assert lines == ["mine.jsonl", "mine.jsonl:1", "mine.jsonl:3", "mine.jsonl:4"]


def test_all_faults_of_a_line_are_told_together(tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "boss", "content": "x"}, {"role": "user"}],
        "max_tokens": "9",
        "scorer": "exact",
        "labels": ["a\x00", "b\ufffd"],
        "colour": 1,
        "id": 2**70,
    }
    refusal = _refusal(tmp_path, json.dumps(row))
    for stated in (
        "colour: unknown key 'colour'",
        "max_tokens: '9' is not a whole number",
        "messages: message 1: role 'boss' is not one of",
        "messages: message 2: content must be text",
        "scorer exact needs expected",
        "labels: holds the character U+0000",
        "labels: holds the character U+FFFD",
        "id: a whole number has more than 64 bits",
    ):
        assert refusal.count(f"mine.jsonl:1: {stated}") == 1, (stated, refusal)
    assert refusal.startswith("mine.jsonl: 8 errors")
    assert "'a', 'b' are written twice" in _refusal(tmp_path, '{"a": 1, "a": 2, "b": 1, "b": 2}')


def test_all_faults_of_a_csv_row_and_header_are_told_together(tmp_path: Path) -> None:
    text = "prompt,max_tokens,sensitive,scorer\n,x,maybe,exact\n"
    assert _refusal(tmp_path, text, "mine.csv").splitlines() == [
        "mine.csv: 4 errors",
        "mine.csv:2: max_tokens: 'x' is not a whole number",
        "mine.csv:2: sensitive: 'maybe' is not true or false",
        "mine.csv:2: give prompt or messages, one of the two",
        "mine.csv:2: scorer exact needs expected",
    ]
    header = _refusal(tmp_path, "prompt,expect,colour\na,b,c\n", "mine.csv")
    assert header.startswith(
        "mine.csv:1: unknown columns 'expect', did you mean 'expected'?; 'colour' "
    )


def test_a_fault_is_no_reason_for_others_that_only_follow_from_it(tmp_path: Path) -> None:
    assert "\n" not in _refusal(tmp_path, '{"promt": "a"}')
    assert "\n" not in _refusal(tmp_path, "messages\n[1\n", "mine.csv")
    assert "\n" not in _refusal(tmp_path, '{"prompt": "a", "scorer": "exakt"}')


def test_an_id_that_is_used_twice_names_both_lines(tmp_path: Path) -> None:
    text = '{"id": "7", "prompt": "a"}\n\n{"id": 7, "prompt": "b"}\n'
    assert _refusal(tmp_path, text) == "mine.jsonl:3: id: '7' is already the id of line 1"


def test_rows_without_an_id_are_known_by_what_they_hold(tmp_path: Path) -> None:
    rows = ['{"prompt": "a"}', '{"prompt": "b"}', '{"prompt": "a", "expected": "x"}']
    first = {ask.prompt_id for ask in _prompt_items(tmp_path, "\n".join(rows))}
    moved = {ask.prompt_id for ask in _prompt_items(tmp_path, "\n\n".join(reversed(rows)))}
    assert len(first) == 3
    assert first == moved
    one, two = _prompt_items(tmp_path, '{"prompt": "a"}\n{"prompt": "a"}')
    assert two.prompt_id == f"{one.prompt_id}-2"


@pytest.mark.parametrize(
    ("row", "scorer"),
    [
        ({"expected": "x"}, "token_f1"),
        ({"expected": ["x", "y"]}, "token_f1"),
        ({"expected": "x", "labels": ["x"]}, "label"),
        ({"expected": 4.5}, "number"),
        ({"expected": {"a": 1}}, "json"),
        ({"expected": [1, 2]}, "json"),
        ({"expected": "4", "task": "arithmetic"}, "number"),
        ({"expected": "x", "task": "mine"}, "token_f1"),
        ({"expected": "x", "scorer": "exact"}, "exact"),
        ({}, None),
    ],
)
def test_the_scorer_follows_from_the_row(tmp_path: Path, row: dict, scorer: str | None) -> None:
    (ask,) = _prompt_items(tmp_path, json.dumps({"prompt": "a", **row}))
    assert ask.scorer == scorer


def test_the_scenarios_scorer_stands_between_the_rows_and_the_tasks(tmp_path: Path) -> None:
    text = (
        '{"prompt": "a", "expected": "1", "task": "arithmetic"}\n'
        '{"prompt": "b", "expected": "1", "scorer": "label"}'
    )
    assert [ask.scorer for ask in _prompt_items(tmp_path, text, scorer="exact")] == [
        "exact",
        "label",
    ]


CSV = (
    "\ufeffid,prompt,expected,max_tokens,sensitive,labels\r\n"
    '1,"two\nlines, a comma and a ""quote""",yes,8,TRUE,yes|no\r\n'
    "\r\n"
    "2,plain,,,no,\r\n"
)


def test_a_csv_has_quoted_line_breaks_blank_lines_and_empty_cells(tmp_path: Path) -> None:
    first, second = _prompt_items(tmp_path, CSV, "mine.csv")
    assert first.prompt == 'two\nlines, a comma and a "quote"'
    assert (first.expected, first.max_tokens, first.sensitive) == ("yes", 8, True)
    assert (first.labels, first.scorer) == (["yes", "no"], "label")
    assert (second.prompt_id, second.expected, second.max_tokens) == ("2", None, None)
    assert (second.sensitive, second.labels) == (False, None)
    assert [ask.where.rsplit(":", 1)[1] for ask in (first, second)] == ["2", "5"]


def test_a_csv_cell_may_hold_a_conversation(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "hi"}]
    cell = json.dumps(messages).replace('"', '""')
    (ask,) = _prompt_items(tmp_path, f'messages\n"{cell}"\n', "mine.csv")
    assert ask.messages == messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,reply\na,b\n", "mine.csv:1: the header has neither a prompt nor a messages"),
        ("prompt;id\na;1\n", "mine.csv:1: the header has neither"),
        ("prompt,prompt\na,b\n", "mine.csv:1: column 'prompt' is written twice"),
        ("prompt,id\na,1\nb\n", "mine.csv:3: has 1 cell, the header has 2"),
        ("prompt,id\na, b,1\n", "mine.csv:2: has 3 cells, the header has 2 — quote cells"),
        ("prompt,expect\na,b\n", "mine.csv:1: unknown column 'expect', did you mean 'expected'"),
        ("prompt,max_tokens\na,x\n", "mine.csv:2: max_tokens: 'x' is not a whole number"),
        ("prompt,sensitive\na,maybe\n", "mine.csv:2: sensitive: 'maybe' is not true or false"),
        ("messages\n[1\n", "mine.csv:2: messages: cannot be read"),
        ('prompt\na\n"b\nc\n', "mine.csv:3: not CSV: unexpected end of data"),
        ('prompt\na\n"b"c\n', "mine.csv:3: not CSV: ',' expected after '\"'"),
        ("prompt\n", "mine.csv: has no requests in it"),
        ("", "mine.csv: has no requests in it"),
        (b"prompt\na\ncaf\xe9\n", "mine.csv:3: is not UTF-8: byte 0xe9"),
        ("id,prompt\n1,a\n1,b\n", "mine.csv:3: id: '1' is already the id of line 2"),
        ("id,prompt\n1,\n", "mine.csv:2: give prompt or messages"),
    ],
)  # fmt: skip
def test_a_bad_csv_is_told_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert _refusal(tmp_path, text, "mine.csv").startswith(message)


def test_a_prompt_longer_than_the_csv_modules_own_limit_is_read(tmp_path: Path) -> None:
    (ask,) = _prompt_items(tmp_path, f"prompt\n{'x' * 300_000}\n", "mine.csv")
    assert len(ask.prompt or "") == 300_000


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    workload = FileWorkload.model_validate({"kind": "file", "path": "nowhere.jsonl"})
    with pytest.raises(BadInput, match=r"nowhere\.jsonl: cannot be read: No such file"):
        file_prompt_items(workload, tmp_path)
    assert "mine.parquet: .parquet is not read" in _refusal(tmp_path, "x", "mine.parquet")


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1)


@given(st.lists(TEXTS.filter(str.strip), min_size=1, max_size=5))
def test_any_text_comes_out_of_a_csv_as_it_went_in(prompts: list[str]) -> None:
    text = "prompt\n" + "".join(f'"{p.replace(chr(34), chr(34) * 2)}"\n' for p in prompts)
    values = [value for _, value in csv_values("f", text, Row.model_fields)]
    assert values == [{"prompt": prompt} for prompt in prompts]


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_any_text_comes_out_of_jsonl_as_it_went_in(prompts: list[str]) -> None:
    text = "\n".join(json.dumps({"prompt": p}, ensure_ascii=False) for p in prompts)
    assert list(jsonl_values(text)) == [
        (line, {"prompt": prompt}) for line, prompt in enumerate(prompts, start=1)
    ]
