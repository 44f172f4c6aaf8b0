"""One request's attempts, with a transport and a rest that only record their calls."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from observatory.core.connection import Throttle
from observatory.load.admission import Admission, Decision
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.pacing import AlarmClock
from observatory.load.retry_loop import RetryLoop
from observatory.load.retry_policy import RetryPolicy
from observatory.load.virtual_user import VirtualUser
from observatory.wires.http_attempt import HttpAttempt
from observatory.wires.streams.http_response import ResponseReader
from tests.load.stages import item, make_handoff

S = 1_000_000_000


class Resting:
    """A virtual user whose first try is refused and whose second is answered; its rests are noted, not slept."""

    def __init__(self, refusal: str, resting: Callable[[int], None]) -> None:
        self.transport = self
        self._lines = [f"HTTP/1.1 {refusal}", "HTTP/1.1 200 OK"]
        self._resting = resting

    def send(self, body: list[bytes], http_attempt: HttpAttempt) -> None:
        http_attempt.sent = http_attempt.ended = 1
        http_attempt.response = ResponseReader()
        http_attempt.response.feed(f"{self._lines.pop(0)}\r\nContent-Length: 0\r\n\r\n".encode(), 1)

    def rest(self, alarms: AlarmClock, until_ns: int) -> None:
        self._resting(until_ns)


def tried(connection: dict[str, Any], refusal: str, resting: Callable[..., None]) -> InFlight:
    """The first request after all its attempts; resting gets the gate, the second request and the rest's end."""
    handoff = make_handoff(Path("unused"), 1, [item("a"), item("b")], connection=connection)
    first, second = (RequestSource(handoff).make(index) for index in range(2))
    admission = Admission(handoff, 0, time.monotonic_ns())
    admission.enter(first, time.monotonic_ns())
    retry_policy = RetryPolicy(handoff.connection.throttle, 1, 0)
    virtual_user = Resting(refusal, lambda until: resting(admission, second, until))
    RetryLoop(retry_policy, admission, cast(AlarmClock, None)).make(
        cast(VirtualUser, virtual_user), first
    )
    return first


@pytest.mark.parametrize(
    "connection",
    [
        {"throttle": Throttle(policy="pace", requests_per_minute=600)},
        {"throttle": Throttle(policy="obey"), "max_rate_per_s": 10.0},
    ],
)
def test_while_one_request_waits_as_told_the_others_keep_their_pace(
    connection: dict[str, Any],
) -> None:
    calls: list[tuple[int, Decision]] = []

    def resting(admission: Admission, other: InFlight, until_ns: int) -> None:
        later = time.monotonic_ns() + 2 * S
        calls.append((until_ns - time.monotonic_ns(), admission.decide(other, later)))

    in_flight = tried(connection, "429 Said\r\nRetry-After: 30", resting)
    assert [each.number for each in (*in_flight.earlier, in_flight.http_attempt)] == [0, 1]
    rest_ns, decision = calls[0]
    assert rest_ns == pytest.approx(30 * S, abs=S)
    assert decision == "go", "thirty seconds of an allowance are not lost with one refusal"


def test_after_its_wait_it_takes_the_next_place_under_the_pace() -> None:
    rests: list[int] = []

    def resting(admission: Admission, other: InFlight, until_ns: int) -> None:
        if not rests:
            admission.enter(other, time.monotonic_ns())
        rests.append(until_ns - time.monotonic_ns())

    throttle = Throttle(policy="pace", requests_per_minute=60)
    tried({"throttle": throttle}, "429 Said\r\nRetry-After: 0", resting)
    assert rests[-1] == pytest.approx(2 * S, abs=S / 2), (
        "one a second, and the other went before it"
    )
