"""Who takes a connection's reads, and who makes them: the two sides, so that either may be another."""

from typing import Protocol

from observatory.load.reading.kept_reads import KeptReads


class Taker(Protocol):
    """Gets a connection's reads in the loop's own callbacks, one after another; must not raise."""

    def arrived(self, read: bytes) -> None:
        """Called with one read with its head (load.reading.kept_reads); without bytes at the peer's end."""

    def broke(self, error: OSError) -> None:
        """Called when the connection failed; nothing more comes."""


class ConnectionReads(Protocol):
    """One connection being read."""

    def quiet(self) -> bool:
        """Return whether nothing has come that is not handed over, the peer's end included."""

    def keep(self, kept: KeptReads | None) -> None:
        """Add what comes to `kept` instead of handing it over, while it may be: it is the middle of a
        stream. None: hand everything over again."""

    def waiting(self) -> tuple[int, int]:
        """Return how many reads, and how many bytes, are made and not yet handed over."""

    def close(self) -> None:
        """Make no more; before the socket is closed."""
