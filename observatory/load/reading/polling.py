"""Reads a connection when the loop reports that it can be read: by recvmsg, with the kernel's stamp."""

from typing import Any

import gevent

from observatory.load.reading.kept_reads import KeptReads, make_head
from observatory.load.reading.kernel_stamps import ANCILLARY_SIZE, READ_SIZE
from observatory.load.reading.reads import Taker

_READABLE = 1
"""libev's EV_READ."""
_PEEK = 0x2
"""MSG_PEEK (bits/socket.h)."""
SMALL_READ = 479
"""Bytes in the middle of a stream: an event or two, in one of CPython's small objects (512 bytes with
its head), whose memory is used again and again."""


class PolledReads:
    """The reads of one socket."""

    __slots__ = ("_kept", "_raw", "_read", "_taker", "_watcher")

    def __init__(self, raw: Any, taker: Taker) -> None:
        self._raw = raw
        self._read = raw.recvmsg
        self._taker = taker
        self._kept: KeptReads | None = None
        self._watcher: Any = gevent.get_hub().loop.io(raw.fileno(), _READABLE)
        self._watcher.start(self._readable)

    def quiet(self) -> bool:
        """Return whether there is nothing to read."""
        try:
            self._raw.recv(1, _PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def keep(self, kept: KeptReads | None) -> None:
        """Add reads to `kept`, or hand them over again; they are small meanwhile."""
        self._kept = kept

    def waiting(self) -> tuple[int, int]:
        """Return nothing: each read is handed over at once."""
        return 0, 0

    def close(self) -> None:
        """Read no more."""
        self._watcher.close()

    def _readable(self) -> None:
        kept = self._kept
        small = kept is not None
        try:
            data, ancillary, _, _ = self._read(SMALL_READ if small else READ_SIZE, ANCILLARY_SIZE)
            if small and len(data) == SMALL_READ:
                more, ancillary = self._rest(ancillary)
                data += more
        except BlockingIOError:
            return
        except OSError as error:
            self._watcher.stop()
            self._taker.broke(error)
            return
        if not data:
            self._watcher.stop()
        read = make_head(len(data), ancillary[0][2] if ancillary else b"") + data
        if kept is not None and kept.may_be(read):
            kept += read
        else:
            self._taker.arrived(read)

    def _rest(self, ancillary: Any) -> tuple[bytes, Any]:
        """Return what else waits, and the stamp of all: the last segment's, as one larger read would have it."""
        try:
            data, later, _, _ = self._read(READ_SIZE, ANCILLARY_SIZE)
        except BlockingIOError:
            return b"", ancillary
        return data, later or ancillary
