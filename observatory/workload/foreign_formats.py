"""Data sets and traces of other tools, known by their keys: one sentence with the conversion.

A filter is for jq and makes of one record what docs/workloads.md describes; None: no prompts in it.
"""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observatory.core.errors import BadInput

_LENGTHS = (
    "it holds lengths, no prompts: write kind: synthetic with prompt_tokens and output_tokens"
)
_RESULTS = "these are results, not requests: give the file that was sent"
_CONTAINERS = ("rows", "data", "examples", "instances", "train", "test", "entries")


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """keys: those that every record has, `a.b` for b in the object a. filter: of jq, None where there is nothing to
    convert.

    column: of a CSV, the one to rename to `prompt`. fix: instead of a filter.
    """

    name: str
    keys: frozenset[str]
    filter: str | None = None
    column: str | None = None
    fix: str | None = None


def _format(
    name: str,
    keys: str,
    filter_: str | None = None,
    column: str | None = None,
    fix: str | None = None,
) -> ForeignFormat:
    return ForeignFormat(name, frozenset(keys.split("|")), filter_, column, fix)


_PRESENT = "with_entries(select(.value != null))"
_OF_ANTHROPIC = (
    '{messages: ((if .system then [{role: "system", content: .system}] else [] end) + .messages), tools: (.tools | '
    'if . then map({type: "function", function: ({name, description, parameters: .input_schema} '
    f"| {_PRESENT})}}) else null end), max_tokens}} | {_PRESENT}"
)
"""Of the body of a request to the Messages API."""
FORMATS: tuple[ForeignFormat, ...] = (
    _format(
        "the output of an OpenAI batch", "custom_id|response",
        fix="these are answers, not requests: give the batch's input file",
    ),
    _format(
        "an OpenAI batch", "custom_id|body",  # Mistral's, Together's and Fireworks' have no method and no url
        "{id: .custom_id, messages: (.body.messages // (.body.input | if type == \"array\" then . else null end)), "
        "prompt: (.body.prompt // (.body.input | if type == \"string\" then . else null end)), tools: .body.tools, "
        "max_tokens: (.body.max_tokens // .body.max_completion_tokens // .body.max_output_tokens)} "
        f"| {_PRESENT}",
    ),
    _format(
        "an Anthropic message batch", "custom_id|params",
        f"{{id: .custom_id}} + (.params | {_OF_ANTHROPIC})",
    ),
    _format(
        "a batch of Amazon Bedrock", "recordId|modelInput.messages",
        f"{{id: .recordId}} + (.modelInput | {_OF_ANTHROPIC})",
    ),
    _format(
        "a batch of Gemini or Vertex AI", "request.contents",
        "{id: .key} + (.request | def text: [.parts[].text // empty] | join(\"\"); {messages: "
        "([(.systemInstruction // .system_instruction // empty) | {role: \"system\", content: text}] + "
        "[.contents[] | {role: (if .role == \"model\" then \"assistant\" else \"user\" end), content: text}]), "
        "max_tokens: ((.generationConfig // .generation_config // {}) | .maxOutputTokens // .max_output_tokens)}) "
        f"| {_PRESENT}",
    ),
    _format(
        "a ShareGPT data set", "conversations",
        "[.conversations[] | select((.from // .role) == (\"human\", \"user\"))][0] | "
        "{prompt: (.value // .content)}",
        column="conversations",
    ),
    _format("a data set of conversations (LMSYS, WildChat)", "conversation",
            "{messages: [.conversation[0] | {role, content}]}"),
    _format(
        "an Alpaca data set", "instruction|output",
        "{prompt: ([.instruction, .input // \"\"] | map(select(. != \"\")) | join(\"\\n\\n\")), "
        "expected: .output}",
        column="instruction",
    ),
    _format(
        "a Dolly data set", "instruction|response",
        "{prompt: ([.instruction, .context // \"\"] | map(select(. != \"\")) | join(\"\\n\\n\")), "
        "expected: .response}",
        column="instruction",
    ),
    _format("an MT-Bench question file", "question_id|turns", "{prompt: .turns[0]}"),
    _format("an AIPerf file of sessions", "turns",
            "{prompt: (.turns[0] | if type == \"object\" then .text else . end)}"),
    _format("an AIPerf file of payloads", "payload",
            f"(.payload | if type == \"array\" then .[0] else . end) | {{messages, prompt, max_tokens}} | {_PRESENT}"),
    _format("a trace in Mooncake's format", "input_length|output_length", fix=_LENGTHS),
    _format("the Azure LLM inference trace", "ContextTokens|GeneratedTokens", fix=_LENGTHS),
    _format("the BurstGPT trace", "Request tokens|Response tokens", fix=_LENGTHS),
    _format("an OpenAI evals data set", "input|ideal",
            "{messages: (.input | if type == \"string\" then [{role: \"user\", content: .}] else . end), "
            "expected: .ideal}"),
    _format("a GuideLLM data set", "prompt|output_tokens_count",
            "{prompt, max_tokens: .output_tokens_count}"),
    _format("a vLLM bench data set", "prompt|output_tokens",
            "{prompt, max_tokens: .output_tokens}"),
    _format("an UltraChat data set", "prompt|messages|prompt_id", "{id: .prompt_id, prompt}"),
    _format("a data set of preferences (DPO)", "chosen|rejected",
            "if .prompt then {(if (.prompt | type) == \"array\" then \"messages\" else \"prompt\" end): .prompt} "
            "elif (.chosen | type) == \"array\" then {messages: .chosen[:-1]} "
            "else {prompt: (.chosen | split(\"\\n\\nAssistant:\")[0] | ltrimstr(\"\\n\\nHuman: \"))} end"
            f" | {_PRESENT}"),
    _format("HumanEval", "task_id|prompt|canonical_solution", "{id: (.task_id | tostring), prompt}"),
    _format("a data set of prompts and completions", "prompt|completion",
            "{prompt, expected: .completion}"),
    _format("a file of chat request bodies", "model|messages",
            f"{{messages, tools, max_tokens: (.max_tokens // .max_completion_tokens)}} | {_PRESENT}"),
    _format("a file of completion request bodies", "model|prompt",
            f"{{prompt, max_tokens}} | {_PRESENT}"),
    _format("a multiple-choice data set (MMLU, ARC)", "question|choices",
            "(.choices | if type == \"object\" then .text else . end) as $texts | [range($texts | length) "
            "| [65 + .] | implode] as $labels | {prompt: ([.question, ($labels | to_entries[] "
            "| \"\\(.value). \\($texts[.key])\"), \"Answer with one letter.\"] | join(\"\\n\")), labels: $labels, "
            "expected: (if (.answer | type) == \"number\" then $labels[.answer] elif .answerKey then "
            f".answerKey else .answer end)}} | {_PRESENT}"),
    _format("a multiple-choice data set (MMLU)", "question|A|B|C|D",
            fix="write the question and its choices into one column: prompt"),
    _format("SQuAD", "paragraphs",
            "[.paragraphs[] | .context as $context | .qas[] | {id, prompt: ($context + \"\\n\\n\" + .question), "
            f"expected: ([.answers[].text] | if . == [] then null else . end)}} | {_PRESENT}][]"),
    _format("rows of SQuAD", "context|question|answers",
            "{id, prompt: (.context + \"\\n\\n\" + .question), "
            f"expected: (.answers.text | if . == [] then null else . end)}} | {_PRESENT}"),
    _format("a data set of questions and answers", "question|answer",
            "{prompt: .question, expected: (.answer | if type == \"object\" then tojson else . end)}",
            column="question"),
    _format("OpenAssistant's messages", "message_id|parent_id|text|role",
            "select(.role == \"prompter\" and .parent_id == null) | {id: .message_id, prompt: .text}"),
    _format("a data set of texts (AIPerf, GuideLLM)", "text", "{prompt: .text}", column="text"),
    _format("a data set of texts (AIPerf)", "texts", "{prompt: .texts[0]}"),
    _format("a report of GuideLLM", "benchmarks", fix=_RESULTS),
    _format("a result of vLLM bench or SGLang bench_serving", "request_throughput|total_output_tokens",
            fix=_RESULTS),
    _format("an HTTP archive (HAR)", "log", fix="write its request bodies as JSON lines"),
)  # fmt: skip
"""The first whose keys a record has is the one meant."""


def refuse_foreign_record(name: str, path: Path, record: dict[str, Any], each: str = "") -> None:
    """Raise BadInput where a record is of a known format; each: jq's way from the file to a record."""
    found = next((one for one in FORMATS if all(_has(record, key) for key in one.keys)), None)
    if found is None:
        return
    fix = found.fix or f"convert it: {_jq(path, each, found.filter or '.')}"
    raise BadInput(f"is {found.name}, which is not read as it is", where=name, fix=fix)


def _has(record: dict[str, Any], key: str) -> bool:
    """Return whether a record has a key, which may be `a.b`."""
    name, dot, inner = key.partition(".")
    if not dot:
        return key in record
    inside = record.get(name)
    return isinstance(inside, dict) and inner in inside


def refuse_foreign_header(where: str, names: Iterable[str]) -> None:
    """Raise BadInput where the columns of a CSV are those of a known format."""
    columns = frozenset(names)
    found = next((one for one in FORMATS if one.keys <= columns), None)
    if found is None:
        return
    if found.fix is not None:
        fix = found.fix
    elif found.column is not None:
        fix = f"rename the column {found.column} to prompt and remove those that are not known"
    else:
        fix = "remove the columns that are not known, or rename them (docs/workloads.md)"
    raise BadInput(f"is {found.name}, which is not read as it is", where=where, fix=fix)


def refuse_json_document(name: str, path: Path, text: str) -> None:
    """Raise BadInput where a file is one JSON array or object, or objects over several lines, instead of an object a
    line."""
    if text.lstrip()[:1] not in ("[", "{"):
        return
    try:
        document, end = json.JSONDecoder().raw_decode(text.strip())
    except (ValueError, RecursionError):
        return
    if rest := text.strip()[end:].strip():
        if isinstance(document, dict) and rest[:1] == "{" and "\n" in text.strip()[:end]:
            refuse_foreign_record(name, path, document)
            fix = f"write each on one line: {_jq(path, '', '.')}"
            raise BadInput("has JSON objects over several lines", where=name, fix=fix)
        return
    each, records = ".[] | ", document
    if isinstance(document, dict):
        refuse_foreign_record(name, path, document)
        inside = next((key for key in _CONTAINERS if isinstance(document.get(key), list)), None)
        if inside is None:
            if "\n" not in text.strip():
                return  # its one line is validated like any other
            fix = f"write it on one line: {_jq(path, '', '.')}"
            raise BadInput("is one JSON object over several lines", where=name, fix=fix)
        each, records = f".{inside}[] | ", document[inside]
    first = records[0] if records else None
    if isinstance(first, dict) and isinstance(first.get("row"), dict):  # Hugging Face's viewer
        each, first = f"{each}.row | ", first["row"]
    if isinstance(first, dict):
        refuse_foreign_record(name, path, first, each)
    fix = f"write an object a line: {_jq(path, each, '.')}"
    raise BadInput("is one JSON document, not an object a line", where=name, fix=fix)


def _jq(path: Path, each: str, filter_: str) -> str:
    made = f"{path.stem}-requests.jsonl"  # in the current folder: theirs may not be writable
    program = f"{each}{filter_}" if filter_ != "." or not each else each.removesuffix(" | ")
    return f"jq -c {shlex.quote(program)} {shlex.quote(str(path))} > {shlex.quote(made)}"
