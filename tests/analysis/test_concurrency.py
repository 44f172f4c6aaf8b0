"""Open requests: exact means, a trend found where load climbs and nowhere else."""

import heapq
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.stage_metrics import stage_metrics
from observatory.analysis.statistics.concurrency import (
    MIN_STARTS,
    Concurrency,
    concurrency,
    has_trend,
)

S = 10**9


def over(starts_s: Any, ends_s: Any, start_s: float, end_s: float) -> Concurrency:
    instants = (np.round(np.asarray(each) * 1e9).astype(np.int64) for each in (starts_s, ends_s))
    return concurrency(*instants, round(start_s * S), round(end_s * S))


def queue(
    rng: np.random.Generator, rate: float, service_s: float, servers: int, length_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Arrivals and departures of an M/M/c queue from empty."""
    arrivals = np.cumsum(rng.exponential(1 / rate, int(rate * length_s * 1.5) + 50))
    arrivals = arrivals[arrivals < length_s]
    free = [0.0] * servers
    ends = []
    for at, service in zip(arrivals, rng.exponential(service_s, len(arrivals)), strict=True):
        end = max(heapq.heappop(free), at) + service
        heapq.heappush(free, end)
        ends.append(end)
    return arrivals, np.array(ends)


def test_the_mean_is_open_time_over_the_window() -> None:
    """One all along, one from 2 to 5 s, one that ends as the window begins: 13 s in 10."""
    found = over([-1, 2, -3], [99, 5, 0], 0, 10)
    assert found.mean == pytest.approx(1.3)
    assert found.change == pytest.approx(5 / 8 - 1)
    assert not found.trend


def test_no_requests_are_no_concurrency() -> None:
    assert over([], [], 0, 10) == Concurrency(0.0, None, False)


def test_a_constant_load_beyond_capacity_is_a_trend() -> None:
    """10 a second come and 9 are served: 1 more is open each second."""
    came = np.arange(0, 35, 0.1)
    served = (np.arange(len(came)) + 1) / 9
    found = over(came, served, 5, 35)
    assert found.trend
    assert found.mean == pytest.approx(20, abs=1)
    assert found.change == pytest.approx(27.5 / 12.5 - 1, rel=0.1)


def test_a_backlog_that_is_worked_off_is_a_trend_too() -> None:
    came = np.concatenate((np.zeros(300), np.arange(0, 35, 0.2)))
    served = (np.arange(len(came)) + 1) / 12
    found = over(came, served, 5, 35)
    assert found.trend
    assert found.change is not None
    assert found.change < -0.3


def test_a_warm_up_shorter_than_an_answer_is_a_trend() -> None:
    rng = np.random.default_rng(3)
    came = np.cumsum(rng.exponential(0.1, 400))
    assert over(came, came + rng.lognormal(np.log(20), 0.1, 400), 5, 35).trend


@pytest.mark.parametrize("users", [1, 4, 64])
def test_a_closed_loop_is_level(users: int) -> None:
    rng = np.random.default_rng(users)
    ends = np.cumsum(rng.lognormal(-1, 0.5, (users, 400)), axis=1)
    starts = np.concatenate((np.zeros((users, 1)), ends[:, :-1]), axis=1)
    found = over(starts.ravel(), ends.ravel(), 5, 35)
    assert found.mean == pytest.approx(users)
    assert not found.trend


@pytest.mark.parametrize("busy", [0.3, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("servers", [1, 8])
def test_a_sound_queue_is_called_climbing_less_than_once_in_a_hundred(
    busy: float, servers: int
) -> None:
    """Also at exactly its capacity, where it is a random walk."""
    rng = np.random.default_rng(round(busy * 100) + servers)
    alarms = 0
    for _ in range(150):
        came, gone = queue(rng, 10, busy * servers / 10, servers, 70)
        alarms += over(came, gone, 40, 70).trend
    assert alarms <= 1


def test_an_overloaded_queue_is_found() -> None:
    rng = np.random.default_rng(9)
    found = sum(over(*queue(rng, 20, 0.1, 1, 35), 5, 35).trend for _ in range(50))
    assert found >= 45


def test_few_requests_show_no_trend() -> None:
    came = np.linspace(0, 29, MIN_STARTS - 1)
    never = np.full(len(came), 99.0)
    assert not over(came, never, 0, 30).trend
    more = np.linspace(0, 29, MIN_STARTS)
    assert over(more, np.full(len(more), 99.0), 0, 30).trend


def test_flows_of_one_size_are_a_trend_and_one_step_is_none() -> None:
    assert has_trend(np.full(20, 3))
    assert not has_trend(np.zeros(20, dtype=np.int64))
    assert not has_trend(np.eye(1, 20, 7, dtype=np.int64)[0] * 50)


@settings(deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 40 * S), st.integers(1, 20 * S)), max_size=30),
    seed=st.integers(0, 99),
)
def test_the_mean_is_the_overlap_of_each_span(spans: list[tuple[int, int]], seed: int) -> None:
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    ends = starts + np.array([length for _, length in spans], dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(spans))
    found = concurrency(starts[order], ends, 5 * S, 35 * S)
    overlap = sum(max(0, min(s + n, 35 * S) - max(s, 5 * S)) for s, n in spans)
    assert found.mean == pytest.approx(overlap / (30 * S), rel=1e-6, abs=1e-6)


def test_a_climbing_stage_is_said_to_drift_and_both_figures_are_stored(
    made: Any, figure: Any
) -> None:
    """Each request takes 2 % of a second longer than the one before; ten a second come."""
    made.kinds = ["constant"]
    made.healthy_side()
    for place in range(350):
        made.add(place / 10, ttft_s=0.1, gaps_s=[0.01, place * 0.02])
    findings, _ = judge_run(made.manifest, made.frames)
    assert [finding.code for finding in findings] == ["drift"]
    frame = stage_metrics(made.manifest, made.frames)
    change = figure(frame, "open_requests_change")
    assert (change["reason"], change["value"] > 0.3) == (None, True)
    assert findings[0].severity == "invalid"


def test_a_level_stage_stores_that_it_was_level(made: Any, figure: Any) -> None:
    for place in range(300):
        made.add(5 + place / 10, ttft_s=0.1, gaps_s=[0.1])
    frame = stage_metrics(made.manifest, made.frames)
    assert figure(frame, "open_requests")["value"] == pytest.approx(2.0, rel=0.01)
    assert figure(frame, "open_requests_change")["reason"] == "within_noise"
