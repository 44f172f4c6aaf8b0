"""A plan item's chat request as a body of Anthropic's Messages API. Pure.

Sources: platform.claude.com/docs/en/api/messages (fields), /en/api/openai-sdk (how its own
compatibility layer hoists system messages), /en/build-with-claude/effort, /adaptive-thinking and
/extended-thinking (which fields exclude each other).
"""

import json
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
)

LEAST_BUDGET_TOKENS = 1024
"""thinking.budget_tokens: "Must be >=1024 and less than max_tokens" (API reference)."""
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_TRANSLATED = TRANSLATED | {"parallel_tool_calls"}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


def messages_body(
    item: PlanItem, connection: Connection, *, model: str, stream: bool, chat: bool
) -> dict[str, Any]:
    """Return the body, system and messages first. Raise ValueError for what the API has no field for.

    A seed is left out: the API has none. reasoning_effort is output_config.effort with adaptive
    thinking, and thinking disabled where it is none; a fixed thinking budget, which older models
    need, is extra_body's. Fields that are not translated are sent as they are.
    """
    options = item.body
    system, messages = _conversation(options["messages"])
    body: dict[str, Any] = {"system": system} if system is not None else {}
    body |= {"messages": messages, "model": model, "max_tokens": item.max_tokens}
    body.update((name, value) for name, value in options.items() if name not in _TRANSLATED)
    if stop := options.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if options.get("tools"):
        body["tools"] = [_tool(tool) for tool in options["tools"]]
    if choice := _choice(options):
        body["tool_choice"] = choice
    effort = connection.reasoning_effort or options.get("reasoning_effort")
    if effort is not None:
        body |= _effort(effort)
    return body | {"stream": stream}


def refuse_impossible(body: dict[str, Any]) -> None:
    """Raise ValueError where a whole body has fields that the API refuses with thinking."""
    thinking = body.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "adaptive"):
        return
    if kind == "enabled":
        budget = thinking.get("budget_tokens")  # type: ignore[union-attr]
        if not isinstance(budget, int) or not LEAST_BUDGET_TOKENS <= budget < body["max_tokens"]:
            raise ValueError(
                f"thinking.budget_tokens is {budget}: the Messages API takes {LEAST_BUDGET_TOKENS} "
                f"or more, and less than max_tokens, which is {body['max_tokens']}"
            )
    if body.get("temperature", 1) != 1 or "top_k" in body:
        raise ValueError(
            "the Messages API takes no temperature and no top_k with thinking: set "
            "workload.sampling.temperature to null"
        )
    if not 0.95 <= body.get("top_p", 1) <= 1:
        raise ValueError("the Messages API takes a top_p from 0.95 to 1 with thinking")
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        raise ValueError("the Messages API forces no tool call with thinking")


def _effort(effort: str) -> dict[str, Any]:
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if effort not in EFFORTS:
        raise ValueError(
            f"the Messages API knows no reasoning effort {effort!r}: none, {', '.join(EFFORTS)}"
        )
    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}


def _conversation(messages: list[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """Return (system, messages): all system messages hoisted, one after another, the others in turns."""
    hoisted: list[Any] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            hoisted.append(message.get("content"))
        elif role == "tool":
            block = {
                "type": "tool_result",
                "tool_use_id": str(message.get("tool_call_id", "")),
                "content": _content(message.get("content") or ""),
            }
            if turns and turns[-1]["role"] == "user" and isinstance(turns[-1]["content"], list):
                turns[-1]["content"].append(
                    block
                )  # results of one turn's calls belong to one message
            else:
                turns.append({"role": "user", "content": [block]})
        else:
            turns.append({"role": role, "content": _message_content(message)})
    if not turns:
        raise ValueError("the Messages API needs a message that is not the system's")
    return _system(hoisted), turns


def _system(hoisted: list[Any]) -> Any:
    if not hoisted:
        return None
    if all(isinstance(content, str) for content in hoisted):
        return "\n".join(hoisted)
    return [
        {"type": "text", "text": text_in(part)} for content in hoisted for part in parts_of(content)
    ]


def _message_content(message: dict[str, Any]) -> Any:
    """Return a turn's content; an assistant's tool calls are blocks after its text."""
    calls = calls_of(message)
    if not calls:
        return _content(message.get("content"))
    content = message.get("content")
    blocks = [_block(part) for part in parts_of(content)] if content else []
    for identifier, name, arguments in calls:
        try:
            given = json.loads(arguments or "{}")
        except ValueError:
            raise ValueError(f"the arguments of the tool call {name} are no JSON") from None
        blocks.append({"type": "tool_use", "id": identifier, "name": name, "input": given})
    return blocks


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else [_block(part) for part in parts_of(content)]


def _block(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") != "image_url":
        return {"type": "text", "text": text_in(part)}
    url = picture_url(part)
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = function_of(tool)
    named: dict[str, Any] = {"name": function.get("name")}
    if "description" in function:
        named["description"] = function["description"]
    return {**named, "input_schema": function.get("parameters") or {"type": "object"}}


def _choice(options: dict[str, Any]) -> dict[str, Any] | None:
    choice, parallel = options.get("tool_choice"), options.get("parallel_tool_calls")
    if choice is None and parallel is None:
        return None
    if isinstance(choice, dict):
        made: dict[str, Any] = {"type": "tool", "name": (choice.get("function") or {}).get("name")}
    elif choice is None or choice in _CHOICES:
        made = {"type": _CHOICES[choice or "auto"]}
    else:
        raise ValueError(f"the Messages API knows no tool_choice {choice!r}")
    if parallel is False and made["type"] != "none":
        made["disable_parallel_tool_use"] = True
    return made
