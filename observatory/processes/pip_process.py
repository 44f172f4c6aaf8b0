"""Run uv, pip or a converter as a child process, and read why it failed.

No address is written here: the configuration of pip and uv names where packages come from.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TICK_S = 5.0
"""How often a caller gets a progress report of the child."""

_CREDENTIALS = re.compile(r"://\S*@")
_CAUSE = re.compile(
    r"Cannot connect to proxy|certificate verify failed|Read timed out|[Cc]onnect timeout"
    r"|\[Errno -?\d+\][^'\")]*"
)
_LONGEST = 300


class Failed(Exception):
    """The child ended with something else than 0; text is what it printed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def why(self) -> str:
        """Return its last error with what follows, and the cause that retries name."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        errors = [number for number, line in enumerate(lines) if line.lower().startswith("error")]
        last = " ".join(lines[errors[-1] if errors else -1 :]) or "nothing"
        cause = self.unreachable
        return (f"{last} ({cause})" if cause else last)[:_LONGEST]

    @property
    def unreachable(self) -> str | None:
        """Return why an address could not be reached, from the messages about retries; None without one."""
        causes = _CAUSE.findall(self.text)
        return causes[-1] if causes else None

    @property
    def disk_full(self) -> bool:
        """Return whether the disk was full."""
        return "No space left on device" in self.text

    @property
    def unsatisfiable(self) -> bool:
        """Return whether uv reached its index and found no versions that fit together."""
        return "No solution found" in self.text and "network was disabled" not in self.text


def run(
    command: Sequence[str],
    log: Path,
    *,
    tick: Callable[[], None] | None = None,
    variables: Mapping[str, str] | None = None,
    held: Sequence[int] = (),
) -> str:
    """Return the command's output, which is also added to `log`; raise Failed where its exit code is not 0.

    Credentials in addresses are left out: uv repeats an address that it cannot read as it was given.
    held: descriptors of locks that stay locked for as long as the child lives, even without us. It
    has a process group of its own, which is killed where this is left early (Ctrl-C).
    """
    with log.open("ab") as output:
        start = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | (variables or {}),
            pass_fds=held,
            start_new_session=True,
        )
        try:
            _wait(process, tick)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    text = _without_credentials(log, start)
    if process.returncode:
        raise Failed(text)
    return text


def _without_credentials(log: Path, start: int) -> str:
    """Return what the log has from `start` on, after removing the credentials of addresses from the file."""
    with log.open("r+b") as written:
        written.seek(start)
        text = written.read().decode("utf-8", "replace")
        hidden = _CREDENTIALS.sub("://", text)
        if hidden != text:
            written.seek(start)
            written.write(hidden.encode())
            written.truncate()
    return hidden


def _wait(process: subprocess.Popen[bytes], tick: Callable[[], None] | None) -> None:
    """Look often: short commands are waited for as well."""
    last = time.monotonic()
    while True:
        try:
            process.wait(TICK_S)
            return
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if tick is not None and now - last >= TICK_S:
                tick()
                last = now
