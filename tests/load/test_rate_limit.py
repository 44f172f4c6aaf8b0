"""Workers keep a rate together that none of them could exceed."""

from hypothesis import given
from hypothesis import strategies as st

from observatory.load.rate_limit import RateLimit


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
