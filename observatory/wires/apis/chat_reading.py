"""Reads answers of OpenAI's Chat Completions and Completions, as OpenAI and all who imitate it send them."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from observatory.wires.answer_json import (
    Choice,
    Chunk,
    Function,
    MessageText,
    ToolCall,
    Usage,
    read_chunk,
    read_plain_chunk,
)
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.apis.unknown_reasoning import unknown_reasoning
from observatory.wires.failures.failures import failure_in
from observatory.wires.failures.finish_reasons import bad_end
from observatory.wires.failures.other_apis import CHATS
from observatory.wires.streams.odd_events import is_done_name
from observatory.wires.streams.sse import NO_FIELD
from observatory.wires.token_split import joined, running_output

_NO_FUNCTION = Function()
_PLAIN_TRIES = 4
"""How many events of one answer may be read twice, because they turned out not to be plain."""


class ChatReading(AnswerReading, eq=False):
    """A stream may end without [DONE], as some servers' do: then its finish reason or its usage ends it.

    A finish reason is an end where no text of its choice follows it, and usage where it came in an
    event without choices, or after a finish reason, and no text follows: some servers count along in
    every event, and some repeat the finish reason in every event, and a stream of theirs that is cut
    off must not pass for a whole one. Neither is believed again in a stream where text followed it.
    """

    ends_with: ClassVar[str] = "[DONE] or finish reason"
    api: ClassVar[str] = CHATS
    quick: ClassVar[bool] = True

    _ended_choices: dict[int, bool] = msgspec.field(default_factory=dict)
    _finish_believed: bool = True
    _usage_believed: bool = True
    _usage_ends: bool = False
    _from_messages: bool = False
    _plain_tries: int = _PLAIN_TRIES

    @property
    def stated_its_end(self) -> bool:
        """See AnswerReading."""
        if self.saw_done:
            return True
        finished = self._finish_believed and any(self._ended_choices.values())
        return finished or (self._usage_believed and self._usage_ends)

    @property
    def lacks_only_its_end(self) -> bool:
        """See AnswerReading."""
        return self.stated_its_end and self.bad_end is None and not self.saw_done

    def event(self, data: bytes, name: bytes, at: int, read: int, complete: bool) -> None:
        """Take in one event of a stream; one that the body's end cut off counts only where it is readable."""
        if data == b"[DONE]":
            self.saw_done = True
            if name == NO_FIELD:
                self.note_odd("[DONE] on a line without data:")
            return
        chunk: Chunk | None = read_plain_chunk(data) if self._plain_tries else None
        plain = chunk is not None
        if chunk is None:
            self._plain_tries = max(0, self._plain_tries - 1)
            chunk = read_chunk(data)
        if chunk is None:
            self._not_json(data, name, at, read, complete)
            self.saw_done = self.saw_done or is_done_name(name)
            return
        if self.first_event is None:
            self.first_event = at
        if not self._chunk(chunk, at, read) and chunk.choices and not plain:
            self._thinks_otherwise(data, chunk.choices, at, read)
        if name:
            self._named(name, data)
            self.saw_done = self.saw_done or is_done_name(name)
        if not chunk.choices and self.error is None and not plain:
            self.error = failure_in(data)

    def _thinks_otherwise(self, data: bytes, choices: Sequence[Choice], at: int, read: int) -> None:
        """Take in reasoning of an event without text that has it under an unknown name."""
        thought = unknown_reasoning(data)
        if thought:
            self._carried(self._reasons(thought, at), at, read)
            for choice in choices:
                self._text_came(choice)

    def complete_answer(self, body: bytes, at: int) -> None:
        """Take in one JSON document, complete at `at`, as one event with all its text."""
        chunk = read_chunk(body)
        if chunk is None and body.lstrip().startswith(b"{"):
            self._mend(
                body, at
            )  # several objects at one instant would be a stream without its times
            return
        if chunk is None:
            self._not_json(body, b"", at, 0, True)
            return
        self.first_event = at
        if not self._chunk(chunk, at, 0) and (thought := unknown_reasoning(body)):
            self._carried(self._reasons(thought, at), at, 0)
        if not chunk.choices and self.error is None:
            self.error = chunk.detail or chunk.message or failure_in(body)

    def _chunk(self, chunk: Chunk, at: int, read: int) -> int:
        """Take in a chunk; return the characters of text in it."""
        if self.model is None:
            self.model = chunk.model or None
        if chunk.system_fingerprint is not None:
            self.system_fingerprint = chunk.system_fingerprint
        if chunk.service_tier is not None:
            self.service_tier = chunk.service_tier
        usage, error = chunk.usage, chunk.error
        if chunk.x_groq is not None:
            usage, error = usage or chunk.x_groq.usage, error or chunk.x_groq.error
        if chunk.object == "error" and not error:
            error = chunk.message or "the event is of type error"
        if error:
            self._fails(error)
        characters = 0
        for choice in chunk.choices or ():
            own = self._choice(choice, at)
            characters += own
            if own and self.end_seen:
                self._text_came(choice)
            if choice.finish_reason:
                self._finishes(choice, own)
            if choice.native_finish_reason and bad_end(choice.native_finish_reason):
                self._fails_natively(choice.native_finish_reason)
            if choice.content_filter_results and self.bad_end is None:
                self._filters(choice.content_filter_results)
            if usage is None:
                usage = choice.usage
                if usage is None and choice.delta is not None:
                    usage = choice.delta.usage
        self._carried(characters, at, read)
        if usage is not None:
            self._counts(usage, chunk, at, characters)
        return characters

    def _counts(self, usage: Usage, chunk: Chunk, at: int, characters: int) -> None:
        """Take in usage, the end of the stream that it may mean, and this event's tokens."""
        self.usage = usage if self.usage is None else joined(self.usage, usage)
        self.usage_event = at
        if characters:
            output = running_output(usage)
            if output is not None:
                self.running.append(output)
        elif (self.event_ns and not chunk.choices) or (
            self._ended_choices and self._finish_believed
        ):
            self._usage_ends = self.end_seen = True

    def _finishes(self, choice: Choice, characters: int) -> None:
        reason = choice.finish_reason or ""
        self._ends_as(reason, reason)
        ends = True
        if characters and reason == "stop":
            # A model stops in its answer. Servers that send "stop" with reasoning send it with every event.
            message = choice.delta or choice.message
            ends = message is None or bool(message.content) or not _thoughts(message)
        self._ended_choices[choice.index or 0] = ends
        self.end_seen = True

    def _fails_natively(self, reason: str) -> None:
        """Take a gateway's native_finish_reason, the bad end of the server behind it, where its own is good."""
        if self.bad_end is None:
            self._ends_as(reason, reason)

    def _filters(self, results: object) -> None:
        """Read Azure's verdict on each category: where one filtered, the answer was stopped."""
        verdicts = results.values() if isinstance(results, dict) else ()
        if any(isinstance(one, dict) and one.get("filtered") is True for one in verdicts):
            self.bad_end = "filtered"

    def _text_came(self, choice: Choice) -> None:
        """Called when text came after what may have been the end: then it was none."""
        if self._usage_ends:
            self._usage_believed = False
        if (choice.index or 0) in self._ended_choices:
            self._finish_believed = False
        if not self._finish_believed and not self._usage_believed:
            self.end_seen = False

    def _choice(self, choice: Choice, at: int) -> int:
        """Take in one choice; return the characters of text in it."""
        if choice.error:
            self._fails(choice.error)  # OpenRouter's, next to finish_reason: error
        characters = 0
        if choice.delta is not None:
            characters = self._message(choice.delta, at)
        elif choice.message is not None and (not self.event_ns or self._from_messages):
            # After deltas a message only repeats them.
            characters = self._message(choice.message, at)
            self._from_messages = characters > 0 or self._from_messages
        return characters + self._add_text(choice.text, at)

    def _message(self, message: MessageText, at: int) -> int:
        # Some servers send the same text under two names: the first that has any is taken.
        thought = (
            message.reasoning_content
            or message.reasoning
            or message.thinking
            or message.reasoning_text
        )
        if message.reasoning_details and not thought:
            thought = _thoughts(message)
        text = message.content or message.refusal
        if message.channel == "analysis" and not thought:
            thought, text = text, None  # gpt-oss: the answer is in the channel final
        characters = self._reasons(thought, at)
        characters += self._add_text(text, at)
        if message.tool_calls:
            for place, call in enumerate(message.tool_calls):
                characters += self._tool(call, place, at)
        elif message.function_call:
            characters += self._tool(ToolCall(index=0, function=message.function_call), 0, at)
        return characters

    def _tool(self, call: ToolCall, place: int, at: int) -> int:
        function = call.function or _NO_FUNCTION
        index = call.index if call.index is not None else place
        return self._calls(index, function.name, function.arguments, at)


def _thoughts(message: MessageText) -> str | None:
    """Return the reasoning under the first of its names that has any."""
    text = (
        message.reasoning_content or message.reasoning or message.reasoning_text or message.thinking
    )
    if text or not message.reasoning_details:
        return text
    return "".join(one.text or one.summary or "" for one in message.reasoning_details) or None
