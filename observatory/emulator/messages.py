"""The emulator's answers in the shape of Anthropic's Messages API: streams, messages, refusals.

Shapes follow platform.claude.com/docs/en/build-with-claude/streaming, /en/api/errors and
/en/api/rate-limits. Pure; when each leaves is emulator_script's.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from observatory.emulator.events import STREAM_END, AnswerBytes
from observatory.emulator.requests import Reply

_encode = msgspec.json.Encoder().encode
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_ERROR_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}
_BROKEN = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "Overloaded (emulated)."},
}


def as_messages(reply: Reply, identifier: str) -> Reply:
    """Return a refusal in Anthropic's envelope, with Retry-After in whole seconds alone."""
    if reply.status < 400:
        return reply
    message = msgspec.json.decode(reply.body)["error"]["message"]
    kind = _ERROR_TYPES.get(reply.status, "invalid_request_error")
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": identifier,
    }
    headers = tuple(one for one in reply.headers if one[0] != "retry-after-ms")
    return Reply(reply.status, _encode(body), headers)


def messages_limit(
    name: str, limit: int, left: int, full_s: float, unix_s: float
) -> tuple[tuple[str, str], ...]:
    """Return the headers of one limit; full_s: seconds until it is whole again, sent as an instant."""
    full_at = datetime.fromtimestamp(unix_s + full_s, UTC).isoformat(timespec="milliseconds")
    return (
        (f"anthropic-ratelimit-{name}-limit", str(limit)),
        (f"anthropic-ratelimit-{name}-remaining", str(left)),
        (f"anthropic-ratelimit-{name}-reset", full_at.replace("+00:00", "Z")),
    )


class MessagesBytes(AnswerBytes):
    """One message. Text and thinking are content blocks, each opened before its first piece.

    Of the profile's shape it uses the fields of every wire; role and usage are where this API has them,
    and `usage: never` leaves the counts out.
    """

    _block = -1
    _open: str | None = None

    def opening(self) -> bytes:
        """Return message_start, for every shape's role, and the ping that follows it."""
        message = {**self._message([]), "usage": self._usage(0)}
        start = self._event_bytes({"type": "message_start", "message": message})
        return start + self._event_bytes({"type": "ping"})

    def content(self, text: str, running: int) -> bytes:
        """Return a text_delta."""
        delta = {"type": "text_delta", "text": text}
        return self._within("text", {"type": "text", "text": ""}) + self._piece(delta)

    def reasoning(self, text: str, running: int) -> bytes:
        """Return a thinking_delta."""
        block = {"type": "thinking", "thinking": "", "signature": ""}
        delta = {"type": "thinking_delta", "thinking": text}
        return self._within("thinking", block) + self._piece(delta)

    def meeting(self, reasoning: str, text: str, running: int) -> bytes:
        """Return two events in one write: thinking and text are never of one event here."""
        return self.reasoning(reasoning, running) + self.content(text, running)

    def tool_name(self, running: int) -> bytes:
        """Return the block that opens a tool call."""
        call = {"type": "tool_use", "id": f"toolu_emulated_{self._number:08d}", "name": "look_up"}
        return self._within("tool_use", {**call, "input": {}})

    def tool_arguments(self, piece: str, running: int) -> bytes:
        """Return an input_json_delta."""
        return self._piece({"type": "input_json_delta", "partial_json": piece})

    def closing(self, *, done: bool = True) -> bytes:
        """Return the last block's end, message_delta with stop reason and usage, message_stop."""
        delta = {"stop_reason": self._stop_reason(), "stop_sequence": None}
        last = {
            "type": "message_delta",
            "delta": delta,
            "usage": self._usage(self._counts.output),
        }
        parts = [self._closed(), self._event_bytes(last)]
        if done and self._shape.done:
            parts.append(self._event_bytes({"type": "message_stop"}))
        return b"".join((*parts, STREAM_END))

    def error_event(self) -> bytes:
        """Return an overloaded_error where an event is expected, and the end of the chunks."""
        return self._event_bytes(_BROKEN) + STREAM_END

    def complete_body(self, reasoning: str, text: str) -> bytes:
        """Return the JSON body of an answer that is not streamed."""
        content: list[dict[str, Any]] = []
        if reasoning:
            content.append({"type": "thinking", "thinking": reasoning, "signature": "emulated"})
        if self._shape.answer == "tool_call":
            call = {"type": "tool_use", "id": f"toolu_emulated_{self._number:08d}"}
            given = msgspec.json.decode(text) if text else {}
            content.append({**call, "name": "look_up", "input": given})
        else:
            content.append({"type": "text", "text": text})
        message = {**self._message(content), "stop_reason": self._stop_reason()}
        return _encode({**message, "usage": self._usage(self._counts.output)})

    def error_body(self) -> bytes:
        """Return an error as a 200 answer's body."""
        return _encode(_BROKEN)

    def _message(self, content: list[Any]) -> dict[str, Any]:
        return {
            "id": f"msg_emulated_{self._number:08d}",
            "type": "message",
            "role": "assistant",
            "model": self._head["model"],
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _usage(self, output: int) -> dict[str, Any]:
        if self._shape.usage == "never":
            return {}
        counts = self._counts
        openai_usage = counts.usage(output, self._factor)
        cached = min(counts.cached, openai_usage["prompt_tokens"])
        usage = {
            "input_tokens": openai_usage["prompt_tokens"] - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": openai_usage["completion_tokens"],
            "service_tier": "standard",
        }
        thought = openai_usage["completion_tokens_details"]["reasoning_tokens"]
        return usage | ({"output_tokens_details": {"thinking_tokens": thought}} if output else {})

    def _stop_reason(self) -> str:
        return _STOP_REASONS[self._finish_reason()]

    def _within(self, kind: str, block: dict[str, Any]) -> bytes:
        """Return the bytes before a piece: none in an open block of its kind, else the start of a new one."""
        if self._open == kind:
            return b""
        closed = self._closed()
        self._block += 1
        self._open = kind
        start = {"type": "content_block_start", "index": self._block, "content_block": block}
        return closed + self._event_bytes(start)

    def _closed(self) -> bytes:
        if self._open is None:
            return b""
        signed = b""
        if self._open == "thinking":
            signed = self._piece({"type": "signature_delta", "signature": "emulated"})
        self._open = None
        return signed + self._event_bytes({"type": "content_block_stop", "index": self._block})

    def _piece(self, delta: dict[str, Any]) -> bytes:
        return self._event_bytes(
            {"type": "content_block_delta", "index": self._block, "delta": delta}
        )

    def _event_bytes(self, event: dict[str, Any]) -> bytes:
        return self._named(event["type"], event)
