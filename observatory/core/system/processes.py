"""Keep a child process from outliving its parent."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def leave_no_core_dumps() -> None:
    """Let no crash of this process and its children write their memory to a disk: keys and prompts are in it.

    A system that pipes dumps to a collector of its own may still take them.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def die_with_parent(parent: int | None = None) -> None:
    """Make the kernel kill this process when its parent ends, however it ends (Linux only).

    `parent` is the parent's process id as passed to the child; where that parent is already gone
    this process ends at once, because the kernel only signals later deaths.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
