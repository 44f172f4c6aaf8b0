"""When bytes reached this machine, by the kernel's own word, and whether they had to wait there.

Linux stamps every segment (CLOCK_REALTIME). It merges segments that wait unread and keeps the last
one's stamp alone, so a read that held several segments is known by TCP's own counters.
"""

import socket
import struct
import sys

LINUX = sys.platform.startswith("linux")
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h, SO_TIMESTAMPNS_OLD: a 64-bit timespec on 64-bit machines."""
READ_SIZE = 65_536
ANCILLARY_SIZE = 64
_TIMESPEC = struct.Struct("qq")
NO_STAMP = bytes(16)
"""What stands in place of a stamp where the kernel took none."""
_TCP_INFO_SIZE = 160
_TCP_INFO = struct.Struct("=20xI104xQ16xI")
"""tcpi_rcv_mss, tcpi_bytes_received, tcpi_data_segs_in of struct tcp_info (linux/tcp.h)."""
SMALLEST_SEGMENT = 1_200
"""A full segment carries at least this much on paths of today (IPv6's 1,280 less headers)."""
PRIMING_S = 0.05
"""Stamping is switched on asynchronously; measured, it is on by then."""


def enable(raw: socket.socket) -> bool:
    """Ask for stamps on this socket; False where the platform has none."""
    if not LINUX:
        return False
    try:
        raw.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def prime() -> socket.socket:
    """A socket whose being open keeps stamping switched on; hold it PRIMING_S before the first read."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    enable(holder)
    return holder


def unix_ns(timespec: bytes) -> int:
    """Unix nanoseconds of a kernel stamp; 0 where it is none."""
    if len(timespec) != _TIMESPEC.size:
        return 0
    seconds, nanoseconds = _TIMESPEC.unpack(timespec)
    return int(seconds * 1_000_000_000 + nanoseconds)


class SegmentCount:
    """Tells of one connection's reads which held several segments that had waited to be read.

    TCP's counters are asked for a read that could hold two events; reads between count as one
    segment each. That assumption is checked when they are asked, and at an answer's end; where the
    server does not keep to it (it writes a chunk in parts, say), every read is asked about from then
    on. A burst that was
    sent at once and needed several full segments is not a wait.
    """

    __slots__ = ("_raw", "_reads", "_segments", "exact")

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._reads = 0
        self._segments = 0
        self.exact = not LINUX

    def waited(self, reads: int, received: int, size: int, pieces: int) -> bool:
        """Whether the connection's latest read (its `reads`-th; `received` bytes with it), of `size`
        bytes and `pieces` events, was of segments that had waited. Where that cannot be known, doubt
        is stated."""
        told = self._ask()
        if told is None:
            return True
        largest, arrived, segments = told
        segments -= arrived > received  # at least one came after the read
        here = segments - self._segments - (reads - 1 - self._reads)
        self._segments, self._reads = segments, reads
        needed = -(-size // max(largest, SMALLEST_SEGMENT))
        if here > pieces + needed:
            self.exact = True  # reads before it had several, too
        return bool(here > needed)

    def answer_ended(self, reads: int, full_segments: int) -> None:
        """All of an answer is read. full_segments: how many more segments than reads its bytes need."""
        told = None if self.exact else self._ask()
        if told is not None:
            segments = told[2]
            if segments - self._segments > reads - self._reads + full_segments:
                self.exact = True
            self._segments, self._reads = segments, reads

    def _ask(self) -> tuple[int, int, int] | None:
        """The largest segment, bytes and segments received; None where the system does not tell."""
        if not LINUX:
            return None
        try:
            info = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
            largest, received, segments = _TCP_INFO.unpack_from(info)
        except (OSError, struct.error):
            return None
        return largest, received, segments
