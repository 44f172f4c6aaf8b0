"""The terminal's figures: interval in the figure's unit, with its basis, or the reason for none."""

from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from observatory.cli.measure.comparison import (
    HELD_UP,
    LINES,
    cell,
    lines_of,
    print_tables,
    verdict_line,
)
from observatory.core.errors import BadInput
from observatory.core.run import Verdict
from observatory.presentation.figures import Figure, StageFigures
from observatory.runner.finished_run import FinishedRun
from observatory.store.ingest.warehouse import IngestResult
from tests.store.made_runs import manifest

BARE = Figure("ttft_s", "p50", n=50, needs_n=64, basis="measured")


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "expected"),
    [
        (0.4101, 0.391, 0.457, "s", "410 ms [391–457 ms]"),
        (0.4101, 0.391, 2.36, "s", "410 ms [391 ms – 2.36 s]"),
        (0.4101, 0.391, float("inf"), "s", "410 ms [391 ms to > timeout]"),
        (0.32, 0.208, 0.458, "%", "32 % [20.8–45.8 %]"),
        (0.0357, 0.0225, 0.0867, "USD", "$0.0357 [$0.0225–0.0867]"),
        (8.6, 3.68, 13.5, "", "8.6 [3.68–13.5]"),
    ],
)
def test_an_interval_has_the_figures_unit(
    value: float, low: float, high: float, unit: str, expected: str
) -> None:
    assert cell(replace(BARE, value=value, low=low, high=high), unit).plain == expected


def test_a_figure_says_its_basis_unless_it_was_measured() -> None:
    row = replace(BARE, value=6.18, basis="estimated")
    assert cell(row, "J").plain == "6.18 J estimated"
    assert cell(replace(row, basis="measured"), "J").plain == "6.18 J"


def test_a_missing_figure_says_why() -> None:
    assert cell(replace(BARE, reason="sample_floor"), "s").plain == "needs 64 requests, has 50"
    failed = replace(BARE, reason="failures", bound=10.0)
    assert cell(failed, "s").plain == "> 10 s (failures)"
    assert cell(replace(BARE, reason="no_slo"), "%").plain == "– the scenario sets no objective"
    gap = "energy_gap: cpu energy has no reading for 3.0 s; energy_window: the window is 9 s long"
    withheld = "– cpu energy has no reading for 3.0 s; the window is 9 s long"
    assert cell(replace(BARE, reason=gap), "J").plain == withheld
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
    quiet = StageFigures({("throttle_rate", "value"): replace(BARE, value=0.0)})
    held = StageFigures({(metric, statistic): replace(BARE, value=value)})
    lines = lines_of([quiet, held])
    if not shown:
        assert lines == list(LINES)
        return
    place = lines.index(("End to end, p90", "e2e_s", "p90", "s"))
    assert lines[place + 1 : place + 1 + len(HELD_UP)] == list(HELD_UP)
    metrics = [line[1] for line in lines]
    assert {"e2e_s", "throttle_wait_s", "pace_wait_s", "e2e_scheduled_s"} <= set(metrics)
    assert [line for line in lines if line not in HELD_UP] == list(LINES)


def _ended(status: str, reason: str, sentence: str) -> FinishedRun:
    made = manifest(
        "r", status=status, status_reason=reason, verdict=Verdict("invalid", [], sentence)
    )
    return FinishedRun(Path(), made, pl.DataFrame(), IngestResult(("r",)))


def test_a_reason_is_printed_once() -> None:
    failed = BadInput("access was refused with HTTP 401", where="https://x", fix="look at the key")
    own = _ended("crashed", str(failed), "invalid: nothing was measured (no_requests)")
    name = own.manifest.target.name
    assert (
        verdict_line(own, failed).plain
        == f"{name}: crashed; invalid: nothing was measured (no_requests)"
    )
    assert verdict_line(own).plain.startswith(f"{name}: crashed (https://x: access was refused")
    alike = _ended("crashed", "refused_alike: all 20 were", "invalid: all 20 were (refused_alike)")
    assert verdict_line(alike).plain == f"{name}: crashed; invalid: all 20 were (refused_alike)"


def test_a_run_that_another_targets_failure_kept_from_starting_is_not_run() -> None:
    reason = "not run, because rented failed"
    run = _ended("crashed", reason, f"invalid: {reason} (no_requests)")
    name = run.manifest.target.name
    assert verdict_line(run).plain == f"{name}: invalid: {reason} (no_requests)"


def test_money_of_an_invalid_run_is_left_out_of_the_table() -> None:
    cost = replace(BARE, metric="usd_per_1k_requests", statistic="value", value=0.5)
    run = _ended("complete", "", "invalid: the client was late (client_delay)")
    run = replace(run, metrics=pl.DataFrame([{"stage": 0, **asdict(cost)}]))
    out = StringIO()
    print_tables(Console(file=out, width=160, highlight=False), [run])
    assert "– invalid run" in out.getvalue()
    assert "$0.5" not in out.getvalue()
