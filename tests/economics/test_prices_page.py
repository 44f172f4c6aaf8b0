"""docs/prices.md: its price file loads, and no key of a price file goes unmentioned."""

import re
from pathlib import Path

from observatory.economics.price_files import PriceFile, book_of, read_price_file

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
