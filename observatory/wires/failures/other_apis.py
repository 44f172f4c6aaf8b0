"""Recognise an answer that is another API's than the one that was requested, by the form of its events. Pure.

Sources: the streaming pages of Anthropic, OpenAI, Google, Amazon Bedrock and Cohere, and the server documentation of
Ollama, Text Generation Inference, SGLang, Triton and llama.cpp.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from observatory.wires.streams.sse import BOM

CHATS: Final = "OpenAI's Chat Completions API"
RESPONSES: Final = "OpenAI's Responses API"
MESSAGES: Final = "Anthropic's Messages API"
_MOST_READ = 16 * 1024
"""Bytes of a body that are looked at: its first events show what it is."""
_EVENTS = 8
_MESSAGE_EVENTS = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop"}
)
_COHERE_EVENTS = frozenset(
    {"message-start", "content-start", "content-delta", "stream-start", "text-generation"}
)
_CONVERSE_EVENTS = ("messageStart", "contentBlockDelta", "messageStop")


def _kind(event: dict[str, Any]) -> str:
    kind = event.get("type") or event.get("event_type")
    return kind if isinstance(kind, str) else ""


_FORMS: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    (MESSAGES, lambda one: _kind(one) in _MESSAGE_EVENTS or one.get("type") == "message"),
    (RESPONSES, lambda one: _kind(one).startswith("response.") or one.get("object") == "response"),
    (CHATS, lambda one: isinstance(one.get("choices"), list)),
    ("Gemini's own API", lambda one: "candidates" in one),
    ("Cohere's own API", lambda one: _kind(one) in _COHERE_EVENTS),
    ("Bedrock's Converse API", lambda one: any(name in one for name in _CONVERSE_EVENTS)),
    ("Ollama's own API", lambda one: "done" in one and ("message" in one or "response" in one)),
    ("TGI's own API", lambda one: "generated_text" in one),
    ("SGLang's own API", lambda one: "meta_info" in one and "text" in one),
    ("Triton's own API", lambda one: "text_output" in one),
    ("llama.cpp's own API", lambda one: "content" in one and "stop" in one),
)
"""The first that fits an event is its API."""


def other_api(body: bytes, own: str) -> str | None:
    """Return the API whose answer a body is, a stream or a document; None where that is `own` or not known."""
    found = (name for one in _objects(body) for name, fits in _FORMS if fits(one))
    name = next(found, None)
    return None if name == own else name


def _objects(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the first events that are JSON objects: of a stream, of lines of JSON, or the document itself."""
    data = body.removeprefix(BOM)
    lines = (
        [data, *data[:_MOST_READ].splitlines()]
        if data[:1] == b"{"
        else data[:_MOST_READ].splitlines()
    )
    count = 0
    for line in lines:
        text = line.removeprefix(b"data:").strip()
        if not text.startswith(b"{"):
            continue
        try:
            value = json.loads(text.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
            count += 1
        if count == _EVENTS:
            return
