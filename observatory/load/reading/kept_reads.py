"""A read and its stamp in one piece of memory, in the layout in which Linux's io_uring gives it.

A stream's reads come far apart; objects for each would be scattered and gone from the processor's
caches by the time they are looked at. So reads are kept one after another in one growing piece
(struct io_uring_recvmsg_out, a struct cmsghdr with a timespec of CLOCK_REALTIME, the bytes).
"""

import struct
from collections.abc import Callable
from operator import add

_HEAD = struct.Struct("=4xII4x16x2q")
"""The stamp's length (0: there is none), how many bytes follow, seconds and nanoseconds."""
HEAD_SIZE = _HEAD.size
_STAMP_SIZE = 16
SMALLEST_KEPT = HEAD_SIZE + 8
"""Fewer bytes may be the last part of a chunked body's end."""
LARGEST_KEPT = HEAD_SIZE + 4_000
"""More are not worth keeping unparsed."""
STAMP_BYTE = 4
"""Offset of the byte of a read that marks a stamp: STAMPED, or 0."""
STAMPED = 32
_MARK = struct.pack("=IQii", 0, STAMPED, 1, 35)
"""The bytes of every stamped head between its size and its stamp: no flags, SCM_TIMESTAMPNS."""
_SIZES = struct.Struct("=3I")
_BEFORE_MARK = _SIZES.size
_BILLION = 1_000_000_000


def make_head(size: int, stamp: bytes) -> bytes:
    """Return the head of that many bytes; stamp is the kernel's timespec, or empty."""
    if len(stamp) != _STAMP_SIZE:
        return _SIZES.pack(0, 0, size) + _MARK + bytes(_STAMP_SIZE)
    return _SIZES.pack(0, STAMPED, size) + _MARK + stamp


def may_be_kept(read: bytes) -> bool:
    """Return whether a read of the middle of a chunked body is stamped and cannot hold the body's end."""
    return (
        SMALLEST_KEPT <= len(read) < LARGEST_KEPT
        and b"\r\n\r\n" not in read
        and read[STAMP_BYTE] == STAMPED
    )


class KeptReads(bytearray):
    """Reads that are kept, and which more of them may be."""

    __slots__ = ("may_be",)

    def __init__(self, may_be: Callable[[bytes], bool] = may_be_kept) -> None:
        super().__init__()
        self.may_be = may_be


def join_reads(reads: list[bytes]) -> bytes:
    """Join the reads of one burst as the one read that they are, stamped as their last is."""
    last = reads[-1]
    data = b"".join([read[HEAD_SIZE:] for read in reads])
    return _SIZES.pack(0, last[STAMP_BYTE], len(data)) + last[_BEFORE_MARK:HEAD_SIZE] + data


def stamp_of(read: bytes) -> int:
    """Return Unix nanoseconds; 0 where the kernel gave none."""
    stamped, _, seconds, nanoseconds = _HEAD.unpack_from(read)
    return int(seconds * _BILLION + nanoseconds) if stamped == STAMPED else 0


def split_reads(kept: bytearray, anchor_unix_ns: int) -> tuple[list[int], list[int], bytes]:
    """Return the size of each stamped read and its instant from the anchor, and all their bytes."""
    parts = bytes(kept).split(_MARK)
    # The first is the beginning of a head, and all but the last end with that of the next.
    last = parts.pop()
    stamps = b"".join([part[:_STAMP_SIZE] for part in parts[1:]] + [last[:_STAMP_SIZE]])
    bodies = [part[_STAMP_SIZE:-_BEFORE_MARK] for part in parts[1:]]
    bodies.append(last[_STAMP_SIZE:])
    sizes = list(map(len, bodies))
    stated = [_SIZES.unpack_from(part, len(part) - _BEFORE_MARK)[2] for part in parts]
    if sizes != stated:
        return _split_slowly(bytes(kept), anchor_unix_ns)
    values = struct.unpack(f"={2 * len(sizes)}q", stamps)
    seconds, nanoseconds = values[::2], values[1::2]
    starts = {second: second * _BILLION - anchor_unix_ns for second in set(seconds)}
    instants = list(map(add, map(starts.__getitem__, seconds), nanoseconds))
    return sizes, instants, b"".join(bodies)


def _split_slowly(kept: bytes, anchor_unix_ns: int) -> tuple[list[int], list[int], bytes]:
    """Read by read: a server sent what looks like a head of ours, or the kernel set a flag."""
    sizes, instants, bodies, at = [], [], [], 0
    while at < len(kept):
        _, size, seconds, nanoseconds = _HEAD.unpack_from(kept, at)
        at += HEAD_SIZE
        bodies.append(kept[at : at + size])
        at += size
        sizes.append(size)
        instants.append(seconds * _BILLION + nanoseconds - anchor_unix_ns)
    return sizes, instants, b"".join(bodies)
