"""Records and log matched by request id: a known delay of the client comes out as that delay."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.joining import Joined, join
from benchmarks.truth_log import parse
from tests.benchmarks.made_logs import ANCHOR, Answer, attempts_frame, log_bytes, requests_frame


def joined(answers: list[Answer], tokens: int = 3, served: list[Answer] | None = None) -> Joined:
    log = parse(log_bytes(served or answers))
    return join(log, requests_frame(answers), attempts_frame(answers), ANCHOR, tokens)


def test_known_errors_of_two_requests_in_any_order() -> None:
    late = Answer(1, sent=1000, read=1100, written=[2000, 3000, 4000], seen=[2050, 3550, 4050])
    true = Answer(0, sent=0, read=100, written=[1000, 2000, 3000], seen=[1020, 2020, 3020])
    found = joined([late, true])
    # (2050 - 1000) - (2000 - 1100) and (1020 - 0) - (1000 - 100).
    assert found.ttft_error_ns().tolist() == [150, 120]
    assert found.instant_error_ns().tolist() == [[50, 550, 50], [20, 20, 20]]
    assert found.gap_error_ns().tolist() == [[500, -500], [0, 0]]
    assert (found.recorded, found.served, found.unmatched) == (2, 2, 0)


def test_the_servers_late_reading_is_told_apart() -> None:
    answer = Answer(
        7, sent=0, read=900, read_late=800, written=[1000, 2000], seen=[1010, 2010], request_id=None
    )
    found = joined([answer], tokens=2)
    assert found.ttft_error_ns().tolist() == [910]
    assert found.ttft_error_from_arrival_ns().tolist() == [110]


def test_what_cannot_be_matched_is_counted_and_left_out() -> None:
    whole = Answer(0, 0, 10, written=[100, 200, 300], seen=[100, 200, 300])
    fewer_seen = Answer(1, 0, 10, written=[100, 200, 300], seen=[100, 200])
    stranger = Answer(2, 0, 10, [100, 200, 300], [100, 200, 300], request_id="cf-ray-9")
    failed = Answer(3, 0, 10, [100, 200, 300], [100], outcome="error")
    unknown = Answer(9, 0, 10, [], [100, 200, 300])
    found = joined(
        [whole, fewer_seen, stranger, failed, unknown], served=[whole, fewer_seen, stranger, failed]
    )
    assert found.read_ns.tolist() == [ANCHOR + 10]
    assert (found.recorded, found.served, found.unmatched) == (4, 4, 3)


def test_only_the_steady_window_and_its_shared_stamps() -> None:
    warm = Answer(0, 0, 1, [10, 20], [10, 20], phase="warmup", shared=(0, 1))
    steady = Answer(1, 0, 1, [10, 20], [10, 20], shared=(1,))
    found = joined([warm, steady], tokens=2)
    assert found.shared.tolist() == [[True, True], [False, True]]
    assert found.only(found.steady).shared.tolist() == [[False, True]]
    assert found.only(found.steady).recorded == 2


def test_an_answer_in_one_write_is_matched_by_its_first_event() -> None:
    coalesced = Answer(0, 0, 1, written=[100], seen=[105, 105, 105])
    found = joined([coalesced], tokens=1)
    assert found.seen_ns.tolist() == [[ANCHOR + 105]]
    assert found.instant_error_ns().tolist() == [[5]]


def test_nothing_recorded_and_nothing_served() -> None:
    found = join(parse(b""), requests_frame([]), attempts_frame([]), ANCHOR, 3)
    assert found.seen_ns.shape == (0, 3)
    assert (found.recorded, found.served, found.unmatched) == (0, 0, 0)


@given(
    delay=st.integers(min_value=-(10**6), max_value=10**9),
    gaps=st.lists(st.integers(min_value=0, max_value=10**8), min_size=2, max_size=20),
)
def test_a_client_that_is_late_by_a_constant_errs_by_it_and_keeps_its_gaps(
    delay: int, gaps: list[int]
) -> None:
    written = np.cumsum([2 * 10**9, *gaps]).tolist()
    answer = Answer(4, 0, 0, written, [at + delay for at in written])
    found = joined([answer], tokens=len(written))
    assert found.instant_error_ns().tolist() == [[delay] * len(written)]
    assert found.ttft_error_ns().tolist() == [delay]
    assert not found.gap_error_ns().any()
