"""The most that is taken of what a server sends, and the longest that is waited for it outside the load.

Beyond a bound the exchange ends with error kind `too_large`, and its connection is closed. The sizes are far
above what real services send (the largest events seen are pictures of some MiB); they are there so that no
server can take this machine's memory.
"""

HEAD = 64 << 10
"""Bytes of a response's head."""
ERROR_BODY = 64 << 10
"""Bytes of the body of a response whose status is not 2xx; its words are in the first of them."""
EVENT = 16 << 20
"""Bytes of one event of a stream."""
ANSWER = 256 << 20
"""Bytes of a whole answer, and of all answers that one process is receiving at a time."""
LISTING = 16 << 20
"""Bytes of a list of models."""
KEPT_OF_TOO_LARGE = 1 << 20
"""Bytes that are still decoded of an answer that passed a bound."""

PAGE_S = 5.0
"""Seconds for a whole page: metrics, a version, a health check."""
LIST_S = 30.0
"""Seconds for a whole list of models."""


def mib(size: int) -> str:
    """Return a bound as text."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
