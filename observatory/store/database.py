"""Opening the DuckDB file: who may, who waits for whom, and what the refusal means.

Any open connection of another process, read-only too, keeps a writer out, and a writer keeps
everybody out; so every door waits a little, then names the process that is in the way.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import Workspace
from observatory.store.library_paths import database_file
from observatory.store.schema.migrations import check_version, migrate, version_of
from observatory.store.schema.tables import STORAGE_VERSION

WAIT_S = 5.0
"""How long a verb waits for the database: an interactive query is mostly shorter."""
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")


class DatabaseBusy(EnvironmentFailed):
    """Another process has the database open; `holder` names it as DuckDB did."""

    def __init__(self, holder: str, path: Path) -> None:
        """Keep the database's path; `holder` is a program and process id in words."""
        self.holder = holder
        super().__init__(
            f"the database is held open by {holder}",
            where=str(path),
            fix="close it there, or try again in a moment",
        )


def connect(
    workspace: Workspace,
    read_only: bool = True,
    *,
    wait_s: float = WAIT_S,
    settings: dict[str, Any] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return the warehouse, opened.

    read_only=False makes the file if need be and migrates it. Raises BadInput where there is no
    database to read or its schema is too new or too old, DatabaseBusy (exit 4) where another
    process keeps it longer than wait_s, EnvironmentFailed where the file is damaged.
    """
    path = workspace.database
    if read_only and not path.exists():
        raise BadInput(
            "there is no database yet",
            where=str(path),
            fix="observatory rebuild makes it from the run folders; observatory run makes those",
        )
    if not read_only:
        workspace.results.mkdir(parents=True, exist_ok=True)
    connection = open_file(
        database_file(path), read_only=read_only, wait_s=wait_s, settings=settings
    )
    try:
        if read_only:
            check_version(version_of(connection), str(path), writing=False)
        else:
            migrate(connection, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def open_file(
    path: Path, *, read_only: bool, wait_s: float = WAIT_S, settings: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB file as connect opens it, with any content; a new one gets STORAGE_VERSION."""
    config = {"storage_compatibility_version": STORAGE_VERSION, **(settings or {})}
    pause = _FIRST_PAUSE_S
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=config)
        except duckdb.Error as error:
            holder = _holder(error)
            if holder is None:
                raise _damaged(path, error) from error
            if time.monotonic() + pause > give_up:
                raise DatabaseBusy(holder, path) from error
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit everything inside, or nothing of it."""
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # after a full disk there is nothing left to roll back
            connection.rollback()
        raise
    connection.commit()


def _holder(error: duckdb.Error) -> str | None:
    text = str(error)
    if match := _HOLDER.search(text):
        return f"{Path(match[1]).name} (process {match[2]})"
    if "Could not set lock" in text:
        return "another process"
    if "different configuration than existing connections" in text:
        return "this very process"
    return None


def _damaged(path: Path, error: duckdb.Error) -> EnvironmentFailed:
    if "Permission denied" in str(error):
        return EnvironmentFailed(
            "Permission denied", where=str(path), fix="check who owns the folder"
        )
    return EnvironmentFailed(
        f"the database cannot be opened: {str(error).splitlines()[0]}",
        where=str(path),
        fix="observatory rebuild makes it again from the run folders",
    )
