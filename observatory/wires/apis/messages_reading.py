"""Reads answers of Anthropic's Messages API, and of engines that imitate it.

Sources: platform.claude.com/docs/en/build-with-claude/streaming (events), /en/api/messages (whole
answers, usage), /en/build-with-claude/extended-thinking (thinking is billed whole, shown as a summary).
"""

import json
import re
from typing import Any, ClassVar

import msgspec

from observatory.wires.answer_json import Details, Usage
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.failures.failures import failure_in
from observatory.wires.failures.other_apis import MESSAGES
from observatory.wires.fitting import read_fitting

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
"""platform.claude.com/docs/en/build-with-claude/handling-stop-reasons; others are kept unchanged
(refusal, pause_turn)."""


_PASSED = frozenset({"ping", "content_block_stop"})


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: Any = None


class _Delta(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    error: Any = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None
    service_tier: str | None = None
    cost: float | None = None


class _Message(msgspec.Struct, gc=False):
    model: str | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct, gc=False):
    """An event of a stream, or a whole message: their fields have different names."""

    type: str | None = None
    index: int | None = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: _Usage | None = None
    error: Any = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None


_decode = msgspec.json.Decoder(_Event).decode
_REASONING = re.compile("think|reason|thought")
"""In the type of a delta or block: its text is no part of the answer."""


def _written(value: Any) -> str:
    """Return a tool's input as JSON; half a surrogate pair in it stays as it is, as in every other text."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class MessagesReading(AnswerReading, eq=False):
    """input_tokens leave out what was read from the cache or written to it: prompt is their sum.

    message_start counts the prompt, and message_delta the output, cumulatively. The output that
    message_start counts is what had come so far: it is used only where the last count is 0.
    """

    ends_with: ClassVar[str] = "message_stop"
    api: ClassVar[str] = MESSAGES

    _counted: _Usage = msgspec.field(default_factory=_Usage)
    _thought: bool = False

    def event(self, data: bytes, name: bytes, at: int, read: int, complete: bool) -> None:
        """See AnswerReading. An event's `type` decides; `event:` only repeats it."""
        event = read_fitting(data, _decode, _Event)
        if event is None:
            if data != b"[DONE]":  # some gateways end every stream so
                self._not_json(data, name, at, read, complete)
            return
        if self.first_event is None:
            self.first_event = at
        match event.type:
            case "content_block_delta":
                if event.delta is not None:
                    self._carried(self._piece(event.delta, event.index, at), at, read)
            case "content_block_start":
                if event.content_block is not None:
                    self._carried(self._block(event.content_block, event.index, at), at, read)
            case "message_start":
                self._fails(event.error)
                if event.message is not None:
                    self._model(event.message.model)
                    self._count(event.message.usage, None)
            case "message_delta":
                self._fails(event.error or (event.delta is not None and event.delta.error))
                self._finished(event.delta.stop_reason if event.delta is not None else None)
                self._count(event.usage, at)
            case "message_stop":
                self._fails(event.error)
                self.saw_done = True
            case _:
                self._other(event, name, data)

    def complete_answer(self, body: bytes, at: int) -> None:
        """See AnswerReading."""
        event = read_fitting(body, _decode, _Event)
        if event is None:
            self._mend(body, at)
            return
        self.first_event = at
        self._other(event, b"", body)
        self._model(event.model)
        characters = 0
        for index, block in enumerate(event.content or ()):
            characters += self._block(block, index, at, complete=True)
        self._finished(event.stop_reason)
        self._carried(characters, at, 0)
        self._count(event.usage, at)

    def _other(self, event: _Event, name: bytes, data: bytes) -> None:
        """Take in any other event: an error, also by its form; ping, content_block_stop and unknown types are passed over."""
        self._fails(event.error)
        if event.type in _PASSED or event.content is not None:
            return
        if event.type == "error" and self.error is None:
            self.error = data.decode("utf-8", "replace")
        if name:
            self._named(name, data)
        if self.error is None:
            self.error = failure_in(data)

    def _piece(self, delta: _Delta, index: int | None, at: int) -> int:
        if delta.text and not (delta.type and _REASONING.search(delta.type)):
            return self._add_text(delta.text, at)
        thinking = delta.thinking if delta.thinking is not None else delta.text
        if thinking is not None:
            self._thought = True
            return self._reasons(thinking, at)
        if delta.partial_json is not None:
            return self._calls(index or 0, None, delta.partial_json, at)
        return 0

    def _block(self, block: _Block, index: int | None, at: int, *, complete: bool = False) -> int:
        match block.type:
            case "text":
                return self._add_text(block.text, at)
            case "thinking" | "redacted_thinking":
                self._thought = True
                return self._reasons(block.thinking, at)
            case "tool_use":
                # A stream opens a call with an empty input, whose pieces come; a whole answer has it.
                known = complete or block.input
                given = _written(block.input) if known else ""
                return self._calls(index or 0, block.name, given, at)
        if block.type and _REASONING.search(block.type):
            self._thought = True
            return self._reasons(block.thinking or block.text, at)
        return 0

    def _finished(self, reason: str | None) -> None:
        if reason:
            self._ends_as(FINISH_REASONS.get(reason, reason), reason)

    def _count(self, usage: _Usage | None, at: int | None) -> None:
        """Take in counts; at: when the output's came, None where only the prompt's are to be believed."""
        if usage is None:
            return
        for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
            # A later zero is no count: some gateways send 0 at the end for what they counted before.
            count = getattr(usage, name)
            if count or (count is not None and getattr(self._counted, name) is None):
                setattr(self._counted, name, count)
        self.service_tier = usage.service_tier or self.service_tier
        known = self._counted
        if usage.output_tokens is not None and usage.output_tokens >= 0:
            known.output_tokens = usage.output_tokens or known.output_tokens or 0
        else:
            known.output_tokens = None  # what message_start counted was only what had come so far
        parts = (
            known.input_tokens, known.cache_creation_input_tokens, known.cache_read_input_tokens
        )  # fmt: skip
        prompt = None if parts[0] is None else sum(max(0, part or 0) for part in parts)
        if at is not None:
            known.output_tokens_details = usage.output_tokens_details or known.output_tokens_details
        details = known.output_tokens_details
        thinking = details.thinking_tokens if details is not None else None
        self.usage = Usage(
            prompt_tokens=prompt,
            completion_tokens=known.output_tokens if at is not None else None,
            completion_tokens_details=Details(reasoning_tokens=thinking),
            cache_read_input_tokens=known.cache_read_input_tokens,
            cache_creation_input_tokens=known.cache_creation_input_tokens,
            cost=usage.cost,
        )
        if at is not None:
            self.usage_event = at
            aloud = bool(self.reasoning_pieces)
            # Counted and shown: a summary. Neither: billed, and its tokens are not stated.
            self.split_unknown = self._thought and aloud == (thinking is not None)
