"""What a probe does next: known answers, and whole probes against simulated limiters."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.rate_limits.limit_finding import FoundLimit, RetryAdvice, find_ceiling
from observatory.analysis.rate_limits.limit_reading import LimitsSeen, StageSeen, best_of
from observatory.limits.limit_probe import answer_of, token_size
from observatory.limits.limit_steps import (
    OVER,
    WINDOW_S,
    Bounds,
    History,
    LimitStep,
    counts_refused,
    next_step,
)
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders
from tests.analysis.test_limit_finding import simulated

ROOMY = Bounds(requests=5_000, minutes=4, up_to=3_000)


def seen(*stages: StageSeen, said: float | None = None, each: float = 1.0) -> LimitsSeen:
    found = [stage.ceiling for stage in stages if stage.ceiling.a_minute is not None]
    return LimitsSeen(
        run_id="run",
        target="emulated-x",
        emulated=True,
        unit="requests",
        stages=list(stages),
        ceiling=found[-1] if found else stages[-1].ceiling,
        each=each,
        by_usage=None,
        advertised=RateLimitHeaders(requests_per_minute=said),
        retry_advice=RetryAdvice(0),
        statuses={},
        named=[],
        words=None,
        sent=sum(stage.sent for stage in stages),
        cost_usd=None,
    )


def stage(
    demand: float, seconds: float, ceiling: FoundLimit, refused: int = 0, reached: str | None = None
) -> StageSeen:
    sent = round(demand * seconds / 60)
    return StageSeen(0, demand, seconds, sent, sent - refused, refused, 0, 0, ceiling, reached)


CALM = FoundLimit(None, reason="never_refused")
SOUNDED = stage(60, 6, CALM)


def test_it_begins_with_six_requests_and_then_goes_over_what_is_advertised() -> None:
    assert next_step(History([], 1.0), ROOMY) == LimitStep(((60.0, 6.0),), "sounding")
    reported = History([seen(SOUNDED, said=60)], 1.0)
    assert next_step(reported, ROOMY) == LimitStep(((60 * OVER, WINDOW_S),), "saturating")
    large = History([seen(SOUNDED, said=1200)], 1.0)
    assert next_step(large, ROOMY) == LimitStep(((1200 * OVER, WINDOW_S),), "saturating")
    above = History([seen(SOUNDED, said=10_000)], 1.0)
    step = next_step(above, ROOMY)
    assert isinstance(step, LimitStep) and step.stages[0][0] == ROOMY.up_to


def test_a_sounding_above_the_limit_is_too_short_to_go_higher() -> None:
    reported = History([seen(stage(240, 6, CALM), said=60)], 1.0)
    step = next_step(reported, ROOMY)
    assert isinstance(step, LimitStep) and step.stages[0][0] == pytest.approx(60 * OVER)


def test_what_another_probe_was_told_saves_the_sounding() -> None:
    step = next_step(History([], 1000.0, known_limit=200_000), Bounds(5_000, 4, 1e6))
    assert isinstance(step, LimitStep) and step.stages[0][0] == pytest.approx(200_000 * OVER)


def test_without_a_word_it_climbs_a_ladder_and_then_stays_at_the_top() -> None:
    sounded = seen(SOUNDED)
    step = next_step(History([sounded], 1.0), ROOMY)
    assert step == LimitStep(((240.0, 8.0), (960.0, 8.0)), "a ladder")
    climbed = seen(stage(240, 8, CALM), stage(960, 8, CALM))
    step = next_step(History([sounded, climbed], 1.0), ROOMY)
    assert isinstance(step, LimitStep) and step.stages[0][0] == ROOMY.up_to
    top = seen(stage(3000, 90, CALM))
    assert next_step(History([sounded, climbed, top], 1.0), ROOMY) == "up_to"


def test_what_ends_it() -> None:
    narrow = FoundLimit(60.0, 59.0, 61.0)
    assert next_step(History([seen(stage(105, 100, narrow, refused=9))], 1.0), ROOMY) == "found"
    shut = StageSeen(0, 60, 6, 6, 0, 6, 0, 0, FoundLimit(None, reason="nothing_let_in"))
    assert next_step(History([seen(shut)], 1.0), ROOMY) == "all_refused"
    broken = StageSeen(0, 60, 6, 6, 0, 0, 0, 6, FoundLimit(None, reason="nothing_let_in"))
    assert next_step(History([seen(broken)], 1.0), ROOMY) == "failed"
    full = seen(stage(960, 8, CALM, reached="answers took longer"))
    assert next_step(History([full], 1.0), ROOMY) == "capacity"
    sounded = seen(SOUNDED, said=60)
    assert next_step(History([sounded], 1.0, elapsed_s=235), ROOMY) == "max_minutes"
    assert next_step(History([sounded], 1.0), Bounds(10, 4, 3_000)) == "max_requests"
    paid = msgspec.structs.replace(sounded, cost_usd=1.0)
    assert next_step(History([paid], 1.0), Bounds(5_000, 4, 3_000, usd=1.0)) == "max_usd"


def test_a_wide_answer_is_asked_for_again_more_often() -> None:
    wide = FoundLimit(60.0, 50.0, 70.0)
    step = next_step(History([seen(stage(105, 20, wide, refused=9))], 1.0), ROOMY)
    assert isinstance(step, LimitStep) and step.stages[0][0] == pytest.approx(105 * OVER)


def test_requests_of_the_token_probe_meet_the_token_limit() -> None:
    assert token_size(1e6, 200_000, None) == 1667
    assert (
        token_size(1e6, 200_000, 60) == 8000
    )  # capped: the request limit is met first, and reported
    assert token_size(1e6, 20_000, 100) == 500
    assert token_size(1e6, None, None) == 2083
    assert token_size(1e6, 600, None) == 32


def probed(limits: dict[str, object], bounds: Bounds, advertise: bool) -> tuple[object, LimitsSeen]:
    """A whole probe against a simulated limiter, which goes on from run to run only in time."""
    runs: list[LimitsSeen] = []
    clock = 3.0
    while True:
        step = next_step(History(runs, 1.0, elapsed_s=clock - 3.0), bounds)
        if not isinstance(step, LimitStep):
            best = best_of(runs)
            assert best is not None
            return step, best
        stages = []
        for demand, seconds in step.stages:
            data = simulated(limits, demand / 60, seconds, start_s=clock)
            refused = int((~data.let_in).sum())
            n = len(data.sent_s)
            found = find_ceiling(data)
            stages.append(StageSeen(0, demand, seconds, n, n - refused, refused, 0, 0, found))
            clock += seconds + 3
        stated = limits["requests_per_minute"] if advertise else None
        assert stated is None or isinstance(stated, int)
        runs.append(seen(*stages, said=stated))


@settings(max_examples=25, deadline=None)
@given(
    limit=st.sampled_from([60, 300, 1200]),
    how=st.sampled_from([{}, {"burst": "5s"}, {"window": "minute"}]),
    advertise=st.booleans(),
)
def test_a_whole_probe_finds_it_within_its_bounds(
    limit: int, how: dict[str, object], advertise: bool
) -> None:
    bounds = Bounds(requests=10_000, minutes=8, up_to=3_000)
    ended, best = probed({"requests_per_minute": limit, **how}, bounds, advertise)
    assert ended == "found"
    assert best.ceiling.a_minute == pytest.approx(limit, rel=0.05)


@pytest.mark.parametrize("limit", [60, 600])
def test_where_refused_requests_count_asking_for_less_shows_it(limit: int) -> None:
    bounds = Bounds(requests=5_000, minutes=4, up_to=3_000)
    counted: dict[str, object] = {"requests_per_minute": limit, "burst": "5s", "refused": "counted"}
    ended, best = probed(counted, bounds, advertise=True)
    assert ended == "counts_refused"
    assert best.ceiling.reason == "nothing_let_in"
    free: dict[str, object] = {"requests_per_minute": limit, "burst": "5s"}
    assert probed(free, bounds, advertise=True)[0] == "found"


def test_a_burst_that_explains_it_proves_no_counting() -> None:
    low = stage(105, 100, FoundLimit(30.0, 29.0, 31.0, "refill", burst=5), refused=120)
    less = stage(57, 40, CALM)
    assert counts_refused([low, less], 60)  # 38 in 40 s; 5 and 20 are explained
    saved = stage(105, 100, FoundLimit(30.0, 29.0, 31.0, "refill", burst=30), refused=120)
    assert not counts_refused([saved, less], 60)
    assert not counts_refused([low, stage(57, 40, CALM, refused=1)], 60)
    assert not counts_refused([less], 60)
    assert not counts_refused([low, less], None)


def test_a_limit_below_the_advertised_one_is_asked_for_less_once() -> None:
    half = stage(105, 100, FoundLimit(30.0, 29.5, 30.5), refused=120)
    sounded = seen(SOUNDED, said=60)
    step = next_step(History([sounded, seen(half, said=60)], 1.0), ROOMY)
    assert step == LimitStep(((6.0, 45.0), (57.0, 40.0)), "requesting less than is advertised")
    still = seen(stage(57, 60, FoundLimit(30.0, 29.0, 31.0), refused=27), said=60)
    assert next_step(History([sounded, seen(half, said=60), still], 1.0), ROOMY) == "found"
    short = Bounds(requests=5_000, minutes=1, up_to=3_000)
    assert next_step(History([sounded, seen(half, said=60)], 1.0), short) == "found"


@given(requests=st.integers(1, 3000), minutes=st.floats(0.5, 4), up_to=st.floats(1, 5000))
@settings(max_examples=60, deadline=None)
def test_no_step_exceeds_a_bound(requests: int, minutes: float, up_to: float) -> None:
    bounds = Bounds(requests, minutes, up_to)
    history = History([seen(SOUNDED, said=600)], 1.0, elapsed_s=14)
    step = next_step(history, bounds)
    if isinstance(step, LimitStep):
        requested = sum(demand * seconds / 60 for demand, seconds in step.stages)
        assert requested <= max(0, requests - 6) + 1e-6
        assert sum(seconds for _, seconds in step.stages) + 14 <= minutes * 60
        assert all(demand <= up_to for demand, _ in step.stages)


def test_a_bound_in_dollars_counts_what_nobody_stated() -> None:
    """A service that states no usage: its rows have no cost, and each run's cap was spent at its worst."""
    silent = msgspec.structs.replace(seen(SOUNDED, said=60), spent_usd=0.04)
    bounds = Bounds(requests=5_000, minutes=4, up_to=3_000, usd=0.1)
    assert isinstance(next_step(History([silent], 1.0), bounds), LimitStep)
    assert History([silent] * 3, 1.0).usd == pytest.approx(0.12)
    assert next_step(History([silent] * 3, 1.0), bounds) == "max_usd"
    answer = answer_of([silent, silent], "max_usd")
    assert answer is not None
    assert (answer.cost_usd, answer.capped_usd) == (None, pytest.approx(0.08))


def test_an_answer_holds_all_runs_and_the_best_ones_ceiling() -> None:
    narrow, wide = FoundLimit(60.0, 59.0, 61.0), FoundLimit(55.0, 40.0, 70.0)
    first = seen(stage(105, 30, wide, refused=5), said=60)
    second = seen(stage(180, 60, narrow, refused=9))
    answer = answer_of([first, second], "found")
    assert answer is not None
    assert answer.best is second
    assert (answer.advertised_a_minute, answer.ratio) == (60, 1.0)
    assert answer.highest_demand_a_minute == 180
    assert answer.requests == first.sent + second.sent
    assert answer_of([]) is None


def test_what_scripts_read_keeps_its_names() -> None:
    advice = msgspec.json.decode(msgspec.json.encode(seen(SOUNDED)))["told"]
    assert advice == {"refusals": 0, "enough": None, "told_s": None, "real_s": None}
