"""The parts of a chat request's JSON that other wires write differently: texts, pictures, tool calls. Pure."""

import json
from typing import Any

TRANSLATED = frozenset(
    {
        "messages",
        "model",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "stop",
        "tools",
        "tool_choice",
        "reasoning_effort",
        "stream",
        "stream_options",
    }
)
"""Fields of a chat request that no other wire is sent as they are."""


def parts_of(content: Any) -> list[dict[str, Any]]:
    """Return a message's content as a list of parts; raise ValueError where it is neither text nor parts."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return content
    raise ValueError("a message's content is neither text nor a list of parts")


def text_of(content: Any) -> str:
    """Return all text of a content that has nothing else in it; raise ValueError where it has."""
    if content is None:
        return ""
    return "".join(text_in(part) for part in parts_of(content))


def text_in(part: dict[str, Any]) -> str:
    """Return a text part's text; raise ValueError for any other part."""
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise ValueError(f"a part of type {part.get('type')!r} is not allowed where only text is")
    return str(part["text"])


def picture_url(part: dict[str, Any]) -> str:
    """Return the URL of an image_url part; raise ValueError where it has none."""
    picture = part.get("image_url")
    url = picture.get("url") if isinstance(picture, dict) else picture
    if not isinstance(url, str):
        raise ValueError("a part of type image_url has no url")
    return url


def calls_of(message: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (id, name, arguments) of each tool call that an assistant's message made."""
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        found.append((str(call.get("id", "")), str(function.get("name", "")), text))
    return found


def function_of(tool: dict[str, Any]) -> dict[str, Any]:
    """Return the function of a function tool; raise ValueError for a tool of another type."""
    function = tool.get("function")
    if tool.get("type", "function") != "function" or not isinstance(function, dict):
        raise ValueError(f"a tool of type {tool.get('type')!r} cannot be sent on this wire")
    return function
