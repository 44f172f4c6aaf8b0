"""The emulator's answers in the shape of OpenAI's Responses API: its streams and its responses.

Shapes follow the API reference's "Responses" and "Streaming events"; the openai package takes them
for its own. Pure; when each leaves is emulator_script's.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from observatory.emulator.events import STREAM_END, AnswerBytes

_encode = msgspec.json.Encoder().encode
_FAILED = {"code": "server_error", "message": "The server had an error (emulated)."}


class ResponsesBytes(AnswerBytes):
    """One response. Reasoning, text and a tool call are output items, each added before its first piece.

    Of the profile's shape it uses the fields of every wire; role and usage are where this API has them,
    and `usage: never` leaves the counts out.
    """

    _sequence = -1
    _place = -1
    _open: str | None = None
    _text_so_far = ""
    _items: tuple[dict[str, Any], ...] = ()

    def opening(self) -> bytes:
        """Return response.created and response.in_progress."""
        response = self._response("in_progress", [])
        return b"".join(
            self._event_bytes(f"response.{what}", response=response)
            for what in ("created", "in_progress")
        )

    def content(self, text: str, running: int) -> bytes:
        """Return a piece of the answer."""
        opened = self._within("message")
        self._text_so_far += text
        return opened + self._event_bytes(
            "response.output_text.delta", **self._at(), delta=text, logprobs=[]
        )

    def reasoning(self, text: str, running: int) -> bytes:
        """Return a piece of reasoning, in full as of open models, not as a summary."""
        opened = self._within("reasoning")
        self._text_so_far += text
        return opened + self._event_bytes("response.reasoning_text.delta", **self._at(), delta=text)

    def meeting(self, reasoning: str, text: str, running: int) -> bytes:
        """Return two events in one write: reasoning and text are never of one event here."""
        return self.reasoning(reasoning, running) + self.content(text, running)

    def tool_name(self, running: int) -> bytes:
        """Return the item that opens a tool call."""
        return self._within("function_call")

    def tool_arguments(self, piece: str, running: int) -> bytes:
        """Return a piece of the call's arguments."""
        self._text_so_far += piece
        at = {name: value for name, value in self._at().items() if name != "content_index"}
        return self._event_bytes("response.function_call_arguments.delta", **at, delta=piece)

    def closing(self, *, done: bool = True) -> bytes:
        """Return the last item's end, and the response as it ended, with usage."""
        parts = [self._closed()]
        if done and self._shape.done:
            status = self._status()
            parts.append(
                self._event_bytes(
                    f"response.{status}", response=self._response(status, self._items)
                )
            )
        return b"".join((*parts, STREAM_END))

    def error_event(self) -> bytes:
        """Return an error where an event is expected, and the end of the chunks."""
        return self._event_bytes("error", **_FAILED, param=None) + STREAM_END

    def complete_body(self, reasoning: str, text: str) -> bytes:
        """Return the JSON body of an answer that is not streamed."""
        items = [self._item("reasoning", reasoning)] if reasoning else []
        called = self._shape.answer == "tool_call"
        items.append(self._item("function_call" if called else "message", text))
        return _encode(self._response(self._status(), items))

    def error_body(self) -> bytes:
        """Return a failed response as a 200 answer's body."""
        return _encode({**self._response("failed", []), "error": _FAILED})

    def _status(self) -> str:
        return "incomplete" if self._finished == "length" else "completed"

    def _response(self, status: str, items: Sequence[Any]) -> dict[str, Any]:
        over = status in ("completed", "incomplete")
        return {
            "id": f"resp_emulated_{self._number:08d}",
            "object": "response",
            "created_at": self._head["created"],
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"}
            if status == "incomplete"
            else None,
            "model": self._head["model"],
            "output": items,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "service_tier": "default",
            "usage": self._usage() if over and self._shape.usage != "never" else None,
        }

    def _usage(self) -> dict[str, Any]:
        usage = self._counts.usage(self._counts.output, self._factor)
        return {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": self._counts.cached, "cache_write_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": usage["completion_tokens_details"],
            "total_tokens": usage["total_tokens"],
        }

    def _item(self, kind: str, text: str, status: str = "completed") -> dict[str, Any]:
        item = {"id": self._identifier(kind), "type": kind, "status": status}
        match kind:
            case "reasoning":
                content = [{"type": "reasoning_text", "text": text}] if text else []
                return {**item, "summary": [], "content": content}
            case "function_call":
                return {**item, "call_id": self._call_id(), "name": "look_up", "arguments": text}
        part = {"type": "output_text", "text": text, "annotations": []}
        return {**item, "role": "assistant", "content": [part] if text else []}

    def _identifier(self, kind: str) -> str:
        prefix = {"reasoning": "rs", "function_call": "fc"}.get(kind, "msg")
        return f"{prefix}_emulated_{self._number:08d}"

    def _at(self) -> dict[str, Any]:
        place = max(0, self._place)
        identifier = self._identifier(self._open or "message")
        return {"item_id": identifier, "output_index": place, "content_index": 0}

    def _within(self, kind: str) -> bytes:
        """Return the bytes before a piece: none in an item of its kind, else the next item's beginning."""
        if self._open == kind:
            return b""
        before = self._closed()
        self._place += 1
        self._open, self._text_so_far = kind, ""
        item = self._item(kind, "", "in_progress")
        before += self._event_bytes(
            "response.output_item.added", output_index=self._place, item=item
        )
        if kind == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            before += self._event_bytes("response.content_part.added", **self._at(), part=part)
        return before

    def _closed(self) -> bytes:
        if self._open is None:
            return b""
        at, text, kind = self._at(), self._text_so_far, self._open
        parts = []
        if kind == "message":
            part = {"type": "output_text", "text": text, "annotations": []}
            parts.append(
                self._event_bytes("response.output_text.done", **at, text=text, logprobs=[])
            )
            parts.append(self._event_bytes("response.content_part.done", **at, part=part))
        elif kind == "reasoning":
            parts.append(self._event_bytes("response.reasoning_text.done", **at, text=text))
        else:
            at.pop("content_index")
            done = {**at, "name": "look_up", "arguments": text}
            parts.append(self._event_bytes("response.function_call_arguments.done", **done))
        item = self._item(kind, text)
        self._items = (*self._items, item)
        parts.append(
            self._event_bytes("response.output_item.done", output_index=self._place, item=item)
        )
        self._open = None
        return b"".join(parts)

    def _event_bytes(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return self._named(kind, {"type": kind, **fields, "sequence_number": self._sequence})
