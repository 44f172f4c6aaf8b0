"""Run uv for an engine's environment: make it, resolve its packages, install them by hash."""

import os
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.pylock import PackageWheel, Pylock, PylockSelectError

from observatory.core.errors import EnvironmentFailed
from observatory.core.system.cache_files import MIB
from observatory.engines.making import Reporter, size_bytes
from observatory.engines.pip_settings import no_index, uv_variables
from observatory.engines.wheels import Wheel
from observatory.processes.pip_process import Failed, run

TORCH_INDEX_VARIABLE = "OBSERVATORY_TORCH_INDEX"
_QUIET = {"UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"}


@dataclass(frozen=True, slots=True)
class Uv:
    """uv for one installation: its scratch folder, its log, the locks that it holds."""

    scratch: Path
    log: Path
    locks: tuple[int, ...]
    report: Reporter
    variables: Mapping[str, str]
    index: tuple[str, ...] = ()

    @classmethod
    def configured(cls, scratch: Path, log: Path, report: Reporter) -> "Uv":
        """Return uv with pip's configuration in place of what UV_ variables leave open."""
        index = ("--no-index",) if no_index(os.environ) else ()
        return cls(scratch, log, (), report, {**_QUIET, **uv_variables(os.environ)}, index)

    def holding(self, lock: int) -> "Uv":
        """Return the same uv, whose processes hold one more lock."""
        return replace(self, locks=(*self.locks, lock))

    def looking_for_torch(self, index: str | None) -> "Uv":
        """Return the same uv with one place more: a folder of wheels, or an index's URL."""
        place = index or os.environ.get(TORCH_INDEX_VARIABLE)
        if not place:
            return self
        folder = Path(place).is_dir()
        name, separator = ("UV_FIND_LINKS", ",") if folder else ("UV_INDEX", " ")
        known = self.variables.get(name) or os.environ.get(name)
        value = separator.join(
            [str(Path(place).resolve()) if folder else place, *filter(None, [known])]
        )
        return replace(self, variables={**self.variables, name: value})

    def version(self) -> str:
        """Return for the record e.g. "uv 0.13.9"."""
        return " ".join(self._run("--version").split()[:2])

    def make_environment(self, folder: Path, python: str) -> None:
        """Make a virtual environment without pip."""
        self._run("venv", "--quiet", "--allow-existing", "--python", python, str(folder))

    def resolve(
        self,
        lines: Sequence[str],
        python: Path | str,
        *options: str,
        leave_out: Sequence[str] = (),
        instead: Sequence[str] = (),
    ) -> tuple[Wheel, ...]:
        """Return the wheels that uv chooses for these requirements; Failed where there are none.

        lines: of a requirements file; hashes in it are held. leave_out: names that are not followed.
        instead: requirements that replace those of the packages themselves.
        """
        lock = self.scratch / "pylock.toml"
        lock.unlink(missing_ok=True)
        command = ["pip", "compile", self._file("wanted.txt", lines), "--quiet", "--no-header"]
        command += ["--only-binary", ":all:", "--format", "pylock.toml", "--python", str(python)]
        command += ["--excludes", self._file("left_out.txt", leave_out)] if leave_out else []
        command += ["--overrides", self._file("instead.txt", instead)] if instead else []
        self._run(*command, *self.index, *options, "--output-file", str(lock))
        return _chosen(tomllib.loads(lock.read_text()), "\n".join(lines))

    def install(self, wheels: Sequence[Wheel], python: Path) -> None:
        """Install exactly these files, each checked by its hash."""
        folder, seen = python.parent.parent, [0]

        def tick() -> None:
            size = size_bytes(folder) // MIB
            if size > seen[0]:
                self.report(f"{folder.name}: {size} MiB so far")
            seen[0] = size

        self.report(f"{folder.name}: downloading and unpacking")
        self._install(wheels, python, tick)

    def unpack(self, wheel: Wheel, folder: Path, tick: Callable[[], None]) -> None:
        """Unpack one file, checked by its hash, into a folder; tick is called every few seconds."""
        self._install([wheel], sys.executable, tick, "--target", str(folder))

    def _install(
        self,
        wheels: Sequence[Wheel],
        python: Path | str,
        tick: Callable[[], None],
        *options: str,
    ) -> None:
        pins = self._file("pins.txt", [wheel.pin() for wheel in wheels])
        command = ["pip", "install", "--no-deps", "--require-hashes", "--requirement", pins]
        command += ["--only-binary", ":all:", "--python", str(python), *self.index, *options]
        # Constraints have no hashes, and they chose already.
        unbound = replace(self, variables={**self.variables, "UV_CONSTRAINT": ""})
        unbound._run(*command, tick=tick)

    def _run(self, *arguments: str, tick: Callable[[], None] | None = None) -> str:
        # Settings of a project that this command is typed in (constraints, exclude-newer) are not an engine's.
        command = [program(), "--project", str(self.scratch), *arguments]
        return run(command, self.log, tick=tick, variables=self.variables, held=self.locks)

    def _file(self, name: str, lines: Sequence[str]) -> str:
        path = self.scratch / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)


def program() -> str:
    """Return the path of uv: that of this Python environment, else the one on the PATH."""
    found = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if found is None:
        raise EnvironmentFailed(
            "uv is not installed in this Python environment, and engines and models are fetched with it",
            fix="pip install uv",
        )
    return found


def _chosen(lock: dict[str, Any], lines: str) -> tuple[Wheel, ...]:
    """Return each package's file for this machine; where `lines` has hashes, one of those files."""
    held = "--hash=" in lines
    packages = []
    for package in Pylock.from_dict(lock).packages:
        files = [
            each for each in package.wheels or () if not held or each.hashes["sha256"] in lines
        ]
        if not files:
            raise Failed(f"error: no file of {package.name} {package.version} has a listed hash")
        packages.append(replace(package, wheels=files))
    try:
        return tuple(
            Wheel(package.name, str(package.version), file.filename, file.hashes["sha256"])
            for package, file in replace(Pylock.from_dict(lock), packages=packages).select()
            if isinstance(file, PackageWheel)
        )
    except PylockSelectError as error:
        raise Failed(f"error: {error}") from error


def install_failed(failed: Failed, doing: str, log: Path) -> EnvironmentFailed:
    """Return the error for a uv that failed; its whole output stays in `log`."""
    if failed.disk_full:
        return EnvironmentFailed(
            f"the disk is full: {doing}",
            where=str(log.parent),
            fix="free some space, or set OBSERVATORY_CACHE and UV_CACHE_DIR to other folders",
        )
    if failed.unsatisfiable:
        fix = "the package index has no fitting wheel for this Python and machine"
    else:
        fix = "check the connection, proxy and package index (UV_DEFAULT_INDEX or pip config list)"
    return EnvironmentFailed(f"{doing}: {failed.why}", where=f"uv's whole output: {log}", fix=fix)
