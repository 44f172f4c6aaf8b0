"""The priority of processes that compete for a core."""

import os
from contextlib import suppress
from pathlib import Path


def set_niceness(pid: int, niceness: int, proc: Path = Path("/proc")) -> None:
    """Make a process more (negative, where this user may) or less urgent; nothing where that is refused.

    Linux may share cores out by session first (sched_autogroup), and then niceness counts within a
    session alone. So a process that leads its session takes the session along.
    """
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    with suppress(OSError, AttributeError):
        if os.getsid(pid) == pid:
            (proc / str(pid) / "autogroup").write_text(str(niceness), encoding="ascii")
