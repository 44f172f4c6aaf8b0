"""The offset of another clock: known answers, and a bound that holds for any network delay."""

from hypothesis import given
from hypothesis import strategies as st

from observatory.telemetry.remote.clock_offset import (
    MOST_DRIFT,
    ClockExchange,
    Offset,
    RemoteClock,
    best_offset,
    offset_of,
)

MS = 1_000_000
S = 1_000_000_000


def test_an_even_way_there_and_back_gives_the_offset_itself() -> None:
    found = offset_of(ClockExchange(sent_ns=1000 * MS, answered_ns=1010 * MS, remote_ns=6005 * MS))
    assert found.offset_ns == 5000 * MS
    assert found.at_ns == 1005 * MS
    assert found.round_trip_ns == 10 * MS
    assert 5 * MS <= found.uncertainty_ns < 5.01 * MS


def test_the_shortest_round_trip_counts() -> None:
    slow = ClockExchange(0, 100 * MS, 3 * S + 90 * MS)
    quick = ClockExchange(200 * MS, 201 * MS, 3 * S + 200 * MS + MS // 2)
    assert best_offset([slow, quick]) == offset_of(quick)
    assert best_offset([quick]).offset_ns == 3 * S


clock = st.integers(-(10**18), 10**18)
way = st.integers(0, 2 * S)


@given(offset=clock, ways=st.lists(st.tuples(way, way), min_size=1, max_size=8), start=clock)
def test_the_truth_lies_within_the_uncertainty(
    offset: int, ways: list[tuple[int, int]], start: int
) -> None:
    """Any constant offset, any ways there and back."""
    at, exchanges = start, []
    for there, back in ways:
        exchanges.append(ClockExchange(at, at + there + back, at + there + offset))
        at += there + back + MS
    found = best_offset(exchanges)
    assert abs(found.offset_ns - offset) <= found.uncertainty_ns


@given(
    offset=st.integers(-(10**15), 10**15),
    drift_ppm=st.integers(-500, 500),
    rounds=st.lists(st.tuples(st.integers(0, 20 * S), way, way), min_size=1, max_size=10),
    later=st.integers(0, 20 * S),
)
def test_a_clock_that_drifts_is_followed_within_the_uncertainty(
    offset: int, drift_ppm: int, rounds: list[tuple[int, int, int]], later: int
) -> None:
    def remote_at(local: int) -> int:
        return local + offset + local * drift_ppm // 1_000_000

    local, remote = 0, RemoteClock()
    for pause, there, back in rounds:
        local += pause
        exchange = ClockExchange(local, local + there + back, remote_at(local + there))
        assert remote.learn(offset_of(exchange)) is None, "a drift is no step"
        local += there + back
    happened = local + later
    moved = remote.to_local(remote_at(happened))
    assert abs(moved - happened) <= remote.uncertainty_ns(happened) + 1


def test_a_step_is_named_with_its_size() -> None:
    remote = RemoteClock()
    assert not remote.known
    remote.learn(Offset(0, 0, MS, 2 * MS))
    assert remote.learn(Offset(10 * S, MS, MS, 2 * MS)) is None
    stated = remote.learn(Offset(20 * S, -3 * S, MS, 2 * MS))
    assert stated == "one of the two clocks stepped by -3.001000 s since the last measurement"
    assert remote.to_local(100 * S) == 103 * S


def test_the_uncertainty_grows_with_time() -> None:
    remote = RemoteClock()
    remote.learn(Offset(0, 0, MS, 2 * MS))
    assert remote.uncertainty_ns(10 * S) >= MS + 10 * S * MOST_DRIFT > remote.uncertainty_ns(S)
