"""Scenario and target files: where they lie, and strict YAML made into core's nouns.

Every refusal is a BadInput that names file and line. Nothing is opened, sent or planned here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from observatory.core.agreed_prices import PRICES_FILE
from observatory.core.design import Design
from observatory.core.errors import BadInput
from observatory.core.scenario import Scenario
from observatory.core.strict import Strict
from observatory.core.target import Target
from observatory.core.workspace import Workspace
from observatory.inputs.matrix import Setting, combinations_of, design_of
from observatory.inputs.profile_files import load_profile
from observatory.inputs.strict_yaml import Document, Place, read_yaml
from observatory.inputs.validation_errors import (
    Complaint,
    complaints_of,
    did_you_mean,
    dotted,
    refusal,
)

TARGETS_FILE = "targets.yaml"
_NO_SCENARIOS = (TARGETS_FILE, PRICES_FILE, "prices.example.yaml")
_FILE_FIELDS = ("ca_bundle", "client_certificate", "client_key", "api_key_file")


class TargetsFile(Strict):
    """Targets that scenarios call by name."""

    targets: list[Target] = Field(description="each with a name and a kind")


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario as its file says it, and its targets with names resolved and paths absolute.

    A matrix: its cells are the targets, and design says in which turns.
    """

    scenario: Scenario
    path: Path
    targets: list[Target]
    design: Design | None = None


@dataclass(frozen=True, slots=True)
class ListedScenario:
    """One file of a scenarios folder: its scenario, or why it cannot be read."""

    name: str
    path: Path
    scenario: Scenario | None
    error: str | None


def load_scenario(
    name: str, workspace: Workspace, *, base: str | None = None, seed: int | None = None
) -> LoadedScenario:
    """Read a scenario by its file's name without .yaml, or by its path; BadInput says what is wrong.

    base: the target that a matrix varies, instead of its own. seed: another than the scenario's.
    """
    path = find_scenario(name, workspace)
    document = read_yaml(path)
    scenario = _scenario_of(document)
    if seed is not None:
        scenario = scenario.model_copy(update={"seed": seed})
    scenario = _with_absolute_probes(scenario, path.parent)
    names = _Names(document, path, workspace)
    if scenario.matrix is None:
        targets = [
            names.target(target, ("targets", place))
            for place, target in enumerate(scenario.targets)
        ]
        names.refuse()
        return LoadedScenario(scenario, path, [target for target in targets if target is not None])
    design = _design(scenario, names, base)
    return LoadedScenario(scenario, path, [cell.target for cell in design.cells], design)


def read_scenario(name: str, workspace: Workspace) -> Scenario:
    """A scenario as its file says it, its target names not looked up."""
    return _scenario_of(read_yaml(find_scenario(name, workspace)))


class _Names:
    """Targets of one scenario file by name or as written; what is unknown is told all at once."""

    def __init__(self, document: Document, path: Path, workspace: Workspace) -> None:
        self.document = document
        self._folder = path.parent
        self._scenarios = workspace.scenarios
        self._known: dict[str, Target] | None = None
        self._complaints: list[Complaint] = []

    @property
    def known(self) -> dict[str, Target]:
        """The targets of the folders' targets.yaml files, read when the first is asked for."""
        if self._known is None:
            self._known = _targets_of_folders([self._folder, *self._scenarios])
        return self._known

    def target(self, written: str | Target, place: Place) -> Target | None:
        """The target settled; None, and a complaint, for an unknown name."""
        line = self.document.line_of(place)
        if not isinstance(written, str):
            return self.settled(written, f"{self.document.name}:{line}")
        if written in self.known:
            return self.known[written]
        what, fix = _unknown_target(written, self.known)
        self._complaints.append(Complaint(line, dotted(place), what, fix))
        return None

    def settled(self, target: Target, where: str) -> Target:
        """The target with its relative paths made absolute."""
        return _settled(target, self._folder, self._scenarios, where)

    def refuse(self) -> None:
        """BadInput where a name was unknown."""
        if self._complaints:
            raise refusal(self.document.name, self._complaints)


def _design(scenario: Scenario, names: _Names, other_base: str | None) -> Design:
    matrix = scenario.matrix
    assert matrix is not None
    base = None
    if other_base is not None:
        if other_base not in names.known:
            what, fix = _unknown_target(other_base, names.known)
            raise BadInput(what, where="--target", fix=fix)
        base = names.known[other_base]
    elif matrix.base is not None:
        base = names.target(matrix.base, ("matrix", "base"))
    settings: list[Setting] = []
    for at, cell in enumerate(matrix.cells):
        place: Place = ("matrix", "cells", at)
        target = base
        if cell.target is not None:
            target = names.target(cell.target, (*place, "target"))
        if target is not None:
            places = {name: (*place, "set", name) for name in cell.set}
            settings.append(
                Setting(target, dict(cell.set), places, place, cell.name, dict(cell.factors))
            )
    names.refuse()
    if base is not None and matrix.vary:
        settings = combinations_of(matrix, base)
    return design_of(matrix, settings, scenario.seed, names.document, names.settled)


def find_scenario(name: str, workspace: Workspace) -> Path:
    """The file that a name or a path stands for."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.exists():
            raise BadInput("there is no such scenario file", where=name)
        return path.resolve()
    files = _scenario_paths(workspace)
    if name not in files:
        raise BadInput(
            f"there is no scenario {name!r}{did_you_mean(name, files)}",
            fix=f"known: {', '.join(files) or 'none'}; or give a file's path",
        )
    return files[name]


def list_scenarios(workspace: Workspace) -> list[ListedScenario]:
    """Every scenario of the workspace by name; a person's own hides a shipped one of the same name."""
    listed = []
    for name, path in _scenario_paths(workspace).items():
        try:
            listed.append(ListedScenario(name, path, _scenario_of(read_yaml(path)), None))
        except BadInput as error:
            listed.append(ListedScenario(name, path, None, str(error)))
    return listed


def load_targets(workspace: Workspace) -> dict[str, Target]:
    """All targets of the workspace's targets.yaml files by name, a person's own before shipped ones."""
    return _targets_of_folders(workspace.scenarios)


def pick_target(
    name: str, own: Iterable[Target], workspace: Workspace, folder: Path | None = None
) -> Target:
    """A target by name: of a scenario's `own` first, else of the targets.yaml in its `folder`, else of the
    workspace."""
    beside = [] if folder is None else [folder]
    known = {
        **_targets_of_folders([*beside, *workspace.scenarios]),
        **{target.name: target for target in own},
    }
    if name not in known:
        what, fix = _unknown_target(name, known)
        raise BadInput(what, fix=fix)
    return known[name]


def read_targets(path: Path) -> dict[str, Target]:
    """The targets of one targets.yaml by name, their relative paths made absolute from its folder."""
    document = read_yaml(path)
    try:
        read = TargetsFile.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        complaints = complaints_of(error, document, _schema_of(TargetsFile))
        raise refusal(document.name, complaints) from error
    targets: dict[str, Target] = {}
    for place, target in enumerate(read.targets):
        if target.name in targets:
            line = document.line_of(("targets", place))
            raise refusal(
                document.name,
                [Complaint(line, f"targets[{place}].name", f"{target.name!r} is named twice")],
            )
        line = document.line_of(("targets", place))
        where = f"{document.name}:{line}"
        targets[target.name] = _settled(target, path.parent, [path.parent], where)
    return targets


def json_schema(model: type[Strict]) -> str:
    """The JSON Schema of a file, for editors; the same text for the same models."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _scenario_of(document: Document) -> Scenario:
    try:
        return Scenario.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        complaints = complaints_of(error, document, _schema_of(Scenario))
        raise refusal(document.name, complaints) from error


@lru_cache(maxsize=4)
def _schema_of(model: type[Strict]) -> dict[str, Any]:
    return model.model_json_schema()


def _scenario_paths(workspace: Workspace) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for folder in workspace.scenarios:
        for path in sorted(folder.glob("*.y*ml")) if folder.is_dir() else []:
            if path.suffix in (".yaml", ".yml") and path.name not in _NO_SCENARIOS:
                files.setdefault(path.stem, path)
    return dict(sorted(files.items()))


def _targets_of_folders(folders: Iterable[Path]) -> dict[str, Target]:
    known: dict[str, Target] = {}
    for path in dict.fromkeys((folder / TARGETS_FILE).resolve() for folder in folders):
        if path.is_file():
            known = {**read_targets(path), **known}
    return known


def _unknown_target(name: str, known: Mapping[str, Target]) -> tuple[str, str]:
    return (
        f"there is no target {name!r}{did_you_mean(name, known)}",
        f"known: {', '.join(sorted(known)) or 'none'}; name it in {TARGETS_FILE} or write it here",
    )


def _with_absolute_probes(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with its probes' relative paths counted from its file."""
    if not scenario.telemetry.probes:
        return scenario
    probes = [
        probe.model_copy(
            update={
                field: folder / path.expanduser()
                for field in ("token_file", "ca_bundle")
                if (path := getattr(probe, field)) is not None
            }
        )
        for probe in scenario.telemetry.probes
    ]
    telemetry = scenario.telemetry.model_copy(update={"probes": probes})
    return scenario.model_copy(update={"telemetry": telemetry})


def _settled(target: Target, folder: Path, scenarios: Iterable[Path], where: str) -> Target:
    """The target without references: a profile's name read, relative paths made absolute.

    Relative paths in a file count from that file, whatever folder a command runs in.
    """
    changes: dict[str, Any] = {}
    for field in _FILE_FIELDS:
        path = getattr(target, field, None)
        if path is not None:
            changes[field] = folder / path.expanduser()
    if target.kind == "llamacpp" and target.model.endswith(".gguf"):
        changes["model"] = str(folder / Path(target.model).expanduser())
    if target.kind == "vllm":
        if target.model is not None and target.url is None:
            changes["model"] = _local(target.model, folder)
        changes["adapters"] = [
            adapter.model_copy(update={"path": _local(adapter.path, folder)})
            for adapter in target.adapters
        ]
        if target.executable is not None and len(target.executable.parts) > 1:
            changes["executable"] = folder / target.executable.expanduser()
    if target.kind == "emulated" and isinstance(target.profile, str):
        try:
            changes["profile"] = load_profile(target.profile, scenarios, folder)
        except BadInput as error:
            raise BadInput(f"profile: {error}", where=where) from error
    return target.model_copy(update=changes)


def _local(model: str, folder: Path) -> str:
    """Absolute where it is a path or names a folder that is there; a hub id or a known name stays.

    vLLM reads `org/name` as a folder where there is one, and as a hub id where there is none.
    """
    path = folder / Path(model).expanduser()
    return str(path) if model.startswith((".", "/", "~")) or path.is_dir() else model
