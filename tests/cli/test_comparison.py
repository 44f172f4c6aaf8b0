"""The terminal's figures: interval in the figure's unit, basis beside it, or why there is none."""

import pytest

from observatory.cli.comparison import HELD_UP, LINES, cell, lines_of, with_interval

BARE = {
    "value": None, "low": None, "high": None, "bound": None, "n": 50, "needs_n": 64,
    "basis": "measured", "reason": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "expected"),
    [
        (0.4101, 0.391, 0.457, "s", ("410 ms", "391–457")),
        (0.4101, 0.391, 2.36, "s", ("410 ms", "391–2360")),
        (1.8, 1.63, 2.14, "s", ("1.8 s", "1.63–2.14")),
        (0.0, 0.0, 0.0, "s", ("0 s", "0–0")),
        (0.32, 0.208, 0.458, "%", ("32 %", "20.8–45.8")),
        (0.0357, 0.0225, 0.0867, "$", ("$0.0357", "0.0225–0.0867")),
        (8.6, 3.68, 13.5, "", ("8.6", "3.68–13.5")),
    ],
)
def test_an_interval_has_the_figures_unit(
    value: float, low: float, high: float, unit: str, expected: tuple[str, str]
) -> None:
    assert with_interval(value, low, high, unit) == expected


def test_a_figure_says_its_basis_unless_it_was_measured() -> None:
    row = {**BARE, "value": 6.18, "basis": "estimated"}
    assert cell(row, "J").plain == "6.18 J estimated"
    assert cell({**row, "basis": "measured"}, "J").plain == "6.18 J"


def test_a_missing_figure_says_why() -> None:
    assert cell({**BARE, "reason": "sample_floor"}, "s").plain == "needs 64 requests, has 50"
    failed = {**BARE, "reason": "failures", "bound": 10.0}
    assert cell(failed, "s").plain == "> 10 s (failures)"
    assert cell({**BARE, "reason": "no_slo"}, "%").plain == "– no_slo"
    assert cell(None, "s").plain == "–"


@pytest.mark.parametrize(
    ("metric", "statistic", "value", "shown"),
    [
        ("throttle_rate", "value", 0.01, True),
        ("throttle_rate", "value", 0.0, False),
        ("pace_wait_s", "mean", 0.4, True),
        ("pace_wait_s", "mean", 2e-5, False),
        ("throttle_rate", "value", None, False),
    ],
)
def test_service_waits_and_what_users_waited_stand_together_where_any_target_held_up(
    metric: str, statistic: str, value: float | None, shown: bool
) -> None:
    quiet = {("throttle_rate", "value"): {**BARE, "value": 0.0}}
    lines = lines_of([quiet, {(metric, statistic): {**BARE, "value": value}}])
    if not shown:
        assert lines == list(LINES)
        return
    place = lines.index(("End to end, p90", "e2e_s", "p90", "s"))
    assert lines[place + 1 : place + 1 + len(HELD_UP)] == list(HELD_UP)
    metrics = [line[1] for line in lines]
    assert {"e2e_s", "throttle_wait_s", "pace_wait_s", "e2e_scheduled_s"} <= set(metrics)
    assert [line for line in lines if line not in HELD_UP] == list(LINES)
