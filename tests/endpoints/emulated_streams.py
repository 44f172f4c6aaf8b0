"""Emulated answers without a server: a model's script for one request, and a strict reader of it."""

import json
from dataclasses import dataclass
from typing import Any

from observatory.core.emulation.profile import Profile
from observatory.emulator.limits import Headers
from observatory.emulator.model import EmulatedModel, Prepared
from observatory.emulator.requests import ParsedRequest, Reply, render_reply
from observatory.emulator.script import WriteStep

EXACT = {
    "ttft_median": "100ms",
    "ttft_p95": "100ms",
    "inter_token_median": "10ms",
    "inter_token_p95": "10ms",
    "output_tokens_median": 6,
    "output_tokens_p95": 6,
}
QUESTION = "reset refund repair"
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def profile(**fields: Any) -> Profile:
    """A profile without spread: 100 ms, then 10 ms a token, six tokens."""
    return Profile.model_validate(EXACT | fields)


def asked(
    kind: Any = "chat", *, stream: bool = True, usage: bool = False, limit: int | None = None
) -> ParsedRequest:
    """A request for an answer about QUESTION."""
    return ParsedRequest(kind, QUESTION, stream, usage, limit, False)


def prepare(behaviour: Profile, request: ParsedRequest, body: bytes = b"body") -> Any:
    """What a new model with this profile prepares for its first request."""
    model = EmulatedModel(behaviour, "m", lambda: 0.0)

    def head(headers: Headers) -> bytes:
        return HEAD

    def reply(answer: Reply, headers: Headers) -> bytes:
        return render_reply(answer, headers)

    return model.prepare(request, body, 7, head=head, reply=reply)


def steps_of(behaviour: Profile, request: ParsedRequest, body: bytes = b"body") -> list[WriteStep]:
    """The steps of the first answer."""
    prepared = prepare(behaviour, request, body)
    assert isinstance(prepared, Prepared)
    return list(prepared.steps())


@dataclass
class Read:
    """A stream, read strictly. events are JSON or "[DONE]"; comments those between and in them."""

    events: list[Any]
    comments: list[str]
    ended: bool

    @property
    def deltas(self) -> list[dict[str, Any]]:
        return [choice["delta"] for event in self.objects for choice in event.get("choices", [])]

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [event for event in self.events if isinstance(event, dict)]

    @property
    def done(self) -> bool:
        return self.events[-1:] == ["[DONE]"]

    @property
    def usages(self) -> list[dict[str, Any] | None]:
        return [event["usage"] for event in self.objects if "usage" in event]

    def text(self, field: str = "content") -> str:
        return "".join(delta.get(field) or "" for delta in self.deltas)


def read(steps: list[WriteStep], eol: str = "\n") -> Read:
    """Undo head, chunks, lines and events; anything irregular fails the test."""
    data = b"".join(step.data for step in steps)
    assert data.startswith(HEAD)
    body, ended = b"", False
    rest = data[len(HEAD) :]
    while rest and not ended:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n"
        body += rest[:length]
        rest = rest[length + 2 :]
        ended = length == 0
    assert rest == b""
    text = body.decode()
    if eol == "\r\n":
        assert text.count("\n") == text.count("\r\n")
    events: list[Any] = []
    comments: list[str] = []
    for block in text.split(eol * 2)[:-1]:
        for line in block.split(eol):
            if line.startswith(": "):
                comments.append(line[2:])
            else:
                assert line.startswith("data: ")
                payload = line[6:]
                events.append(payload if payload == "[DONE]" else json.loads(payload))
    return Read(events, comments, ended)
