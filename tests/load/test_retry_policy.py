"""What comes after a refusal: known answers, bounds, and the same waits for the same seed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.connection import Throttle
from observatory.core.record import Attempt
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.retry_policy import JITTER, GaveUp, RetryPolicy
from observatory.wires.streams.http_response import ResponseReader
from tests.load.stages import item, make_handoff

OBEY = Throttle(policy="obey", max_attempts=5, max_wait_s=60.0)


def refused(status: int, *headers: str, number: int = 0, index: int = 0) -> InFlight:
    """A request in flight whose try of that number was answered so, all of it received."""
    in_flight = RequestSource(make_handoff(Path("unused"), 1, [item("hello")])).make(0)
    in_flight.index = index
    for _ in range(number):
        in_flight.try_again()
    lines = [f"HTTP/1.1 {status} Said", *headers, "Content-Length: 0"]
    in_flight.http_attempt.response = ResponseReader()
    in_flight.http_attempt.response.feed(("\r\n".join(lines) + "\r\n\r\n").encode(), 1)
    return in_flight


def after(in_flight: InFlight, throttle: Throttle = OBEY, seed: int = 1) -> float | GaveUp | None:
    return RetryPolicy(throttle, seed, 0).after(in_flight, 1_763_000_000.0)


@pytest.mark.parametrize("policy", ["obey", "pace"])
@pytest.mark.parametrize("status", [429, 503, 529])
def test_the_three_refusals_are_waited_on_as_told(policy: str, status: int) -> None:
    throttle = Throttle(policy=policy)  # type: ignore[arg-type]
    assert after(refused(status, "Retry-After: 7"), throttle) == 7.0
    assert after(refused(status, "Retry-After: 7", "retry-after-ms: 6500"), throttle) == 6.5


def test_a_date_counts_from_the_services_own_clock() -> None:
    date = ("Date: Thu, 13 Nov 2025 10:00:00 GMT", "Retry-After: Thu, 13 Nov 2025 10:00:12 GMT")
    assert after(refused(429, *date)) == 12.0


@pytest.mark.parametrize("status", [200, 400, 401, 404, 408, 500, 502, 504])
def test_nothing_else_is_asked_again(status: int) -> None:
    assert after(refused(status, "Retry-After: 1")) is None


def test_what_has_no_answer_is_not_asked_again() -> None:
    in_flight = refused(429)
    in_flight.http_attempt.response = None
    assert after(in_flight) is None


def test_to_record_is_to_do_nothing() -> None:
    assert after(refused(429, "Retry-After: 1"), Throttle()) is None


@pytest.mark.parametrize(("number", "base"), [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0)])
def test_without_a_word_waits_double_from_a_second(number: int, base: float) -> None:
    wait = after(refused(429, number=number))
    assert isinstance(wait, float)
    assert base * (1 - JITTER) <= wait <= base * (1 + JITTER)


@given(seed=st.integers(0, 2**40), index=st.integers(0, 1000))
def test_the_same_seed_waits_the_same_and_requests_differ(seed: int, index: int) -> None:
    wait = after(refused(429, index=index), seed=seed)
    assert wait == after(refused(429, index=index), seed=seed)
    assert wait != after(refused(429, index=index + 1), seed=seed)
    assert wait != after(refused(429, index=index), seed=seed + 1)


def test_the_last_try_is_the_last() -> None:
    assert after(refused(429, "Retry-After: 1", number=3)) == 1.0
    assert after(refused(429, "Retry-After: 1", number=4)) == "max_attempts"
    assert after(refused(429), Throttle(policy="obey", max_attempts=1)) == "max_attempts"


def test_a_wait_that_would_be_too_long_is_not_begun() -> None:
    in_flight = refused(429, "Retry-After: 30", number=1)
    assert after(in_flight) == 30.0
    in_flight.waited_s = 30.0
    assert after(in_flight) == 30.0
    in_flight.waited_s = 30.001
    assert after(in_flight) == "max_wait"
    assert after(refused(429, "Retry-After: 61")) == "max_wait"


def test_a_503_is_throttled_where_the_policy_waits_on_it() -> None:
    attempt = Attempt(number=0, http_status=503, outcome="error")
    other = Attempt(number=0, http_status=500, outcome="error")
    obeying = RetryPolicy(OBEY, 1, 0)
    assert obeying.as_recorded(attempt).outcome == "throttled"
    assert obeying.as_recorded(other) is other
    assert RetryPolicy(Throttle(), 1, 0).as_recorded(attempt) is attempt
