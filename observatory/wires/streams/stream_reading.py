"""Read a whole event stream into an AnswerReading: usual events by a fast path, others in full. Pure.

Usual is an event of one choice with nothing but one piece of text; most of the decoding time goes
there. All other events are left to AnswerReading.event.
"""

from collections.abc import Generator
from operator import itemgetter
from typing import Any

import msgspec

from observatory.wires.answer_reading import AnswerReading
from observatory.wires.streams.odd_events import is_bare_done
from observatory.wires.streams.sse import lacks_blank_line, split_events

ONE_LINE_END = "one line end between events, where a blank line belongs"
"""How that oddity is named."""

JSON_LINES = "newline-delimited JSON, not server-sent events"
"""How that oddity is named."""

EVENTS_A_STEP = 128
"""Events read between two yields: some 60 us, a fifth of a decoding turn."""
_WINDOW = 28_000
"""Bytes cut apart at once. Above 30,000 CPython looks for the cuts by an algorithm that prepares each search."""
Arrivals = tuple[list[int], list[int]]
"""The body bytes that had come after each read, and each read's instant."""


class _Choice(msgspec.Struct, gc=False):
    delta: dict[str, str | None] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.encode
_FIELDS = frozenset({"content", "reasoning_content", "reasoning"})
_NEVER = b"\n\n"
"""The separator of blocks, with which no block starts."""
_ROOM = 24
"""Bytes of text that an event is expected to have; more only make a step shorter."""
_ODD_AT_THE_END = 4
"""Pieces of an answer that are no usual events and come after them: a finish reason, usage, the end."""
_UNKNOWN = -1_000_000_000
"""The place of the next piece where pieces are not events."""
_LESSONS = 64
"""How often in one answer the usual event may be learnt again: its time stamps change, but some servers
put a random value into each event, and learning costs some 4 us."""


def read_stream(
    body: bytes, arrivals: Arrivals, reading: AnswerReading, pieces: list[bytes] | None = None
) -> Generator[None, None, None]:
    """Take in every event up to the stream's end, pausing after each EVENTS_A_STEP of them.

    pieces are the parts (chunks, mostly) in which the body came, if they are known: where each is one event,
    the events need not be cut apart again.
    """
    if not reading.quick or b"\r" in body or body.startswith(b"\xef"):
        return _read_events(body, arrivals, reading)
    return _Blocks(body, arrivals, reading, pieces or []).read()


def are_json_lines(body: bytes) -> bool:
    """Return whether a body that begins as a JSON object is several objects, one a line."""
    first, _, rest = body.partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip().startswith((b"{", b"["))


def read_json_lines(
    body: bytes, arrivals: Arrivals, reading: AnswerReading
) -> Generator[None, None, None]:
    """Take in each line as an event, pausing as `read_stream` does; it is complete at its line end."""
    ends, instants = arrivals
    read = end = 0
    reading.note_odd(JSON_LINES)
    for number, line in enumerate(body.splitlines(keepends=True), start=1):
        end += len(line)
        while ends[read] < end:
            read += 1
        data = line.strip()
        if is_bare_done(data):
            reading.event(b"[DONE]", b"", instants[read], read, True)
        elif data:
            reading.event(data, b"", instants[read], read, line.endswith((b"\n", b"\r")))
        if reading.saw_done:
            return
        if number % EVENTS_A_STEP == 0:
            yield


class _Usual:
    """The form of an event that holds nothing but one text: its field, and the bytes before and after the text."""

    __slots__ = ("after", "before", "end", "field", "inside", "text")

    def __init__(self, field: str, before: bytes, after: bytes) -> None:
        self.field, self.before, self.after = field, before, after
        self.end = after + b"\n\n"
        self.text = itemgetter(slice(len(before), -len(self.end)))
        self.inside = itemgetter(slice(len(before), None))


class _Memory:
    """What the usual event was last: the next answer's is often the same. It saves learning, no more."""

    usual = _Usual("content", _NEVER, _NEVER)


_memory = _Memory()


class _Blocks:
    """A body whose lines end in LF alone, how far it has been read, and its usual event.

    Events lie between blank lines. Most are the last one again with another text: those are taken
    many at a time, cut apart at the end of the usual event and decoded as one JSON array, in C.
    """

    def __init__(
        self, body: bytes, arrivals: Arrivals, reading: AnswerReading, pieces: list[bytes]
    ) -> None:
        self._body = body
        self._pieces = pieces
        self._piece = 0
        self._reading = reading
        self._ends, self._instants = arrivals
        self._read = -1
        self._reached = self._offset = 0
        self._lessons = _LESSONS
        self._use(_memory.usual)
        self._seen = False

    def _use(self, usual: _Usual) -> None:
        """Set the form of the usual event; its first one has to be taken in whole."""
        self._usual = usual
        reading = self._reading
        content = usual.field == "content"
        self._texts = reading.content_pieces if content else reading.reasoning_pieces

    def read(self) -> Generator[None, None, None]:
        """Yield all events, in steps."""
        body = self._body
        taken = 0
        while True:
            many = self._many_usual() if self._seen else 0
            if not many:
                end = body.find(b"\n\n", self._offset)
                if end < 0:
                    break
                self._one(body[self._offset : end])
                if self._reading.saw_done:
                    return
            taken += many or 1
            if taken >= EVENTS_A_STEP:
                taken = 0
                yield
        begin, rest = self._offset, body[self._offset :]
        for data, name, end, complete in split_events(rest):
            self._advance(begin + end)
            if complete and lacks_blank_line(rest, end):
                self._reading.note_odd(ONE_LINE_END)
            self._reading.event(data, name, self._instants[self._read], self._read, complete)

    def _many_usual(self) -> int:
        """Take in the usual events that come next; return how many, 0 where they are not as usual."""
        inside, size = self._of_pieces() if self._piece >= 0 else self._of_bytes()
        count = len(inside)
        if count < 2:
            return 0
        array = b'["' + b'","'.join(inside) + b'"]'
        if array.count(b'"') != 2 * count or (b"\\" in array and b'\\"' in array):
            # A quote within could end one text early or swallow the next one's start.
            return self._one_by_one(count)
        try:
            texts = _decode_texts(array)
        except ValueError:
            return self._one_by_one(count)
        if len(texts) != count or not all(texts):
            return self._one_by_one(count)
        self._arrived(inside, size)
        self._piece += count
        self._texts += texts
        self._reading.event_characters += map(len, texts)
        return count

    def _of_pieces(self) -> tuple[list[bytes], int]:
        """Return the texts, as they are encoded, of the pieces that come next where each is a usual event, and
        the bytes of those. What is put together of them again must be the body."""
        usual, place = self._usual, self._piece
        before, event_end = usual.before, usual.end
        if place >= len(self._pieces) or not self._pieces[place].startswith(before):
            return [], 0
        pieces = self._pieces[place : place + EVENTS_A_STEP]
        for _ in range(_ODD_AT_THE_END):
            if pieces[-1].startswith(before) and pieces[-1].endswith(event_end):
                break
            pieces.pop()
            if not pieces:
                return [], 0
        inside = list(map(usual.text, pieces))
        event = before + (event_end + before).join(inside) + event_end
        if self._body.startswith(event, self._offset):
            return inside, len(event)
        self._piece = _UNKNOWN
        return self._of_bytes()

    def _of_bytes(self) -> tuple[list[bytes], int]:
        """Return the same of the events that come next but the last of them, wherever the body was cut."""
        before, event_end = self._usual.before, self._usual.end
        length = len(before) + _ROOM + len(event_end)
        window = self._body[self._offset : self._offset + min(_WINDOW, EVENTS_A_STEP * length)]
        blocks = window.split(event_end)
        size = len(window) - len(blocks.pop())  # how the last one ends is not known
        if not blocks or not (min(blocks).startswith(before) and max(blocks).startswith(before)):
            return [], 0  # what is in order between two that begin alike begins so too
        return list(map(self._usual.inside, blocks)), size

    def _arrived(self, inside: list[bytes], size: int) -> None:
        """Take instants and reads of usual events, given by their texts; size is that of the events."""
        reading, instants = self._reading, self._instants
        offset, count = self._offset, len(inside)
        self._offset = offset + size
        if self._reached >= self._offset:  # all in the read that the last one came with
            reading.event_ns += [instants[self._read]] * count
            reading.event_reads += [self._read] * count
            return
        frame = len(self._usual.before) + len(self._usual.end)
        lengths = map(len, inside)
        ends = [offset := offset + length + frame for length in lengths]
        first = self._read + 1
        if self._ends[first : first + count] == ends:  # each in a read of its own
            reading.event_ns += instants[first : first + count]
            reading.event_reads += range(first, first + count)
            self._read += count
            self._reached = offset
            return
        for end in ends:
            self._advance(end)
            reading.event_ns.append(instants[self._read])
            reading.event_reads.append(self._read)

    def _advance(self, end: int) -> None:
        """Advance to the read that completed what ends there."""
        while self._reached < end:
            self._read += 1
            self._reached = self._ends[self._read]

    def _one_by_one(self, count: int) -> int:
        for _ in range(count):
            self._one(self._body[self._offset : self._body.find(b"\n\n", self._offset)])
        return count

    def _one(self, block: bytes) -> None:
        """Take in any event."""
        reading = self._reading
        begin, size = self._offset, len(block) + 2
        self._offset = begin + size
        of_lines = b"\n" in block
        if of_lines and b"\ndata:" in block:
            self._lines(block, begin)
            return
        if self._reached < self._offset:
            self._advance(self._offset)
        place = self._piece
        if place >= 0:
            alone = place < len(self._pieces) and len(self._pieces[place]) == size
            self._piece = place + 1 if alone else _UNKNOWN
        read, at = self._read, self._instants[self._read]
        text = self._usual_text(block) if block.startswith(self._usual.before) else ""
        if text and self._seen:
            self._texts.append(text)
            reading.event_ns.append(at)
            reading.event_characters.append(len(text))
            reading.event_reads.append(read)
            return
        events = len(reading.event_ns)
        if not of_lines and block.startswith(b"data: "):
            reading.event(block[6:], b"", at, read, True)
        else:
            for data, name, _, _ in split_events(block + b"\n\n"):
                reading.event(data, name, at, read, True)
        if reading.end_seen:
            self._seen = False  # what follows an end is read whole
        elif text:
            self._seen = True
        elif len(reading.event_ns) > events and self._lessons:
            self._lessons -= 1
            usual = _usual(block)
            if usual is not None:
                _memory.usual = usual
                self._use(usual)
                self._seen = True

    def _lines(self, block: bytes, begin: int) -> None:
        """Take in a block with several lines of data: one event, or one of each line."""
        raw = block + b"\n\n"
        self._piece = _UNKNOWN
        for data, name, end, _ in split_events(raw):
            self._advance(begin + end)
            if lacks_blank_line(raw, end):
                self._reading.note_odd(ONE_LINE_END)
            self._reading.event(data, name, self._instants[self._read], self._read, True)
            if self._reading.saw_done:
                return
        self._advance(self._offset)
        if self._reading.end_seen:
            self._seen = False

    def _usual_text(self, block: bytes) -> str:
        """Return the text of a block that begins as the usual event; empty where it does not end as one."""
        usual = self._usual
        if not block.endswith(usual.after):
            return ""
        try:
            return _decode_text(block[len(usual.before) - 1 : 1 - len(usual.after)])
        except ValueError:
            return ""


def _usual(block: bytes) -> _Usual | None:
    """Return the form of the usual event, from an event that holds nothing but one text; else None.

    Between its bytes before and after is a JSON string without its quotes: with any other string in its place, the
    event still holds nothing else. That is checked, not assumed.
    """
    only_text = _only_text(block)
    if only_text is None:
        return None
    field, text = only_text
    literal = _encode(text)
    at = block.rfind(literal)
    before, after = block[: at + 1], block[at + len(literal) - 1 :]
    if at < 0 or _only_text(before + _encode(text + "+")[1:-1] + after) != (field, text + "+"):
        return None  # not found as written, or the same string in another place
    return _Usual(field, before, after)


def _only_text(block: bytes) -> tuple[str, str] | None:
    """Return (field, text) of an event that holds nothing else."""
    if block[:6] != b"data: " or b"\n" in block:
        return None
    try:
        event = _decode(block[6:])
        [choice] = event.choices
        field, text = "content", choice.text
        if choice.delta is not None:
            [(field, text)] = choice.delta.items()
    except (ValueError, RecursionError):  # odd types, or not one of each
        return None
    if (choice.delta is not None and choice.text is not None) or choice.finish_reason is not None:
        return None
    if event.usage is not None or event.error is not None or field not in _FIELDS or not text:
        return None
    return field, text


def _read_events(
    body: bytes, arrivals: Arrivals, reading: AnswerReading
) -> Generator[None, None, None]:
    """Yield any body, by its lines."""
    ends, instants = arrivals
    read = 0
    for number, (data, name, end, complete) in enumerate(split_events(body), start=1):
        while ends[read] < end:
            read += 1
        if complete and lacks_blank_line(body, end):
            reading.note_odd(ONE_LINE_END)
        reading.event(data, name, instants[read], read, complete)
        if reading.saw_done:
            return
        if number % EVENTS_A_STEP == 0:
            yield
