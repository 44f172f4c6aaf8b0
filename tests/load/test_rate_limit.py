"""Workers keep a rate together that none of them could exceed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.connection import Throttle
from observatory.core.emulation.profile import Limits
from observatory.emulator.limits import Allowance
from observatory.load.rate_limit import AllowanceCost, Bucket, Pacer, RateLimit
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders

S = 1_000_000_000


def test_one_worker_spaces_evenly() -> None:
    limit = RateLimit(10, 0, 1, 0)
    assert limit.wait_until(0) is None
    limit.sent(0)
    assert limit.wait_until(1) == 100_000_000
    assert limit.wait_until(100_000_000) is None


def test_time_lost_is_not_made_up_for() -> None:
    limit = RateLimit(10, 0, 1, 0)
    limit.sent(1_000_000_000)
    assert limit.wait_until(1_000_000_000) == 1_100_000_000


@given(
    workers=st.integers(1, 4),
    asks=st.lists(st.integers(0, 5_000_000_000), min_size=1, max_size=60),
)
def test_no_second_sees_more_than_the_rate(workers: int, asks: list[int]) -> None:
    rate = 10
    sent = []
    for worker in range(workers):
        limit = RateLimit(rate, worker, workers, 0)
        for now in sorted(asks):
            if limit.wait_until(now) is None:
                limit.sent(now)
                sent.append(now)
    sent.sort()
    for first, at in enumerate(sent):
        within = [other for other in sent[first:] if other < at + 1_000_000_000]
        assert len(within) <= rate + workers - 1


def test_a_bucket_holds_a_second_of_its_allowance_and_refills_evenly() -> None:
    bucket = Bucket(120, 0)
    for _ in range(2):
        assert bucket.free_at(1, 0) == 0
        bucket.take(1, 0)
    assert bucket.free_at(1, 0) == S // 2
    assert bucket.free_at(1, S // 4) == S // 2
    assert bucket.free_at(1, 10 * S) == 10 * S
    bucket.take(1, 10 * S)
    bucket.take(1, 10 * S)
    assert bucket.free_at(1, 10 * S) == 10 * S + S // 2, "time lost is not saved up"


def test_a_slow_bucket_holds_one_request() -> None:
    bucket = Bucket(6, 0)
    bucket.take(1, bucket.free_at(1, 0))
    assert bucket.free_at(1, 0) == 10 * S


def test_what_is_larger_than_the_bucket_goes_when_it_is_full_and_is_paid_off() -> None:
    bucket = Bucket(600, 0)
    assert bucket.free_at(50, 0) == 0
    bucket.take(50, 0)
    assert bucket.free_at(1, 0) == 4 * S + S // 10, "40 owed and 1 needed, at 10 a second"
    assert bucket.free_at(50, 0) == 5 * S


def test_a_place_taken_in_advance_is_gone_for_those_who_come_before_it() -> None:
    bucket = Bucket(60, 0)
    bucket.take(1, 0)
    bucket.take(1, bucket.free_at(1, 0))
    assert bucket.free_at(1, 0) == 2 * S


def test_what_was_not_used_is_given_back_up_to_what_it_holds() -> None:
    bucket = Bucket(600, 0)
    bucket.take(50, 0)
    bucket.give_back(40)
    assert bucket.free_at(10, 0) == S
    bucket.give_back(1000)
    bucket.take(10, 0)
    assert bucket.free_at(1, 0) > 0


def test_the_slower_of_two_allowances_decides() -> None:
    throttle = Throttle(policy="pace", requests_per_minute=60, tokens_per_minute=600)
    pacer = Pacer(throttle, 1, 0)
    pacer.take(AllowanceCost(30, 20), 0)
    assert pacer.free_at(AllowanceCost(30, 20), 0) == 5 * S
    assert pacer.free_at(AllowanceCost(0, 1), 0) == 4 * S + S // 10


def test_nothing_is_held_back_before_a_limit_is_known() -> None:
    pacer = Pacer(Throttle(policy="pace"), 1, 0)
    for _ in range(1000):
        assert pacer.free_at(AllowanceCost(100, 100), 0) == 0
        pacer.take(AllowanceCost(100, 100), 0)


def test_a_learnt_limit_holds_from_its_first_header_on_and_is_shared() -> None:
    pacer = Pacer(Throttle(policy="pace"), 2, 0)
    mark = pacer.take(AllowanceCost(10, 10), 0)
    pacer.learn(RateLimitHeaders(requests_per_minute=120, requests_remaining=119), mark, 0)
    pacer.take(AllowanceCost(10, 10), 0)
    assert pacer.free_at(AllowanceCost(10, 10), 0) == S, "half of 120 a minute is one a second"
    pacer.learn(RateLimitHeaders(requests_per_minute=240), mark, 0)
    assert pacer.free_at(AllowanceCost(10, 10), 0) == S // 2


def test_what_remains_counts_less_what_went_out_since() -> None:
    pacer = Pacer(Throttle(policy="pace"), 1, 0)
    first = pacer.take(AllowanceCost(1, 1), 0)
    pacer.take(AllowanceCost(1, 1), 0)
    pacer.take(AllowanceCost(1, 1), 0)
    pacer.learn(RateLimitHeaders(requests_per_minute=600, requests_remaining=3), first, 0)
    assert pacer.free_at(AllowanceCost(1, 1), 0) == 0
    pacer.take(AllowanceCost(1, 1), 0)
    assert pacer.free_at(AllowanceCost(1, 1), 0) == S // 10, (
        "3 were left, 2 had gone out, 1 went now"
    )


def test_nothing_that_is_said_overdraws_and_a_day_is_no_minute() -> None:
    pacer = Pacer(Throttle(policy="pace"), 1, 0)
    mark = pacer.take(AllowanceCost(1, 1), 0)
    pacer.learn(RateLimitHeaders(requests_per_day=14400, requests_remaining=0), mark, 0)
    assert pacer.free_at(AllowanceCost(1, 1), 0) == 0
    pacer.learn(RateLimitHeaders(requests_per_minute=60, requests_remaining=0), mark, 0)
    assert pacer.free_at(AllowanceCost(1, 1), 0) == S


def test_figures_that_were_given_are_not_unlearnt() -> None:
    pacer = Pacer(Throttle(policy="pace", requests_per_minute=60), 1, 0)
    mark = pacer.take(AllowanceCost(1, 1), 0)
    pacer.learn(RateLimitHeaders(requests_per_minute=6000, tokens_per_minute=1), mark, 0)
    assert pacer.free_at(AllowanceCost(1, 1), 0) == S


def test_prompt_and_output_have_buckets_of_their_own_where_a_service_counts_them_apart() -> None:
    pacer = Pacer(Throttle(policy="pace"), 1, 0)
    mark = pacer.take(AllowanceCost(1, 1), 0)
    limits = RateLimitHeaders(input_tokens_per_minute=60_000, output_tokens_per_minute=600)
    pacer.learn(limits, mark, 0)
    estimated, used = AllowanceCost(100, 50), AllowanceCost(100, 12)
    pacer.take(estimated, 0)
    assert pacer.free_at(AllowanceCost(100, 10), 0) == 5 * S
    pacer.correct(estimated, used)
    assert pacer.free_at(AllowanceCost(100, 10), 0) == S + S // 5


arrivals = st.lists(
    st.tuples(st.integers(0, 90 * S), st.integers(1, 40), st.integers(1, 60)),
    min_size=1,
    max_size=60,
)


def paced(
    throttle: Throttle, slices: list[list[tuple[int, int, int]]]
) -> list[tuple[int, AllowanceCost]]:
    """What leaves, and when: each worker sends its own in their order, as soon as it may."""
    sent = []
    for own in slices:
        pacer = Pacer(throttle, len(slices), 0)
        now = 0
        for at, prompt, output in sorted(own):
            cost = AllowanceCost(prompt, output)
            now = pacer.free_at(cost, max(now, at))
            pacer.take(cost, now)
            sent.append((now, cost))
    return sorted(sent, key=lambda each: each[0])


@given(
    slices=st.lists(arrivals, min_size=1, max_size=4),
    requests=st.integers(4, 300),
    tokens=st.integers(400, 20_000),
)
def test_no_arrival_pattern_makes_a_service_refuse(
    slices: list[list[tuple[int, int, int]]], requests: int, tokens: int
) -> None:
    """In no time T more than the limit and T's refill, all workers together: a service whose allowance
    refills evenly, which is full at first, never has to refuse one. A billionth is for rounding."""
    limits = {"requests_per_minute": requests, "tokens_per_minute": tokens}
    sent = paced(Throttle(policy="pace", **limits), slices)
    assert len(sent) == sum(map(len, slices))
    allowance = Allowance(Limits(**limits))
    for at, cost in sent:
        _, refusal = allowance.admit(at / S * (1 + 1e-9), cost.of("tokens"), "m")
        assert refusal is None


@given(slices=st.lists(arrivals, min_size=1, max_size=1), tokens=st.integers(60, 2_000))
def test_nobody_waits_longer_than_what_went_before_takes(
    slices: list[list[tuple[int, int, int]]], tokens: int
) -> None:
    """No starvation: a request leaves at the latest when everything before it is paid off."""
    throttle = Throttle(policy="pace", tokens_per_minute=tokens)
    sent = paced(throttle, slices)
    last_arrival = max(at for at, _, _ in slices[0])
    whole_s = sum(cost.of("tokens") for _, cost in sent) * 60 / tokens
    assert sent[-1][0] <= last_arrival + whole_s * S + S


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_busy_pacer_gives_the_whole_limit(workers: int) -> None:
    throttle = Throttle(policy="pace", requests_per_minute=300)
    sent = paced(throttle, [[(0, 1, 1)] * 60] * workers)
    in_ten_s = [at for at, _ in sent if 0 < at <= 10 * S]
    assert len(in_ten_s) in range(min(50, 60 * workers - 5) - workers, 51)
