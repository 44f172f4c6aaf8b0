"""Random kills of a run's processes: nothing is sent after the runner, nothing is loaded twice or lost unsaid."""

from pathlib import Path

import pytest

from tools.kill_harness import run_series
from tools.kill_report import Report

pytestmark = pytest.mark.live


def check(report: Report, kills: int) -> None:
    assert report.faults == [], "\n".join(report.lines())
    assert len(report.kills) == kills


def test_a_killed_runner_sends_nothing_more(tmp_path: Path) -> None:
    check(run_series(tmp_path, 2, 1, seed=5, steady_s=0.5, limit_s=120), 2)


@pytest.mark.soak
def test_three_hundred_kills(tmp_path: Path) -> None:
    check(run_series(tmp_path, 300, 40, seed=1, steady_s=1.0, limit_s=4 * 3600), 300)
