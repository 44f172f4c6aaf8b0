"""A plan item's chat request as a body of OpenAI's Responses API. Pure.

Source: the API reference's "Create a model response" and developers.openai.com/api/docs/guides/
migrate-to-responses; the tests hold bodies against the openai package's types.
"""

from typing import Any

from observatory.core.connection import Connection
from observatory.core.plan import PlanItem
from observatory.wires.apis.body_parts import (
    TRANSLATED,
    calls_of,
    function_of,
    parts_of,
    picture_url,
    text_in,
    text_of,
)

_TRANSLATED = TRANSLATED | {"response_format", "verbosity"}


def responses_body(
    item: PlanItem, connection: Connection, *, model: str, stream: bool, chat: bool
) -> dict[str, Any]:
    """Return the body, input first. Raise ValueError for what the API has no field for (stop, odd parts).

    A seed is left out: the API has none. Nothing is stored there (store: false), so that a
    measurement leaves no conversations behind. Fields that are not translated are sent as they are.
    """
    options = item.body
    if options.get("stop"):
        raise ValueError("the Responses API has no stop sequences: leave sampling.stop out")
    body: dict[str, Any] = {"input": _input(options["messages"]), "model": model}
    body.update((name, value) for name, value in options.items() if name not in _TRANSLATED)
    body["max_output_tokens"] = item.max_tokens
    if options.get("tools"):
        body["tools"] = [_tool(tool) for tool in options["tools"]]
    if "tool_choice" in options:
        body["tool_choice"] = _choice(options["tool_choice"])
    if text := _text_options(options):
        body["text"] = text
    effort = connection.reasoning_effort or options.get("reasoning_effort")
    if effort is not None:
        body["reasoning"] = {"effort": effort}
    return body | {"store": False, "stream": stream}


def _input(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role == "tool":
            items.append(
                {
                    "type": "function_call_output",
                    "call_id": str(message.get("tool_call_id", "")),
                    "output": text_of(content),
                }
            )
            continue
        if content is not None:
            items.append({"role": role, "content": _content(role, content)})
        items += [
            {"type": "function_call", "call_id": call, "name": name, "arguments": arguments}
            for call, name, arguments in calls_of(message)
        ]
    return items


def _content(role: Any, content: Any) -> Any:
    if isinstance(content, str):
        return content
    kind = "output_text" if role == "assistant" else "input_text"
    return [_part(part, kind) for part in parts_of(content)]


def _part(part: dict[str, Any], kind: str) -> dict[str, Any]:
    if part.get("type") == "image_url":
        picture = part["image_url"]
        detail = picture.get("detail", "auto") if isinstance(picture, dict) else "auto"
        return {"type": "input_image", "image_url": picture_url(part), "detail": detail}
    return {"type": kind, "text": text_in(part)}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a function without its inner object. strict defaults to true here and to false in chats."""
    function = function_of(tool)
    return {
        "type": "function",
        **function,
        "parameters": function.get("parameters"),
        "strict": bool(function.get("strict", False)),
    }


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        return {"type": "function", "name": choice["function"].get("name")}
    return choice


def _text_options(options: dict[str, Any]) -> dict[str, Any]:
    text: dict[str, Any] = {}
    shape = options.get("response_format")
    if isinstance(shape, dict):
        inner = shape.get("json_schema") if shape.get("type") == "json_schema" else None
        text["format"] = {"type": "json_schema", **inner} if isinstance(inner, dict) else shape
    if options.get("verbosity") is not None:
        text["verbosity"] = options["verbosity"]
    return text
