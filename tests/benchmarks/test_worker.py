"""CPU and memory out of the workers' heartbeats, by hand-made ticks."""

import math

import polars as pl
import pytest

from benchmarks.worker import memory_at, worker_cost

S = 10**9


def ticks(*rows: tuple[int, str, int, int, int, int, int]) -> pl.DataFrame:
    names = ["worker", "kind", "at_ns", "cpu_ns", "recorded", "loop_lag_ns", "rss_bytes"]
    return pl.DataFrame(rows, schema=names, orient="row")


TICKS = ticks(
    (0, "start", 0, 0, 0, 0, 0),
    (0, "tick", 1 * S, 9 * S, 500, 90_000_000, 10_000_000),
    (0, "tick", 2 * S, 10 * S, 1000, 1_000_000, 100_000_000),
    (0, "tick", 4 * S, 11 * S, 3000, 2_000_000, 150_000_000),
    (1, "tick", 2 * S, 20 * S, 1000, 5_000_000, 50_000_000),
    (1, "tick", 4 * S, 22 * S, 2000, 1_000_000, 60_000_000),
    (1, "end", 5 * S, 30 * S, 9000, 0, 0),
)


def test_cost_is_the_difference_within_the_window_over_all_workers() -> None:
    cost = worker_cost(TICKS, (2 * S, 4 * S))
    # 1 + 2 CPU-seconds for 2000 + 1000 requests in 2 s; worker 1 is the busiest.
    assert cost.cpu_s_per_1000 == pytest.approx(1.0)
    assert cost.cpu_share == pytest.approx(1.0)
    assert cost.requests_per_s == pytest.approx(1500)
    assert cost.loop_lag_max_ms == pytest.approx(5)
    assert cost.rss_max_mb == pytest.approx(150)


def test_one_tick_has_no_difference() -> None:
    cost = worker_cost(TICKS, (0, 1 * S))
    assert math.isnan(cost.cpu_s_per_1000)
    assert math.isnan(cost.rss_max_mb)


def test_memory_when_a_share_of_the_requests_was_recorded() -> None:
    # Worker 0 is the largest: 500 of 3000 are 16 %, 1000 are 33 %.
    assert memory_at(TICKS, (0.1, 0.3, 1.0)) == [10, 100, 150]
