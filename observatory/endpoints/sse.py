"""Server-sent events out of a whole body, each with the offset at which it was complete.

Pure. It sees the body in one piece, so that how the network cut it cannot matter; the caller turns
offsets into instants. Rules: WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6.
"""

import re
from collections.abc import Iterator

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


Event = tuple[bytes, bytes, int, bool]
"""(data, name, end, whole): data's lines joined by LF; end is the offset just after the byte that
completed it, where a line ends at its LF, or at its CR whatever follows. whole is False for what
stood at the end of the body without the blank line that dispatches it, which the standard drops and
some servers rely on."""


def split_events(body: bytes) -> Iterator[Event]:
    """Every event with data, in order; comments, ids and retry fields are passed over."""
    start = len(_BOM) if body.startswith(_BOM) else 0
    if b"\r" in body:
        return _by_lines(body, start)
    return _by_blank_lines(body, start)


def _by_blank_lines(body: bytes, start: int) -> Iterator[Event]:
    """The usual body has LF alone: blocks between blank lines, found in C."""
    blocks = body[start:].split(b"\n\n") if start else body.split(b"\n\n")
    last = len(blocks) - 1
    at = start
    for number, block in enumerate(blocks):
        at += len(block) + 2
        if block.startswith(b"data: ") and b"\n" not in block:
            data, name = block[6:], b""
        elif block:
            data, name = _fields(block.split(b"\n"))
        else:
            continue
        if number < last:
            if data:
                yield data, name, at, True
        elif data:
            # A body that ends in one line end lacks only the blank line.
            yield data, name, len(body), False


def _by_lines(body: bytes, start: int) -> Iterator[Event]:
    lines: list[bytes] = []
    at = start
    for match in _LINE_END.finditer(body, start):
        line = body[at : match.start()]
        at = match.end()
        if line:
            lines.append(line)
            continue
        data, name = _fields(lines)
        lines.clear()
        if data:
            yield data, name, match.start() + 1, True
    lines.append(body[at:])
    data, name = _fields(lines)
    if data:
        yield data, name, len(body), False


def _fields(lines: list[bytes]) -> tuple[bytes, bytes]:
    data: list[bytes] = []
    name = b""
    for line in lines:
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return b"\n".join(data), name
