"""Find a target's vLLM command, and its facts without running it.

An installed engine has a record; of any other command its environment's metadata is read.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from observatory.core.errors import BadInput
from observatory.core.targets.vllm import VllmTarget
from observatory.engines.installed import find_engine
from observatory.engines.requirement import ENGINES, PROJECTS

_DISTRIBUTIONS = {found.name.replace("-", "_"): found for found in ENGINES["vllm"].values()}


@dataclass(frozen=True, slots=True)
class VllmCommand:
    """distribution: its title for the records, null where it is unknown. build: null too."""

    path: Path
    distribution: str | None
    sha256: str | None
    build: Literal["cuda", "cpu"] | None


def command_of(target: VllmTarget) -> VllmCommand:
    """Return the target's vLLM; raise BadInput where there is none."""
    if target.executable is None:
        engine = find_engine(target.engine, "vllm")
        record = engine.record
        return VllmCommand(engine.executable, engine.title(), record.sha256, record.build)
    path = _executable(target)
    found = _metadata_near(path)
    if found is None:
        return VllmCommand(path, None, None, None)
    name, version = found
    known = _DISTRIBUTIONS[name]
    title = f"{known.name} {version}"
    if known.third_party:
        title += f" (third party's {known.build.upper()} build of {PROJECTS['vllm']})"
    build: Literal["cuda", "cpu"] = "cpu" if "+cpu" in version else known.build
    return VllmCommand(path, title, None, build)


def installed_distribution(target: VllmTarget) -> str | None:
    """Return what would serve a vLLM that we start; None of one at a URL, or where it is not known."""
    if target.url is not None:
        return None
    try:
        return command_of(target).distribution
    except BadInput:  # not installed: starting it reports that
        return None


def computes_on_gpus(target: VllmTarget) -> bool:
    """Return whether a target is a vLLM that we start and that is not known to be a CPU build."""
    if target.url is not None:
        return False
    return command_of(target).build != "cpu"


def _executable(target: VllmTarget) -> Path:
    assert target.executable is not None
    executable = str(target.executable.expanduser())
    found = shutil.which(executable)
    if found is None:
        there = Path(executable).exists()
        raise BadInput(
            f"executable: {executable} cannot be executed"
            if there
            else f"executable: no {executable} here",
            where=f"target {target.name}",
            fix="give the path of a vllm command, or install one: observatory engine install vllm",
        )
    return Path(os.path.abspath(found))  # noqa: PTH100 - a link into an environment stays as it is


def _metadata_near(path: Path) -> tuple[str, str] | None:
    """Return name and version of the distribution in the command's own environment.

    Where two are there, the one that is not plain vllm: a build under another name brings a shim that
    claims vllm's.
    """
    found: dict[str, str] = {}
    for folder in path.resolve().parent.parent.glob("lib/python*/site-packages/vllm*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if name in _DISTRIBUTIONS:
            found[name] = version
    return max(found.items(), key=lambda one: one[0] != "vllm") if found else None
