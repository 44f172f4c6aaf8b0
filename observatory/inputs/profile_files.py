"""Emulator profiles as files: where they lie, and strict YAML made into a Profile.

Every refusal is a BadInput that names file and line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from observatory.core.emulation.profile import Profile
from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, shipped
from observatory.inputs.model_files import model_of
from observatory.inputs.strict_yaml import read_yaml
from observatory.inputs.validation_errors import did_you_mean

FOLDER = "profiles"
DEFAULT_PROFILE = "chat-api"


@dataclass(frozen=True, slots=True)
class ListedProfile:
    """One file of a profiles folder: its profile, or why it cannot be read."""

    name: str
    path: Path
    profile: Profile | None
    error: str | None


def load_profile(name: str, scenarios: Iterable[Path], folder: Path | None = None) -> Profile:
    """Return the profile of a name (a file of profiles/ without .yaml) or a path.

    scenarios: the scenarios folders that are searched, the shipped one always after them. A
    relative path counts from `folder`, else from here.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = (folder or Path()) / Path(name).expanduser()
        if not path.is_file():
            raise BadInput("there is no such profile file", where=name)
        return read_profile(path)
    files = _files(scenarios)
    if name not in files:
        raise BadInput(
            f"there is no profile {name!r}{did_you_mean(name, files)}",
            fix=f"known: {', '.join(files) or 'none'}; or give a file's path",
        )
    return read_profile(files[name])


def read_profile(path: Path) -> Profile:
    """Return the profile in a YAML file, named after the file where it names itself not."""
    profile = model_of(read_yaml(path), Profile)
    return profile if profile.name is not None else profile.model_copy(update={"name": path.stem})


def list_profiles(workspace: Workspace) -> list[ListedProfile]:
    """Return every profile by name; a person's own hides a shipped one of the same name."""
    listed = []
    for name, path in _files(workspace.scenarios).items():
        try:
            listed.append(ListedProfile(name, path, read_profile(path), None))
        except BadInput as error:
            listed.append(ListedProfile(name, path, None, str(error)))
    return listed


def _files(scenarios: Iterable[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for folder in (*scenarios, shipped("scenarios")):
        for path in sorted((folder / FOLDER).glob("*.yaml")):
            files.setdefault(path.stem, path)
    return dict(sorted(files.items()))
