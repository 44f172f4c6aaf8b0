"""Rate limits at the gate: whose place comes first, and what a try is counted at."""

from pathlib import Path
from typing import Any

import pytest

from observatory.core.connection import Throttle
from observatory.core.record import Attempt, Tokens
from observatory.load.admission import Admission
from observatory.load.in_flight import InFlight, RequestSource
from observatory.wires.streams.http_response import ResponseReader
from tests.load.stages import item, make_handoff

S = 1_000_000_000
ANTHROPIC = (
    "anthropic-ratelimit-input-tokens-limit: 60000",
    "anthropic-ratelimit-output-tokens-limit: 960",
)


def gate(**connection: Any) -> tuple[Admission, list[InFlight]]:
    """A gate at instant 0, and three requests in flight of one prompt token and at most 16 of output."""
    items = [item(text) for text in "abc"]
    handoff = make_handoff(Path("unused"), 1, items, connection=connection)
    turns = RequestSource(handoff)
    return Admission(handoff, 0, 0), [turns.make(index) for index in range(3)]


def answered(in_flight: InFlight, *headers: str) -> InFlight:
    """Its try has ended with a 200 and these headers."""
    in_flight.http_attempt.response = ResponseReader()
    lines = ["HTTP/1.1 200 OK", *headers, "Content-Length: 0", "", ""]
    in_flight.http_attempt.response.feed("\r\n".join(lines).encode(), 1)
    return in_flight


def test_another_try_takes_its_place_at_once_and_is_not_passed_by() -> None:
    admission, (first, second, third) = gate(
        throttle=Throttle(policy="pace", requests_per_minute=60)
    )
    admission.enter(first, 0)
    assert admission.decide(second, 0) == S
    assert admission.place_again(first, 0) == S, "told to come back at once, paced like the others"
    assert admission.decide(second, 0) == 2 * S
    assert admission.decide(second, 2 * S) == "go"
    admission.enter(second, 2 * S)
    assert admission.decide(third, 2 * S) == 3 * S


def test_a_told_wait_is_never_cut_short_by_a_free_pace() -> None:
    admission, (first, *_) = gate(throttle=Throttle(policy="pace", requests_per_minute=6000))
    admission.enter(first, 0)
    assert admission.place_again(first, 7 * S) == 7 * S


@pytest.mark.parametrize(("wire", "waits"), [("messages", False), ("openai", True)])
def test_only_a_service_that_counts_what_came_gives_the_rest_back(wire: str, waits: bool) -> None:
    """960 output tokens a minute are one request of 16 a second; the answer had one token."""
    admission, (first, second, third) = gate(throttle=Throttle(policy="pace"), wire=wire)
    admission.enter(first, 0)
    admission.heard(answered(first, *ANTHROPIC), 0.0, 0)
    admission.enter(second, 0)
    counts = Tokens(prompt=1, output=1, output_from="usage")
    admission.counted(second, Attempt(number=0, tokens=counts))
    decision = admission.decide(third, 0)
    assert isinstance(decision, int)
    assert decision == (S if waits else S // 16)


def test_cache_reads_are_no_input_where_they_are_not_counted() -> None:
    admission, (first, second, _) = gate(throttle=Throttle(policy="pace"), wire="messages")
    admission.enter(first, 0)
    admission.heard(answered(first, "anthropic-ratelimit-input-tokens-limit: 60000"), 0.0, 0)
    admission.enter(second, 0)
    counts = Tokens(prompt=5000, cached=4999, output=1, output_from="usage")
    admission.counted(second, Attempt(number=0, tokens=counts))
    assert admission.decide(first, 0) == "go"


def test_more_cached_than_prompt_tokens_give_no_room_back() -> None:
    admission, (first, second, third) = gate(throttle=Throttle(policy="pace"), wire="messages")
    admission.enter(first, 0)
    admission.heard(answered(first, "anthropic-ratelimit-input-tokens-limit: 60"), 0.0, 0)
    admission.enter(second, 0)
    counts = Tokens(prompt=1, cached=1_000_000, output=1, output_from="usage")
    before = admission.decide(third, 0)
    assert isinstance(before, int) and before > 0
    admission.counted(second, Attempt(number=0, tokens=counts))
    assert admission.decide(third, 0) == before


def test_no_header_is_read_under_another_policy() -> None:
    admission, (first, second, _) = gate(throttle=Throttle(policy="obey"))
    admission.enter(first, 0)
    admission.heard(answered(first, "x-ratelimit-limit-requests: 1"), 0.0, 0)
    assert admission.decide(second, 0) == "go"
