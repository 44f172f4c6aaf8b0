"""A database as the first run makes it: to make it takes more processor time than a short run, to copy it none."""

import functools
import tempfile
from pathlib import Path

from observatory.core.workspace import Workspace
from observatory.store.database import connect


@functools.cache
def empty_database() -> bytes:
    """Return the file, made once in each process."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder), Path(folder))
        connect(place, read_only=False).close()
        return place.database.read_bytes()


def stock(workspace: Workspace) -> Workspace:
    """Give a workspace without a database an empty one, and return it."""
    if not workspace.database.exists():
        workspace.results.mkdir(parents=True, exist_ok=True)
        workspace.database.write_bytes(empty_database())
    return workspace
