"""One HTTP/1.1 response as it arrives: bytes and instants in, framing off, the body kept as pieces.

Pure: it has no socket. Reads in the middle of a stream may be kept as they are and taken in
together later (`take_reads`); the others go through C (llhttp) at once. No body is read here,
because that waits until the answer is complete (wire.py).
"""

from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import Any

import httptools
import msgspec

from observatory.connect.bounds import ANSWER, ERROR_BODY, EVENT, HEAD, KEPT_OF_TOO_LARGE, mib
from observatory.wires.streams.response_head import in_words, is_of_fields, may_be_sound, sound_head

_NAMES: dict[bytes, str] = {}
_MOST_NAMES = 1_000


class ResponseReader(msgspec.Struct, eq=False):
    """Fed every read of one response in order, until `complete`, `fault` or `finish`.

    pieces are the body's parts with framing taken off; after read i, `piece_counts[i]` of them had
    come, and `stamps[i]` is that read's instant. `merged` holds the reads whose bytes waited in the
    kernel as several segments, so that their stamp is the last one's. chunked: a piece is a chunk or
    a part of one. headers keep their order, names in lower case.

    deferrable: reads may be kept and taken in together later, because the response is chunked
    and what was fed ended where a chunk ends. Of a second response that comes after the first, nothing
    is kept; surplus: there was one. early: the bytes of a head that is not whole yet.
    too_large: the fault is that it passed a bound.
    """

    pieces: list[bytes] = []
    piece_counts: list[int] = []
    stamps: list[int] = []
    merged: set[int] = set()
    headers: list[tuple[str, str]] = []
    headers_at: int | None = None
    status: int | None = None
    received: int = 0
    chunked: bool = False
    complete: bool = False
    keep_alive: bool = False
    surplus: bool = False
    fault: str | None = None
    deferrable: bool = False
    early: bytes = b""
    too_large: bool = False
    on_body: Any = None
    _named: dict[str, str] = {}
    _at: int = 0
    _length_known: bool = False
    _informational: bool = False
    _continued: bool = False
    _complete_pieces: int = 0
    _closing: bool = False
    _measured: int = 0
    _after_event: int = 0
    _parser: Any = None

    def __post_init__(self) -> None:
        self.on_body = self.pieces.append
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes | memoryview, at: int, *, merged: bool = False) -> bool:
        """Take in one read, stamped `at`; return True when the response needs no further read.

        That is when the message is complete, or is no HTTP (`fault` has the reason).
        """
        if merged:
            self.merged.add(len(self.stamps))
        self._parse(data, at)
        self.piece_counts.append(len(self.pieces))
        self.stamps.append(at)
        if self.complete or self.fault is not None:
            return True
        self.deferrable = (
            self.chunked and len(self.stamps) == 1 and self._ends_with_a_chunk(bytes(data))
        )
        return False

    def _ends_with_a_chunk(self, first: bytes) -> bool:
        """Return whether the first read ends where its head or one of its chunks does."""
        if self.headers_at is None or self._continued:
            return False
        start = first.find(b"\r\n\r\n") + 4
        return _chunk_ends(first, start, len(self.pieces))[-1] == len(first)

    def _parse(self, data: bytes | memoryview, at: int) -> None:
        self._at = at
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.complete:
                self.surplus = True
            else:
                self._refused(str(error) or type(error).__name__, bytes(data))
        if self.headers_at is None:
            self.early += data
        if self.surplus:
            del self.pieces[self._complete_pieces :]

    def _refused(self, words: str, data: bytes) -> None:
        """Read on where HTTP defines what the head means; else that is the response's fault.

        The body is whole before its trailers, so that what is wrong in these costs only the connection.
        """
        raw = self.early + data
        if self.headers_at is not None and self.chunked and is_of_fields(words):
            self.complete = True
            self._complete_pieces = len(self.pieces)
        elif self.headers_at is not None or not may_be_sound(words, raw):
            self.fault = in_words(words, raw)
        else:
            self._parser = _UntilHead(self)
            self.read_again(raw)

    def read_again(self, raw: bytes) -> None:
        """Begin again with a head that was refused, once it is whole."""
        try:
            head = sound_head(raw)
            if head is not None:
                self.headers.clear()
                self._named.clear()
                self._closing = head.closing
                self._continued = self._continued or head.of_lf
                self._parser = httptools.HttpResponseParser(self)
                self._parser.feed_data(head.raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError) as error:
            self.fault = str(error)

    def take_reads(self, sizes: list[int], stamps: list[int], raw: bytes) -> None:
        """Take in reads that were kept, as if each had been fed at its stamp.

        sizes: bytes of each read; raw: the bytes of all of them, one after another.
        """
        self.stamps += stamps
        first = len(self.pieces)
        self._parse(raw, self.stamps[-1])
        pieces = self.pieces[first:]
        if _a_chunk_a_read(sizes, pieces):
            self.piece_counts += range(first + 1, first + 1 + len(pieces))
            return
        ends = list(accumulate(sizes))
        cut, counts = _cut_at(raw, ends, pieces)
        self.pieces[first:] = cut
        self.piece_counts += [first + count for count in counts]

    def reads_of_several(self) -> dict[int, int]:
        """Return which reads hold several events, by the lines of data that begin in them, and how many."""
        counts = [0, *self.piece_counts]
        suspects = {read for read, (first, end) in enumerate(pairwise(counts)) if end - first > 1}
        for place, piece in enumerate(self.pieces):
            if b"\ndata:" in piece:
                suspects.add(bisect_right(counts, place) - 1)
        several = {}
        for read in sorted(suspects):
            data = b"".join(self.pieces[counts[read] : counts[read + 1]])
            events = data.count(b"\ndata:") + data.startswith(b"data:")
            if events > 1:
                several[read] = events
        return several

    def measure(self, *, events: bool = False) -> None:
        """Set `fault` and `too_large` where the response has passed a bound (bounds). Called each time that
        it has grown by a good deal, and its first time at HEAD or soon after. events: it is read as an
        event stream, without regard to its content type."""
        words = self._passed(events or "event-stream" in (self.header("content-type") or ""))
        if words is not None and self.fault is None:
            self.fault, self.too_large = words, True

    def _passed(self, events: bool) -> str | None:
        head = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        if head > HEAD or (self.headers_at is None and self.received > HEAD):
            return f"the response's head has more than {mib(HEAD)}"
        if self.headers_at is None:
            return None
        if not 200 <= (self.status or 0) < 300 and self.received - head > ERROR_BODY:
            return f"the error's body has more than {mib(ERROR_BODY)}"
        if self.received > ANSWER:
            return f"the answer has more than {mib(ANSWER)}"
        if events and self._open_event() > EVENT:
            return f"an event has more than {mib(EVENT)}"
        return None

    def _open_event(self) -> int:
        """Return bytes of the event that is not over yet."""
        pieces = self.pieces
        size, place = 0, len(pieces)
        while place > self._measured:
            place -= 1
            piece = pieces[place]
            end = max(piece.rfind(b"\n\n"), piece.rfind(b"\n\r\n"), piece.rfind(b"\r\r"))
            if end >= 0:
                self._measured, self._after_event = len(pieces), size + len(piece) - end
                return self._after_event
            size += len(piece)
            if place and piece[:1] in (b"\n", b"\r") and pieces[place - 1][-1:] in (b"\n", b"\r"):
                self._measured, self._after_event = len(pieces), size
                return size
        self._measured = len(pieces)
        self._after_event += size
        return self._after_event

    def shrink(self) -> None:
        """Keep of a body that passed a bound what is still of use."""
        worth = KEPT_OF_TOO_LARGE if 200 <= (self.status or 0) < 300 else ERROR_BODY
        self.drop_last(sum(map(len, self.pieces)) - worth)

    def drop_last(self, size: int) -> None:
        """Drop the last `size` bytes of the body so far."""
        pieces = self.pieces
        while size > 0 and pieces:
            last = pieces.pop()
            if len(last) > size:
                pieces.append(last[:-size])
            size -= len(last)
        most = len(pieces)
        self.piece_counts = [min(count, most) for count in self.piece_counts]

    def finish(self) -> bool:
        """Called when the peer closed: return whether that is a proper end (a body without a stated length)."""
        if self.headers_at is not None and not self._length_known and self.fault is None:
            self.complete = True
        return self.complete

    def release(self) -> None:
        """Release the parser after the last read, because it and this object refer to each other.

        The garbage collector would free the pair late, since the bytes it holds do not count for it.
        """
        self._parser = None

    def header(self, name: str) -> str | None:
        """Return the first header of that lower-case name."""
        return self._named.get(name)

    # llhttp's callbacks; on_body above is the list's own append.

    def on_message_begin(self) -> None:
        """Called when a response begins; a second one is bytes without a request."""
        if self.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools for one header; trailers after the body are not kept."""
        if self.headers_at is None and not self.surplus:
            key = _NAMES.get(name) or _name(name)
            text = value.decode("latin-1").strip()
            self.headers.append((key, text))
            self._named.setdefault(key, text)

    def on_headers_complete(self) -> None:
        """Called by httptools when the head is whole; a 1xx one announces another."""
        if self.surplus:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._informational = self._continued = True
            self.headers.clear()
            self._named.clear()
            return
        self.status = status
        self.headers_at = self._at
        encoding = self.header("transfer-encoding") or ""
        self.chunked = "chunked" in encoding.lower()
        self._length_known = self.chunked or self.header("content-length") is not None

    def on_message_complete(self) -> None:
        """Called by httptools when the body is whole."""
        if self._informational:
            self._informational = False
        elif not self.complete:
            self.complete = True
            self._complete_pieces = len(self.pieces)
            self.keep_alive = self._parser.should_keep_alive() and not self._closing


class _UntilHead:
    """In the parser's place until the rest of a head has come."""

    def __init__(self, response: ResponseReader) -> None:
        self._response = response

    def feed_data(self, data: bytes | memoryview) -> None:
        """See httptools."""
        self._response.read_again(self._response.early + bytes(data))


def _name(name: bytes) -> str:
    """Return a header's name in lower case, remembered: the next answer has the same headers."""
    if len(_NAMES) >= _MOST_NAMES:
        _NAMES.clear()
    text = _NAMES[name] = name.decode("latin-1").lower()
    return text


def _a_chunk_a_read(reads: list[int], pieces: list[bytes]) -> bool:
    """Return whether each read was one whole chunk: none of several, none cut, none with an extension."""
    sizes = list(map(len, pieces))
    framed = {size: size + 4 + (size.bit_length() + 3 >> 2) for size in set(sizes)}
    return reads == list(map(framed.__getitem__, sizes))


def _chunk_ends(raw: bytes, start: int, count: int) -> list[int]:
    """Return [start, and where the framing of each of `count` chunks ends], the last beyond `raw` where it is
    cut off. raw[start:] begins with the first chunk's size; llhttp found that many sound chunks."""
    ends = [start]
    for _ in range(count):
        size_end = raw.find(b"\r\n", ends[-1])
        size = int(raw[ends[-1] : size_end].partition(b";")[0], 16)
        ends.append(size_end + 2 + size + 2)
    return ends


def _cut_at(raw: bytes, ends: list[int], pieces: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Return the pieces, cut where a read ended within one, and how many of them had come by each end."""
    cut: list[bytes] = []
    counts: list[int] = []
    chunks = _chunk_ends(raw, 0, len(pieces))
    place = 0
    rest = pieces[0] if pieces else b""
    for end in ends:
        while place < len(pieces):
            data_start = raw.find(b"\r\n", chunks[place]) + 2 + len(pieces[place]) - len(rest)
            come = min(len(rest), max(0, end - data_start))
            if come:
                cut.append(rest[:come])
                rest = rest[come:]
            if rest:
                break
            place += 1
            rest = pieces[place] if place < len(pieces) else b""
        counts.append(len(cut))
    return cut, counts
