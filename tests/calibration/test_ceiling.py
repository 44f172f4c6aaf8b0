"""The search for a ceiling: what it finds, how it is called, and that it ends."""

from hypothesis import given
from hypothesis import strategies as st

from observatory.calibration.ceiling import CLOSE_ENOUGH, Fault, Trial, find_ceiling
from observatory.runner.checks.stored_calibration import LoadCeiling


def search(
    limit: int, *, start: int = 256, most: int = 100_000, trials: int = 30, fault: Fault = "client"
) -> tuple[LoadCeiling, list[int]]:
    """A client that holds up to `limit`, and the levels that were tried."""
    tried: list[int] = []

    def measure(level: int) -> Trial:
        tried.append(level)
        return Trial(level, True) if level <= limit else Trial(level, False, "too much", fault)

    return find_ceiling(measure, start=start, most=most, trials=trials), tried


def test_it_doubles_and_then_bisects() -> None:
    found, tried = search(700)
    assert tried == [256, 512, 1024, 768, 640, 704]
    assert (found.level, found.failed_at, found.bound) == (640, 704, "exact")
    assert found.limited_by == "too much"


def test_it_halves_where_the_first_level_is_too_much() -> None:
    found, tried = search(50, trials=4)
    assert tried == [256, 128, 64, 32]
    assert (found.level, found.failed_at, found.bound) == (32, 64, "exact")


def test_what_was_not_the_clients_fault_is_a_lower_bound() -> None:
    found, _ = search(700, fault="server")
    assert (found.bound, found.limited_by) == ("at_least", "server-bound: too much")
    found, _ = search(700, fault="others")
    assert (found.bound, found.limited_by) == ("at_least", "the machine was not free: too much")


def test_a_search_that_ends_before_anything_failed_is_a_lower_bound() -> None:
    found, tried = search(10**9, most=1_000)
    assert tried == [256, 512, 1_000]
    assert (found.level, found.bound, found.failed_at) == (1_000, "at_least", None)
    assert "ports" in found.limited_by
    found, tried = search(10**9, trials=2)
    assert (found.level, found.bound) == (512, "at_least")
    assert "ended" in found.limited_by


def test_nothing_held_is_none_and_no_zero() -> None:
    found, tried = search(0, trials=3)
    assert tried == [256, 128, 64]
    assert (found.level, found.bound, found.failed_at) == (None, "none", 64)
    found, tried = search(0, start=1)
    assert (tried, found.bound) == ([1], "none")


def test_a_disturbance_is_tried_again_once_and_a_busy_client_is_not() -> None:
    def flaky(reasons: list[str]) -> tuple[LoadCeiling, list[int]]:
        tried: list[int] = []

        def measure(level: int) -> Trial:
            tried.append(level)
            reason = reasons.pop(0) if reasons else ""
            return Trial(level, not reason, reason)

        return find_ceiling(measure, start=8, most=8, trials=3, retry=True), tried

    assert flaky(["client_delay: late"])[1] == [8, 8]
    assert flaky(["client_delay: late"])[0].level == 8
    assert flaky(["client_cpu: busy"])[1][:2] == [8, 4]
    assert flaky(["client_delay: late"] * 3)[1] == [8, 8, 4]


@given(
    limit=st.integers(0, 5_000),
    start=st.integers(1, 2_000),
    most=st.integers(1, 4_000),
    trials=st.integers(1, 40),
)
def test_the_answer_is_never_above_what_holds(
    limit: int, start: int, most: int, trials: int
) -> None:
    found, tried = search(limit, start=start, most=most, trials=trials)
    assert len(tried) <= trials
    assert all(1 <= level <= most for level in tried)
    if found.level is None:
        assert found.bound == "none"
        assert min(tried) > limit
    else:
        assert found.level <= limit
        assert found.level in tried
    if found.bound == "exact":
        assert found.failed_at is not None and found.failed_at > limit
        if trials == 40:  # enough for any of these: the bracket is then as close as it gets
            assert found.failed_at <= max((found.level or 0) * CLOSE_ENOUGH, (found.level or 0) + 1)
