"""A plan item as a body of OpenAI's Chat Completions or Completions. Pure."""

from typing import Any

from observatory.core.connection import Connection
from observatory.core.plan import PlanItem


def chat_body(
    item: PlanItem, connection: Connection, *, model: str, stream: bool, chat: bool
) -> dict[str, Any]:
    """Return the body, with the prompt first. chat: whether it has messages, else a prompt.

    Later wins: the item's fields; model, output limit and stream, which are ours; the target's
    reasoning effort (chat only).
    """
    field = "messages" if chat else "prompt"
    body: dict[str, Any] = {field: item.body[field], "model": model}
    theirs = {field, "model", "max_tokens"}
    body.update((name, value) for name, value in item.body.items() if name not in theirs)
    # Completions keep the old name everywhere (OpenAI API reference, "Create completion").
    body[connection.max_tokens_field if chat else "max_tokens"] = item.max_tokens
    body["stream"] = stream
    if stream and connection.stream_usage:
        body["stream_options"] = {"include_usage": True}
    if connection.reasoning_effort is not None and chat:
        body["reasoning_effort"] = connection.reasoning_effort
    return body
