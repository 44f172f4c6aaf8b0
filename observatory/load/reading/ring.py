"""Linux's io_uring: the kernel reads every connection by itself, as segments arrive, each with its stamp.

A late reader finds segments merged in the kernel under the last one's stamp. Here the kernel
does the reading (multishot recvmsg, into buffers given to it beforehand) whenever this thread enters or
leaves it, a clock tick included, also while Python is busy. Python takes the reads later, and
loses nothing by that.

Where a system has no such call or forbids it (containers often do), OSError is raised, and polling.py reads
instead.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gevent

from observatory.core.workspace import NO_RING_VARIABLE
from observatory.load.reading.io_uring import BUFFER, MORE, NOT_EMPTY, RESULT, IoUring
from observatory.load.reading.kept_reads import HEAD_SIZE, KeptReads, join_reads
from observatory.load.reading.reads import Taker

_USUAL, _USUALLY = BUFFER | MORE | NOT_EMPTY, BUFFER | MORE
_READABLE = 1
"""libev's EV_READ."""
MOST_BUFFERS = 32_768
"""The kernel's limit. As many reads may wait for Python."""
_FEWEST_BUFFERS = 1_024
_READS_AHEAD = 16, 32
"""Reads of each connection that may wait for Python, at least and at most: of a stream with 10 ms between
tokens 160 and 320 ms. The more connections, the longer Python may be away."""
_CONNECTIONS_A_READ = 16
_MEMORY = 32 << 20
"""At most, and only where buffers were written: small reads take their first page each."""
_MOST_PARTS = 64
"""Of a read that goes on: a server that sends faster than it is read would have it go on for ever."""
_LARGEST_BUFFER = 32_768
"""An answer of 128 tokens that a server wrote at once."""


class Ring:
    """One ring and its buffers, for all connections of a process and gevent hub."""

    def __init__(self, connections: int) -> None:
        """Make room for about that many. OSError where the kernel has no such thing for us."""
        ahead = sorted((*_READS_AHEAD, connections // _CONNECTIONS_A_READ))[1]
        wanted = max(_FEWEST_BUFFERS, min(MOST_BUFFERS, ahead * connections))
        count = 1 << (wanted - 1).bit_length()
        self._uring = IoUring(count, min(_LARGEST_BUFFER, _MEMORY // count))
        self._publish_after = min(256, count // 4) - 1
        self._takers: dict[int, Taker] = {}
        self._filenos: dict[int, int] = {}
        self._keeping: dict[int, KeptReads] = {}
        self._parts: dict[int, list[bytes]] = {}
        self._number = 0
        self._taken = self._indexed = 0
        self._index: dict[int, list[int]] = {}
        self._draining = False
        self._ending: int | None = None
        loop = gevent.get_hub().loop
        self._watchers: list[Any] = [loop.io(self._uring.descriptor, _READABLE), loop.check()]
        for watcher in self._watchers:
            # The second because reads wake the loop by interrupting its wait.
            watcher.start(self.drain)

    def add(self, fileno: int, taker: Taker) -> int:
        """Read that connection from now on; answers the number it has here. OSError if it cannot be."""
        self._number += 1
        self._uring.read(self._number, fileno)
        self._takers[self._number] = taker
        self._filenos[self._number] = fileno
        return self._number

    def remove(self, number: int) -> None:
        """Let go of a connection, before its descriptor is closed: the kernel holds it open for us."""
        if self._takers.pop(number, None) is not None and self._uring.descriptor >= 0:
            self._parts.pop(number, None)
            self._keeping.pop(number, None)
            del self._filenos[number]
            with suppress(OSError):
                self._uring.cancel(number)

    def keep(self, number: int, kept: KeptReads | None) -> None:
        """Add that connection's reads to `kept` while they may be; hand all over again where it is None."""
        if kept is not None:
            self._keeping[number] = kept
        else:
            self._keeping.pop(number, None)

    def quiet(self, number: int, key: bytes) -> bool:
        """Return whether no read is made and not handed over of that connection; key: its number in 8 bytes."""
        if number == self._ending:
            return False
        os.getppid()  # into the kernel and out: what can be read by now is read
        made = self._uring.made(self._taken)
        if made == self._taken:
            return True
        return key not in bytes(self._uring.results(self._taken, made))

    def waiting(self, number: int) -> tuple[int, int]:
        """Return how many reads of that connection, and how many bytes, are made and not handed over."""
        made = self._uring.made(self._taken)
        for whose, size, flags in self._between(max(self._taken, self._indexed), made):
            counts = self._index.setdefault(whose, [0, 0])
            counts[0] += not flags & NOT_EMPTY
            counts[1] += max(0, size - HEAD_SIZE)
        self._indexed = made
        reads, received = self._index.get(number, (0, 0))
        return reads, received

    def close(self) -> None:
        """End all reading."""
        for watcher in self._watchers:
            watcher.close()
        self._uring.close()

    def drain(self) -> None:
        """Hand over what was there when it began: the loop's callback."""
        uring, taken = self._uring, self._taken
        made = uring.made(taken)
        if made == taken or self._draining:
            return
        self._draining = True
        again: list[int] = []
        takers, keeping, parts = self._takers, self._keeping, self._parts
        memory, room = uring.memory, uring.size
        in_place, last_place = uring.in_place, uring.count - 1
        try:
            for number, size, flags in self._between(taken, made):
                self._taken = taken = taken + 1
                if taken <= self._indexed:
                    self._handed_over(number, size, flags)
                read = b""
                if flags & BUFFER:
                    buffer = flags >> 16
                    at = buffer * room
                    read = memory[at : at + max(0, size)]
                    place = uring.given & last_place
                    if in_place[place] != buffer:
                        uring.lay(place, buffer)
                    uring.given += 1
                    if not place & self._publish_after:
                        uring.publish()
                    if flags & _USUAL == _USUALLY and not parts:
                        kept = keeping.get(number)
                        if kept is not None and kept.may_be(read):
                            kept += read
                            continue
                        if size > HEAD_SIZE:
                            if number in takers:
                                takers[number].arrived(read)
                            continue
                if number in takers and self._unusual(takers[number], number, size, flags, read):
                    again.append(number)
        finally:
            uring.release(self._taken)
            self._draining = False
        for number in again:
            uring.publish()
            self._read_again(number)

    def _unusual(self, taker: Taker, number: int, size: int, flags: int, read: bytes) -> bool:
        """Handle a read that is not whole, or the last; return whether reading must be submitted again."""
        if size == -errno.ENOBUFS:
            return True
        if size > HEAD_SIZE:
            parts = self._parts.setdefault(number, [])
            parts.append(read)
            if not flags & NOT_EMPTY or len(parts) >= _MOST_PARTS:
                del self._parts[number]
                taker.arrived(join_reads(parts) if len(parts) > 1 else read)
            return not flags & MORE
        if parts := self._parts.pop(number, []):
            self._ending = number
            taker.arrived(join_reads(parts))
            self._ending = None
            if number not in self._takers:
                return False
        if size == HEAD_SIZE:
            taker.arrived(read)
        else:
            taker.broke(OSError(-size, os.strerror(-size)))
        return False

    def _read_again(self, number: int) -> None:
        taker = self._takers.get(number)
        if taker is not None:
            try:
                self._uring.read(number, self._filenos[number])
            except OSError as error:
                taker.broke(error)

    def _between(self, first: int, end: int) -> Iterator[tuple[int, int, int]]:
        if first >= end:
            return iter(())
        return RESULT.iter_unpack(self._uring.results(first, end))

    def _handed_over(self, number: int, size: int, flags: int) -> None:
        counts = self._index[number]
        counts[0] -= not flags & NOT_EMPTY
        counts[1] -= max(0, size - HEAD_SIZE)
        if self._taken == self._indexed:
            self._index.clear()


class RingReads:
    """The reads of one socket by a ring; OSError where it takes no more."""

    __slots__ = ("_key", "_number", "_ring")

    def __init__(self, ring: Ring, raw: Any, taker: Taker) -> None:
        self._ring = ring
        self._number = ring.add(raw.fileno(), taker)
        self._key = self._number.to_bytes(8, sys.byteorder)

    def quiet(self) -> bool:
        """Return whether the kernel has read nothing that the channel has not received."""
        return self._ring.quiet(self._number, self._key)

    def keep(self, kept: KeptReads | None) -> None:
        """Add reads to `kept`, or hand them over again."""
        self._ring.keep(self._number, kept)

    def waiting(self) -> tuple[int, int]:
        """Return what the kernel has read and the channel has not received."""
        return self._ring.waiting(self._number)

    def close(self) -> None:
        """Read no more."""
        self._ring.remove(self._number)


def open_ring(connections: int) -> Ring | None:
    """Return a ring with room for about that many connections; None where this system has none for us."""
    if not sys.platform.startswith("linux") or os.environ.get(NO_RING_VARIABLE):
        return None
    ring = _open_with_less(connections)
    if ring is not None and not _reads(ring):
        ring.close()
        return None
    return ring


def _open_with_less(connections: int) -> Ring | None:
    """Open a ring as large as this user's limit of locked memory lets it be: without privilege, rings count."""
    for share in (1, 4, 16):
        try:
            return Ring(connections // share)
        except (OSError, AttributeError) as error:
            if getattr(error, "errno", None) != errno.ENOMEM:
                break
    return None


def _reads(ring: Ring) -> bool:
    """Return whether it reads again and again after one submission, which Linux does since 6.0."""
    taker = _Reads()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = ring.add(ours.fileno(), taker)
        for _ in range(2):
            theirs.send(b"?")
            ring.drain()
        ring.remove(number)
    ring.drain()
    return [read[HEAD_SIZE:] for read in taker.reads] == [b"?"] * 2


class _Reads:
    """A taker for the trial."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []

    def arrived(self, read: bytes) -> None:
        self.reads.append(read)

    def broke(self, error: OSError) -> None:
        self.reads.append(b"")
