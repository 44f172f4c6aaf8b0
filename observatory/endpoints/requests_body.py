"""The JSON body of a request, as bytes, cut where a cold prompt's nonce goes.

Pure and light, because workers call it: it knows plans and connections, no socket and no secret.
"""

from typing import Any, Literal

import msgspec

from observatory.core.connection import Connection
from observatory.core.plan import NONCE_SENTINEL, PlanItem

_encode = msgspec.json.Encoder().encode
# With its opening quote: a quote inside text is escaped, so that only a string which begins with
# the sentinel matches, never a text that spells the escape out.
_SENTINEL = b'"' + _encode(NONCE_SENTINEL)[1:-1]


def render(
    item: PlanItem,
    connection: Connection,
    *,
    request: Literal["chat", "completions"],
    stream: bool,
    cache: Literal["cold", "natural", "warm"],
    model: str | None = None,
) -> tuple[bytes, bytes]:
    """The body's bytes before and after the nonce; (whole, b"") unless cache is cold.

    model: what is asked; the connection's where it is None.

    Precedence, later wins: the item's body; model, output limit and stream, which are ours; the
    target's reasoning_effort (chat only); the target's extra_body, merged as RFC 7396 merges
    (objects field by field, null removes, everything else replaces).
    ValueError where the item does not fit the request type, or is cold without a nonce's place.
    """
    asked = "messages" if request == "chat" else "prompt"
    if asked not in item.body:
        raise ValueError(f"item {item.prompt_id} has no {asked}, which a {request} request needs")
    # What is asked stands first, so that the first sentinel is the one that opens it.
    body: dict[str, Any] = {asked: item.body[asked], "model": model or connection.model}
    theirs = {asked, "model", "max_tokens"}
    body.update((name, value) for name, value in item.body.items() if name not in theirs)
    # Completions keep the old name everywhere (OpenAI API reference, "Create completion").
    body[connection.max_tokens_field if request == "chat" else "max_tokens"] = item.max_tokens
    body["stream"] = stream
    if stream and connection.stream_usage:
        body["stream_options"] = {"include_usage": True}
    if connection.reasoning_effort is not None and request == "chat":
        body["reasoning_effort"] = connection.reasoning_effort
    whole = _encode(_merged(body, connection.extra_body))
    return _split(whole, item) if cache == "cold" else (whole, b"")


def model_of(
    connection: Connection, *, index: int, place: int, cache: Literal["cold", "natural", "warm"]
) -> str:
    """Which model a stage's request `index` asks, whose item is at `place`: the connection's in turn.

    The same in every run of a plan. Where the cache was warmed an item keeps the model that it was
    warmed for: an engine caches each adapter's prompts apart.
    """
    if not connection.models:
        return connection.model
    return connection.models[(place if cache == "warm" else index) % len(connection.models)]


def _split(whole: bytes, item: PlanItem) -> tuple[bytes, bytes]:
    before, sentinel, after = whole.partition(_SENTINEL)
    if not sentinel:
        raise ValueError(f"item {item.prompt_id} is cold but nothing in it opens with the nonce")
    return before + b'"', after


def _merged(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396, section 2."""
    merged = dict(body)
    for name, value in extra.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            old = merged.get(name)
            merged[name] = _merged(old if isinstance(old, dict) else {}, value)
        else:
            merged[name] = value
    return merged
