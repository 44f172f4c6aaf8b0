"""When bytes reached this machine, by the kernel's own word, and whether they had to wait there.

Linux stamps every segment (CLOCK_REALTIME). It merges segments that wait unread and keeps the last
one's stamp alone, so a read that held several segments is known by TCP's own counters.
"""

import socket
import struct
import sys
from collections.abc import Callable

LINUX = sys.platform.startswith("linux")
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h, SO_TIMESTAMPNS_OLD: a 64-bit timespec on 64-bit machines."""
READ_SIZE = 65_536
ANCILLARY_SIZE = 64
_TCP_INFO_SIZE = 160
_TCP_INFO = struct.Struct("=20xI104xQ16xI")
"""tcpi_rcv_mss, tcpi_bytes_received, tcpi_data_segs_in of struct tcp_info (linux/tcp.h)."""
SMALLEST_SEGMENT = 1_200
"""A full segment carries at least this much on paths of today (IPv6's 1,280 less headers)."""
PRIMING_S = 0.05
"""Stamping is switched on asynchronously; measured, it is on by then."""


def enable(raw: socket.socket) -> bool:
    """Enable stamps on this socket; False where the platform has none."""
    if not LINUX:
        return False
    try:
        raw.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def prime() -> socket.socket:
    """Return a socket whose being open keeps stamping switched on; hold it PRIMING_S before the first read."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    enable(holder)
    return holder


class SegmentCount:
    """Finds one connection's reads which held several segments that had waited to be read.

    TCP's counters are read at a response's end (`beyond`): they must account for its reads. Where the
    server's way of writing never lets them (a chunk in parts, for example), `exact` is set and they are read
    for every read (`waited`). A burst that was sent at once and needed several full segments is
    not a wait.
    """

    __slots__ = ("_bytes_before", "_raw", "_reads", "_segments", "exact")

    def __init__(self, raw: socket.socket, *, fresh: bool) -> None:
        """Start to count. fresh: nothing has come on the connection so far."""
        self._raw = raw
        self._reads = 0
        self._segments = self._bytes_before = 0
        self.exact = not LINUX
        if not fresh and (counters := self._counters()):
            _, self._bytes_before, self._segments = counters

    def waited(
        self,
        reads: int,
        received: int,
        size: int,
        pieces: int,
        later: Callable[[], tuple[int, int]],
    ) -> bool:
        """Return whether the connection's latest read (its `reads`-th; `received` bytes with it), of `size`
        bytes and `pieces` events, was of segments that had waited. later: reads and bytes that are
        made already and come after it. Where it cannot be known, doubt is stated."""
        counters = self._counters()
        if counters is None:
            return True
        largest, arrived, segments = counters
        segments -= self._unread(arrived, received, later)
        here = segments - self._segments - (reads - 1 - self._reads)
        self._segments, self._reads = segments, reads
        needed = -(-size // max(largest, SMALLEST_SEGMENT))
        if here > pieces + needed:
            self.exact = True  # reads before it had several, too
        return bool(here > needed)

    def beyond(
        self, reads: int, received: int, large: list[int], later: Callable[[], tuple[int, int]]
    ) -> int:
        """Return how many more segments came since the last call than the reads since then need.

        large are the sizes of those reads that may have needed several; the rest as in `waited`.
        """
        counters = self._counters()
        if counters is None:
            return 1
        largest, arrived, segments = counters
        segments -= self._unread(arrived, received, later)
        beyond = segments - self._segments - (reads - self._reads)
        if beyond > 0:
            beyond -= sum((size - 1) // max(largest, SMALLEST_SEGMENT) for size in large)
        self._segments, self._reads = segments, reads
        return beyond

    def _unread(self, arrived: int, received: int, later: Callable[[], tuple[int, int]]) -> int:
        """Return the segments that came after the latest read."""
        if arrived <= received:
            return 0
        made, more = later()
        # What has not been read yet is at least one.
        return made + (arrived > received + more)

    def _counters(self) -> tuple[int, int, int] | None:
        """Return the largest segment, bytes and segments received; None where the system has no counters."""
        if not LINUX:
            return None
        try:
            info = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
            largest, received, segments = _TCP_INFO.unpack_from(info)
        except (OSError, struct.error):
            return None
        return largest, received - self._bytes_before, segments
