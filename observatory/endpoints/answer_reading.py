"""What is read out of an answer, event by event: the mutable inside of the decoder.

Each wire's own reading fills it (chat_reading, messages_reading, responses_reading); nothing else
of the decoder knows which wire an answer came by.
"""

from typing import ClassVar

from observatory.endpoints.answer_json import Usage


class AnswerReading:
    """Filled by `event` for a stream, by `whole_answer` for one JSON document.

    Lists of equal length hold one entry a text event (one with reasoning, content or tool-call
    text): event_ns, event_characters, event_reads (the read that completed it). running holds the
    output tokens that usage gave in text events, of those that had it. tools: index -> [name,
    arguments]. split_unknown: usage does not tell the tokens of the text that was streamed, because
    reasoning was streamed as a summary of what was billed, or its tokens are not told apart.
    saw_done: the stream said that it is over, as its wire does. ends_with: how.
    """

    ends_with: ClassVar[str]
    quick: ClassVar[bool] = False
    """Whether stream_reading's short way, which knows chat events, may be taken."""

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
        "split_unknown",
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
        self.split_unknown = False
        self.error: object = None
        self.bad_json: bytes | None = None

    @property
    def said_its_end(self) -> bool:
        """Whether a stream that is over ended as its wire's do."""
        return self.saw_done

    def event(self, data: bytes, name: bytes, at: int, read: int, whole: bool) -> None:
        """One event of a stream; one that the body's end cut off counts only where it is readable."""
        raise NotImplementedError

    def whole_answer(self, body: bytes, at: int) -> None:
        """One JSON document, complete at `at`: one event with all its text."""
        raise NotImplementedError

    def _not_json(self, data: bytes, name: bytes, whole: bool) -> None:
        if name == b"error" and whole:
            self.error = self.error or data.decode("utf-8", "replace")
        elif whole:
            self.bad_json = self.bad_json or data

    def _reasons(self, text: str | None, at: int) -> int:
        """A piece of reasoning; answers its characters."""
        if not text:
            return 0
        if self.first_reasoning is None:
            self.first_reasoning = at
        self.reasoning_pieces.append(text)
        return len(text)

    def _says(self, text: str | None, at: int) -> int:
        """A piece of the answer; answers its characters."""
        if not text:
            return 0
        self._answers(at)
        self.content_pieces.append(text)
        return len(text)

    def _calls(self, place: int, name: str | None, arguments: str | None, at: int) -> int:
        """A piece of the tool call at `place`; answers its characters."""
        tool = self.tools.setdefault(place, ["", ""])
        name, arguments = name or "", arguments or ""
        tool[0] += name
        tool[1] += arguments
        if name or arguments:
            self._answers(at)
        return len(name) + len(arguments)

    def _carried(self, characters: int, at: int, read: int) -> None:
        """An event is over; it counts where it had text."""
        if characters:
            self.event_ns.append(at)
            self.event_characters.append(characters)
            self.event_reads.append(read)

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
