"""One HTTP/1.1 response as it arrives: bytes and instants in, framing off, the body kept as pieces.

Pure: it knows no socket. What stands on the hot path is C (llhttp) and one list append a piece;
no body is read here, because that waits until the answer is complete (wire.py).
"""

from typing import Any

import httptools


class ResponseReader:
    """Fed every read of one response in order, until `complete`, `fault` or `finish`.

    pieces are the body's parts with framing taken off; after read i, `piece_counts[i]` of them had
    come, and `stamps[i]` is that read's instant. `merged` holds the reads whose bytes waited in the
    kernel as several segments, so that their stamp is the last one's. chunked: a piece is a chunk or
    a part of one. headers keep their order, names in lower case.
    """

    __slots__ = (
        "_at",
        "_informational",
        "_length_known",
        "_parser",
        "chunked",
        "complete",
        "fault",
        "headers",
        "headers_at",
        "keep_alive",
        "merged",
        "on_body",
        "piece_counts",
        "pieces",
        "received",
        "stamps",
        "status",
        "surplus",
    )

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.piece_counts: list[int] = []
        self.stamps: list[int] = []
        self.merged: set[int] = set()
        self.headers: list[tuple[str, str]] = []
        self.headers_at: int | None = None
        self.status: int | None = None
        self.received = 0
        self.chunked = False
        self.complete = False
        self.keep_alive = False
        self.surplus = False
        self.fault: str | None = None
        self._at = 0
        self._length_known = False
        self._informational = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes, at: int, *, merged: bool = False) -> bool:
        """Take in one read, stamped `at`; answers whether there is nothing more to wait for.

        That is so when the message is complete, or is no HTTP (`fault` says why).
        """
        self._at = at
        self.received += len(data)
        if merged:
            self.merged.add(len(self.stamps))
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.complete:
                self.surplus = True
            else:
                self.fault = str(error) or type(error).__name__
        self.piece_counts.append(len(self.pieces))
        self.stamps.append(at)
        return self.complete or self.fault is not None

    def finish(self) -> bool:
        """The peer closed: answers whether that is a proper end (a body without a stated length)."""
        if self.headers_at is not None and not self._length_known and self.fault is None:
            self.complete = True
        return self.complete

    def release(self) -> None:
        """Nothing more will be fed: give back the parser, which refers to us and we to it.

        The collector would come to the pair late, since the bytes it holds do not count for it.
        """
        self._parser = None

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    # llhttp's callbacks; on_body above is the list's own append.

    def on_message_begin(self) -> None:
        """A response begins; a second one is bytes that nobody asked for."""
        if self.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; trailers after the body are not kept."""
        if self.headers_at is None and not self.surplus:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        """The head is whole; a 1xx one announces another."""
        if self.surplus:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._informational = True
            self.headers.clear()
            return
        self.status = status
        self.headers_at = self._at
        encoding = self.header("transfer-encoding") or ""
        self.chunked = "chunked" in encoding.lower()
        self._length_known = self.chunked or self.header("content-length") is not None

    def on_message_complete(self) -> None:
        """The body is whole."""
        if self._informational:
            self._informational = False
        elif not self.complete:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()
