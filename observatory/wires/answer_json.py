"""The JSON of an answer, whole or one event of it, typed so that only the needed fields are read.

Fields are those that OpenAI, vLLM, SGLang, llama.cpp, TGI, OpenRouter, Groq, DeepSeek, Mistral and
LiteLLM send; llama.cpp's `timings` and everything else unknown is passed over in C.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, TypeGuard

import msgspec

from observatory.wires.failures.finish_reasons import bad_end
from observatory.wires.fitting import fitted


class Function(msgspec.Struct, gc=False):
    """The called function: its name comes first, its arguments in pieces."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A tool call or a piece of one."""

    index: int | None = None
    function: Function | None = None


class Thought(msgspec.Struct, gc=False):
    """A piece of reasoning in OpenRouter's `reasoning_details`; what is encrypted has no text."""

    text: str | None = None
    summary: str | None = None


class MessageText(msgspec.Struct, gc=False):
    """A delta, or a whole message: text under its several names."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: str | None = None
    thinking: str | None = None
    reasoning_details: list[Thought] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    usage: "Usage | None" = None
    channel: str | None = None


class Choice(msgspec.Struct, gc=False):
    """One choice of a chat answer (delta, message) or of a completion (text)."""

    index: int | None = None
    delta: MessageText | None = None
    message: MessageText | None = None
    text: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    content_filter_results: Any = None
    usage: "Usage | None" = None
    error: Any = None


class Details(msgspec.Struct, gc=False):
    """What prompt or output tokens are made of."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    image_tokens: int | None = None
    audio_tokens: int | None = None
    video_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Token counts as the server reports them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    reasoning_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cost: float | None = None


class Groq(msgspec.Struct, gc=False):
    """Groq's own envelope around usage and errors."""

    usage: Usage | None = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer."""

    choices: Sequence[Choice] | None = None
    usage: Usage | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    error: Any = None
    object: str | None = None
    message: str | None = None
    detail: Any = None
    x_groq: Groq | None = None


class PlainMessageText(MessageText, forbid_unknown_fields=True, gc=False):
    """A delta with no field beyond those of MessageText, and no text in parts."""

    reasoning_details: None = None
    role: str | None = None


class PlainChoice(Choice, forbid_unknown_fields=True, gc=False):
    """A choice of a stream with no field beyond those of Choice and vLLM."""

    delta: PlainMessageText | None = None
    message: None = None
    logprobs: Any = None
    stop_reason: Any = None
    token_ids: Any = None


class PlainChunk(Chunk, forbid_unknown_fields=True, gc=False):
    """An event with no field beyond those of Chunk, but for those that hold nothing of the answer.

    So it has no reasoning under another name, and without choices it has no failure.
    """

    choices: Sequence[PlainChoice] | None = None
    object: Literal["chat.completion.chunk", "text_completion"] | None = None
    error: None = None
    message: None = None
    detail: None = None
    x_groq: None = None
    id: Any = None
    created: Any = None
    obfuscation: Any = None
    prompt_token_ids: Any = None
    provider: Any = None
    timings: Any = None


_decode_plain = msgspec.json.Decoder(PlainChunk).decode
_decode = msgspec.json.Decoder(Chunk).decode


def read_chunk(data: bytes) -> Chunk | None:
    """Return the chunk in `data`; None where it is no JSON object.

    A field of another type than usual is coerced where its meaning is plain (text in parts) and
    dropped otherwise; invalid UTF-8 becomes U+FFFD; half a surrogate pair stays, for its other half
    may be in the next event.
    """
    try:
        return _decode(data)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        pass
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return msgspec.convert(_coerced(value), Chunk)


def read_plain_chunk(data: bytes) -> PlainChunk | None:
    """Return the same chunk as `read_chunk`, where it has plain fields alone; else None."""
    try:
        return _decode_plain(data)
    except (ValueError, RecursionError):
        return None


def _coerced(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of Chunk that are of their type, of a JSON object that is read in place."""
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            _read_choice(choice)
    _read_cost(value)
    _read_cost(value.get("x_groq"))
    kept: dict[str, Any] = fitted(value, Chunk)
    return kept


_TEXT_FIELDS = (
    "content",
    "reasoning_content",
    "reasoning",
    "reasoning_text",
    "thinking",
    "refusal",
)


def _read_choice(value: dict[str, Any]) -> None:
    """Join the texts of a choice that came in parts, and read its finish reason."""
    for name in ("delta", "message"):
        if isinstance(value.get(name), dict):
            _read_text_fields(value[name])
    value["text"] = text_of(value.get("text"))
    reason = value.get("finish_reason")
    if isinstance(reason, list):
        reason = next(iter(reason), None)
    if isinstance(reason, dict):  # SGLang's own: {"type": "abort", "message": ...}
        kind = reason.get("type")
        if isinstance(kind, str) and bad_end(kind) == "failed" and reason.get("message"):
            value["error"] = value.get("error") or reason
        reason = kind
    value["finish_reason"] = reason
    _read_index(value)
    _read_cost(value)


def _read_text_fields(value: dict[str, Any]) -> None:
    content = value.get("content")
    if isinstance(content, list):
        # Mistral: thinking is among the content's parts.
        thinking = [part for part in content if _is_thought(part)]
        value["content"] = [part for part in content if part not in thinking]
        value["thinking"] = text_of(value.get("thinking")) or thinking
    details, calls = value.get("reasoning_details"), value.get("tool_calls")
    for thought in details if isinstance(details, list) else ():
        if isinstance(thought, dict):
            thought.update({name: text_of(thought.get(name)) for name in ("text", "summary")})
    calls = [one for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []
    for call in calls:
        _read_index(call)
    for function in (value.get("function_call"), *(call.get("function") for call in calls)):
        if isinstance(function, dict):
            function["name"] = text_of(function.get("name"))
            arguments = function.get("arguments")
            if arguments is not None and not isinstance(arguments, str):
                function["arguments"] = json.dumps(arguments, ensure_ascii=False)
    value.update({name: text_of(value.get(name)) for name in _TEXT_FIELDS})
    _read_cost(value)


def _read_index(holder: dict[str, Any]) -> None:
    if not is_integer(holder.get("index")):
        holder["index"] = None


def _read_cost(holder: Any) -> None:
    """Read the cost of the usage in an object: Perplexity's is an object with its parts."""
    usage = holder.get("usage") if isinstance(holder, dict) else None
    if isinstance(usage, dict) and isinstance(usage.get("cost"), dict):
        usage["cost"] = usage["cost"].get("total_cost")


def _is_thought(part: Any) -> bool:
    """Return whether a part of the content is reasoning by its type."""
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and THOUGHTS.search(kind) is not None


_PARTS_OF_TEXT = ("text", "content", "summary", "thinking", "reasoning")


def text_of(value: Any) -> str | None:
    """Return text, or the text of its parts; None where there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(part) or "" for part in value) or None
    if isinstance(value, dict):
        found = (text_of(value.get(name)) for name in _PARTS_OF_TEXT)
        return next((text for text in found if text), None)
    return None


THOUGHTS = re.compile(r"(?i)reasoning|think|thought|^cot$")
"""In the name of a field or type that holds reasoning."""


def usage_of(value: dict[str, Any]) -> Usage:
    """Return the counts in a JSON object, those of another type coerced or dropped."""
    _read_cost({"usage": value})
    return msgspec.convert(fitted(value, Usage), Usage)


def is_integer(value: object) -> TypeGuard[int]:
    """Return whether a JSON value is an integer: to Python, true is one as well."""
    return isinstance(value, int) and not isinstance(value, bool)
