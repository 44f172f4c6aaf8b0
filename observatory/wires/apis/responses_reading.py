"""Reads answers of OpenAI's Responses API, and of engines that imitate it.

Sources: developers.openai.com/api/docs/guides/streaming-responses and the API reference's
"Responses" and "Streaming events"; the openai package's types, which the tests hold this against.
"""

import re
from typing import Any, ClassVar

import msgspec

from observatory.wires.answer_json import Usage
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.failures.failures import failure_in, is_void
from observatory.wires.failures.other_apis import RESPONSES
from observatory.wires.fitting import read_fitting
from observatory.wires.token_split import joined

INCOMPLETE = {"max_output_tokens": "length"}
"""incomplete_details.reason in the common words; others are kept unchanged (content_filter)."""


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    object: str | None = None
    status: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    output: list[_Item] | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None
    message: str | None = None
    detail: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    delta: str | None = None
    text: str | None = None
    output_index: int | None = None
    item_id: str | None = None
    item: _Item | None = None
    response: _Response | None = None
    error: Any = None
    message: str | None = None
    code: str | None = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_response = msgspec.json.Decoder(_Response).decode
_BAD_ENDS = frozenset({"response.failed", "response.cancelled", "response.error"})
_NOT_OVER = frozenset({"queued", "in_progress"})
_BAD_STATUSES = frozenset({"failed", "cancelled", "canceled", "expired"})
_REASONING = re.compile(r"(?:reason|think|thought).*\.delta$")
"""A piece of reasoning under a name that the API's pages do not have."""
_CALLS = frozenset({"function_call", "custom_tool_call"})


class ResponsesReading(AnswerReading, eq=False):
    """Tokens of a reasoning summary are counted nowhere; reasoning_tokens are of what it sums up.

    A text that comes whole, in its `.done` event or in the response, is taken where it had no deltas.
    """

    ends_with: ClassVar[str] = "response.completed"
    api: ClassVar[str] = RESPONSES

    _refused: bool = False
    _complete_texts: bool = False
    _places: dict[str, int] = msgspec.field(default_factory=dict)

    def event(self, data: bytes, name: bytes, at: int, read: int, complete: bool) -> None:
        """See AnswerReading."""
        event = read_fitting(data, _decode, _Event)
        if event is None:
            if data != b"[DONE]":  # some servers send it after response.completed
                self._not_json(data, name, at, read, complete)
            return
        if self.first_event is None:
            self.first_event = at
        match event.type:
            case "response.output_text.delta":
                characters = self._add_text(event.delta, at)
            case "response.output_text.done" if self._complete_texts or not self.content_pieces:
                characters = self._add_text(event.text, at)
                self._complete_texts = characters > 0
            case "response.reasoning_summary_text.delta":
                characters = self._summarises(event.delta, at)
            case "response.reasoning_text.delta":
                characters = self._reasons(event.delta, at)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                characters = self._calls(self._place(event), None, event.delta, at)
            case "response.refusal.delta":
                self._refused = True
                characters = self._add_text(event.delta, at)
            case _:
                characters = self._other(event, name, data, at)
        self._carried(characters, at, read)

    def complete_answer(self, body: bytes, at: int) -> None:
        """See AnswerReading."""
        response = read_fitting(body, _decode_response, _Response)
        if response is None:
            self._mend(body, at)
            return
        self.first_event = at
        self._carried(self._response(response, at), at, 0)
        if response.status in _NOT_OVER and self.error is None:
            self.error = f"the response's status is {response.status}"
        if response.output is None and self.error is None:
            self.error = response.detail or response.message or failure_in(body)

    def _other(self, event: _Event, name: bytes, data: bytes, at: int) -> int:
        """Take in an event without a piece of text; return its characters where it has text nevertheless."""
        if (event.error and not is_void(event.error)) or event.type == "error":
            stated = {"message": event.message, "code": event.code} if event.message else None
            self.error = self.error or event.error or stated or data.decode("utf-8", "replace")
            return 0
        if name and event.type not in _BAD_ENDS:
            self._named(name, data)
        if (
            self.error is None
            and event.response is None
            and not (event.type or "").startswith("response.")
        ):
            self.error = failure_in(data)
        if event.type == "response.output_item.added" and event.item is not None:
            item = event.item
            if item.type in _CALLS:
                return self._calls(self._place(event), item.name, item.arguments, at)
            return 0
        if event.type in ("response.completed", "response.incomplete"):
            self.saw_done = True
        elif event.type in _BAD_ENDS:
            self.error = self.error or (event.response and event.response.error) or event.message
            self.error = self.error or f"the event is {event.type}"
        elif event.type and event.delta and _REASONING.search(event.type):
            return self._reasons(event.delta, at)
        return self._response(event.response, at) if event.response is not None else 0

    def _place(self, event: _Event) -> int:
        """Return which output item an event is of: by its index, or by its id where a server (llama.cpp)
        sends no index."""
        if event.output_index is not None:
            return event.output_index
        identifier = (event.item.id if event.item is not None else None) or event.item_id or ""
        return self._places.setdefault(identifier, len(self._places))

    def _response(self, response: _Response, at: int) -> int:
        """Return the response's own fields; its output too, where no text has come in events."""
        self._model(response.model)
        self.service_tier = response.service_tier or self.service_tier
        if response.usage is not None:
            usage = response.usage
            self.usage = usage if self.usage is None else joined(self.usage, usage)
            self.usage_event = at
        self._fails(response.error)
        if response.status in _BAD_STATUSES and self.error is None:
            self.error = f"the response's status is {response.status}"
        characters = 0
        if response.status in ("completed", "incomplete"):
            answered = self.content_pieces or self.tools
            for place, item in enumerate(response.output or ()):
                if not self.event_ns or (not answered and item.type == "message"):
                    characters += self._item(item, place, at)
            self._finished(response)
        return characters

    def _item(self, item: _Item, place: int, at: int) -> int:
        characters = 0
        if item.type in _CALLS:
            return self._calls(place, item.name, item.arguments or item.input, at)
        for part in item.content or ():
            if item.type == "reasoning":
                characters += self._reasons(part.text, at)
            else:
                self._refused = self._refused or bool(part.refusal)
                characters += self._add_text(part.text or part.refusal, at)
        for part in item.summary or ():
            characters += self._summarises(part.text, at)
        return characters

    def _summarises(self, text: str | None, at: int) -> int:
        self.split_unknown = self.split_unknown or bool(text)
        return self._reasons(text, at)

    def _finished(self, response: _Response) -> None:
        details = response.incomplete_details
        if response.status == "incomplete":
            reason = (details.reason if details is not None else None) or "incomplete"
            self._ends_as(INCOMPLETE.get(reason, reason), reason)
        elif self._refused:
            self.finish_reason = "refusal"  # the model's own, in an answer that is whole
        else:
            self.finish_reason = "tool_calls" if self.tools else "stop"
