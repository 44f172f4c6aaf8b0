"""The book of prices: each version once, kept on disk, and whole again after a rebuild."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from observatory.core.workspace import Workspace
from observatory.economics import ledger_book as ledger_book_module
from observatory.economics.ledger_book import ledger_book, ledger_version
from observatory.store.database import connect
from observatory.store.ingest.price_snapshots import update_price_book
from observatory.store.ingest.rebuild import rebuild
from observatory.store.ingest.warehouse import ingest
from tests.economics.made_ledger import made_ledger
from tests.store.made_runs import manifest, sealed_run, stage_rows

FILE = """\
prices:
  - {provider: acme, model: plain, input_per_million_usd: 0.8, output_per_million_usd: 1.6, source: s}
"""


@pytest.fixture(autouse=True)
def ledger() -> Iterator[None]:
    with made_ledger():
        yield


def _update(workspace: Workspace) -> list[tuple[str, str, int]]:
    with connect(workspace, read_only=False) as connection:
        return update_price_book(workspace, connection)


def _rows(workspace: Workspace, query: str) -> list[tuple[Any, ...]]:
    with connect(workspace) as connection:
        return connection.execute(query).fetchall()


def _pretend(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(ledger_book_module, "version", lambda package: version)
    ledger_book.cache_clear()


def test_the_whole_ledger_stands_in_the_book_with_its_dates_and_steps(stocked: Workspace) -> None:
    [(book, version, rows)] = _update(stocked)
    assert (book, version, rows) == ("genai-prices", ledger_version(), len(ledger_book().rows))
    found = _rows(
        stocked,
        "SELECT kind, usd_per_million, effective_from, effective_until, basis, source FROM price_book"
        " WHERE model = 'dated' AND kind = 'input' ORDER BY usd_per_million",
    )
    source = f"genai-prices {ledger_version()}"
    assert found == [
        ("input", 3.0, date(2026, 3, 1), None, "list_price", source),
        ("input", 9.0, None, date(2026, 3, 1), "list_price", source),
    ]
    assert _rows(
        stocked,
        "SELECT utc_from::VARCHAR, utc_until::VARCHAR, usd_per_million FROM price_book"
        " WHERE model = 'by-hour' AND kind = 'input' ORDER BY utc_from",
    ) == [("00:00:00", "06:00:00", 1.0), ("06:00:00", "22:00:00", 4.0), ("22:00:00", None, 1.0)]
    assert _rows(
        stocked,
        "SELECT not_counted[1] FROM price_book WHERE model = 'plain' LIMIT 1",
    ) == [("web_searches_kcount",)]


def test_a_version_is_taken_in_once(stocked: Workspace) -> None:
    assert len(_update(stocked)) == 1
    before = _rows(stocked, "SELECT count(*), min(taken_at) FROM price_book")
    assert _update(stocked) == []
    assert _rows(stocked, "SELECT count(*), min(taken_at) FROM price_book") == before


def test_ingest_takes_in_the_ledger_and_the_price_file(stocked: Workspace) -> None:
    (stocked.root / "scenarios").mkdir()
    (stocked.root / "scenarios" / "prices.yaml").write_text(FILE)
    for name in ("r1", "r2"):
        sealed_run(stocked, manifest(name))
        assert ingest(stocked, stocked.runs / name, stage_rows).message is None
    assert _rows(
        stocked, "SELECT book, count(DISTINCT version) FROM price_book GROUP BY ALL ORDER BY ALL"
    ) == [("genai-prices", 1), ("prices.yaml", 1)]
    assert _rows(stocked, "SELECT count(*) FROM price_book WHERE book = 'prices.yaml'") == [(2,)]


def test_a_wrong_price_file_keeps_no_run_out(stocked: Workspace) -> None:
    (stocked.root / "scenarios").mkdir()
    (stocked.root / "scenarios" / "prices.yaml").write_text("prices: 7\n")
    sealed_run(stocked, manifest("r1"))
    assert ingest(stocked, stocked.runs / "r1", stage_rows).ingested == ("r1",)
    assert _rows(stocked, "SELECT DISTINCT book FROM price_book") == [("genai-prices",)]
    result = rebuild(stocked, stage_rows)
    assert result.ingested == ("r1",)
    assert "prices.yaml" in result.left_out[0]


def test_every_version_that_was_ever_seen_outlives_an_update_and_a_rebuild(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stocked.root / "scenarios").mkdir()
    own = stocked.root / "scenarios" / "prices.yaml"
    own.write_text(FILE)
    _pretend(monkeypatch, "0.0.1")
    _update(stocked)
    _pretend(monkeypatch, "0.0.2")
    own.write_text(FILE.replace("0.8", "0.7"))
    _update(stocked)
    query = "SELECT book, version, taken_at, count(*) FROM price_book GROUP BY ALL ORDER BY ALL"
    before = _rows(stocked, query)
    assert [row[0] for row in before] == ["genai-prices"] * 2 + ["prices.yaml"] * 2
    stocked.database.unlink()
    assert rebuild(stocked, stage_rows).left_out == ()
    assert _rows(stocked, query) == before
    _pretend(monkeypatch, "0.0.1")
    assert _update(stocked) == []


def test_the_current_version_is_the_one_in_use_also_after_going_back(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stocked.root / "scenarios").mkdir()
    own = stocked.root / "scenarios" / "prices.yaml"
    held = "SELECT usd_per_million FROM prices_on() WHERE kind = 'input' AND book = 'prices.yaml'"
    for text, usd in ((FILE, 0.8), (FILE.replace("0.8", "0.7"), 0.7), (FILE, 0.8)):
        own.write_text(text)
        _update(stocked)
        assert _rows(stocked, held) == [(usd,)]
    assert rebuild(stocked, stage_rows).left_out == ()
    assert _rows(stocked, held) == [(0.8,)]
    own.unlink()
    _update(stocked)
    assert _rows(stocked, held) == []
    for version in ("0.0.9", "0.0.8"):
        _pretend(monkeypatch, version)
        _update(stocked)
        assert _rows(stocked, "SELECT DISTINCT version FROM prices_on()") == [(version,)]
    [(old,)] = _rows(stocked, "SELECT count(*) FROM prices_on(in_version := '0.0.9')")
    assert old > 0


def test_a_sealed_version_is_never_written_again(stocked: Workspace) -> None:
    _update(stocked)
    [path] = (stocked.results / "prices").iterdir()
    sealed = path.read_bytes()
    stocked.database.unlink()
    _update(stocked)
    assert path.read_bytes() == sealed
    assert path.name == f"genai-prices-{ledger_version()}.parquet"
    assert not list(Path(path.parent).glob("*.part"))
