"""End engines whose runner and supervisor were both killed, found by their marker.

Only processes of an engine whose runner is gone are touched. A record in the models' folder lists
the processes of each engine that runs; where even that is lost, the marker in the environment identifies them.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from observatory.core.workspace import cache_folder
from observatory.processes import process_tree

GRACE_S, LIMIT_S = 3.0, 20.0
_SUPERVISORS = (
    b"observatory.processes.supervisor",
    b"observatory.processes.keeper",
    b"observatory.endpoints.keeper",
)
"""Modules that a supervisor runs; the last two are names of earlier versions, whose supervisor may still run."""


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """A supervisor's record of its engine. boot: of this start of the machine."""

    name: str
    boot: str
    runner: tuple[int, int]
    lineage: process_tree.Lineage


def records_folder() -> Path:
    """Return the folder of the supervisors' records, one file per running engine."""
    return cache_folder() / "running-engines"


def new_marker(identity: str) -> str:
    """Return the marker's value for an engine of this process: its identity and this process's."""
    pid, started, boot = this_process()
    return f"{identity}:{pid}:{started}:{boot}"


def record_path(marker: str) -> Path:
    """Return the record's file; its folder is made if possible (without one the marker identifies processes)."""
    folder = records_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{marker.partition(':')[0]}.json"


def this_process() -> tuple[int, int, str]:
    """Return this process's number, its start in ticks, and the machine's start."""
    own = process_tree.read_process(os.getpid())
    return os.getpid(), own.started if own is not None else 0, boot_id()


def boot_id() -> str:
    """Return an identifier of this start of the machine; "" where the kernel has none.

    The namespace of process ids follows a dot: a container's numbers mean other processes here.
    """
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return f"{text.strip().replace('-', '')[:12]}.{namespace}"


def read_record(path: Path) -> RunningEngine | None:
    """Return the record; None where it is missing or cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        pid, started, boot = found["runner"]
        engine = found["engine"]
        return RunningEngine(
            name=str(found["name"]),
            boot=str(boot),
            runner=(int(pid), int(started)),
            lineage=process_tree.Lineage(
                marker=str(found["marker"]),
                engine=(int(engine[0]), int(engine[1])),
                known=frozenset((int(pid), int(started)) for pid, started in found["known"]),
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def end_lost_engines() -> list[str]:
    """End what is left of engines whose runner is gone; a line for each of them.

    An engine whose supervisor lives is the supervisor's: it ends it now.
    """
    folder, here = records_folder(), boot_id()
    lines = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        record = read_record(path)
        if record is None or _start(record.boot) != _start(here):
            path.unlink(missing_ok=True)  # of another start of the machine: nothing of it is left
        elif record.boot != here:
            continue  # of a container that shares this folder: its numbers are not ours to signal
        elif not _lives(record.runner) and not _kept(record.lineage):
            lines += _end(record.name, _still_its(record.lineage))
            path.unlink(missing_ok=True)
    for marker in _lost_markers(here):
        lines += _end("an engine", process_tree.Lineage(marker))
    return lines


def _start(boot: str) -> str:
    return boot.partition(".")[0]


def _lost_markers(here: str) -> list[str]:
    """Return the markers in this machine's processes whose runner is gone and whose supervisor is too."""
    found: dict[str, bool] = {}
    for process in process_tree.read_processes().values():
        marker = process_tree.marker_of(process.pid)
        if marker is None or process.dead:
            continue
        _, _, whose = marker.partition(":")
        pid, _, rest = whose.partition(":")
        started, _, boot = rest.partition(":")
        ours = boot == here and pid.isdigit() and started.isdigit()
        if ours and not _lives((int(pid), int(started))):
            found[marker] = found.get(marker, False) or is_supervisor(process.pid)
    return [marker for marker, kept in found.items() if not kept]


def _end(name: str, lineage: process_tree.Lineage) -> list[str]:
    def find() -> list[process_tree.Process]:
        return process_tree.belonging(process_tree.read_processes(), lineage)

    found = find()
    if not found:
        return []
    left = process_tree.end_all(find, grace_s=GRACE_S, limit_s=LIMIT_S)
    message = f"{name}: its run was killed; ended what was left of it (process {_numbers(found)})"
    return [message + (f"; {_numbers(left)} would not end" if left else "")]


def _still_its(lineage: process_tree.Lineage) -> process_tree.Lineage:
    """Return it without its session where nothing that is known of the engine is left in it.

    Such a session's number may have been given again since: a record can be days old.
    """
    first = lineage.engine
    known = {*lineage.known, first}
    held = any(
        first is not None
        and process.session == first[0]
        and (process.name in known or process_tree.marker_of(process.pid) == lineage.marker)
        for process in process_tree.read_processes().values()
    )
    return lineage if held else process_tree.Lineage(lineage.marker, None, lineage.known)


def _numbers(processes: list[process_tree.Process]) -> str:
    return ", ".join(str(number) for number in sorted(process.pid for process in processes))


def _lives(name: tuple[int, int]) -> bool:
    process = process_tree.read_process(name[0])
    return process is not None and process.name == name and not process.dead


def _kept(lineage: process_tree.Lineage) -> bool:
    return any(
        is_supervisor(process.pid) and process_tree.marker_of(process.pid) == lineage.marker
        for process in process_tree.read_processes().values()
        if not process.dead
    )


def is_supervisor(pid: int) -> bool:
    """Return whether a process is a supervisor, by its command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(module in command for module in _SUPERVISORS)
