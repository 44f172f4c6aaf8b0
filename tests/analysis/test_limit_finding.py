"""The ceiling of a saturated limiter: known answers by hand, then simulated buckets and windows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.rate_limits.limit_finding import (
    LimitedAttempts,
    excluded_below,
    find_ceiling,
    retry_advice,
)
from observatory.core.emulation.profile import Limits
from observatory.emulator.limits import Allowance


def asked(
    rows: list[tuple[float, bool]], amount: float = 1.0, told: dict[float, float] | None = None
) -> LimitedAttempts:
    stated = told or {}
    return LimitedAttempts(
        np.array([at for at, _ in rows]),
        np.array([let_in for _, let_in in rows], dtype=bool),
        np.full(len(rows), amount),
        np.array([stated.get(at, math.nan) for at, _ in rows]),
    )


def simulated(
    limits: dict[str, object], demand: float, seconds: float, *, start_s: float = 0.0, tokens: int = 0,
    late_s: float = 0.0, seed: int = 1,
) -> LimitedAttempts:  # fmt: skip
    """Attempts at an even rate a second against the emulator's own limiter, each up to late_s late."""
    allowance = Allowance(Limits.model_validate(limits))
    draw = np.random.default_rng(seed)
    due = start_s + np.arange(round(demand * seconds)) / demand
    arrived = due + draw.uniform(0, late_s, len(due))
    let_in, reported = np.zeros(len(due), dtype=bool), np.full(len(due), math.nan)
    for place in np.argsort(arrived, kind="stable"):
        _, over = allowance.admit(float(arrived[place]), tokens, "m")
        let_in[place] = over is None
        if over is not None:
            reported[place] = float(dict(over.headers)["retry-after"])
    return LimitedAttempts(due, let_in, np.full(len(due), float(tokens or 1)), reported)


def test_a_bucket_by_hand() -> None:
    # 2 a second sent, 1 a second allowed, 3 saved up: full at 0 s, refused first at 2.5 s.
    rows = [(0.0, True), (0.5, True), (1.0, True), (1.5, True), (2.0, True), (2.5, False)]
    rows += [(3.0 + place / 2, place % 2 == 0) for place in range(40)]
    found = find_ceiling(asked(rows))
    assert found.a_minute == pytest.approx(60)
    assert found.mechanism == "refill"
    assert found.burst == pytest.approx(5 - 2.5)
    # Openings at 3, 4, ... 22 s: 19 in 19 s; one request and one gap of half a second unsure.
    assert found.cycles == 19
    assert found.low == pytest.approx(60 - 60 * 1.5 / 19)
    assert found.high == pytest.approx(60 + 60 * 1.5 / 19)


def test_minute_windows_by_hand() -> None:
    # 30 a minute, one request a second from 40 s into a minute on: 20 let in there, 30 in each after.
    rows = [(float(at), at < 60 or at % 60 < 30) for at in range(40, 200)]
    found = find_ceiling(asked(rows))
    # 40..59 and 60..89 run together: refused from 90 s on, openings at 120 and 180 s.
    assert found.a_minute == pytest.approx(30)
    assert (found.mechanism, found.window_s, found.window_from) == ("window", 60, "measured")
    assert found.burst == pytest.approx(30)
    assert found.low is not None and found.low == pytest.approx(30 - 60 * 1.5 / 60)


def test_one_window_and_what_its_refusals_told() -> None:
    rows = [(float(at), 30 <= at < 50 or at < 5) for at in range(80)]
    reported = {float(at): 90.0 - at for at in range(50, 80)}
    found = find_ceiling(asked(rows, told=reported))
    assert found.a_minute == pytest.approx(20)
    assert (found.mechanism, found.window_s, found.window_from) == ("window", 60, "told")
    unsaid = find_ceiling(asked(rows))
    assert (unsaid.a_minute, unsaid.window_from) == (pytest.approx(20), "assumed")


def test_what_was_not_found_says_why() -> None:
    calm = find_ceiling(asked([(float(at), True) for at in range(61)]))
    assert (calm.a_minute, calm.reason) == (None, "never_refused")
    shut = find_ceiling(asked([(0.0, True), (1.0, False), (2.0, False)]))
    assert (shut.a_minute, shut.reason) == (None, "nothing_let_in")
    cut = find_ceiling(asked([(0.0, False), (1.0, True), (2.0, True)]))
    assert (cut.a_minute, cut.reason) == (None, "too_short")
    stray = find_ceiling(asked([(float(at), at % 20 != 7) for at in range(100)]))
    assert (stray.a_minute, stray.reason) == (None, "hardly_refused")


def test_what_is_excluded_by_hand() -> None:
    # 61 in 60 s: minute windows of L could have let in 3 L, so that L is at least 61/3.
    rows = [(float(at), True) for at in range(61)]
    assert excluded_below(asked(rows)) == pytest.approx(61 / 3)
    # 30 at once before long silence: two windows of 15.
    assert excluded_below(asked([(0.0, True)] * 30 + [(600.0, True)])) == pytest.approx(15)
    assert excluded_below(asked([])) == 0


def test_told_waits_by_hand() -> None:
    rows = [(0.0, True), (1.0, False), (2.0, False), (3.0, True), (4.0, False), (5.0, False)]
    honest = retry_advice(asked(rows, told={1.0: 2.0, 2.0: 1.0, 4.0: 30.0}))
    assert (honest.refusals, honest.enough) == (
        2,
        1.0,
    )  # the wait of 4 s does not count: it is not over
    assert (honest.stated_s, honest.real_s) == (1.5, 1.5)
    rows += [(at, False) for at in np.arange(6.0, 12.0)]
    short = retry_advice(asked(rows, told={4.0: 1.0}))
    assert (short.refusals, short.enough, short.real_s) == (1, 0.0, None)
    assert retry_advice(asked(rows)).enough is None
    assert retry_advice(asked([])).refusals == 0


@settings(max_examples=60, deadline=None)
@given(
    limit=st.sampled_from([60, 300, 1200]),
    burst_s=st.sampled_from([3, 5, 30, 60]),
    over=st.floats(1.5, 4.0),
    late_ms=st.sampled_from([0, 5, 50]),
    seed=st.integers(0, 99),
)
def test_any_bucket_is_found_within_five_percent(
    limit: int, burst_s: int, over: float, late_ms: int, seed: int
) -> None:
    demand = over * limit / 60
    drain_s = burst_s / (over - 1)
    found = find_ceiling(
        simulated(
            {"requests_per_minute": limit, "burst": f"{burst_s}s"},
            demand,
            drain_s + 65,
            late_s=late_ms / 1000,
            seed=seed,
        )
    )
    assert found.a_minute is not None and found.low is not None and found.high is not None
    assert abs(found.a_minute / limit - 1) < 0.05
    assert found.low <= limit <= found.high
    assert found.mechanism == "refill"
    saved = max(1.0, limit * burst_s / 60)
    assert found.burst == pytest.approx(saved, abs=2.5 + 0.05 * saved)


@settings(max_examples=30, deadline=None)
@given(over=st.floats(1.2, 8.0), late_ms=st.sampled_from([0, 50]))
def test_a_bucket_of_one_runs_over_and_the_interval_knows(over: float, late_ms: int) -> None:
    limits: dict[str, object] = {"requests_per_minute": 60, "burst": "1s"}
    found = find_ceiling(simulated(limits, over, 70, late_s=late_ms / 1000))
    assert found.low is not None and found.high is not None
    assert found.low <= 60 <= found.high


@settings(max_examples=40, deadline=None)
@given(
    limit=st.sampled_from([60, 300, 1200]),
    start_s=st.floats(0, 59.9),
    over=st.floats(1.5, 4.0),
    late_ms=st.sampled_from([0, 5, 50]),
    whole=st.booleans(),
)
def test_any_minute_window_is_found_within_five_percent(
    limit: int, start_s: float, over: float, late_ms: int, whole: bool
) -> None:
    # The longest that a window takes to show: it is used up, and then nothing is let in for longer than
    # a bucket of that rate would refuse.
    seconds = 60 * (1 + 2 / over) + (62 if whole else 5 + 300 / limit)
    found = find_ceiling(
        simulated(
            {"requests_per_minute": limit, "window": "minute"},
            over * limit / 60,
            seconds,
            start_s=start_s,
            late_s=late_ms / 1000,
        )
    )
    assert found.a_minute is not None and found.low is not None and found.high is not None
    assert abs(found.a_minute / limit - 1) < 0.05
    assert found.low <= limit <= found.high
    assert found.mechanism == "window"
    assert found.window_s == pytest.approx(60, abs=2)
    assert found.window_from == "measured" or not whole


@settings(max_examples=30, deadline=None)
@given(
    limit=st.sampled_from([20_000, 200_000]),
    each=st.sampled_from([200, 1000]),
    window=st.sampled_from(["refill", "minute"]),
    over=st.floats(1.5, 3.0),
)
def test_tokens_are_found_as_requests_are(limit: int, each: int, window: str, over: float) -> None:
    found = find_ceiling(
        simulated(
            {"tokens_per_minute": limit, "window": window},
            over * limit / each / 60,
            160 + 60 / (over - 1),
            tokens=each,
            start_s=7.0,
        )
    )
    assert found.a_minute is not None
    assert abs(found.a_minute / limit - 1) < max(0.05, 1.5 * each / limit)
    assert found.mechanism == ("refill" if window == "refill" else "window")


@given(
    limit=st.integers(5, 600),
    window=st.sampled_from(["refill", "minute"]),
    demand=st.floats(0.1, 30),
    start_s=st.floats(0, 59),
)
@settings(max_examples=60, deadline=None)
def test_what_is_excluded_is_never_the_truth(
    limit: int, window: str, demand: float, start_s: float
) -> None:
    data = simulated({"requests_per_minute": limit, "window": window}, demand, 50, start_s=start_s)
    assert excluded_below(data) <= limit + 1e-9


def test_where_nobody_knows_what_was_taken_there_is_no_ceiling() -> None:
    sent = np.arange(40) / 2.0
    let_in = np.arange(40) % 2 == 0
    asked = LimitedAttempts(sent, let_in, np.zeros(40), np.full(40, np.nan))
    found = find_ceiling(asked)
    assert (found.a_minute, found.reason, found.excluded_below) == (None, "nothing_let_in", 0.0)
