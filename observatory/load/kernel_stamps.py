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
_ANCILLARY_SIZE = 64
_TIMESPEC = struct.Struct("qq")
_TCP_INFO_SIZE = 160
_TCP_INFO = struct.Struct("=20xI104xQ16xI")
"""tcpi_rcv_mss, tcpi_bytes_received, tcpi_data_segs_in of struct tcp_info (linux/tcp.h)."""
_SMALLEST_SEGMENT = 1_200
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


def read_stamped(raw: socket.socket) -> tuple[bytes, int]:
    """Bytes and the Unix nanoseconds of their (last) segment, 0 where the kernel gave no stamp."""
    data, ancillary, _, _ = raw.recvmsg(READ_SIZE, _ANCILLARY_SIZE)
    for _, _, value in ancillary:
        if len(value) == 16:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return data, int(seconds * 1_000_000_000 + nanoseconds)
    return data, 0


class SegmentCount:
    """Tells of one connection's reads which held several segments that had waited to be read.

    TCP's counters are asked for a read that could hold two events, and from then on for every read
    of the same answer; reads before it count as one segment each. A burst that was sent at once and
    needed several full segments is not a wait.
    """

    __slots__ = ("_exact", "_raw", "_received", "_seen", "_since")

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._received = 0
        self._seen = 0
        self._since = 0
        self._exact = False

    def new_answer(self) -> None:
        """The next read belongs to another answer."""
        self._exact = False

    def waited(self, size: int, could_hold_two: bool) -> bool:
        """Whether this read of `size` bytes was of segments that had waited; to be told of every read."""
        self._received += size
        if not (could_hold_two or self._exact):
            self._since += 1
            return False
        if not LINUX:
            return could_hold_two  # unknown, and doubt is stated
        try:
            info = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
            largest, received, segments = _TCP_INFO.unpack_from(info)
        except (OSError, struct.error):
            return could_hold_two
        here = segments - self._seen - self._since
        if received > self._received:
            segments -= 1  # at least one came after the read
            here -= 1
        self._seen, self._since, self._exact = segments, 0, True
        return bool(here > -(-size // max(largest, _SMALLEST_SEGMENT)))
