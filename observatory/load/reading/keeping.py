"""Which reads in the middle of a stream may be kept unparsed, by the wire that they come on.

A read here has the kernel's head in front of its bytes (kept_reads): these rules look at a
read with its head, and are one half of the rule of which StreamEnd is the other.
"""

from collections.abc import Callable

from observatory.load.reading.kept_reads import LARGEST_KEPT, SMALLEST_KEPT, STAMP_BYTE, STAMPED
from observatory.wires.streams.stream_end import may_hold_end
from observatory.wires.wires import WireName

_BRACE = 0x7D
"""What a chunk with a whole JSON event has before its two line ends and its framing, so many bytes
before its end."""
_FRAMED = 5


def keeps_of(wire: WireName) -> Callable[[bytes], bool]:
    """Return which reads of a stream's middle may be kept unparsed (kept_reads) on that wire.

    Those that end as an event of JSON does and cannot hold the stream's last event. On the wire openai
    a look at one byte is enough for [DONE], which ends otherwise, whole or cut, and a name for `event: done`.
    """
    if wire == "openai":
        return _may_be_kept_unnamed
    holds = may_hold_end(wire)
    return lambda read: _may_be_kept(read) and not holds(read)


def ends_like_an_event(read: bytes | memoryview) -> bool:
    """Return whether it ends as a chunk with a whole event of JSON does, and names no event."""
    return len(read) > _FRAMED and read[-_FRAMED] == _BRACE and b"event:" not in bytes(read)


def _may_be_kept(read: bytes) -> bool:
    # may_be_kept, and the look at one byte, in one call: it is made for every event of every stream.
    return (
        SMALLEST_KEPT <= len(read) < LARGEST_KEPT
        and read[-_FRAMED] == _BRACE
        and b"\r\n\r\n" not in read
        and read[STAMP_BYTE] == STAMPED
    )


def _may_be_kept_unnamed(read: bytes) -> bool:
    # The same again, and one search more: the data of an event named as the last one may be JSON.
    return (
        SMALLEST_KEPT <= len(read) < LARGEST_KEPT
        and read[-_FRAMED] == _BRACE
        and b"\r\n\r\n" not in read
        and b"event:" not in read
        and read[STAMP_BYTE] == STAMPED
    )
