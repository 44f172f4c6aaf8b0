"""CPU time of the run's own processes, each counted once: runner, load generator, engines, sampler, children.

What the host's processors did beyond it is other work (`analysis.checks.foreign_cpu`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import psutil

from observatory.core.sample import Sample
from observatory.telemetry.instructions import SERVER_ROLE, SERVER_UNKNOWN
from observatory.telemetry.sensors.process import thread_waits, tree
from observatory.telemetry.sensors.sensor import down, up

UNKNOWN_SERVER = "the process of a target on this host is not known, so its work cannot be separated from other work"


@dataclass(slots=True)
class _Root:
    """A tree of processes. before_s: what it had used when it was first seen, where that is not ours."""

    before_s: float
    spent_s: float = 0.0


class OwnCpuSensor:
    """cpu_s: core-seconds since the sensor's start, of `runner` and `roles` with all below them.

    Of a server that others started (device server:NAME) also its own cpu_s and cpu_wait_s, as of a role.
    A process's time includes that of its children that have ended (cutime, proc(5)), so that short-lived
    ones count. It never falls: a child that ends between two reads of /proc is in neither for one reading.
    """

    name = "own"

    def __init__(self, runner: int, roles: Callable[[], Mapping[str, int]]) -> None:
        self._runner = runner
        self._roles = roles
        self._roots: dict[psutil.Process, _Root] = {}
        self._waited: dict[str, dict[tuple[int, str], float]] = {}

    def read(self, now: int) -> list[Sample]:
        """Return one sample; null with a reason where a target's process is not known."""
        roles = self._roles()
        if any(pid == SERVER_UNKNOWN for pid in roles.values()):
            return [
                up(self.name, now),
                Sample(now, self.name, "shared_host", "", "cpu_s", None, UNKNOWN_SERVER),
            ]
        counted: set[int] = set()
        for pid in (self._runner, *roles.values()):
            if pid not in counted:
                self._count(pid, counted)
        if not self._roots:
            return [down(self.name, now, f"process {self._runner} has ended")]
        total = sum(root.spent_s for root in self._roots.values())
        return [
            up(self.name, now),
            Sample(now, self.name, "shared_host", "", "cpu_s", total),
            *self._servers(now, roles),
        ]

    def _servers(self, now: int, roles: Mapping[str, int]) -> list[Sample]:
        by_target: dict[str, list[int]] = {}
        for role, pid in roles.items():
            if role.startswith(SERVER_ROLE):
                by_target.setdefault(role.rpartition(":")[0], []).append(pid)
        samples = []
        for device, pids in sorted(by_target.items()):
            waited = self._waited.setdefault(device, {})
            members = {member for pid in pids for member in tree(pid)}
            for member in members:
                waited.update(
                    ((member, thread), seconds) for thread, seconds in thread_waits(member)
                )
            spent = sum(
                root.spent_s for process, root in self._roots.items() if process.pid in pids
            )
            samples += [
                Sample(now, self.name, "shared_host", device, metric, value)
                for metric, value in (("cpu_s", spent), ("cpu_wait_s", sum(waited.values())))
                if metric == "cpu_s" or waited
            ]
        return samples

    def _count(self, pid: int, counted: set[int]) -> None:
        """Add a tree's time since it was first seen; processes of another root's tree are left out."""
        try:
            process = psutil.Process(pid)
        except psutil.Error:
            return
        members = [member for member in tree(pid) if member not in counted]
        counted.update(members)
        spent = sum(_seconds(members))
        root = self._roots.setdefault(process, _Root(before_s=spent))
        root.spent_s = max(root.spent_s, spent - root.before_s)


def _seconds(members: Iterable[int]) -> Iterator[float]:
    for member in members:
        try:
            times = psutil.Process(member).cpu_times()
        except psutil.Error:
            continue
        yield times.user + times.system + times.children_user + times.children_system
