"""docs/telemetry.md lists the names that the code reads."""

from pathlib import Path

import pytest

from observatory.telemetry.names_page import filled
from observatory.telemetry.sensors.dcgm import FIELDS
from observatory.telemetry.sensors.engine_names import NAMES

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"


def test_the_page_is_current_and_names_everything_that_is_looked_for() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run python -m observatory.telemetry.names_page docs/telemetry.md"
    assert all(f"`{name}`" in text for name in [*NAMES, *FIELDS])


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="begin engine vocabulary"):
        filled("nothing")
