"""Run pip for engines and parse its output: find a wheel, resolve, install by hash.

Folders' names and records are `install.py`'s.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.engines.making import MIB, Say, size_bytes
from observatory.engines.resolving import Wheel, read_report
from observatory.processes.pip_process import PIP, Failed, run

TORCH_INDEX_VARIABLE = "OBSERVATORY_TORCH_INDEX"
_VERSIONS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Pip:
    """pip for one environment: its log, its lock, and the callback for progress messages."""

    scratch: Path
    log: Path
    locks: tuple[int, ...]
    say: Say
    uv: str | None = None

    def find(self, requirement: str, *options: str) -> Wheel:
        """The newest wheel for this Python that satisfies it; Failed where there is none."""
        report = self.scratch / "found.json"
        command = [*PIP, "install", "--dry-run", "--ignore-installed", "--no-deps"]
        command += ["--only-binary=:all:", *options, "--report", str(report), requirement]
        run(command, self.log, held=self.locks)
        return read_report(report)[0]

    def resolve(self, lines: Sequence[str], python: Path, *options: str) -> tuple[Wheel, ...]:
        """Return the wheels that these requirements need in addition to those installed already."""
        wanted, report = self.scratch / "wanted.txt", self.scratch / "resolved.json"
        wanted.write_text("\n".join(lines) + "\n")
        command = [*PIP, "--python", str(python), "install", "--dry-run", "--only-binary=:all:"]
        command += [*options, "--report", str(report), "--requirement", str(wanted)]
        run(command, self.log, held=self.locks)
        return read_report(report)

    def install(self, pins: Path, python: Path) -> tuple[Wheel, ...]:
        """Install a file of pins with hashes and nothing that it does not name."""
        report = self.scratch / "installed.json"
        checked = ["--no-deps", "--require-hashes", "--requirement", str(pins)]
        pip = [*PIP, "--python", str(python), "install", "--only-binary=:all:"]
        pip += ["--report", str(report), *checked]
        if self.uv is None:
            self._run_with_progress(pip, python.parent.parent)
        else:
            # uv writes no report: pip resolves the files, and uv installs exactly those.
            run([*pip, "--dry-run"], self.log, held=self.locks)
            exact = self.scratch / "exact.txt"
            exact.write_text("\n".join(wheel.pin() for wheel in read_report(report)) + "\n")
            command = [self.uv, "pip", "install", "--python", str(python), "--no-deps"]
            command += ["--require-hashes", "--requirement", str(exact)]
            self._run_with_progress(command, python.parent.parent)
        return read_report(report)

    def into(self, folder: Path, wheel: Wheel, *options: str) -> None:
        """Unpack one wheel into a folder, without what it needs."""
        pins = self.scratch / "one.txt"
        pins.write_text(wheel.pin() + "\n")
        command = [*PIP, "install", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command += [*options, "--target", str(folder), "--requirement", str(pins)]
        self._run_with_progress(command, folder)

    def _run_with_progress(self, command: Sequence[str], folder: Path) -> None:
        seen = [0]

        def tick() -> None:
            size = size_bytes(folder) // MIB
            if size > seen[0]:
                self.say(f"{folder.name}: {size} MiB so far")
            seen[0] = size

        self.say(f"{folder.name}: downloading and unpacking")
        run(command, self.log, tick=tick, held=self.locks)


def installer_words(uv: str | None) -> str:
    """What installs, for the record, e.g. "pip 26.1", "uv 0.9.5"."""
    if uv is not None:
        done = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
        return " ".join(done.stdout.split()[:2]) or "uv"
    try:
        return f"pip {metadata.version('pip')}"
    except metadata.PackageNotFoundError:
        return "pip"


def uv_on_path() -> str:
    """The path of uv; EnvironmentFailed where there is none."""
    found = shutil.which("uv")
    if found is None:
        raise EnvironmentFailed(
            "uv is not on the path", fix="install uv, or leave --uv out: pip does the same"
        )
    return found


def torch_options(index: str | None) -> tuple[str, ...]:
    """pip's options for a place that has torch's CPU wheel: a folder of wheels or an index's address."""
    place = index or os.environ.get(TORCH_INDEX_VARIABLE)
    if not place:
        return ()
    if Path(place).is_dir():
        return ("--find-links", str(Path(place).resolve()))
    return ("--extra-index-url", place)


def no_such_version(failed: Failed, asked: str, distribution: str, what: str) -> BadInput | None:
    """Return the error for a version that pip does not find among others; None for another cause."""
    versions = failed.versions
    if not versions:
        return None
    newest = list(reversed(versions))
    shown = ", ".join(newest[:_VERSIONS_SHOWN])
    more = f" and {len(newest) - _VERSIONS_SHOWN} older" if len(newest) > _VERSIONS_SHOWN else ""
    return BadInput(
        f"{asked} has no {what} ({distribution}) for this machine's Python "
        f"{sys.version_info[0]}.{sys.version_info[1]} in the package index",
        fix=f"versions that have one: {shown}{more}",
    )


def trouble(failed: Failed, doing: str, log: Path) -> EnvironmentFailed:
    """Return the error for every other failure of pip; its whole output is in the log."""
    if failed.no_pip:
        return EnvironmentFailed(
            "pip is not installed in this Python environment, and engines are installed with it",
            where=sys.prefix,
            fix="python -m ensurepip",
        )
    if failed.disk_full:
        return EnvironmentFailed(
            f"the disk is full: {doing}",
            where=str(log.parent),
            fix="free some space, or set OBSERVATORY_CACHE to another folder",
        )
    if failed.unreachable or failed.versions is None:
        fix = "check the connection, proxy and package index (pip config list)"
    else:
        fix = "the package index has no fitting wheel for this Python and machine"
    return EnvironmentFailed(f"{doing}: {failed.why}", where=f"pip's whole output: {log}", fix=fix)
