"""Books of prices on disk and in the database: each version once, sealed under results/prices.

The files are what is kept: a rebuilt database holds every version that was ever seen here, though the
package of today knows only its own.
"""

import re
from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl

from observatory.core.money.agreed_prices import PRICES_FILE
from observatory.core.workspace import Workspace
from observatory.economics.agreed_prices import book_of, version_of
from observatory.economics.ledger_book import LEDGER, ledger_book, ledger_version
from observatory.economics.price_book import Book
from observatory.inputs.price_files import agreed_prices
from observatory.store.database import transaction
from observatory.store.files import disk_error, replacing
from observatory.store.frames import polars_schema
from observatory.store.ingest.insert import insert_file
from observatory.store.library_paths import library_path
from observatory.store.schema.price_columns import OF_DETAILS, fill_price_book
from observatory.store.schema.tables import PRICE_BOOK

FOLDER = "prices"
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


def update_price_book(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection
) -> list[tuple[str, str, int]]:
    """Put every version into table price_book that it lacks: those on disk, and those of today.

    Of today are the installed ledger's and the workspace's price file. Answers (book, version,
    rows) of each that was put in. Raises BadInput where the price file is wrong; what can be read
    is in the table then.
    """
    present = {
        _file_name(book, version)
        for book, version in connection.execute(
            f"SELECT DISTINCT book, version FROM {PRICE_BOOK.name}"
        ).fetchall()
    }
    if _file_name(LEDGER, ledger_version()) not in present:
        _keep(workspace, ledger_book())
    added = _load(workspace, connection, present)
    _mark(connection, LEDGER, ledger_version())
    agreed = agreed_prices(workspace)
    if agreed is not None and _file_name(PRICES_FILE, version_of(agreed)) not in present:
        _keep(workspace, book_of(agreed))
        added += _load(workspace, connection, present | {_file_name(b, v) for b, v, _ in added})
    _mark(connection, PRICES_FILE, version_of(agreed) if agreed is not None else None)
    return added


def _mark(connection: duckdb.DuckDBPyConnection, book: str, version: str | None) -> None:
    """Mark the current version of a book; None: the book is no longer there.

    Not the one seen last: a person goes back to an older file or package, or takes the file away.
    """
    wrong = connection.execute(
        f"SELECT count(*) FROM {PRICE_BOOK.name}"
        " WHERE book = ? AND is_current IS DISTINCT FROM coalesce(version = ?, false)",
        [book, version],
    ).fetchone()
    if wrong and wrong[0]:
        connection.execute(
            f"UPDATE {PRICE_BOOK.name} SET is_current = coalesce(version = ?, false) WHERE book = ?",
            [version, book],
        )


def _load(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection, present: Set[str]
) -> list[tuple[str, str, int]]:
    """Load every file that is not present, into the table."""
    added = []
    for path in sorted(_folder(workspace).glob("*.parquet")):
        if path.name in present:
            continue
        with library_path(path) as file:
            with transaction(connection):
                if not insert_file(connection, PRICE_BOOK, file).issuperset(OF_DETAILS):
                    fill_price_book(connection)
            added += connection.execute(
                "SELECT book, version, count(*) FROM read_parquet(?) GROUP BY ALL", [file]
            ).fetchall()
    return added


def _keep(workspace: Workspace, book: Book) -> None:
    """Seal a book's version on disk; one that is there stays as it is."""
    path = _folder(workspace) / _file_name(book.name, book.version)
    if path.exists() or not book.rows:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path.parent) from error
    frame = book_frame(book, datetime.now(UTC).replace(tzinfo=None, microsecond=0))
    with replacing(path) as part, part.open("wb") as file:
        frame.write_parquet(file, compression="zstd")


def book_frame(book: Book, taken_at: datetime) -> pl.DataFrame:
    """Return the rows of table price_book."""
    schema = polars_schema(PRICE_BOOK)
    common = {"book": book.name, "version": book.version, "taken_at": taken_at}
    common["is_current"] = None  # of the database, not of the version
    columns: dict[str, list[Any]] = {
        name: [common[name]] * len(book.rows)
        if name in common
        else [getattr(row.details if name in OF_DETAILS else row, name) for row in book.rows]
        for name in schema
    }
    columns["details"] = [
        msgspec.json.encode(plain, order="deterministic").decode() if plain else None
        for plain in map(msgspec.to_builtins, columns["details"])
    ]
    return pl.DataFrame({name: columns[name] for name in schema}, schema=schema)


def _folder(workspace: Workspace) -> Path:
    return workspace.results / FOLDER


def _file_name(book: str, version: str) -> str:
    return f"{_UNSAFE.sub('-', f'{book}-{version}')}.parquet"
