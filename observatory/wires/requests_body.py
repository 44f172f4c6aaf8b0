"""The JSON body of a request, as bytes, cut where a cold prompt's nonce goes.

Pure and light, because workers call it: it handles plans and connections, no socket and no secret.
"""

from typing import Any, Literal

import msgspec

from observatory.core.connection import Connection
from observatory.core.plan import NONCE_SENTINEL, PlanItem
from observatory.wires.wires import RequestKind, path_of, wire_of

_encode = msgspec.json.Encoder().encode
# With its opening quote: a quote inside text is escaped, so that only a string which begins with
# the sentinel matches, never a text that spells the escape out.
_SENTINEL = b'"' + _encode(NONCE_SENTINEL)[1:-1]


def render(
    item: PlanItem,
    connection: Connection,
    *,
    request: RequestKind,
    stream: bool,
    cache: Literal["cold", "natural", "warm"],
    model: str | None = None,
) -> tuple[bytes, bytes]:
    """Return the body's bytes before and after the nonce; (whole, b"") unless cache is cold.

    model: the requested one; the connection's where it is None.

    Precedence, later wins: the item's body; model, output limit and stream, which are ours; the
    target's reasoning_effort (chat only); what the endpoint refuses, left out; its service_tier; the
    target's extra_body, merged as RFC 7396 merges (objects field by field, null removes, everything
    else replaces). The wire (wires.py) writes the fields.
    Raise ValueError where the item does not fit the request type or the wire, or is cold without a
    nonce's place.
    """
    path_of(connection, request)
    field = "messages" if request == "chat" else "prompt"
    if field not in item.body:
        raise ValueError(f"item {item.prompt_id} has no {field}, which a {request} request needs")
    wire = wire_of(connection)
    # The prompt is first, so that the first sentinel is the one that opens it.
    body = wire.body(
        item,
        connection,
        model=model or connection.model,
        stream=stream,
        chat=request == "chat",
    )
    for name in connection.omitted:
        body.pop(name, None)
    if connection.service_tier is not None:
        body["service_tier"] = connection.service_tier  # so called on every wire
    body = _merged(body, connection.extra_body)
    wire.refuse(body)
    encoded = _encode(body)
    return _split(encoded, item) if cache == "cold" else (encoded, b"")


def model_of(
    connection: Connection, *, index: int, place: int, cache: Literal["cold", "natural", "warm"]
) -> str:
    """Return the model of a stage's request `index`, whose item is at `place`: the connection's in turn.

    The same in every run of a plan. Where the cache was warmed an item keeps the model that it was
    warmed for: an engine caches each adapter's prompts apart.
    """
    if not connection.models:
        return connection.model
    return connection.models[(place if cache == "warm" else index) % len(connection.models)]


def _split(encoded: bytes, item: PlanItem) -> tuple[bytes, bytes]:
    before, sentinel, after = encoded.partition(_SENTINEL)
    if not sentinel:
        raise ValueError(f"item {item.prompt_id} is cold but nothing in it opens with the nonce")
    return before + b'"', after


def _merged(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Merge by RFC 7396, section 2."""
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
