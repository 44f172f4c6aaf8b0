"""The wires of targets, one entry each: paths, fixed headers, bodies, answers.

A wire is one API's format of requests and responses. It contains no provider, no socket and no secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from observatory.core.connection import Connection
from observatory.core.plan import PlanItem
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.apis.chat_body import chat_body
from observatory.wires.apis.chat_reading import ChatReading
from observatory.wires.apis.messages_body import messages_body, refuse_impossible
from observatory.wires.apis.messages_reading import MessagesReading
from observatory.wires.apis.responses_body import responses_body
from observatory.wires.apis.responses_reading import ResponsesReading

WireName = Literal["openai", "responses", "messages"]
RequestKind = Literal["chat", "completions"]


class MakesBody(Protocol):
    """Makes a request's JSON of a plan item."""

    def __call__(
        self, item: PlanItem, connection: Connection, *, model: str, stream: bool, chat: bool
    ) -> dict[str, Any]:
        """Return the body, with the prompt first; raise ValueError where the wire has no form for it."""


def _refuse_nothing(body: dict[str, Any]) -> None:
    """Accept every body."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire. paths: after the base URL, by the workload's request type. headers: sent with every
    request unless the target sets them itself. reading: takes in answers, and detects the end of a
    stream. refuse: ValueError for a whole body that the API would refuse. least_output: the smallest
    output limit that it takes."""

    title: str
    paths: Mapping[str, str]
    body: MakesBody
    reading: type[AnswerReading]
    headers: Mapping[str, str] = field(default_factory=dict)
    refuse: Callable[[dict[str, Any]], None] = _refuse_nothing
    least_output: int = 1


WIRES: Mapping[str, Wire] = {
    # platform.openai.com/docs/api-reference/chat and /completions
    "openai": Wire(
        "OpenAI Chat Completions",
        {"chat": "/chat/completions", "completions": "/completions"},
        chat_body,
        ChatReading,
    ),
    # platform.openai.com/docs/api-reference/responses and /responses-streaming. Its own words to less
    # (github.com/vectorize-io/hindsight/issues/58): "Invalid 'max_output_tokens': integer below minimum
    # value. Expected a value >= 16".
    "responses": Wire(
        "OpenAI Responses",
        {"chat": "/responses"},
        responses_body,
        ResponsesReading,
        least_output=16,
    ),
    # platform.claude.com/docs/en/api/messages and /api/versioning
    "messages": Wire(
        "Anthropic Messages",
        {"chat": "/messages"},
        messages_body,
        MessagesReading,
        {"anthropic-version": "2023-06-01"},
        refuse_impossible,
    ),
}


def wire_of(connection: Connection) -> Wire:
    """Return the wire of an endpoint."""
    return WIRES[connection.wire]


def path_of(connection: Connection, request: RequestKind) -> str:
    """Return where such a request goes, after the base URL; raise ValueError where the wire has no such request."""
    wire = wire_of(connection)
    path = wire.paths.get(request)
    if path is None:
        raise ValueError(f"{wire.title} takes no {request} requests, chat only")
    return path


def fixed_headers(connection: Connection, theirs: Mapping[str, str]) -> dict[str, str]:
    """Return the wire's own headers, less those that the target sets (theirs, in any case)."""
    taken = {name.lower() for name in theirs}
    wanted = wire_of(connection).headers
    return {name: value for name, value in wanted.items() if name.lower() not in taken}
