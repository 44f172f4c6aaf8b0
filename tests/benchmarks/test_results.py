"""What was to be reached, kept as JSON, and the page's tables made of it."""

import math
import re
from pathlib import Path

import pytest

from benchmarks.machine import facts
from benchmarks.render import BLOCKS, PAGE, fill, render, table
from benchmarks.results import Check, Measurement, load, save
from observatory.core.errors import BadInput

MACHINE = {**facts(), "load_average_before": 0.0}
SPREAD = {"n": 3, "p50_ms": 0.01, "p99_ms": 0.2, "max_ms": 5.0}


@pytest.mark.parametrize(
    ("check", "reached", "target"),
    [
        (Check("a", 1.0, high=1), True, "at most 1"),
        (Check("a", 1.1, high=1, unit="ms"), False, "at most 1 ms"),
        (Check("a", 1.8, low=1.8, unit="x"), True, "at least 1.8 x"),
        (Check("a", 0.96, low=0.97, high=1.03), False, "0.97 to 1.03"),
        (Check("a", 1.04, low=0.97, high=1.03), False, "0.97 to 1.03"),
        (Check("a", 0.0, low=0), True, "at least 0"),
        (Check("a", None, high=1), None, "at most 1"),
        (Check("a", math.nan, high=1), None, "at most 1"),
    ],
)
def test_a_number_is_reached_at_its_bound_and_missed_past_it(
    check: Check, reached: bool | None, target: str
) -> None:
    assert check.reached is reached
    assert check.target == target


def test_a_measurement_is_the_same_after_a_file(tmp_path: Path) -> None:
    kept = Measurement(
        "start",
        values={"start_median_s": 1.25, "missing": math.nan, "more": {"n": 2}},
        rows=[{"repeat": 0}],
        checks=[Check("median", 1.25, high=1.5, unit="s")],
        machine=MACHINE,
    )
    again = load(save(kept, tmp_path))
    assert again.values == {"start_median_s": 1.25, "missing": None, "more": {"n": 2}}
    assert (again.name, again.rows, again.checks) == ("start", kept.rows, kept.checks)
    assert again.at == kept.at


def measured() -> list[Measurement]:
    truth = Measurement(
        "truth-64",
        values={
            "streams": 64,
            "requests": 640,
            **dict.fromkeys(("ttft", "ttft_from_arrival", "gap", "instant"), SPREAD),
            "shared_fraction": None,
            "worker_cpu_share": 0.51,
            "worker_cpu_s_per_1000": 1.4,
            "verdict": "degraded: busy (client_cpu); late (client_delay)",
        },
        checks=[Check("gap error p99", 0.2, high=0.3, unit="ms"), Check("lost", 2, high=0)],
        machine=MACHINE,
        quiet={"busy": True},
        at="2026-11-22T10:00:00+00:00",
    )
    null = Measurement(
        "late-client", checks=[Check("stops", 4, low=3)], machine=MACHINE, at="2026-11-22T10:00:00"
    )
    ceiling = Measurement(
        "ceiling",
        values={
            "requests_per_s_by_server": 4200.4,
            "tree_cpu_s": 20.0,
            "requests": 40_000,
            "worker_rss_max_mb": 159.7,
        },
        rows=[
            {"name": "aiperf", "reason": "not installed here"},
            {
                "name": "vllm-bench",
                "reason": None,
                "version": "0.32.0",
                "completed": 6000,
                "cpu_s": 12.0,
                "rss_max_bytes": 700_000_000,
                "requests_per_s_by_server": 850.0,
            },
        ],
        machine=MACHINE,
        at="2026-11-22T10:00:00",
    )
    reported = Measurement(
        "peers-truth",
        rows=[
            {"streams": 64, "name": "aiperf", "reason": "not installed here"},
            {
                "streams": 64,
                "name": "observatory",
                "reported_ttft_p50_s": 0.1001,
                "reported_ttft_p99_s": 0.1004,
                "true_ttft_p50_s": 0.1,
                "true_ttft_p99_s": None,
            },
        ],
        machine=MACHINE,
        at="2026-11-22T10:00:00",
    )
    return [truth, null, ceiling, reported]


def test_the_page_is_filled_between_its_marks_and_nowhere_else() -> None:
    page = PAGE.read_text()
    made = fill(page, measured())
    assert "| truth-64 | gap error p99 | at most 0.3 ms | 0.2 ms | yes |" in made
    assert "| truth-64 | lost | at most 0 | 2 | **no** |" in made
    assert "| 64 | 640 | 0.01 / 0.2 / 5 |" in made
    assert "| – | 51% | 1.4 | degraded: client_cpu, client_delay |" in made
    assert "| stops | at least 3 | 4 | yes |" in made
    assert "| 4,200 | 0.5 | 160 (worker) |" in made
    assert "| aiperf | not installed here | – | – | – |" in made
    assert "| vllm-bench | 0.32.0 | 850 | 2 | 700 |" in made
    assert "| 64 | aiperf | not installed here | – |" in made
    assert "| 64 | observatory | 100.1 (100.0) | 100.4 (–) |" in made
    assert "busy with other work before: truth-64." in made
    assert fill(made, measured()) == made
    assert _between_marks(made) == _between_marks(page)


def _between_marks(page: str) -> str:
    """The page without what is written into it."""
    return re.sub(r"(<!-- bench:([a-z-]+) -->).*?(<!-- /bench:\2 -->)", r"\1\3", page, flags=re.S)


def test_a_page_without_a_mark_and_a_folder_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bench:machine"):
        fill("# empty", measured())
    with pytest.raises(BadInput, match="nothing was measured"):
        render(tmp_path, PAGE)


def test_an_empty_table_says_so() -> None:
    assert table(["a"], []) == "Not measured."
    assert set(BLOCKS) == {
        "machine",
        "targets",
        "truth",
        "peers",
        "peers-truth",
        "open",
        "null",
        "telemetry",
    }
