"""How a relative change is written: a percentage, and a ratio where that is too long to read."""

import pytest

from observatory.core.floors import count_text, duration_text, needs_text
from observatory.core.units import change_text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (0.12, "+12 %"),
        (-0.5, "-50 %"),
        (9.0, "+900 %"),
        (13.0, "14 x"),
        (1298.0, "1,299 x"),
        (-0.9, "-90 %"),
        (-0.93, "0.07 x"),
        (-1.0, "-100 %"),
        (0.0, "+0 %"),
        (-1.5, "-150 %"),
    ],
)
def test_changes_beyond_ten_times_are_ratios(change: float, text: str) -> None:
    assert change_text(change) == text


def test_a_floor_counts_independent_requests() -> None:
    assert needs_text(64, 9) == "needs 64 requests, has 9"
    assert needs_text(64, 9, 9, 70.0) == "needs 64 requests, has 9"
    assert needs_text(64, 1000, 9, 711.0) == (
        "needs 64 independent requests, has about 9; run about 12 minutes at this load"
    )
    assert needs_text(64, 1000, 0) == "needs 64 independent requests, has about 0"
    assert count_text(1000, 84) == "1,000, effective 84"
    assert count_text(1000, 1000) == count_text(1000, None) == "1,000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 second"),
        (119, "about 119 seconds"),
        (121, "about 3 minutes"),
        (7300, "about 3 hours"),
    ],
)
def test_a_length_of_time_is_rounded_up(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
