"""Our own processes by role: the load generator, the engines, the sampler itself.

A role is a process with everything below it. Its CPU time counts on over children that end and
over a new process that takes the role, so that a difference over any window is the role's work.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from observatory.core.sample import Sample, Subject
from observatory.telemetry.sensors.sensor import down, up

_NO_WAITS = "the kernel does not keep how long threads wait (CONFIG_SCHED_INFO)"
_FIRST = "first reading: nothing to compare with"


@dataclass(slots=True)
class _Role:
    spent_s: dict[psutil.Process, float] = field(default_factory=dict)
    """CPU seconds of every process that was ever of this role (equal: same pid and start)."""
    waited_s: dict[tuple[psutil.Process, str], float] = field(default_factory=dict)
    """Of every thread that was ever of this role: how long it was ready to run and had no core."""
    last: tuple[int, float] | None = None


def subject_of(role: str) -> Subject:
    """Return whose work a role is: engines are the target, all else is the measuring side."""
    return "target" if role.startswith("engine:") else "client"


RECENT_S = 0.2
"""Several sensors walk the same processes in one reading; an engine may have hundreds of threads."""
_recent: dict[int, tuple[float, list[int]]] = {}


def tree(pid: int) -> list[int]:
    """Return a process and everything below it, itself first; empty where it is gone.

    Reads /proc/PID/task/*/children (CONFIG_PROC_CHILDREN), which costs by the size of the tree and
    not of the machine, at most every RECENT_S; on a kernel without it psutil is used.
    """
    now = time.monotonic()
    for known in [known for known, (at, _) in _recent.items() if now - at > RECENT_S]:
        del _recent[known]
    found: list[int] = []
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        if not (exists := Path(f"/proc/{current}").is_dir()) or current not in _recent:
            children = _children(current) if exists else None
            if children is None:
                continue
            if not children and not _lists_children():
                return _tree_by_parents(pid)
            _recent[current] = now, children
        found.append(current)
        waiting.extend(_recent[current][1])
    return found


def _children(pid: int) -> list[int] | None:
    """Return the children of all of a process's threads; None where it is gone."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return None
    for task in tasks:
        try:
            found.extend(int(child) for child in (task / "children").read_text().split())
        except OSError:
            continue
    return found


@functools.cache
def _lists_children() -> bool:
    pid = psutil.Process().pid
    return Path(f"/proc/{pid}/task/{pid}/children").exists()


def _tree_by_parents(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return []


class ProcessSensor:
    """cpu_s and cpu_wait_s (cumulative), cpu_cores (busy on average since the last reading), rss_bytes, threads.

    cpu_wait_s: how long its threads were ready to run and had no core (schedstat); null where the kernel
    does not keep it.
    `roles` gives the processes to watch now, by role. rss_bytes is a plain sum over the role's
    processes: pages that they share count once for each.
    """

    name = "process"

    def __init__(self, roles: Callable[[], Mapping[str, int]]) -> None:
        self._roles = roles
        self._states: dict[str, _Role] = {}

    def read(self, now: int) -> list[Sample]:
        """Return the samples of every watched role; `up` = 0 for one whose process has ended."""
        samples: list[Sample] = []
        for role, pid in sorted(self._roles().items()):
            samples += self._read_role(now, role, pid)
        return samples

    def _read_role(self, now: int, role: str, pid: int) -> list[Sample]:
        subject = subject_of(role)
        state = self._states.setdefault(role, _Role())
        alive = memory = threads = 0
        for member in tree(pid):
            try:
                process = psutil.Process(member)
                with process.oneshot():
                    if process.status() == psutil.STATUS_ZOMBIE:
                        continue
                    times = process.cpu_times()
                    memory += process.memory_info().rss
                    threads += process.num_threads()
                state.spent_s[process] = times.user + times.system
                for thread, waited in thread_waits(member):
                    state.waited_s[process, thread] = waited
                alive += 1
            except psutil.Error:
                continue
        if not alive:
            state.last = None
            reason = f"process {pid} has ended"
            return [down(self.name, now, reason, subject=subject, device=role)]
        total = sum(state.spent_s.values())
        ready_s = sum(state.waited_s.values()) if state.waited_s else None
        before, state.last = state.last, (now, total)
        cores = None
        if before is not None and now > before[0]:
            cores = (total - before[1]) * 1e9 / (now - before[0])

        def sample(metric: str, value: float | None, reason: str | None = None) -> Sample:
            return Sample(now, self.name, subject, role, metric, value, reason)

        return [
            up(self.name, now, subject=subject, device=role),
            sample("cpu_s", total),
            sample("cpu_wait_s", ready_s, None if ready_s is not None else _NO_WAITS),
            sample("cpu_cores", cores, None if cores is not None else _FIRST),
            sample("rss_bytes", float(memory)),
            sample("threads", float(threads)),
        ]


def thread_waits(pid: int) -> Iterator[tuple[str, float]]:
    """Yield thread -> seconds that it was ready to run and had no core: schedstat's second field, ns."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for thread in threads:
        try:
            _, waited, *_ = (thread / "schedstat").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue
        yield thread.name, int(waited) / 1e9
