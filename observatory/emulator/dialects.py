"""Requests of the Messages and Responses APIs as the emulator understands them. Pure."""

from typing import Annotated, Any, Literal

import msgspec

Dialect = Literal["messages", "responses"]
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class RequestFields(msgspec.Struct, frozen=True):
    """The content of such a request. text is the text of all its messages, joined by line breaks."""

    model: str
    text: str
    stream: bool
    limit: int | None
    whole_limit: bool


class _Messages(msgspec.Struct):
    """Its documented fields that matter here; ignore_eos is the emulator's own, as engines have it."""

    model: str
    max_tokens: _Positive
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    system: str | list[dict[str, Any]] | None = None
    stream: bool = False
    ignore_eos: bool = False


class _Responses(msgspec.Struct):
    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: _Positive | None = None
    stream: bool = False
    ignore_eos: bool = False


_decode_messages = msgspec.json.Decoder(_Messages).decode
_decode_responses = msgspec.json.Decoder(_Responses).decode


def read_fields(kind: Dialect, body: bytes) -> RequestFields:
    """Return the request in `body`; msgspec's errors, which are ValueErrors, where it is none."""
    if kind == "messages":
        asked = _decode_messages(body)
        texts = _texts(asked.system)
        for message in asked.messages:
            texts += _texts(message.get("content"))
        limit: int | None = asked.max_tokens
        return _fields(asked, texts, limit)
    said = _decode_responses(body)
    texts = _texts(said.instructions)
    if isinstance(said.input, str):
        texts.append(said.input)
    else:
        for item in said.input:
            texts += _texts(item.get("content", item.get("output")))
    return _fields(said, texts, said.max_output_tokens)


def _fields(asked: _Messages | _Responses, texts: list[str], limit: int | None) -> RequestFields:
    return RequestFields(asked.model, "\n".join(texts), asked.stream, limit, asked.ignore_eos)


def _texts(content: Any) -> list[str]:
    """Return the texts of a content: itself, or those of its parts, and of the results within them."""
    if isinstance(content, str):
        return [content]
    found: list[str] = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            found += _texts(part.get("text")) or _texts(part.get("content"))
    return found
