"""Rewrites heads that llhttp refuses, where RFC 9112 defines the meaning. Pure.

Content-Length with chunked: chunked counts, and the connection is closed afterwards (6.3, 3). Equal lengths
given twice are one (RFC 9110, 8.6). Lengths that differ, or are no numbers, leave the body's end unknown. A
header that goes on in a line that begins with white space is one line (5.2, obs-fold). A head all of whose lines
end in LF alone is read (2.2), as other clients do.
"""

import re
from typing import NamedTuple

_OF_LENGTH = "Content-Length"
"""What llhttp's words for each such refusal have in them."""
_OF_LINE_ENDS = ("Missing expected CR after response line", "Invalid response status")
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_LF_HEAD = re.compile(rb"HTTP/1\.[01] [^\r\n]*\n(?:[^\r\n]+\n)*\n?")
"""A head, or the beginning of one, whose lines end in LF alone."""
_SHOWN = 2_000
"""Characters, of which an attempt keeps the first few hundred once its secrets are masked."""


class Head(NamedTuple):
    """raw: what llhttp is given instead. closing: the connection must not be used again. of_lf: its lines end in LF."""

    raw: bytes
    closing: bool
    of_lf: bool = False


def may_be_sound(words: str, raw: bytes) -> bool:
    """Return whether llhttp refused a head, of which raw has come, for its lengths, its line ends or a line that goes on."""
    if _OF_LENGTH in words:
        return True
    if words in _OF_LINE_ENDS:
        return _LF_HEAD.match(raw) is not None
    _, _, lines = raw.partition(b"\r\n")
    return "header value" in words and not lines.startswith((b" ", b"\t")) and _is_folded(lines)


def is_of_fields(words: str) -> bool:
    """Return whether llhttp refused a header or a trailer, and no chunk."""
    return "header" in words or _OF_LENGTH in words or "Transfer-Encoding" in words


def _is_folded(lines: bytes) -> bool:
    return b"\r\n " in lines or b"\r\n\t" in lines


def sound_head(raw: bytes) -> Head | None:
    """Return a response from its first byte with one length at most and no line that goes on; None while its head
    is not whole.

    Interim responses (1xx) before it stay as they are. ValueError has the reason why no length can be found.
    """
    if (of_lf := _LF_HEAD.match(raw)) is not None:
        return _of_lf(of_lf[0], raw)
    head, end, rest = raw.partition(b"\r\n\r\n")
    if not end:
        return None
    if head.startswith(b"HTTP/1.1 1"):
        later = sound_head(rest)
        return later and Head(head + end + later.raw, later.closing)
    first, _, block = head.partition(b"\r\n")
    lines = _FOLD.sub(b" ", block).split(b"\r\n")
    others = [line for line in lines if _name(line) != b"content-length"]
    lengths = [line for line in lines if _name(line) == b"content-length"]
    if not lengths:
        return Head(b"\r\n".join([first, *others]) + end + rest, False)
    if any(_name(line) == b"transfer-encoding" for line in others):
        return Head(b"\r\n".join([first, *others]) + end + rest, True)
    length = b"Content-Length: %d" % _length(lengths)
    return Head(b"\r\n".join([first, *others, length]) + end + rest, False)


def _of_lf(head: bytes, raw: bytes) -> Head | None:
    """Return the response whose head's lines end in LF alone; ValueError where they do not all."""
    if not head.endswith(b"\n\n"):
        if b"\r" in raw[len(head) :].partition(b"\n")[0]:
            raise ValueError("the lines of the head end in LF and in CRLF")
        return None
    lines = head.replace(b"\n", b"\r\n")
    found = sound_head(lines + raw[len(head) :])
    return found and found._replace(of_lf=True)


def in_words(words: str, start: bytes) -> str:
    """Return llhttp's words for what it refused; start: how that began. Where it is no HTTP, what it is."""
    if not words.startswith("Expected HTTP/"):
        return words
    if start[:1] in (b"\x15", b"\x16"):
        return "the server speaks TLS, not plain HTTP"
    shown = start[:_SHOWN].decode("latin-1")
    return f"what came is no HTTP response: it begins with {shown!r}"


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


def _length(lines: list[bytes]) -> int:
    values = [part.strip() for line in lines for part in line.partition(b":")[2].split(b",")]
    shown = [value.decode("latin-1")[:_SHOWN] for value in dict.fromkeys(values)]
    wrong = [value for value in shown if not (value.isascii() and value.isdigit())]
    if wrong:
        raise ValueError(f"Content-Length is no number: {wrong[0]!r}")
    lengths = {int(value) for value in shown}
    if len(lengths) > 1:
        both = " and ".join(map(str, sorted(lengths)[:2]))
        raise ValueError(f"the response has two different lengths: Content-Length {both}")
    if (length := lengths.pop()) >= 1 << 63:
        raise ValueError(f"Content-Length is too large: {length}")
    return length
