"""Linux's io_uring as far as it is used here: connections read by the kernel into buffers of ours.

Layouts and numbers are those of linux/io_uring.h. Results are only ever written in this thread's own turns
in the kernel, so that no memory barrier is needed to see them.
"""

import ctypes
import errno
import mmap
import os
import struct
from typing import Any

_SETUP, _ENTER, _REGISTER = 425, 426, 427
"""System call numbers: the same on every architecture."""
_CQSIZE, _CLAMP, _COOP_TASKRUN = 1 << 3, 1 << 4, 1 << 8
_SINGLE_MMAP = 1 << 0
_OFFSET_ENTRIES = 0x10000000
_MAP_POPULATE = 0x8000
_REGISTER_PBUF_RING = 22
_RECVMSG, _ASYNC_CANCEL = 10, 14
_MULTISHOT, _BUFFER_SELECT = 1 << 1, 1 << 5
BUFFER, MORE, NOT_EMPTY = 1 << 0, 1 << 1, 1 << 2
"""Flags of a result: it names a buffer, others follow by themselves, more was there than the buffer held."""

_OFFSETS = struct.Struct("=8I8x")
_PARAMETERS = struct.Struct("=6I16x")
_SQ_TAIL, _SQ_ARRAY, _CQ_HEAD, _CQ_TAIL, _CQ_ENTRIES = 1, 6, 0, 1, 5
"""Places in struct io_sqring_offsets and struct io_cqring_offsets."""
_ENTRY = struct.Struct("=BBHiQQIIQHHiQQ")
"""struct io_uring_sqe."""
RESULT = struct.Struct("=QiI")
"""struct io_uring_cqe: the number that was given, a size or an error, flags with the buffer's number."""
_BUFFER_ENTRY = struct.Struct("=QIH")
_BUFFER_ENTRY_SIZE = 16
_TAIL = struct.Struct("=H")
_RING_TAIL_AT = 14
_STAMP_ROOM = 32
_MESSAGE = struct.Struct("=QIIQQQQI4x")
"""struct msghdr: only msg_controllen counts here, the room for a stamp in each buffer."""

_ENTRIES = 64

_held_for_good: list[object] = []
"""Memory that a kernel may still be writing into, after its ring is gone."""


class IoUring:
    """A ring and `count` buffers (a power of two) of `size` bytes; OSError where the kernel refuses.

    A result is (number, size or error, flags and buffer); results are counted from 0 for ever. A buffer
    holds struct io_uring_recvmsg_out, a control message with the stamp, and the bytes read.
    """

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self._call: Any = ctypes.CDLL(None, use_errno=True).syscall
        parameters = bytearray(_PARAMETERS.size + 2 * _OFFSETS.size)
        flags = _CLAMP | _CQSIZE | _COOP_TASKRUN
        struct.pack_into("=3I", parameters, 0, 0, max(2 * count, _ENTRIES), flags)
        self.descriptor = self._system(
            _SETUP, _ENTRIES, (ctypes.c_char * len(parameters)).from_buffer(parameters)
        )
        try:
            self._share(parameters)
            self._give_buffers()
        except BaseException:
            self.close()
            raise

    def made(self, taken: int) -> int:
        """Return how many results there are so far, of which `taken` are released."""
        waiting: int = self._words[self._tail] - taken & 0xFFFFFFFF
        return taken + waiting

    def results(self, first: int, end: int) -> Any:
        """Return those results' bytes, RESULT each; first < end."""
        start, stop = first & self._mask, end & self._mask
        results, size = self._results, RESULT.size
        if start < stop:
            return results[start * size : stop * size]
        return bytes(results[start * size :]) + bytes(results[: stop * size])

    def release(self, end: int) -> None:
        """Release: the results before that one are not needed any more."""
        self._words[self._head] = end & 0xFFFFFFFF

    def lay(self, place: int, buffer: int) -> None:
        """Put a buffer where `given` points. Mostly it lies there: buffers come back in their order."""
        self.in_place[place] = buffer
        address = self._memory_at + buffer * self.size
        at = place * _BUFFER_ENTRY_SIZE
        _BUFFER_ENTRY.pack_into(self._ring, at, address, self.size, buffer)

    def publish(self) -> None:
        """Publish the given buffers to the kernel."""
        _TAIL.pack_into(self._ring, _RING_TAIL_AT, self.given & 0xFFFF)

    def read(self, number: int, fileno: int) -> None:
        """Submit all reads of that connection, each a result with this number; OSError if refused."""
        self._submit(_RECVMSG, _BUFFER_SELECT, _MULTISHOT, fileno, self._message_at, 1, number)

    def cancel(self, number: int) -> None:
        """End the reads with that number."""
        self._submit(_ASYNC_CANCEL, 0, 0, -1, number, 0, 0)

    def close(self) -> None:
        """End everything."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

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
        self._system(_ENTER, self.descriptor, 1, 0, 0, None, 0)

    def _share(self, parameters: bytearray) -> None:
        """Map what the kernel shares with us: both queues, and the entries of one."""
        submissions, results, _, _, _, features = _PARAMETERS.unpack_from(parameters)
        if not features & _SINGLE_MMAP or struct.calcsize("P") != 8:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        sq = _OFFSETS.unpack_from(parameters, _PARAMETERS.size)
        cq = _OFFSETS.unpack_from(parameters, _PARAMETERS.size + _OFFSETS.size)
        first, size = cq[_CQ_ENTRIES], RESULT.size * results
        shared = self._map(max(sq[_SQ_ARRAY] + 4 * submissions, first + size), 0)
        self._entries = self._map(_ENTRY.size * submissions, _OFFSET_ENTRIES)
        self._words = memoryview(shared).cast("I")
        self._results = memoryview(shared)[first : first + size]
        for place in range(submissions):
            self._words[sq[_SQ_ARRAY] // 4 + place] = place
        self._submit_tail, self._submit_mask = sq[_SQ_TAIL] // 4, submissions - 1
        self._head, self._tail, self._mask = cq[_CQ_HEAD] // 4, cq[_CQ_TAIL] // 4, results - 1

    def _give_buffers(self) -> None:
        self.memory = _private(self.count * self.size)
        self._ring = _private(self.count * _BUFFER_ENTRY_SIZE)
        message = _MESSAGE.pack(0, 0, 0, 0, 0, 0, _STAMP_ROOM, 0)
        held = ctypes.create_string_buffer(message, _MESSAGE.size)
        _held_for_good.extend((self.memory, self._ring, held))
        self._message_at = ctypes.addressof(held)
        self._memory_at = _address(self.memory)
        self.in_place = [-1] * self.count
        for buffer in range(self.count):
            self.lay(buffer, buffer)
        self.given = self.count
        self.publish()
        wish = struct.pack("=QIHH24x", _address(self._ring), self.count, 0, 0)
        self._system(_REGISTER, self.descriptor, _REGISTER_PBUF_RING, wish, 1)

    def _map(self, size: int, offset: int) -> mmap.mmap:
        both = mmap.PROT_READ | mmap.PROT_WRITE
        shared = mmap.MAP_SHARED | _MAP_POPULATE
        return mmap.mmap(self.descriptor, size, shared, both, offset=offset)

    def _system(self, *arguments: Any) -> int:
        answer = int(self._call(*arguments))
        if answer < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return answer


def _private(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
