"""What this machine allows a load generator: cores, descriptors, ports. It reads, and raises one limit.

What a run needs of them is the runner's question.
"""

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class HostLimits:
    """cores: usable by this process. open_files, open_files_hard: RLIMIT_NOFILE, soft and hard.

    ports: how many connections to one address and port can be open at once, None where the kernel
    does not state it; port_range names them.
    """

    cores: int
    open_files: int
    open_files_hard: int
    ports: int | None = None
    port_range: str | None = None


def read_host_limits(proc: Path = PROC) -> HostLimits:
    """Read the limits in force; `proc` is where the kernel's files are."""
    soft, hard = (
        sys.maxsize if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    count, words = _ports(proc)
    return HostLimits(usable_cores(), soft, hard, count, words)


def usable_cores() -> int:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def raise_open_files(needed: int) -> bool:
    """Raise the soft limit to `needed`, for this process and its later children; False: it cannot be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return True
    if hard != resource.RLIM_INFINITY and hard < needed:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError):
        return False
    return True


def _ports(proc: Path) -> tuple[int | None, str | None]:
    """Return the ephemeral ports less those reserved (ip-sysctl: ip_local_reserved_ports), and their range."""
    folder = proc / "sys" / "net" / "ipv4"
    try:
        low, high = map(int, (folder / "ip_local_port_range").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None, None
    try:
        reserved = (folder / "ip_local_reserved_ports").read_text(encoding="ascii").strip()
        taken = sum(_overlap(part, low, high) for part in reserved.split(",") if part)
    except (OSError, ValueError):
        taken = 0
    return high - low + 1 - taken, f"{low} to {high}"


def _overlap(part: str, low: int, high: int) -> int:
    """Return how many ports of "a" or "a-b" lie in low to high."""
    first, _, last = part.partition("-")
    return max(0, min(high, int(last or first)) - max(low, int(first)) + 1)
