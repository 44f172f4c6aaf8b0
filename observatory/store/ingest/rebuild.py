"""The database again, from the run folders alone: into a new file, which then takes its place."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from observatory.core.errors import EnvironmentFailed, ObservatoryError
from observatory.core.workspace import Workspace
from observatory.store.database import WAIT_S, DatabaseBusy, open_file, transaction
from observatory.store.files import disk_error, sync
from observatory.store.folder.run_folder import list_runs
from observatory.store.folder.run_lock import exclusive
from observatory.store.folder.seals import INDEX_NAME, broken_lines, in_words
from observatory.store.frames import read_frames
from observatory.store.ingest.cost_lines import fill_cost_lines
from observatory.store.ingest.loading import Summarise, load_run
from observatory.store.ingest.price_snapshots import update_price_book
from observatory.store.ingest.warehouse import read_for_ingest
from observatory.store.library_paths import database_file
from observatory.store.schema.content_digest import content_digest
from observatory.store.schema.migrations import migrate

LOCK_NAME = ".rebuild.lock"


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """The runs that the new database contains; left_out: each other folder, with the reason.

    changed: each contained run that is marked so, with what has changed since it was sealed. digest: of
    the rows of all tables (store.schema.content_digest), equal for equal run folders.
    """

    ingested: tuple[str, ...]
    left_out: tuple[str, ...]
    unsealed: tuple[str, ...]
    changed: tuple[str, ...] = ()
    digest: str = ""


def rebuild(
    workspace: Workspace,
    summarise: Summarise,
    *,
    report: Callable[[str], None] = lambda line: None,
    wait_s: float = WAIT_S,
) -> RebuildResult:
    """Make the database again and put it in place of the old one, which readers may keep open.

    A damaged or changed run is left out and named. Raises DatabaseBusy, with the old database
    untouched, where another process keeps it open for writing longer than wait_s.
    """
    try:
        workspace.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, workspace.results) from error
    database = database_file(workspace.database)
    new = database.with_name(database.name + ".new")
    with exclusive(workspace.results / LOCK_NAME, "the database is being rebuilt"):
        _remove(new)
        try:
            result = _fill(workspace, new, summarise, report)
            _put_in_place(new, database, wait_s)
        finally:
            _remove(new)
    return result


def _fill(
    workspace: Workspace, new: Path, summarise: Summarise, report: Callable[[str], None]
) -> RebuildResult:
    ingested: list[str] = []
    left_out: list[str] = []
    unsealed: list[str] = []
    changed = [
        f"{INDEX_NAME}: line {number} does not follow the line before it: the index was rewritten"
        for number in broken_lines(workspace.results / INDEX_NAME)
    ]
    with closing(open_file(new, read_only=False)) as connection:
        migrate(connection, str(new))
        try:
            update_price_book(workspace, connection)
        except ObservatoryError as error:
            left_out.append(str(error))
        for entry in list_runs(workspace):
            if entry.manifest is not None and not entry.manifest.sealed:
                unsealed.append(entry.run_id)
                continue
            report(f"taking in {entry.run_id}")
            try:
                manifest, identity = read_for_ingest(entry.folder)
                figures = summarise(manifest, read_frames(entry.folder))
            except ObservatoryError as error:
                left_out.append(str(error))
                continue
            with transaction(connection):
                load_run(connection, entry.folder, manifest, identity, figures)
            ingested.append(manifest.run_id)
            if (what := identity["changed_since_sealed"]) is not None:
                changed.append(f"{manifest.run_id}: {in_words(what)}")
        with transaction(connection):
            fill_cost_lines(connection, ingested)
        digest = content_digest(connection)
    return RebuildResult(tuple(ingested), tuple(left_out), tuple(unsealed), tuple(changed), digest)


def _put_in_place(new: Path, database: Path, wait_s: float) -> None:
    """Replace the database while it is not being written: a reader's connection keeps writers out.

    The old file's write-ahead log goes first, because it would be replayed onto the new file.
    """
    with _no_writer(database, wait_s):
        try:
            sync(new)
            _wal(database).unlink(missing_ok=True)
            new.replace(database)
            sync(database.parent)
        except OSError as error:
            raise disk_error(error, database) from error


def _no_writer(database: Path, wait_s: float) -> AbstractContextManager[object]:
    if not database.exists():
        return nullcontext()
    try:
        return closing(open_file(database, read_only=True, wait_s=wait_s))
    except DatabaseBusy:
        raise
    except EnvironmentFailed:
        return nullcontext()


def _remove(database: Path) -> None:
    database.unlink(missing_ok=True)
    _wal(database).unlink(missing_ok=True)


def _wal(database: Path) -> Path:
    return database.with_name(database.name + ".wal")
