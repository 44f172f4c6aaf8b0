"""What is read out of an answer, event by event: the mutable inside of the decoder.

Each wire's own reading fills it (chat_reading, messages_reading, responses_reading); nothing else
of the decoder knows which wire an answer came by.
"""

from itertools import accumulate, pairwise
from typing import ClassVar

import msgspec

from observatory.connect.masking import MOST_MASKED
from observatory.core.targets.reasoning_tags import (
    REASONING_TAG,
    is_closing,
    leading_reasoning,
    may_have_tags,
)
from observatory.wires.answer_json import Usage
from observatory.wires.failures.failures import is_void
from observatory.wires.failures.finish_reasons import BadEnd, end_of
from observatory.wires.streams.odd_events import OddEvent, is_error_name, mended, read_odd
from observatory.wires.streams.sse import NO_FIELD

_FEWEST_CUMULATIVE = 3
_FEWEST_GROWN = 2
_LEAST_REPEATED = 12
"""Characters of a last text that repeats all others: short texts may be alike by chance."""
UNOPENED = "a closing tag of reasoning without its opening tag"
"""How that oddity is named: what is reasoning is then derived from the text."""


class AnswerReading(msgspec.Struct, eq=False):
    """Filled by `event` for a stream, by `complete_answer` for one JSON document.

    Lists of equal length hold one entry a text event (one with reasoning, content or tool-call
    text): event_ns, event_characters, event_reads (the read that completed it). running holds the
    output tokens that usage gave in text events, of those that had it. tools: index -> [name,
    arguments]. split_unknown: usage does not count the tokens of the text that was streamed, because
    reasoning was streamed as a summary of what was billed, or its tokens are not counted separately.
    saw_done: the end marker of the wire was received. ends_with: which one. api: the name of the wire's API. bad_end: the finish
    reason means a failure or a filter. odd_end: it is an unknown name. end_seen: a possible end was
    received, so that the next text has to be read whole. odd_events: events of no known form and without
    text, which are passed over and counted; odd_event is the first of them.
    """

    ends_with: ClassVar[str]
    api: ClassVar[str]
    quick: ClassVar[bool] = False
    """Whether stream_reading's fast path, which reads chat events, may be taken."""

    sort: str = "none"
    event_ns: list[int] = []
    event_characters: list[int] = []
    event_reads: list[int] = []
    running: list[int] = []
    content_pieces: list[str] = []
    reasoning_pieces: list[str] = []
    tools: dict[int, list[str]] = {}
    first_event: int | None = None
    first_reasoning: int | None = None
    first_answer: int | None = None
    usage: Usage | None = None
    usage_event: int | None = None
    finish_reason: str | None = None
    bad_end: BadEnd | None = None
    odd_end: bool = False
    end_seen: bool = False
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    saw_done: bool = False
    split_unknown: bool = False
    error: object = None
    bad_json: bytes | None = None
    odd_events: int = 0
    odd_event: str | None = None

    @property
    def stated_its_end(self) -> bool:
        """Return whether a stream that is over ended as its wire's do."""
        return self.saw_done

    @property
    def lacks_only_its_end(self) -> bool:
        """Return whether all of an answer came that ended well, but not the event that ends the stream."""
        return self.finish_reason is not None and self.bad_end is None and not self.saw_done

    def event(self, data: bytes, name: bytes, at: int, read: int, complete: bool) -> None:
        """Take in one event of a stream; one that the body's end cut off counts only where it is readable."""
        raise NotImplementedError

    def complete_answer(self, body: bytes, at: int) -> None:
        """Take in one JSON document, complete at `at`, as one event with all its text."""
        raise NotImplementedError

    def _not_json(self, data: bytes, name: bytes, at: int, read: int, complete: bool) -> None:
        """Take in an event that is no JSON object: an error by its name, else as odd_events reads it."""
        if is_error_name(name):
            self.error = self.error or data.decode("utf-8", "replace") or "an error without a word"
            return
        found = read_odd(data)
        if isinstance(found, OddEvent):
            self.note_odd(found.what)
            for one in found.events:
                self.event(one, name, at, read, complete)
        elif found == "done":
            self.note_odd(_shown(data))
            self.event(b"[DONE]", name, at, read, complete)
        elif found == "nothing":
            if complete:
                self.note_odd(_shown(data))
        elif found == "error":
            self.error = self.error or data.decode("utf-8", "replace")
        elif complete:
            self.bad_json = self.bad_json or data

    def _mend(self, body: bytes, at: int) -> None:
        """Read a whole answer that is no JSON object because of one fault alone."""
        found = mended(body)
        if found is None or len(found.events) != 1:
            self.bad_json = body
            return
        self.note_odd(found.what)
        self.complete_answer(found.events[0], at)

    def _model(self, model: str | None) -> None:
        """Take in the model's name, of which the first counts."""
        if self.model is None:
            self.model = model or None

    def note_odd(self, what: str) -> None:
        """Count an oddity that has no effect on the answer."""
        self.odd_events += 1
        self.odd_event = self.odd_event or what

    def _ends_as(self, reason: str, theirs: str) -> None:
        """Set the answer's finish reason, in the common words and in the server's; a bad one stays."""
        if self.bad_end is None or self.finish_reason is None:
            self.finish_reason = reason
        if self.bad_end is None:
            end = end_of(theirs)
            if end in ("failed", "filtered"):
                self.bad_end = end
            elif end == "unknown" and not self.odd_end:
                self.odd_end = True
                self.note_odd(f"finish reason {theirs}")

    def _fails(self, error: object) -> None:
        """Take in what a server sends as its error, unless it states that there is none."""
        if error and self.error is None and not is_void(error):
            self.error = error

    def _named(self, name: bytes, data: bytes) -> None:
        """Take in what an event's name states: a failure, or that the event has no field."""
        if name == NO_FIELD:
            self.note_odd("JSON on a line without data:")
        elif self.error is None and is_error_name(name):
            self.error = data.decode("utf-8", "replace") or "an error without a word"

    def _reasons(self, text: str | None, at: int) -> int:
        """Take in a piece of reasoning; return its characters."""
        if not text:
            return 0
        if self.first_reasoning is None:
            self.first_reasoning = at
        self.reasoning_pieces.append(text)
        return len(text)

    def _add_text(self, text: str | None, at: int) -> int:
        """Take in a piece of the answer; return its characters."""
        if not text:
            return 0
        self._answers(at)
        self.content_pieces.append(text)
        return len(text)

    def _calls(self, place: int, name: str | None, arguments: str | None, at: int) -> int:
        """Take in a piece of the tool call at `place`; return its characters."""
        tool = self.tools.setdefault(place, ["", ""])
        name, arguments = name or "", arguments or ""
        tool[0] += name
        tool[1] += arguments
        if name or arguments:
            self._answers(at)
        return len(name) + len(arguments)

    def _carried(self, characters: int, at: int, read: int) -> None:
        """Called at the end of an event; it counts where it had text."""
        if characters:
            self.event_ns.append(at)
            self.event_characters.append(characters)
            self.event_reads.append(read)

    def _answers(self, at: int) -> None:
        if self.first_answer is None:
            self.first_answer = at

    def settle(self) -> None:
        """Called when the whole answer has been taken in: texts that came again are taken apart, and reasoning
        that came as the start of the answer.
        """
        reasons, contents = self.reasoning_pieces, self.content_pieces
        if len(reasons) >= _FEWEST_CUMULATIVE or (
            len(contents) >= _FEWEST_CUMULATIVE and len(contents[-1]) > len(contents[0])
        ):
            self._take_repeats_apart()
        if self.content_pieces:
            text = "".join(self.content_pieces)
            if may_have_tags(text):
                self._take_thinking_apart(text)
            else:
                self.content_pieces = [text]  # it is joined once

    def _take_thinking_apart(self, text: str) -> None:
        """Move the reasoning that the answer's text starts with to the reasoning; the answer begins with the
        first text after its end that is not blank."""
        contents = self.content_pieces
        end = leading_reasoning(text, reasoned=bool(self.reasoning_pieces))
        if not end:
            return
        first = REASONING_TAG.match(text.lstrip())
        if first is None or is_closing(first):
            self.note_odd(UNOPENED)
        begin = len(self.reasoning_pieces)
        thought = REASONING_TAG.sub("", text[:end])
        lengths = [len(piece) for piece in (*self.reasoning_pieces, *contents)]
        if lengths == self.event_characters[: len(lengths)]:
            if self.first_reasoning is None and thought:
                self.first_reasoning = self.event_ns[begin]
            blank = len(text) - len(text[end:].lstrip())
            places = zip(accumulate(map(len, contents)), self.event_ns[begin:], strict=False)
            # A tool call may come after the texts, and is an answer too.
            later = [*(at for upto, at in places if upto > blank), *self.event_ns[len(lengths) :]]
            self.first_answer = later[0] if later else None
        elif self.first_reasoning is None:
            self.first_reasoning = self.first_answer if thought else None
            if self.sort != "json":
                self.first_answer = None  # which event is whose is not known
        self.reasoning_pieces.append(thought)
        self.content_pieces = [text[end:]] if end < len(text) else []

    def _take_repeats_apart(self) -> None:
        """Reduce each event to its new part, where all texts repeat the earlier text, or the last one does.

        An event without a new part is no text event.
        """
        if self.tools:
            return
        new = [_new_parts(pieces) for pieces in (self.reasoning_pieces, self.content_pieces)]
        if new == [None, None]:
            return
        lengths = [
            len(piece)
            for pieces in (self.reasoning_pieces, self.content_pieces)
            for piece in pieces
        ]
        if lengths != self.event_characters:
            return  # reasoning and answer mixed in one event: which is whose is not known
        parts = [
            part
            for pieces, found in zip((self.reasoning_pieces, self.content_pieces), new, strict=True)
            for part in (pieces if found is None else found)
        ]
        cut = len(self.reasoning_pieces)
        self.reasoning_pieces, self.content_pieces = parts[:cut], parts[cut:]
        kept = [place for place, part in enumerate(parts) if part]
        self.event_ns = [self.event_ns[place] for place in kept]
        self.event_reads = [self.event_reads[place] for place in kept]
        self.event_characters = [len(parts[place]) for place in kept]
        self.running.clear()
        self.note_odd("texts that repeat all that came before")

    def shared(self, merged: set[int]) -> list[bool]:
        """Return for each text event: whether its stamp is a later segment's, merged under it unread."""
        reads = self.event_reads
        last = len(reads) - 1
        if not merged:
            return [False] * len(reads)
        return [
            place < last and reads[place + 1] == read and read in merged
            for place, read in enumerate(reads)
        ]

    def texts(self) -> tuple[str, str, str]:
        """Return answer, reasoning, tool calls; half surrogate pairs joined, those left alone U+FFFD."""
        tools = [f"{name}({arguments})" for name, arguments in self.tools.values()]
        return (
            _sound("".join(self.content_pieces)),
            _sound("".join(self.reasoning_pieces)),
            _sound("\n".join(tools)),
        )


def _new_parts(pieces: list[str]) -> list[str] | None:
    """Return what each piece adds, where each begins with the whole one before it, or the last one is all the others
    together; None where neither is so.

    At least _FEWEST_CUMULATIVE: of two, the second may begin with the first by chance. A last one that
    repeats, but for blanks or a lost end, adds nothing.
    """
    if len(pieces) < _FEWEST_CUMULATIVE:
        return None
    last, many = pieces[-1], len(pieces) > _FEWEST_CUMULATIVE
    if many and len(last) >= _LEAST_REPEATED and last.strip() == "".join(pieces[:-1]).strip():
        return [*pieces[:-1], ""]
    if not pieces[1].startswith(pieces[0]):
        return None
    if many and len(last) > len(pieces[0]) and pieces[-2].startswith(last):
        pieces = [*pieces[:-1], pieces[-2]]  # the last one lost its end, a blank mostly
    if not all(after.startswith(before) for before, after in pairwise(pieces)):
        return None
    if sum(len(after) > len(before) for before, after in pairwise(pieces)) < _FEWEST_GROWN:
        return None
    return [pieces[0], *(after[len(before) :] for before, after in pairwise(pieces))]


def _shown(data: bytes) -> str:
    """Return it long, because it is masked before it is cut to what is stored."""
    return data[:MOST_MASKED].decode("utf-8", "replace") or "an event without data"


def _sound(text: str) -> str:
    """Return the text as valid Unicode."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
