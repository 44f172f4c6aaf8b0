"""docs/metrics.md agrees with the metric table and the thresholds."""

from pathlib import Path

import pytest

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.metric import FLOORS, METRICS
from tools.doc_tables import filled_page
from tools.metrics_page import metrics_table, page_tables, thresholds_table

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled_page(text, page_tables()) == text, (
        "run python -m tools.metrics_page docs/metrics.md"
    )


def test_every_metric_and_code_has_its_row() -> None:
    metrics, thresholds = metrics_table(), thresholds_table()
    assert [row.split("`")[1] for row in metrics.splitlines()[2:]] == [m.name for m in METRICS]
    assert [row.split("`")[1] for row in thresholds.splitlines()[2:]] == list(THRESHOLDS)
    cells = {row.count("|") - row.count("\\|") for row in metrics.splitlines()}
    assert cells == {7}


def test_the_floors_in_the_prose_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for statistic, floor in FLOORS.items():
        name = {"p999": "p99.9"}.get(statistic, statistic)
        assert f"{floor:,} ({name})" in text


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="begin metrics"):
        filled_page("nothing", page_tables())
