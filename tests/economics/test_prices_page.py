"""docs/prices.md: its price file loads, and no key of a price file goes unmentioned."""

import re
from pathlib import Path

import duckdb
import pytest

from observatory.core.money.agreed_prices import PriceFile
from observatory.economics.agreed_prices import book_of
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.inputs.price_files import read_price_file
from observatory.store.views.price_macros import BLENDED_USD

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/prices.md").read_text(encoding="utf-8")


def test_the_example_file_of_the_page_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    rows = book_of(read_price_file(path)).rows
    assert {row.model for row in rows} == {"gpt-4.1", "gpt-4.1-mini", "my-tuned-gemini"}


def test_the_shipped_example_loads_as_it_is() -> None:
    read = read_price_file(ROOT / "scenarios/prices.example.yaml")
    assert {entry.basis for _, entry in read.entries} == {"example"}
    assert {row.service_tier for row in book_of(read).rows} == {None, "batch"}


def test_every_key_is_documented() -> None:
    schema = PriceFile.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})} - {"prices"}
    assert keys <= set(re.findall(r"`([a-z_0-9]+)`", PAGE))


def test_the_example_by_hand_is_what_the_code_computes() -> None:
    """Read from the page's table: tokens, price and amount of each kind, and their sum."""
    lines = [line.strip("| ").split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    kinds = ("input", "cached_input", "cache_write", "output")
    table = {
        name: (cells[1].strip(), float(cells[2]), float(cells[3]))
        for cells in lines
        if len(cells) == 4 and (name := cells[0].strip(" `")) in kinds
    }
    prices = AppliedPrices(
        [PriceRow(kind, table[kind][1], "list_price", "page") for kind in kinds], "list_price"
    )
    together = request_cost_usd(prices, 12_000, 8_000, 600, 1_000)
    assert together == pytest.approx(sum(amount for _, _, amount in table.values()))
    assert together == pytest.approx(0.024150)
    assert "| together | | | 0.024150 |" in PAGE
    tokens = {"input": 3_000, "cached_input": 8_000, "cache_write": 1_000, "output": 600}
    for kind, (stated, price, amount) in table.items():
        assert f"{tokens[kind]:,}" in stated
        assert amount == pytest.approx(tokens[kind] * price / 1e6)
    uncached = request_cost_usd(prices, 12_000, 0, 600)
    assert uncached == pytest.approx(0.045)
    assert "0.036000 + 0.009000 = 0.045000" in PAGE
    with duckdb.connect(":memory:") as connection:
        connection.execute(BLENDED_USD.sql)
        blended = connection.execute(
            "SELECT blended_usd(3, 15),"
            " blended_usd(3, 15, cached_input_usd := 0.3, cached_share := 2 / 3)"
        ).fetchone()
    assert blended == pytest.approx((6.0, 4.65))
    assert "(3 x 3.00 + 15.00) / 4 = 6.00" in PAGE
    assert "/ 4 = 4.65" in PAGE
