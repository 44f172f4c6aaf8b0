"""A server's log since its start: its last lines, and those with the reason of its end.

Reads a file that another process writes; independent of the engine except for the pattern of such lines.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from observatory.connect.masking import cut_between_words

_TAIL_BYTES = 65_536
"""A traceback of a large engine through several processes has some 30 kB."""
_LONGEST = 600
"""Characters of a line that are shown; an engine prints its whole configuration on one."""


class ServerLog:
    """start: where in the file this server's own lines begin.

    reasons: selects the lines with a reason among the last ones, where the server marks them.
    """

    def __init__(
        self,
        path: Path,
        start: int,
        reasons: Callable[[list[str]], list[str]] | None = None,
    ) -> None:
        self.path = path
        self._start = start
        self._read_to = start
        self._reasons = reasons

    def last_words(self) -> str:
        """Return for a message the reason of its end if logged, else its last lines."""
        lines = self.reasons() or self.tail()
        if not lines:
            return f"its log {self.path} is empty"
        return f"its log {self.path} ends: " + " | ".join(
            cut_between_words(line, _LONGEST) for line in lines
        )

    def reasons(self) -> list[str]:
        """Return the lines with a reason, at most three."""
        return self._reasons(self.tail(400))[:3] if self._reasons is not None else []

    def tail(self, lines: int = 3) -> list[str]:
        """Return the last lines of it that are not empty, none from before it was started."""
        size = 0
        with suppress(OSError):
            size = self.path.stat().st_size
        text = self._read(max(self._start, size - _TAIL_BYTES)).decode("utf-8", "replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]

    def lines(self) -> list[str]:
        """Return every line of it since it was started."""
        return self._read(self._start).decode("utf-8", "replace").splitlines()

    def fresh(self) -> list[str]:
        """Return the whole lines that were added since the last call."""
        data = self._read(self._read_to, _TAIL_BYTES)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == _TAIL_BYTES:
            end = len(data)  # one endless line must not stop us for good
        self._read_to += end
        return data[:end].decode("utf-8", "replace").splitlines()

    def _read(self, start: int, most: int = -1) -> bytes:
        try:
            with self.path.open("rb") as log:
                log.seek(start)
                return log.read(most)
        except OSError:
            return b""
