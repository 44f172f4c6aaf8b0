"""The warehouse: sealed runs in, tables and views out. It can be deleted and made again.

An analyst who holds the database open never costs a run: the run waits on disk and is taken in
by the next program that writes.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from observatory.core.errors import BadInput, ObservatoryError
from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.store.database import WAIT_S, DatabaseBusy, connect, transaction
from observatory.store.folder.annotations import is_annotated, label_of, publish_of
from observatory.store.folder.manifest import (
    MANIFEST_NAME,
    check_folder_name,
    decode_manifest,
    manifest_sha256,
    read_manifest_bytes,
    run_folders,
)
from observatory.store.folder.sealing import verify
from observatory.store.folder.seals import changed_since_sealed
from observatory.store.frames import RunFigures, read_frames
from observatory.store.ingest.cost_lines import fill_cost_lines
from observatory.store.ingest.loading import Row, Summarise, load_run
from observatory.store.ingest.price_snapshots import update_price_book

_OF_THE_MACHINE = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.TransactionException,
    MemoryError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The runs that were taken in; message: which were not, and why (None: all were).

    failed: this machine kept the run out (a full disk, a permission), not another program's open database.
    """

    ingested: tuple[str, ...]
    message: str | None = None
    failed: bool = False


def ingest(
    workspace: Workspace,
    folder: Path,
    figures: RunFigures | Summarise,
    *,
    wait_s: float = WAIT_S,
) -> IngestResult:
    """Take a sealed run into the database; a run that is there already is replaced.

    figures: the run's own, or the function that computes them; with the function
    the runs that were waiting on disk are taken in too. Never raises because the database cannot
    be written: the result's message then has the reason, and that the run waits. Raises
    EnvironmentFailed where a sealed file has changed, BadInput where the folder is not sealed.
    """
    manifest, identity = read_for_ingest(folder)
    if isinstance(figures, RunFigures):
        summarise, of_run = None, figures
    else:
        summarise, of_run = figures, figures(manifest, read_frames(folder))
    try:
        connection = connect(workspace, read_only=False, wait_s=wait_s)
    except (ObservatoryError, OSError, MemoryError) as error:
        busy = isinstance(error, DatabaseBusy)
        return IngestResult((), _waits([manifest.run_id], error), failed=not busy)
    with connection:
        try:
            with transaction(connection):
                load_run(connection, folder, manifest, identity, of_run)
                fill_cost_lines(connection, [manifest.run_id])
            _take_in_prices(workspace, connection)
        except _OF_THE_MACHINE as error:
            return IngestResult((), _waits([manifest.run_id], error), failed=True)
        if summarise is None:
            return IngestResult((manifest.run_id,))
        others = _take_in_pending(workspace, connection, summarise)
    return IngestResult((manifest.run_id, *others.ingested), others.message)


def ingest_pending(workspace: Workspace, summarise: Summarise) -> IngestResult:
    """Take in every sealed run that the database lacks or holds in an older state."""
    try:
        connection = connect(workspace, read_only=False)
    except ObservatoryError as error:
        return IngestResult((), str(error))
    with connection:
        return _take_in_pending(workspace, connection, summarise)


def pending_runs(workspace: Workspace, connection: duckdb.DuckDBPyConnection) -> list[Path]:
    """Return the folders of sealed runs that the database lacks, or holds in an older state."""
    rows = connection.execute("SELECT run_id, manifest_sha256, label, publish FROM runs").fetchall()
    known = {run_id: (sha256, (label, publish)) for run_id, sha256, label, publish in rows}
    found = []
    for folder in run_folders(workspace):
        sha256, stored = known.get(folder.name, (None, (None, None)))
        try:
            data = read_manifest_bytes(folder)
            unchanged = sha256 == manifest_sha256(data)
            if unchanged and not is_annotated(folder):
                continue
            manifest = decode_manifest(data, folder / MANIFEST_NAME)
            current = (label_of(folder, manifest), publish_of(folder, manifest))
        except ObservatoryError:
            continue
        if manifest.sealed and not (unchanged and stored == current):
            found.append(folder)
    return found


def read_for_ingest(folder: Path) -> tuple[Manifest, Row]:
    """Return a sealed run's manifest, its files verified, and its row's columns that are not in the manifest.

    A manifest that has changed since it was sealed is taken in with that mark; a file that it hashes is not.
    """
    data = read_manifest_bytes(folder)
    manifest = decode_manifest(data, folder / MANIFEST_NAME)
    check_folder_name(folder, manifest)
    if not manifest.sealed:
        raise BadInput(
            "the run is not sealed yet",
            where=str(folder),
            fix="let it end; if its process died, the next `observatory run` seals it",
        )
    verify(folder, manifest)
    return manifest, {
        "label": label_of(folder, manifest),
        "publish": publish_of(folder, manifest),
        "changed_since_sealed": changed_since_sealed(folder, thorough=True),
        "manifest_sha256": manifest_sha256(data),
    }


def _take_in_pending(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection, summarise: Summarise
) -> IngestResult:
    taken, problems = [], []
    for folder in pending_runs(workspace, connection):
        try:
            manifest, identity = read_for_ingest(folder)
            figures = summarise(manifest, read_frames(folder))
            with transaction(connection):
                load_run(connection, folder, manifest, identity, figures)
                fill_cost_lines(connection, [manifest.run_id])
            taken.append(manifest.run_id)
        except ObservatoryError as error:
            problems.append(str(error))
        except _OF_THE_MACHINE as error:
            problems.append(_waits([folder.name], error))
    return IngestResult(tuple(taken), "; ".join(problems) or None)


def _take_in_prices(workspace: Workspace, connection: duckdb.DuckDBPyConnection) -> None:
    """Ingest the books of prices of today; a price file that is wrong waits for `observatory prices update`.

    The run is taken in by then, with the prices that it pinned.
    """
    with suppress(ObservatoryError):
        update_price_book(workspace, connection)


def _waits(run_ids: Sequence[str], error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{', '.join(run_ids)}: sealed on disk, waiting for the database ({reason}); "
        "the next run or `observatory rebuild` takes it in"
    )
