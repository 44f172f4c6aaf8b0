"""What is read out of an answer, event by event: the mutable inside of the decoder."""

from observatory.endpoints.answer_json import Choice, Chunk, Said, ToolCall, Usage, read_chunk
from observatory.endpoints.token_split import running_output


class AnswerReading:
    """Filled by `event` for a stream, by `whole_answer` for one JSON document.

    Lists of equal length hold one entry a text event (one with reasoning, content or tool-call
    text): event_ns, event_characters, event_reads (the read that completed it). running holds the
    output tokens that usage gave in text events, of those that had it. tools: index -> [name,
    arguments].
    """

    __slots__ = (
        "bad_json",
        "content_pieces",
        "error",
        "event_characters",
        "event_ns",
        "event_reads",
        "finish_reason",
        "first_answer",
        "first_event",
        "first_reasoning",
        "model",
        "reasoning_pieces",
        "running",
        "saw_done",
        "service_tier",
        "sort",
        "system_fingerprint",
        "tools",
        "usage",
        "usage_event",
    )

    def __init__(self) -> None:
        self.sort = "none"
        self.event_ns: list[int] = []
        self.event_characters: list[int] = []
        self.event_reads: list[int] = []
        self.running: list[int] = []
        self.content_pieces: list[str] = []
        self.reasoning_pieces: list[str] = []
        self.tools: dict[int, list[str]] = {}
        self.first_event: int | None = None
        self.first_reasoning: int | None = None
        self.first_answer: int | None = None
        self.usage: Usage | None = None
        self.usage_event: int | None = None
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.system_fingerprint: str | None = None
        self.service_tier: str | None = None
        self.saw_done = False
        self.error: object = None
        self.bad_json: bytes | None = None

    def event(self, data: bytes, name: bytes, at: int, read: int, whole: bool) -> None:
        """One event of a stream; one that the body's end cut off counts only where it is readable."""
        if data == b"[DONE]":
            self.saw_done = True
            return
        chunk = read_chunk(data)
        if chunk is None:
            if name == b"error" and whole:
                self.error = self.error or data.decode("utf-8", "replace")
            elif whole:
                self.bad_json = self.bad_json or data
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
        if characters:
            self.event_ns.append(at)
            self.event_characters.append(characters)
            self.event_reads.append(read)
            output = running_output(usage) if usage is not None else None
            if output is not None:
                self.running.append(output)

    def _choice(self, choice: Choice, at: int) -> int:
        """Take in one choice; answers the characters of text in it."""
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        said = choice.delta
        if said is None and not self.event_ns:
            said = choice.message  # after deltas a message only repeats them
        characters = self._said(said, at) if said is not None else 0
        if choice.text:
            self._answers(at)
            self.content_pieces.append(choice.text)
            characters += len(choice.text)
        return characters

    def _said(self, said: Said, at: int) -> int:
        characters = 0
        # Some servers send the same text under two names: the first that has any is taken.
        reasoning = said.reasoning_content or said.reasoning or said.thinking
        if reasoning:
            if self.first_reasoning is None:
                self.first_reasoning = at
            self.reasoning_pieces.append(reasoning)
            characters = len(reasoning)
        content = said.content or said.refusal
        if content:
            self._answers(at)
            self.content_pieces.append(content)
            characters += len(content)
        if said.tool_calls:
            for place, call in enumerate(said.tool_calls):
                characters += self._tool(call, place, at)
        elif said.function_call:
            characters += self._tool(ToolCall(index=0, function=said.function_call), 0, at)
        return characters

    def _tool(self, call: ToolCall, place: int, at: int) -> int:
        tool = self.tools.setdefault(call.index if call.index is not None else place, ["", ""])
        if call.function is None:
            return 0
        name, arguments = call.function.name or "", call.function.arguments or ""
        tool[0] += name
        tool[1] += arguments
        if name or arguments:
            self._answers(at)
        return len(name) + len(arguments)

    def _answers(self, at: int) -> None:
        if self.first_answer is None:
            self.first_answer = at

    def shared(self, merged: set[int]) -> list[bool]:
        """For each text event: whether its stamp is a later segment's, merged under it unread."""
        reads = self.event_reads
        last = len(reads) - 1
        if not merged:
            return [False] * len(reads)
        return [
            place < last and reads[place + 1] == read and read in merged
            for place, read in enumerate(reads)
        ]

    def texts(self) -> tuple[str, str, str]:
        """Answer, reasoning, tool calls; half surrogate pairs joined, those left alone U+FFFD."""
        tools = "\n".join(f"{name}({arguments})" for name, arguments in self.tools.values())
        return (
            _sound("".join(self.content_pieces)),
            _sound("".join(self.reasoning_pieces)),
            _sound(tools),
        )


def _sound(text: str) -> str:
    """The text as valid Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
