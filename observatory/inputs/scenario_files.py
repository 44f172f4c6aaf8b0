"""Scenario files: where they are, and strict YAML made into scenarios and their targets.

Every refusal is a BadInput that names file and line. Nothing is opened, sent or planned here.
"""

from dataclasses import dataclass
from pathlib import Path

from observatory.core.errors import BadInput
from observatory.core.matrices.design import Design
from observatory.core.money.agreed_prices import PRICES_FILE
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.core.workspace import Workspace
from observatory.inputs.matrix import Setting, combinations_of, design_of
from observatory.inputs.model_files import model_of
from observatory.inputs.strict_yaml import Place, YamlDocument, read_yaml
from observatory.inputs.target_files import (
    TARGETS_FILE,
    resolve_target,
    targets_of_folders,
    unknown_target,
)
from observatory.inputs.validation_errors import (
    FieldError,
    did_you_mean,
    dotted,
    refusal,
)

_NO_SCENARIOS = (TARGETS_FILE, PRICES_FILE, "prices.example.yaml")


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario as its file has it, and its targets with names resolved and paths absolute.

    A matrix: its cells are the targets, and design has the order of their runs.
    """

    scenario: Scenario
    path: Path
    targets: list[Target]
    design: Design | None = None


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario as its file has it: its target names are not looked up."""

    path: Path
    document: YamlDocument
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class ListedScenario:
    """One file of a scenarios folder, read, or why it cannot be read."""

    name: str
    path: Path
    file: ScenarioFile | None
    error: str | None

    @property
    def scenario(self) -> Scenario | None:
        """Return the scenario of a file that can be read."""
        return None if self.file is None else self.file.scenario


def load_scenario(
    name: str, workspace: Workspace, *, base: str | None = None, seed: int | None = None
) -> LoadedScenario:
    """Read a scenario by its file's name without .yaml, or by its path; raise BadInput with every error.

    base: the target that a matrix varies, instead of its own. seed: another than the scenario's.
    """
    file = read_scenario(name, workspace)
    return resolve_scenario(file, workspace, base=base, seed=seed)


def read_scenario(name: str, workspace: Workspace) -> ScenarioFile:
    """Return a scenario as its file has it, its target names not looked up."""
    return _read(find_scenario(name, workspace))


def resolve_scenario(
    file: ScenarioFile,
    workspace: Workspace,
    *,
    base: str | None = None,
    seed: int | None = None,
    known: dict[str, Target] | None = None,
) -> LoadedScenario:
    """Return the scenario of a file with its targets; raise BadInput with every unknown name.

    known: the targets of the folders' targets.yaml files, where they are read already.
    """
    path, scenario = file.path, file.scenario
    if seed is not None:
        scenario = scenario.model_copy(update={"seed": seed})
    scenario = _with_absolute_probes(scenario, path.parent)
    names = _Names(file, workspace, known)
    if scenario.matrix is None:
        targets = [
            names.target(target, ("targets", place))
            for place, target in enumerate(scenario.targets)
        ]
        names.refuse()
        return LoadedScenario(scenario, path, [target for target in targets if target is not None])
    design = _design(scenario, names, base)
    return LoadedScenario(scenario, path, [cell.target for cell in design.cells], design)


class _Names:
    """Targets of one scenario file by name or as written; all unknown names are reported at once."""

    def __init__(
        self, file: ScenarioFile, workspace: Workspace, known: dict[str, Target] | None
    ) -> None:
        self.document = file.document
        self._folder = file.path.parent
        self._scenarios = workspace.scenarios
        self._known = known
        self._field_errors: list[FieldError] = []

    @property
    def known(self) -> dict[str, Target]:
        """Return the targets of the folders' targets.yaml files, read at the first use."""
        if self._known is None:
            self._known = targets_of_folders([self._folder, *self._scenarios])
        return self._known

    def target(self, written: str | Target, place: Place) -> Target | None:
        """Return the target settled; None, and a validation error, for an unknown name."""
        line = self.document.line_of(place)
        if not isinstance(written, str):
            return self.settled(written, f"{self.document.name}:{line}")
        if written in self.known:
            return self.known[written]
        what, fix = unknown_target(written, self.known)
        self._field_errors.append(FieldError(line, dotted(place), what, fix))
        return None

    def settled(self, target: Target, where: str) -> Target:
        """Return the target with its relative paths made absolute."""
        return resolve_target(target, self._folder, self._scenarios, where)

    def refuse(self) -> None:
        """BadInput where a name was unknown."""
        if self._field_errors:
            raise refusal(self.document.name, self._field_errors)


def _design(scenario: Scenario, names: _Names, other_base: str | None) -> Design:
    matrix = scenario.matrix
    assert matrix is not None
    base = None
    if other_base is not None:
        if other_base not in names.known:
            what, fix = unknown_target(other_base, names.known)
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
    """Return the file of a name or a path."""
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
    """Return every scenario of the workspace by name; a person's own hides a shipped one of the same name."""
    listed = []
    for name, path in _scenario_paths(workspace).items():
        try:
            listed.append(ListedScenario(name, path, _read(path), None))
        except BadInput as error:
            listed.append(ListedScenario(name, path, None, str(error)))
    return listed


def _read(path: Path) -> ScenarioFile:
    document = read_yaml(path)
    return ScenarioFile(path, document, model_of(document, Scenario))


def _scenario_paths(workspace: Workspace) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for folder in workspace.scenarios:
        for path in sorted(folder.glob("*.y*ml")) if folder.is_dir() else []:
            if path.suffix in (".yaml", ".yml") and path.name not in _NO_SCENARIOS:
                files.setdefault(path.stem, path)
    return dict(sorted(files.items()))


def _with_absolute_probes(scenario: Scenario, folder: Path) -> Scenario:
    """Return the scenario with its probes' relative paths counted from its file."""
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
