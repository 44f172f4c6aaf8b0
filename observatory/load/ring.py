"""Linux's io_uring: the kernel reads every connection by itself, as segments arrive, each with its stamp.

Whoever reads late finds segments merged in the kernel under the last one's stamp. Here the kernel
does the reading (multishot recvmsg, into buffers given to it beforehand) whenever this thread enters or
leaves it, a clock tick included, whatever Python is busy with. Python takes the reads later, and
loses nothing by that.

Layouts and numbers are those of linux/io_uring.h. Reads are only ever written in this thread's own turns
in the kernel, so that no memory barrier is needed to see them. Where a system has no such call or
forbids it (containers often do), OSError says so, and polling.py reads instead.
"""

import ctypes
import errno
import mmap
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any

import gevent

from observatory.core.workspace import NO_RING_VARIABLE
from observatory.endpoints.kept_reads import HEAD_SIZE, join_reads, may_be_kept
from observatory.load.reads import Taker

_SETUP, _ENTER, _REGISTER = 425, 426, 427
"""System call numbers: the same on every architecture."""
_CQSIZE, _CLAMP, _COOP_TASKRUN = 1 << 3, 1 << 4, 1 << 8
_SINGLE_MMAP = 1 << 0
_OFFSET_ENTRIES = 0x10000000
_MAP_POPULATE = 0x8000
_REGISTER_PBUF_RING = 22
_RECVMSG, _ASYNC_CANCEL = 10, 14
_MULTISHOT, _BUFFER_SELECT = 1 << 1, 1 << 5
_BUFFER, _MORE, _NOT_EMPTY = 1 << 0, 1 << 1, 1 << 2
_USUAL, _USUALLY = _BUFFER | _MORE | _NOT_EMPTY, _BUFFER | _MORE
_READABLE = 1
"""libev's EV_READ."""

_OFFSETS = struct.Struct("=8I8x")
_PARAMETERS = struct.Struct("=6I16x")
_SQ_TAIL, _SQ_ARRAY, _CQ_HEAD, _CQ_TAIL, _CQ_ENTRIES = 1, 6, 0, 1, 5
"""Places in struct io_sqring_offsets and struct io_cqring_offsets."""
_ENTRY = struct.Struct("=BBHiQQIIQHHiQQ")
"""struct io_uring_sqe."""
_RESULT = struct.Struct("=QiI")
"""struct io_uring_cqe: the connection's number, a size or an error, flags with the buffer's number."""
_BUFFER_ENTRY = struct.Struct("=QIH")
_BUFFER_ENTRY_SIZE = 16
_TAIL = struct.Struct("=H")
_RING_TAIL_AT = 14
_STAMP_ROOM = 32
_MESSAGE = struct.Struct("=QIIQQQQI4x")
"""struct msghdr: only msg_controllen counts here, the room for a stamp in each buffer."""

_ENTRIES = 64
MOST_BUFFERS = 32_768
"""The kernel's limit. As many reads may wait for Python."""
_FEWEST_BUFFERS = 1_024
_READS_AHEAD = 16, 32
"""Reads of each connection that may wait for Python, at least and at most: of a stream with 10 ms between
tokens 160 and 320 ms. The more connections, the longer Python may be away."""
_CONNECTIONS_A_READ = 16
_MEMORY = 32 << 20
"""At most, and only where buffers were written: small reads take their first page each."""
_LARGEST_BUFFER = 32_768
"""An answer of 128 tokens that a server wrote at once."""

_held_for_good: list[object] = []
"""Memory that a kernel may still be writing into, whatever became of its ring."""


class Ring:
    """One ring and its buffers, for all connections of a process and gevent hub."""

    def __init__(self, connections: int) -> None:
        """Room for about that many. OSError where the kernel has no such thing for us."""
        self._call: Any = ctypes.CDLL(None, use_errno=True).syscall
        ahead = sorted((*_READS_AHEAD, connections // _CONNECTIONS_A_READ))[1]
        wanted = max(_FEWEST_BUFFERS, min(MOST_BUFFERS, ahead * connections))
        self._count = 1 << (wanted - 1).bit_length()
        self._size = min(_LARGEST_BUFFER, _MEMORY // self._count)
        parameters = bytearray(_PARAMETERS.size + 2 * _OFFSETS.size)
        flags = _CLAMP | _CQSIZE | _COOP_TASKRUN
        struct.pack_into("=3I", parameters, 0, 0, max(2 * self._count, _ENTRIES), flags)
        self._descriptor = self._system(
            _SETUP, _ENTRIES, (ctypes.c_char * len(parameters)).from_buffer(parameters)
        )
        try:
            self._share(parameters)
            self._give_buffers()
        except BaseException:
            os.close(self._descriptor)
            raise
        self._takers: dict[int, Taker] = {}
        self._filenos: dict[int, int] = {}
        self._keeping: dict[int, bytearray] = {}
        self._publish_after = min(256, self._count // 4) - 1
        self._parts: dict[int, list[bytes]] = {}
        self._number = 0
        self._taken = self._indexed = 0
        self._index: dict[int, list[int]] = {}
        self._draining = False
        loop = gevent.get_hub().loop
        self._watchers: list[Any] = [loop.io(self._descriptor, _READABLE), loop.check()]
        for watcher in self._watchers:
            # The second because reads wake the loop by interrupting its wait.
            watcher.start(self._drain)

    def add(self, fileno: int, taker: Taker) -> int:
        """Read that connection from now on; answers the number it has here. OSError if it cannot be."""
        self._number += 1
        self._read(self._number, fileno)
        self._takers[self._number] = taker
        self._filenos[self._number] = fileno
        return self._number

    def remove(self, number: int) -> None:
        """Let go of a connection, before its descriptor is closed: the kernel holds it open for us."""
        if self._takers.pop(number, None) is not None and self._descriptor >= 0:
            self._parts.pop(number, None)
            self._keeping.pop(number, None)
            del self._filenos[number]
            self._submit(_ASYNC_CANCEL, 0, 0, -1, number, 0, 0)

    def keep(self, number: int, kept: bytearray | None) -> None:
        """Add that connection's reads to `kept` while they may be; hand all over again where it is None."""
        if kept is not None:
            self._keeping[number] = kept
        else:
            self._keeping.pop(number, None)

    def quiet(self, key: bytes) -> bool:
        """Whether no read is made and not handed over of the connection with that number (8 bytes)."""
        made = self._made()
        if made == self._taken:
            return True
        return key not in bytes(self._results_between(self._taken, made))

    def waiting(self, number: int) -> tuple[int, int]:
        """How many reads of that connection, and how many bytes, are made and not handed over."""
        made = self._made()
        for whose, size, flags in self._between(max(self._taken, self._indexed), made):
            counts = self._index.setdefault(whose, [0, 0])
            counts[0] += not flags & _NOT_EMPTY
            counts[1] += max(0, size - HEAD_SIZE)
        self._indexed = made
        reads, received = self._index.get(number, (0, 0))
        return reads, received

    def close(self) -> None:
        """End all reading."""
        for watcher in self._watchers:
            watcher.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _drain(self) -> None:
        """The loop's callback: hand over what was there when it began."""
        words, taken = self._words, self._taken
        tail = words[self._tail]
        made = taken + (tail - taken & 0xFFFFFFFF)
        if made == taken or self._draining:
            return
        self._draining = True
        again: list[int] = []
        takers, keeping, parts = self._takers, self._keeping, self._parts
        memory, room, in_place, last_place = (
            self._memory,
            self._size,
            self._in_place,
            self._count - 1,
        )
        for number, size, flags in self._between(taken, made):
            self._taken = taken = taken + 1
            if taken <= self._indexed:
                self._handed_over(number, size, flags)
            read = b""
            if flags & _BUFFER:
                buffer = flags >> 16
                at = buffer * room
                read = memory[at : at + max(0, size)]
                place = self._given & last_place
                if in_place[place] != buffer:
                    self._lay(place, buffer)
                self._given += 1
                if not place & self._publish_after:
                    self._publish()
                if flags & _USUAL == _USUALLY and not parts:
                    kept = keeping.get(number)
                    if kept is not None and may_be_kept(read):
                        kept += read
                        continue
                    if size > HEAD_SIZE:
                        if number in takers:
                            takers[number].arrived(read)
                        continue
            if number in takers and self._unusual(takers[number], number, size, flags, read):
                again.append(number)
        words[self._head] = tail
        self._draining = False
        for number in again:
            self._publish()
            self._read_again(number)

    def _unusual(self, taker: Taker, number: int, size: int, flags: int, read: bytes) -> bool:
        """A read that is not whole, or the last; answers whether reading must be asked for again."""
        if size == -errno.ENOBUFS:
            return True
        if size > HEAD_SIZE:
            parts = self._parts.setdefault(number, [])
            parts.append(read)
            if not flags & _NOT_EMPTY:
                del self._parts[number]
                taker.arrived(join_reads(parts) if len(parts) > 1 else read)
            return not flags & _MORE
        if parts := self._parts.pop(number, []):
            taker.arrived(join_reads(parts))
        if size == HEAD_SIZE:
            taker.arrived(read)
        else:
            taker.broke(OSError(-size, os.strerror(-size)))
        return False

    def _read_again(self, number: int) -> None:
        taker = self._takers.get(number)
        if taker is not None:
            try:
                self._read(number, self._filenos[number])
            except OSError as error:
                taker.broke(error)

    def _made(self) -> int:
        """How many results the kernel has made so far; `_taken` of them are handed over."""
        waiting: int = self._words[self._tail] - self._taken & 0xFFFFFFFF
        return self._taken + waiting

    def _results_between(self, first: int, end: int) -> Any:
        start, stop = first & self._mask, end & self._mask
        results, size = self._results, _RESULT.size
        if start < stop:
            return results[start * size : stop * size]
        return bytes(results[start * size :]) + bytes(results[: stop * size])

    def _between(self, first: int, end: int) -> Iterator[tuple[int, int, int]]:
        if first >= end:
            return iter(())
        return _RESULT.iter_unpack(self._results_between(first, end))

    def _handed_over(self, number: int, size: int, flags: int) -> None:
        counts = self._index[number]
        counts[0] -= not flags & _NOT_EMPTY
        counts[1] -= max(0, size - HEAD_SIZE)
        if self._taken == self._indexed:
            self._index.clear()

    def _lay(self, place: int, buffer: int) -> None:
        """Buffers mostly come back in the order in which they lie in their ring, and stay there."""
        self._in_place[place] = buffer
        address = self._memory_at + buffer * self._size
        at = place * _BUFFER_ENTRY_SIZE
        _BUFFER_ENTRY.pack_into(self._ring, at, address, self._size, buffer)

    def _publish(self) -> None:
        _TAIL.pack_into(self._ring, _RING_TAIL_AT, self._given & 0xFFFF)

    def _read(self, number: int, fileno: int) -> None:
        self._submit(_RECVMSG, _BUFFER_SELECT, _MULTISHOT, fileno, self._message_at, 1, number)

    def _submit(
        self,
        code: int,
        flags: int,
        priority: int,
        fileno: int,
        address: int,
        length: int,
        mark: int,
    ) -> None:
        words, tail = self._words, self._words[self._submit_tail]
        at = (tail & self._submit_mask) * _ENTRY.size
        values = (code, flags, priority, fileno, 0, address, length, 0, mark, 0, 0, 0, 0, 0)
        _ENTRY.pack_into(self._entries, at, *values)
        words[self._submit_tail] = tail + 1 & 0xFFFFFFFF
        self._system(_ENTER, self._descriptor, 1, 0, 0, None, 0)

    def _share(self, parameters: bytearray) -> None:
        """Map what the kernel shares with us: both queues, and the entries of one."""
        submissions, results, _, _, _, features = _PARAMETERS.unpack_from(parameters)
        if not features & _SINGLE_MMAP or struct.calcsize("P") != 8:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        sq = _OFFSETS.unpack_from(parameters, _PARAMETERS.size)
        cq = _OFFSETS.unpack_from(parameters, _PARAMETERS.size + _OFFSETS.size)
        first, size = cq[_CQ_ENTRIES], _RESULT.size * results
        shared = self._map(max(sq[_SQ_ARRAY] + 4 * submissions, first + size), 0)
        self._entries = self._map(_ENTRY.size * submissions, _OFFSET_ENTRIES)
        self._words = memoryview(shared).cast("I")
        self._results = memoryview(shared)[first : first + size]
        for place in range(submissions):
            self._words[sq[_SQ_ARRAY] // 4 + place] = place
        self._submit_tail, self._submit_mask = sq[_SQ_TAIL] // 4, submissions - 1
        self._head, self._tail, self._mask = cq[_CQ_HEAD] // 4, cq[_CQ_TAIL] // 4, results - 1

    def _give_buffers(self) -> None:
        self._memory = _private(self._count * self._size)
        self._ring = _private(self._count * _BUFFER_ENTRY_SIZE)
        message = _MESSAGE.pack(0, 0, 0, 0, 0, 0, _STAMP_ROOM, 0)
        held = ctypes.create_string_buffer(message, _MESSAGE.size)
        _held_for_good.extend((self._memory, self._ring, held))
        self._message_at = ctypes.addressof(held)
        self._memory_at = _address(self._memory)
        self._in_place = [-1] * self._count
        for buffer in range(self._count):
            self._lay(buffer, buffer)
        self._given = self._count
        self._publish()
        wish = struct.pack("=QIHH24x", _address(self._ring), self._count, 0, 0)
        self._system(_REGISTER, self._descriptor, _REGISTER_PBUF_RING, wish, 1)

    def _map(self, size: int, offset: int) -> mmap.mmap:
        both = mmap.PROT_READ | mmap.PROT_WRITE
        shared = mmap.MAP_SHARED | _MAP_POPULATE
        return mmap.mmap(self._descriptor, size, shared, both, offset=offset)

    def _system(self, *arguments: Any) -> int:
        answer = int(self._call(*arguments))
        if answer < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return answer


class RingReads:
    """The reads of one socket by a ring; OSError where it takes no more."""

    __slots__ = ("_key", "_number", "_ring")

    def __init__(self, ring: Ring, raw: Any, taker: Taker) -> None:
        self._ring = ring
        self._number = ring.add(raw.fileno(), taker)
        self._key = self._number.to_bytes(8, sys.byteorder)

    def quiet(self) -> bool:
        """Whether the kernel has read nothing that the channel has not been told of."""
        return self._ring.quiet(self._key)

    def keep(self, kept: bytearray | None) -> None:
        """Add reads to `kept`, or hand them over again."""
        self._ring.keep(self._number, kept)

    def waiting(self) -> tuple[int, int]:
        """What the kernel has read and the channel has not been told of."""
        return self._ring.waiting(self._number)

    def close(self) -> None:
        """Read no more."""
        self._ring.remove(self._number)


def open_ring(connections: int) -> Ring | None:
    """A ring with room for about that many connections; None where this system has none for us."""
    if not sys.platform.startswith("linux") or os.environ.get(NO_RING_VARIABLE):
        return None
    try:
        return Ring(connections)
    except (OSError, AttributeError):
        return None


def _private(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
