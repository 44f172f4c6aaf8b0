"""What each test took: `--slowest N` prints the worst and the totals, `--times FILE` writes all.

Seconds of wall time beside seconds of processor time, of the test's process and of the children that
ended with it. The difference is waiting.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CPU = "cpu_s"
GROUP = re.compile(r"@[^\]]*$")
"""What pytest-xdist adds to the name of a test."""
ELSEWHERE: list[float] = []
"""Seconds of processes that were no children of this one; who had them started adds them."""


def add_options(parser: pytest.Parser) -> None:
    """Add the options that `Slowest` reads."""
    parser.addoption("--slowest", type=int, default=0, help="print the N slowest tests")
    parser.addoption("--times", type=Path, help="write the seconds of each test, one JSON a line")


def _cpu_s() -> float:
    return sum(os.times()[:4]) + sum(ELSEWHERE)


@dataclass
class Took:
    """Seconds of one test, its set-up and its clean-up."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


class Slowest:
    """A plugin that adds up what the reports of a test measured, also where other processes ran it."""

    def __init__(self) -> None:
        self.took: dict[str, Took] = defaultdict(Took)
        self.spent_s = 0.0

    def pytest_collection_finish(self) -> None:
        self.spent_s = _cpu_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[Any]:
        report = yield
        now = _cpu_s()
        report.user_properties.append((CPU, now - self.spent_s))
        self.spent_s = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        took = self.took[GROUP.sub("", report.nodeid)]
        took.wall_s += report.duration
        for name, value in report.user_properties:
            if name == CPU and isinstance(value, float):
                took.cpu_s += value

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        times: Path | None = config.getoption("--times")
        if times is not None:
            rows = (
                {"test": name, "wall_s": each.wall_s, "cpu_s": each.cpu_s}
                for name, each in self.took.items()
            )
            times.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        count: int = config.getoption("--slowest")
        if not count:
            return
        terminalreporter.section(f"slowest {count} tests")
        terminalreporter.line("  wall s    cpu s")
        worst = sorted(self.took.items(), key=lambda pair: -pair[1].wall_s)[:count]
        for name, each in worst:
            terminalreporter.line(f"{each.wall_s:8.1f} {each.cpu_s:8.1f}  {name}")
        wall_s = sum(each.wall_s for each in self.took.values())
        cpu_s = sum(each.cpu_s for each in self.took.values())
        terminalreporter.line(f"{wall_s:8.1f} {cpu_s:8.1f}  all {len(self.took)} tests together")
