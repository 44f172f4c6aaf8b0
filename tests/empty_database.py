"""A database as the first run makes it: to make it takes more processor time than a short run, to copy it none."""

import functools
import shutil
import tempfile
from pathlib import Path

from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.ingest.price_snapshots import FOLDER, update_price_book


@functools.cache
def empty_database() -> bytes:
    """Return the file, made once in each process."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder), Path(folder))
        connect(place, read_only=False).close()
        return place.database.read_bytes()


@functools.cache
def _results_with_prices() -> tempfile.TemporaryDirectory[str]:
    """Return a results folder whose database holds the book of prices, as every first run leaves it."""
    folder = tempfile.TemporaryDirectory()
    place = stock(Workspace(Path(folder.name), Path(folder.name)))
    with connect(place, read_only=False) as connection:
        update_price_book(place, connection)
    return folder


def stock(workspace: Workspace) -> Workspace:
    """Give a workspace without a database an empty one, and return it."""
    if not workspace.database.exists():
        workspace.results.mkdir(parents=True, exist_ok=True)
        workspace.database.write_bytes(empty_database())
    return workspace


def stock_with_prices(workspace: Workspace) -> Workspace:
    """Give a workspace without a database one that has the book of prices and no run, and return it."""
    if not workspace.database.exists():
        made = Workspace(Path(), Path(_results_with_prices().name))
        workspace.results.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made.results / FOLDER, workspace.results / FOLDER, dirs_exist_ok=True)
        shutil.copyfile(made.database, workspace.database)
    return workspace
