"""Put generated tables between their markers in a page of docs/."""

from collections.abc import Mapping
from pathlib import Path


def filled_page(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with each table between its markers; raise ValueError where a marker is missing."""
    for name, table in tables.items():
        opening, closing = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, found, rest = page.partition(opening)
        _, closed, after = rest.partition(closing)
        if not found or not closed:
            raise ValueError(f"the page lacks {opening} ... {closing}")
        page = f"{before}{opening}\n{table}\n{closing}{after}"
    return page


def rewrite(path: str, tables: Mapping[str, str]) -> None:
    """Write the page of a path again with its tables."""
    file = Path(path)
    file.write_text(filled_page(file.read_text(encoding="utf-8"), tables), encoding="utf-8")
