"""Reads answers of OpenAI's Chat Completions and Completions, as OpenAI and all who imitate it send them."""

from typing import ClassVar

from observatory.endpoints.answer_json import Choice, Chunk, Function, Said, ToolCall, read_chunk
from observatory.endpoints.answer_reading import AnswerReading
from observatory.endpoints.token_split import running_output

_NO_FUNCTION = Function()


class ChatReading(AnswerReading):
    """A stream may end without [DONE], as some servers' do, where a finish reason or usage came."""

    __slots__ = ()
    ends_with: ClassVar[str] = "[DONE] or finish reason"
    quick: ClassVar[bool] = True

    @property
    def said_its_end(self) -> bool:
        """See AnswerReading."""
        return bool(self.saw_done or self.finish_reason or self.usage)

    def event(self, data: bytes, name: bytes, at: int, read: int, whole: bool) -> None:
        """One event of a stream; one that the body's end cut off counts only where it is readable."""
        if data == b"[DONE]":
            self.saw_done = True
            return
        chunk = read_chunk(data)
        if chunk is None:
            self._not_json(data, name, whole)
            return
        if self.first_event is None:
            self.first_event = at
        self._chunk(chunk, at, read)
        if name == b"error" and self.error is None:
            self.error = chunk.message or chunk.detail or data.decode("utf-8", "replace")

    def whole_answer(self, body: bytes, at: int) -> None:
        """One JSON document, complete at `at`: one event with all its text."""
        chunk = read_chunk(body)
        if chunk is None:
            self.bad_json = body
            return
        self.first_event = at
        self._chunk(chunk, at, 0)
        if not chunk.choices and self.error is None:
            self.error = chunk.detail or chunk.message

    def _chunk(self, chunk: Chunk, at: int, read: int) -> None:
        usage = chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None)
        if usage is not None:
            self.usage = usage
            self.usage_event = at
        if self.model is None:
            self.model = chunk.model or None
        if chunk.system_fingerprint is not None:
            self.system_fingerprint = chunk.system_fingerprint
        if chunk.service_tier is not None:
            self.service_tier = chunk.service_tier
        error = chunk.error or (chunk.x_groq.error if chunk.x_groq else None)
        if chunk.object == "error" and not error:
            error = chunk.message or "the event is of type error"
        if error and self.error is None:
            self.error = error
        characters = 0
        for choice in chunk.choices or ():
            characters += self._choice(choice, at)
        self._carried(characters, at, read)
        if characters:
            output = running_output(usage) if usage is not None else None
            if output is not None:
                self.running.append(output)

    def _choice(self, choice: Choice, at: int) -> int:
        """Take in one choice; answers the characters of text in it."""
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        if choice.error and self.error is None:
            self.error = choice.error  # OpenRouter's, beside finish_reason: error
        said = choice.delta
        if said is None and not self.event_ns:
            said = choice.message  # after deltas a message only repeats them
        characters = self._said(said, at) if said is not None else 0
        return characters + self._says(choice.text, at)

    def _said(self, said: Said, at: int) -> int:
        # Some servers send the same text under two names: the first that has any is taken.
        characters = self._reasons(said.reasoning_content or said.reasoning or said.thinking, at)
        characters += self._says(said.content or said.refusal, at)
        if said.tool_calls:
            for place, call in enumerate(said.tool_calls):
                characters += self._tool(call, place, at)
        elif said.function_call:
            characters += self._tool(ToolCall(index=0, function=said.function_call), 0, at)
        return characters

    def _tool(self, call: ToolCall, place: int, at: int) -> int:
        function = call.function or _NO_FUNCTION
        index = call.index if call.index is not None else place
        return self._calls(index, function.name, function.arguments, at)
