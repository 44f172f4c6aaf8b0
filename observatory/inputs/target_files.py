"""Target files: where they are, and strict YAML made into targets with absolute paths.

Every refusal is a BadInput that names file and line.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from observatory.core.errors import BadInput
from observatory.core.strict import Strict
from observatory.core.targets.catalogue import Target
from observatory.core.workspace import Workspace
from observatory.inputs.model_files import model_of
from observatory.inputs.profile_files import load_profile
from observatory.inputs.strict_yaml import read_yaml
from observatory.inputs.validation_errors import (
    FieldError,
    did_you_mean,
    refusal,
)

TARGETS_FILE = "targets.yaml"
_FILE_FIELDS = ("ca_bundle", "client_certificate", "client_key", "api_key_file")


class TargetsFile(Strict):
    """Targets that scenarios call by name."""

    targets: list[Target] = Field(description="each with a name and a kind")


def load_targets(workspace: Workspace) -> dict[str, Target]:
    """Return all targets of the workspace's targets.yaml files by name, a person's own before shipped ones."""
    return targets_of_folders(workspace.scenarios)


def pick_target(
    name: str, own: Iterable[Target], workspace: Workspace, folder: Path | None = None
) -> Target:
    """Return a target by name: of a scenario's `own` first, else of the targets.yaml in its `folder`, else of the
    workspace."""
    folders = [] if folder is None else [folder]
    known = {
        **targets_of_folders([*folders, *workspace.scenarios]),
        **{target.name: target for target in own},
    }
    if name not in known:
        what, fix = unknown_target(name, known)
        raise BadInput(what, fix=fix)
    return known[name]


def read_targets(path: Path) -> dict[str, Target]:
    """Return the targets of one targets.yaml by name, their relative paths made absolute from its folder."""
    document = read_yaml(path)
    targets: dict[str, Target] = {}
    for place, target in enumerate(model_of(document, TargetsFile).targets):
        line = document.line_of(("targets", place))
        if target.name in targets:
            raise refusal(
                document.name,
                [FieldError(line, f"targets[{place}].name", f"{target.name!r} is named twice")],
            )
        where = f"{document.name}:{line}"
        targets[target.name] = resolve_target(target, path.parent, [path.parent], where)
    return targets


def targets_of_folders(folders: Iterable[Path]) -> dict[str, Target]:
    """Return the targets of the folders' targets.yaml files by name, those of earlier folders first."""
    known: dict[str, Target] = {}
    for path in dict.fromkeys((folder / TARGETS_FILE).resolve() for folder in folders):
        if path.is_file():
            known = {**read_targets(path), **known}
    return known


def unknown_target(name: str, known: Mapping[str, Target]) -> tuple[str, str]:
    """Return what is wrong with a name that no target has, and the fix."""
    return (
        f"there is no target {name!r}{did_you_mean(name, known)}",
        f"known: {', '.join(sorted(known)) or 'none'}; name it in {TARGETS_FILE} or write it here",
    )


def resolve_target(target: Target, folder: Path, scenarios: Iterable[Path], where: str) -> Target:
    """Return the target without references: a profile's name read, relative paths made absolute.

    Relative paths in a file count from that file, not from the working folder.
    """
    changes: dict[str, Any] = {}
    for field in _FILE_FIELDS:
        path = getattr(target, field, None)
        if path is not None:
            changes[field] = folder / path.expanduser()
    changes |= target.local_files(folder)
    if isinstance(target.latency_profile, str):
        try:
            changes["profile"] = load_profile(target.latency_profile, scenarios, folder)
        except BadInput as error:
            raise BadInput(f"profile: {error}", where=where) from error
    return target.model_copy(update=changes)
