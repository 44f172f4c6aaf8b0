"""An emulated answer as a script: the writes, the gap before each, and how it ends.

Pure. Gaps are as drawn; the player stretches them by load and drift. A fault is a change of the
script, so that a stream has its partial content before the fault.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from itertools import chain
from typing import Literal, NamedTuple

from observatory.core.emulation.profile import Profile
from observatory.emulator.draws import DrawnAnswer, answer_words
from observatory.emulator.events import AnswerBytes
from observatory.emulator.limits import LimitHeaders, openai_limit, throttled
from observatory.emulator.requests import OVERLOADED, OVERLOADED_529, SERVER_ERROR, Reply

Stretch = Literal["fixed", "drift", "load"]
"""What lengthens a gap: nothing, the passing of time, or that and the running batch."""
Ending = Literal["close", "reset"]
STRIKE_PAUSE_S = 0.01
"""Between the last good write and the end of a broken answer: an RST drops what is under way."""
STRIKES = ("error_event", "reset", "stall", "early_close", "garbage_event", "big_event")
"""Faults in the middle of a stream."""
GARBAGE_HTTP = b"SSH-2.0-observatory-emulator\r\n"


class WriteStep(NamedTuple):
    """One write: gap_s after the step before, data, what of it are events and tokens.

    alone: never joined with another in one write. inside: it goes on with an event. ending: the connection ends after it.
    """

    gap_s: float
    data: bytes
    stretch: Stretch = "load"
    events: int = 0
    tokens: int = 0
    alone: bool = False
    inside: bool = False
    ending: Ending | None = None


def refusal_of(
    fault: str | None,
    profile: Profile,
    limit_headers: LimitHeaders = openai_limit,
    *,
    limited: bool = False,
) -> Reply | None:
    """Return the reply of a fault that takes no slot; None for any other fate. limit_headers: as for Allowance.admit;
    limited: whether the answer has the headers of real limits."""
    match fault:
        case "http_429":
            return throttled(profile.faults.retry_after, limit_headers, limited=limited)
        case "http_503":
            return OVERLOADED
        case "http_529":
            return OVERLOADED_529
    return None


@dataclass(eq=False, slots=True)
class Script:
    """Writes one answer's steps.

    head renders the head of a stream; reply renders a whole response, head and body. hidden_tokens are
    of reasoning that has no field to be streamed in.
    """

    fate: DrawnAnswer
    profile: Profile
    content: AnswerBytes
    prompt: str
    _: KW_ONLY
    ttft_s: float
    gaps: Callable[[], float]
    mean_gap_s: float
    head: Callable[[], bytes]
    reply: Callable[[Reply], bytes]
    hidden_tokens: int = field(init=False)
    _thoughts: list[str] = field(init=False)
    _words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        fate, multibyte = self.fate, self.profile.shape.text == "multibyte"
        aloud = fate.reasoning_tokens if self.content.reasons_aloud else 0
        self.hidden_tokens = fate.reasoning_tokens - aloud
        many = aloud + fate.tokens
        words = answer_words(fate.words_seed, self.prompt, many, multibyte=multibyte)
        self._thoughts, self._words = words[:aloud], words[aloud:]

    def stream(self) -> Iterator[WriteStep]:
        """Return the steps of a streamed answer."""
        fault = self.fate.fault
        if fault == "http_500":
            return iter([WriteStep(self.ttft_s, self.reply(SERVER_ERROR), "drift")])
        if fault == "garbage_http":
            step = WriteStep(self.ttft_s, GARBAGE_HTTP, "drift")
            return iter([step, WriteStep(STRIKE_PAUSE_S, b"", "fixed", ending="close")])
        steps = self._written(self._events())
        if fault in STRIKES:
            steps = self._struck(steps)
        if self.profile.shape.pieces > 1:
            steps = self._cut(steps)
        if fault == "slow_headers":
            return chain([WriteStep(self.profile.faults.slow_headers_by, b"", "fixed")], steps)
        return steps

    def unstreamed(self) -> Iterator[WriteStep]:
        """Yield the steps of an answer that is not streamed: its time, then all of it."""
        fate, faults = self.fate, self.profile.faults
        if fate.fault in ("http_500", "garbage_http"):
            yield from self.stream()
            return
        if fate.fault == "slow_headers":
            yield WriteStep(faults.slow_headers_by, b"", "fixed")
        yield WriteStep(self.ttft_s, b"", "drift")
        gaps_s = sum(self.gaps() for _ in range(len(self._thoughts) + fate.tokens - 1))
        data = self.reply(Reply(200, self._complete_body()))
        if fate.fault in ("reset", "early_close", "stall"):
            yield WriteStep(
                gaps_s + self.hidden_tokens * self.mean_gap_s, data[: len(data) * 2 // 3]
            )
            yield self._end()
        else:
            tokens = fate.reasoning_tokens + fate.tokens
            yield WriteStep(
                gaps_s + self.hidden_tokens * self.mean_gap_s, data, events=1, tokens=tokens
            )

    def _complete_body(self) -> bytes:
        text = " ".join(self._words)
        match self.fate.fault:
            case "error_event":
                return self.content.error_body()
            case "garbage_event":
                return self.content.complete_body("", text)[:-20]
            case "big_event":
                text += " big" * (1 << 18)
        if self._calls:
            text = "".join(_arguments(self._words))
        return self.content.complete_body(" ".join(self._thoughts), text)

    def _events(self) -> Iterator[tuple[bytes, int]]:
        """Yield each event with text, and how many tokens it carries."""
        content, each = self.content, self.profile.shape.tokens_per_event
        thoughts, words = self._thoughts, self._words
        sent, started = self.hidden_tokens, 0
        for at in range(0, len(thoughts), each):
            piece = thoughts[at : at + each]
            last = at + each >= len(thoughts)
            if last and words and self.profile.reasoning.meets_answer and not self._calls:
                started = min(each, len(words))
                carried = len(piece) + started
                sent += carried
                yield content.meeting(_join(piece, at), _join(words[:started], 0), sent), carried
            else:
                sent += len(piece)
                yield content.reasoning(_join(piece, at), sent), len(piece)
        if self._calls:
            yield from self._call(sent)
            return
        render = content.content
        for at in range(started, len(words), each):
            if each == 1:
                sent += 1
                yield render(" " + words[at] if at else words[at], sent), 1
                continue
            piece = words[at : at + each]
            sent += len(piece)
            yield render(_join(piece, at), sent), len(piece)

    @property
    def _calls(self) -> bool:
        """Return whether the answer is a tool call."""
        return self.profile.shape.answer == "tool_call" and bool(self._words)

    def _call(self, sent: int) -> Iterator[tuple[bytes, int]]:
        yield self.content.tool_name(sent + 1), 1
        pieces, each = _arguments(self._words), self.profile.shape.tokens_per_event
        for at in range(1, len(pieces), each):
            piece = pieces[at : at + each]
            yield self.content.tool_arguments("".join(piece), sent + at + len(piece)), len(piece)

    def _written(self, events: Iterator[tuple[bytes, int]]) -> Iterator[WriteStep]:
        """Yield the whole stream as writes: head, text (coalesced where the shape sets it), and the end."""
        together = self.profile.shape.events_per_write
        yield WriteStep(0.0, self.head() + self.content.opening(), "fixed", events=1)
        gap_s = max(0, self.hidden_tokens - 1) * self.mean_gap_s
        # The first token's delay is the server's own; what was thought unheard is decoding.
        if self.hidden_tokens:
            yield WriteStep(self.ttft_s, b"", "drift")
        data, held, tokens = b"", 0, 0
        first = not self.hidden_tokens
        gap = self.gaps
        for event, carried in events:
            if together == 1 and carried == 1 and not first:  # as most are
                yield WriteStep(gap_s + gap(), event, "load", 1, 1)
                gap_s = 0.0
                continue
            if not first:
                for _ in range(carried):
                    gap_s += gap()
            data += event
            held, tokens = held + 1, tokens + carried
            if held == together or first:
                stretch: Stretch = "drift" if first else "load"
                yield WriteStep(self.ttft_s if first else gap_s, data, stretch, held, tokens)
                data, held, tokens, gap_s = b"", 0, 0, 0.0
            first = False
        if first:
            yield WriteStep(self.ttft_s, b"", "drift")
        if held or gap_s:
            yield WriteStep(gap_s, data, "load", held, tokens)
        ends_well = self.content.closing(done=self.fate.fault != "no_done")
        yield WriteStep(0.0, ends_well, "fixed", events=1)

    def _struck(self, steps: Iterator[WriteStep]) -> Iterator[WriteStep]:
        """Yield the stream with its fault, after at least one write with text."""
        fault = self.fate.fault
        writes = len(self._thoughts) + len(self._words)
        shape = self.profile.shape
        writes = max(1, writes // (shape.tokens_per_event * shape.events_per_write))
        left = 1 + int(self.fate.strike * max(1, writes - 1))
        running = self.hidden_tokens
        for step in steps:
            if left == 0:
                if fault == "error_event":
                    yield WriteStep(step.gap_s, self.content.error_event(), step.stretch, 1)
                    return
                if fault in ("reset", "stall", "early_close"):
                    yield self._end()
                    return
                strange = self.content.garbage_event()
                if fault == "big_event":
                    strange = self.content.big_event(running)
                yield WriteStep(0.0, strange, "fixed", 1)
                left = -1
            yield step
            running += step.tokens
            if step.tokens:
                left -= 1

    def _end(self) -> WriteStep:
        """Return the last step of an answer that breaks off."""
        match self.fate.fault:
            case "reset":
                return WriteStep(STRIKE_PAUSE_S, b"", "fixed", ending="reset")
            case "stall":
                return WriteStep(self.profile.faults.stall_for, b"", "fixed", ending="close")
        return WriteStep(STRIKE_PAUSE_S, b"", "fixed", ending="close")

    def _cut(self, steps: Iterator[WriteStep]) -> Iterator[WriteStep]:
        """Yield every write cut into pieces at drawn places, inside characters and chunk heads too."""
        shape = self.profile.shape
        luck = random.Random(self.fate.gaps_seed ^ self.fate.words_seed)
        owed_s = 0.0
        for step in steps:
            size = len(step.data)
            if size < 2:
                yield step
                continue
            places = sorted({1 + int(luck.random() * (size - 1)) for _ in range(shape.pieces - 1)})
            gap_s = max(0.0, step.gap_s - owed_s)
            yield step._replace(gap_s=gap_s, data=step.data[: places[0]], alone=True, ending=None)
            for start, end in zip(places, [*places[1:], size], strict=True):
                yield WriteStep(
                    shape.piece_pause, step.data[start:end], "fixed", alone=True, inside=True
                )
            owed_s = shape.piece_pause * len(places)


def _join(words: list[str], at: int) -> str:
    """Words of the place `at` on; all but the answer's first one open with their space."""
    text = " ".join(words)
    return text if at == 0 else " " + text


def _arguments(words: list[str]) -> list[str]:
    """Return a tool call's arguments as pieces, one a token; the first token is the call's name."""
    if len(words) < 2:
        return ["", "{}"][: len(words)]
    first, *rest = words[1:]
    pieces = [f'{{"query":"{first}', *(f" {word}" for word in rest)]
    pieces[-1] += '"}'
    return ["", *pieces]
