"""docs/telemetry.md lists the names that the code reads."""

from pathlib import Path

import pytest

from observatory.telemetry.sensors.dcgm import FIELDS
from observatory.telemetry.sensors.engine_names import NAMES
from tools.doc_tables import filled_page
from tools.names_page import page_tables

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"


def test_the_page_is_current_and_names_everything_that_is_looked_for() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled_page(text, page_tables()) == text, (
        "run python -m tools.names_page docs/telemetry.md"
    )
    assert all(f"`{name}`" in text for name in [*NAMES, *FIELDS])


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="begin engine vocabulary"):
        filled_page("nothing", page_tables())
