"""Files that people have: what is read as it is, and what is named with its conversion."""

import gzip
import io
import json
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from observatory.core.errors import BadInput
from observatory.core.scenario import FileWorkload
from observatory.workload.foreign_formats import FORMATS
from observatory.workload.prompt_items import PromptItem
from observatory.workload.rows import file_prompt_items


def _prompt_items(path: Path, notes: list[str] | None = None) -> list[PromptItem]:
    workload = FileWorkload.model_validate({"kind": "file", "path": path.name})
    return file_prompt_items(workload, path.parent, (notes if notes is not None else []).append)


def _refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        _prompt_items(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("text", "limits", "noted"),
    [
        (",prompt,max_tokens\n0,Hi,128.0\n1,Hello,\n2,Hey,64.0\n", [128, None, 64], "1: column 1 "),
        ("Unnamed: 0,prompt,max_tokens\n0,Hi,128\n", [128], "1: column 1 "),
        ("prompt,max_tokens,\nHi,1e2,\nHey,7,\n", [100, 7], "1: column 3 "),
        (",prompt,,max_tokens\r\n0,Hi,x,9\r\n", [9], "1: columns 1, 3 "),
        ("\ufeffprompt,max_tokens\nHi,8,\nHey,9,,\n", [8, 9], None),
    ],
)
def test_a_column_without_a_name_is_passed_over_with_a_note(
    text: str, limits: list[int | None], noted: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    notes: list[str] = []
    assert [ask.max_tokens for ask in _prompt_items(path, notes)] == limits
    assert [note.split("mine.csv:")[1].startswith(noted or "") for note in notes] == [True] * bool(
        noted
    )


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\r\n\x1a\r\n"])
@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "prompt\r\nHi\r\nHo"), ("a.jsonl", '{"prompt": "Hi"}\n{"prompt": "Ho"}')],
)
def test_the_mark_of_an_end_that_windows_writes_is_no_prompt(
    name: str, text: str, end: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes((text + end).encode())
    assert [ask.prompt for ask in _prompt_items(path)] == ["Hi", "Ho"]


def test_whole_floats_are_whole_numbers_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": 7.0, "prompt": "a", "max_tokens": 128.0}\n')
    (ask,) = _prompt_items(path)
    assert (ask.prompt_id, ask.max_tokens) == ("7", 128)
    path.write_text('{"prompt": "a", "max_tokens": 12.5}\n')
    assert "mine.jsonl:1: max_tokens: 12.5 is not a whole number" in _refusal(path)
    for cell in ("12.5", "nan", "inf", "1e400", "many"):
        path = tmp_path / "mine.csv"
        path.write_text(f"prompt,max_tokens\na,{cell}\n")
        assert f"mine.csv:2: max_tokens: {cell!r} is not a whole number" in _refusal(path)


def test_a_columns_fault_is_told_once_and_equal_errors_are_folded(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("prompt,temprature\n" + "a,1\n" * 50)
    assert _refusal(path).startswith("mine.csv:1: unknown column 'temprature'")
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "a", "temprature": 1}\n' * 50)
    message = _refusal(path)
    assert message.startswith("mine.jsonl:1: temprature: unknown key 'temprature'")
    assert "(also in lines 2, 3, 4, 5, 6 and 44 more)" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (r'{"prompt":"a\u0000b"}', "prompt: holds the character U+0000"),
        (r'{"prompt":"a\ufffdb"}', "prompt: holds the character U+FFFD"),
        ('{"prompt":"M\ufffdller"}', "prompt: holds the character U+FFFD"),
        (
            r'{"messages":[{"role":"user","content":"\u0000"}]}',
            "messages: holds the character U+0000",
        ),
        (r'{"prompt":"a","expected":["b\u0000"]}', "expected: holds the character U+0000"),
    ],
)
def test_lost_characters_are_refused_with_their_line(
    line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "fine"}\n' + line + "\n")
    assert f"mine.jsonl:2: {message}" in _refusal(path)


def test_metadata_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(r'{"prompt": "a \\x00", "metadata": "\u0000"}' + "\n")
    assert len(_prompt_items(path)) == 1


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"prompt": ["Hi"]}).write_parquet(buffer)
    return buffer.getvalue()


def _stream() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"prompt": ["Hi"]}).write_ipc_stream(buffer)
    return buffer.getvalue()


def _excel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    return buffer.getvalue()


LINE = '{"prompt": "Grüße"}\n'


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".json", ""])
@pytest.mark.parametrize(
    ("data", "what", "fix"),
    [
        (LINE.encode("utf-16"), "is UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8"),
        (LINE.encode("utf-16-le"), "is UTF-16LE, not UTF-8", "iconv -f UTF-16LE"),
        (LINE.encode("utf-16-be"), "is UTF-16BE, not UTF-8", "iconv -f UTF-16BE"),
        (LINE.encode("utf-32"), "is UTF-32, not UTF-8", "iconv -f UTF-32"),
        (LINE.encode("latin-1"), "is not UTF-8: byte 0xfc ('ü'", "iconv -f WINDOWS-1252"),
        (gzip.compress(LINE.encode(), mtime=0), "is compressed with gzip", "gunzip -k"),
        (_parquet(), "is Parquet, not text", "read_parquet"),
        (_stream(), "is an Arrow stream, as Hugging Face", "read_ipc_stream"),
        (_excel(), "is an Excel workbook", "CSV UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "is a web page", "download the file itself"),
    ],
)  # fmt: skip
def test_what_is_no_utf_8_text_is_named(
    data: bytes, what: str, fix: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"mine{ending}"
    path.write_bytes(data)
    message = _refusal(path)
    assert what in message
    assert fix in message


MESSAGES = [{"role": "user", "content": "Hi"}]
RECORDS = {
    "the output of an OpenAI batch": {"id": "b", "custom_id": "r", "response": {}, "error": None},
    "an OpenAI batch": {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions",
                        "body": {"model": "m", "messages": MESSAGES, "max_tokens": 50}},
    "an Anthropic message batch": {"custom_id": "r1", "params": {
        "model": "m", "system": "Be brief.", "messages": MESSAGES, "max_tokens": 50}},
    "a batch of Amazon Bedrock": {"recordId": "r1", "modelInput": {
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": MESSAGES}},
    "a batch of Gemini or Vertex AI": {"key": "r1", "request": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Yes?"}]},
                     {"parts": [{"text": "Go on"}]}],
        "generationConfig": {"maxOutputTokens": 5}}},
    "a ShareGPT data set": {"id": "a1", "conversations": [
        {"from": "system", "value": "s"}, {"from": "human", "value": "Hi"}]},
    "a data set of conversations (LMSYS, WildChat)": {
        "conversation_id": "c", "conversation": [*MESSAGES, {"role": "assistant", "content": "x"}]},
    "an Alpaca data set": {"instruction": "Translate", "input": "Hi", "output": "Salut"},
    "a Dolly data set": {"instruction": "a", "context": "", "response": "b", "category": "c"},
    "an MT-Bench question file": {"question_id": 81, "category": "w", "turns": ["Hi", "More"]},
    "an AIPerf file of sessions": {"session_id": "s", "turns": [{"text": "Hi"}, {"text": "x"}]},
    "an AIPerf file of payloads": {"payload": [{"messages": MESSAGES, "max_tokens": 5}]},
    "a trace in Mooncake's format": {
        "timestamp": 0, "input_length": 5, "output_length": 6, "hash_ids": []},
    "an OpenAI evals data set": {"input": MESSAGES, "ideal": "x"},
    "a GuideLLM data set": {"prompt": "Hi", "prompt_tokens_count": 1, "output_tokens_count": 5},
    "a vLLM bench data set": {"prompt": "Hi", "output_tokens": 5},
    "an UltraChat data set": {"prompt": "Hi", "prompt_id": "p1", "messages": MESSAGES},
    "a data set of preferences (DPO)": {"prompt": "Hi", "chosen": "a", "rejected": "b"},
    "HumanEval": {"task_id": "HumanEval/0", "prompt": "def f():", "entry_point": "f",
                  "canonical_solution": "x", "test": "t"},
    "a data set of prompts and completions": {"prompt": "Hi", "completion": "x"},
    "a file of chat request bodies": {
        "model": "m", "messages": MESSAGES, "temperature": 1, "max_completion_tokens": 5},
    "a file of completion request bodies": {"model": "m", "prompt": "Hi", "max_tokens": 5},
    "a multiple-choice data set (MMLU, ARC)": {
        "question": "1 + 1?", "choices": ["1", "2"], "answer": 1, "subject": "s"},
    "SQuAD": {"title": "t", "paragraphs": [{"context": "It rains.", "qas": [
        {"id": "1", "question": "Does it?", "answers": [{"text": "yes", "answer_start": 0}]}]}]},
    "rows of SQuAD": {"id": "1", "title": "t", "context": "It rains.", "question": "Does it?",
                      "answers": {"text": ["yes"], "answer_start": [0]}},
    "a data set of questions and answers": {"question": "1 + 1?", "answer": "2"},
    "OpenAssistant's messages": {
        "message_id": "m", "parent_id": None, "text": "Hi", "role": "prompter", "lang": "en"},
    "a data set of texts (AIPerf, GuideLLM)": {"text": "Hi"},
    "a data set of texts (AIPerf)": {"texts": ["Hi"]},
    "a report of GuideLLM": {"benchmarks": []},
    "a result of vLLM bench or SGLang bench_serving": {
        "request_throughput": 1.0, "total_output_tokens": 5, "ttfts": []},
    "an HTTP archive (HAR)": {"log": {"entries": []}},
}  # fmt: skip
CSV_ONLY = {
    "the Azure LLM inference trace": "TIMESTAMP,ContextTokens,GeneratedTokens",
    "the BurstGPT trace": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
    "a multiple-choice data set (MMLU)": "question,A,B,C,D,answer",
}


def test_every_known_format_has_a_record_here() -> None:
    assert {one.name for one in FORMATS} == RECORDS.keys() | CSV_ONLY.keys()


@pytest.mark.parametrize("name", RECORDS)
def test_a_known_format_is_named_and_its_conversion_is_read(name: str, tmp_path: Path) -> None:
    record = RECORDS[name]
    lines = tmp_path / "their data.jsonl"
    lines.write_text(f"{json.dumps(record)}\n{json.dumps(record)}\n")
    array = tmp_path / "their array.json"
    array.write_text(json.dumps([record, record], indent=2))
    for path in (lines, array):
        message = _refusal(path)
        assert f"is {name}, which is not read as it is" in message
        if "jq -c" not in message:
            assert any(word in message for word in ("results", "answers", "synthetic", "bodies"))
            continue
        if shutil.which("jq") is None:
            continue
        program, source = shlex.split(message.split("jq -c ")[1].split(" > ")[0])
        done = subprocess.run(
            ["jq", "-c", program, source], cwd=tmp_path, capture_output=True, check=True
        )
        made = tmp_path / "made.jsonl"
        made.write_bytes(b"".join(dict.fromkeys(done.stdout.splitlines(keepends=True))))
        (ask,) = _prompt_items(made)
        assert ask.prompt or ask.messages


@pytest.mark.parametrize("name", CSV_ONLY)
def test_a_trace_of_lengths_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(f"{CSV_ONLY[name]}\n2023-11-16 18:01:51,4808,10,1,1,1\n")
    message = _refusal(path)
    assert f"trace.csv:1: is {name}" in message
    assert "kind: synthetic" in message or "one column: prompt" in message


@pytest.mark.parametrize(
    ("record", "made"),
    [
        ({"custom_id": "0", "body": {"max_tokens": 9, "messages": MESSAGES}},
         {"id": "0", "messages": MESSAGES, "max_tokens": 9}),
        ({"custom_id": "0", "method": "POST", "url": "/v1/responses",
          "body": {"model": "m", "input": "Hi", "max_output_tokens": 9}},
         {"id": "0", "prompt": "Hi", "max_tokens": 9}),
        ({"custom_id": "0", "method": "POST", "url": "/v1/chat/completions",
          "body": {"model": "m", "messages": MESSAGES, "tools": [{"type": "function"}]}},
         {"id": "0", "messages": MESSAGES, "tools": [{"type": "function"}]}),
        ({"model": "m", "messages": MESSAGES, "tools": [{"type": "function"}]},
         {"messages": MESSAGES, "tools": [{"type": "function"}]}),
        ({"custom_id": "0", "params": {"messages": MESSAGES, "max_tokens": 9,
                                       "tools": [{"name": "f", "input_schema": {"type": "object"}}]}},
         {"id": "0", "messages": MESSAGES, "max_tokens": 9, "tools": [
             {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}),
        ({"request": {"contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]}},
         {"messages": [{"role": "user", "content": "ab"}]}),
        ({"prompt": MESSAGES, "chosen": "a", "rejected": "b"}, {"messages": MESSAGES}),
        ({"chosen": [*MESSAGES, {"role": "assistant", "content": "a"}], "rejected": []},
         {"messages": MESSAGES}),
        ({"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "b"}, {"prompt": "Hi"}),
        ({"id": "q", "question": "Q?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
         {"prompt": "Q?\nA. x\nB. y\nAnswer with one letter.", "labels": ["A", "B"], "expected": "B"}),
    ],
)  # fmt: skip
@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_a_conversion_loses_nothing_that_is_sent(
    record: dict[str, Any], made: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    program = shlex.split(_refusal(path).split("jq -c ")[1])[0]
    done = subprocess.run(["jq", "-c", program, str(path)], capture_output=True, check=True)
    assert json.loads(done.stdout) == made


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '[{"prompt": "Hi"}]', "jq -c '.[]' a.json > a-requests.jsonl"),
        ("a.jsonl", '[\n{"prompt": "Hi"},\n{"prompt": "Ho"}\n]', "jq -c '.[]'"),
        ("a.jsonl", '{\n "prompt": "Hi"\n}', "is one JSON object over several lines"),
        ("a.json", '{"rows": [{"row_idx": 0, "row": {"instruction": "a", "output": "b"}}]}',
         "jq -c '.rows[] | .row | {prompt"),
        ("a.json", '{"data": [{"payload": [{"prompt": "Hi"}]}]}', "AIPerf file of payloads"),
        ("a.jsonl", '{\n "prompt": "Hi"\n}\n{\n "prompt": "Ho"\n}\n',
         "has JSON objects over several lines — write each on one line: jq -c . a.jsonl"),
        ("a.jsonl", '{\n "custom_id": "a",\n "body": {"input": "Hi"}}\n{}', "is an OpenAI batch"),
        ("a.csv", "sep=;\nprompt;max_tokens\nHi;5\n", "separated by semicolons"),
        ("a.csv", "prompt,max_tokens\nHi,NA\n", "'NA' is not a whole number — leave a cell without a value empty"),
        ("a.csv", "prompt,max_tokens\nHi,nan\n", "leave a cell without a value empty"),
        ("a.jsonl", '{"prompt": "Hi"},\n{"prompt": "Ho"},\n', "remove the comma at its end"),
        ("a.csv", "prompt;max_tokens\nHi;5\n", "separated by semicolons: export it with commas"),
        ("a.csv", "id\tprompt\n1\tHi\n", "separated by tabs"),
        ("a.csv", "instruction,input,output\na,b,c\n", "rename the column instruction to prompt"),
        ("a.txt", "Hi\n", ".txt is not read"),
        ("a.jsonl", '{"prompt": "Hi", "prompt": "Ho"}\n', "a.jsonl:1: 'prompt' is written twice"),
        ("a.jsonl", '{"prompt": "Hi", "metadata": NaN}', "a.jsonl:1: NaN is not JSON"),
        ("a.json", '{"prompt": "Hi"}\n', ".json is not read — give a .jsonl"),
        ("a.jsonl", '{"prompt": "Hi", "max_tokens": ' + "9" * 5_001 + "}",
         "a.jsonl:1: a whole number has 5,001 digits, more than 64 bits"),
        ("a.csv", 'prompt,metadata\nHi,"[-' + "9" * 5_001 + ']"\n',
         "a whole number has 5,001 digits, more than 64 bits"),
        ("a.csv", "prompt,max_tokens\nHi," + "9" * 5_001 + "\n", "is not a whole number"),
        ("a.jsonl", "", "has no requests in it"),
        ("a.csv", "", "has no requests in it"),
        ("a.csv", "prompt\n", "has no requests in it"),
    ],
)  # fmt: skip
def test_near_misses_are_told_with_their_fix(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert message in _refusal(path)
