"""The wires that a target may speak, one line each: paths, fixed headers, how a stream ends.

A wire is one API's shape of requests and answers. It knows no provider, no socket and no secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from observatory.core.connection import Connection

WireName = Literal["openai", "responses", "messages"]
RequestKind = Literal["chat", "completions"]


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire. paths: after the base URL, by what the workload asks. ends_with: what a whole
    stream ends with. headers: sent with every request unless the target sets them itself."""

    title: str
    paths: Mapping[str, str]
    ends_with: str
    headers: Mapping[str, str] = field(default_factory=dict)


WIRES: Mapping[str, Wire] = {
    # platform.openai.com/docs/api-reference/chat and /completions
    "openai": Wire(
        "OpenAI Chat Completions",
        {"chat": "/chat/completions", "completions": "/completions"},
        "[DONE]",
    ),
    # platform.openai.com/docs/api-reference/responses and /responses-streaming
    "responses": Wire("OpenAI Responses", {"chat": "/responses"}, "response.completed"),
    # platform.claude.com/docs/en/api/messages and /api/versioning
    "messages": Wire(
        "Anthropic Messages",
        {"chat": "/messages"},
        "message_stop",
        {"anthropic-version": "2023-06-01"},
    ),
}


def wire_of(connection: Connection) -> Wire:
    """The wire that an endpoint is spoken to in."""
    return WIRES[connection.wire]


def path_of(connection: Connection, request: RequestKind) -> str:
    """Where such a request goes, after the base URL; ValueError where the wire has no such request."""
    wire = wire_of(connection)
    path = wire.paths.get(request)
    if path is None:
        raise ValueError(f"{wire.title} takes no {request} requests, chat only")
    return path


def fixed_headers(connection: Connection, theirs: Mapping[str, str]) -> dict[str, str]:
    """The wire's own headers, less those that the target sets (theirs, in any case)."""
    taken = {name.lower() for name in theirs}
    wanted = wire_of(connection).headers
    return {name: value for name, value in wanted.items() if name.lower() not in taken}
