"""One request's attempts, from the first to the one that ends it, in its user's greenlet.

What is waited for between two attempts ends at once when the stage gives the request up.
"""

import time

from observatory.core.record import Outcome
from observatory.load.admission import Admission
from observatory.load.in_flight import InFlight
from observatory.load.pacing import AlarmClock
from observatory.load.retry_policy import RetryPolicy
from observatory.load.virtual_user import VirtualUser


class RetryLoop:
    """Shared by all users of a worker."""

    def __init__(self, retry_policy: RetryPolicy, admission: Admission, alarms: AlarmClock) -> None:
        self._retry_policy = retry_policy
        # Without a policy, no answer is a reason to look at it again: limits are learnt under "pace" alone.
        self._only_records = not retry_policy.retries
        self._admission = admission
        self._alarms = alarms

    def make(self, virtual_user: VirtualUser, in_flight: InFlight) -> None:
        """Send until there is an answer, a failure, or a refusal that the policy does not wait on.

        A request on a kept connection that the server had closed is sent again at once, on a new connection,
        under any policy: that is no failure of the service. Where a cap on tokens or dollars has no room
        for it, the request ends as cut off by the budget. Every attempt is in in_flight.earlier or in_flight.http_attempt.
        """
        while not in_flight.closed:
            virtual_user.transport.send(in_flight.body, in_flight.http_attempt)
            if in_flight.closed:
                return
            if self._only_records and in_flight.http_attempt.fault is None:
                return
            unix_s = time.time()
            self._admission.heard(in_flight, unix_s, time.monotonic_ns())
            if in_flight.met_stale_connection:
                if not self._admission.again(in_flight):
                    give_up_waiting(in_flight, "interrupted", "budget")
                    return
            elif not self._wait(virtual_user, in_flight, unix_s):
                return
            in_flight.try_again()

    def _wait(self, virtual_user: VirtualUser, in_flight: InFlight, unix_s: float) -> bool:
        """Wait as the policy and the rate limits require; return whether another attempt follows.

        Its place under the rate limits is taken when the stated wait is over: taken before, for an instant
        far ahead, it would hold up the requests that go out until then.
        """
        what = self._retry_policy.after(in_flight, unix_s)
        if what is None:
            return False
        if isinstance(what, str):
            in_flight.reason = what
            return False
        began = time.monotonic_ns()
        in_flight.waiting = True
        try:
            virtual_user.rest(self._alarms, began + round(what * 1e9))
            if not in_flight.closed:
                self._wait_for_place(virtual_user, in_flight)
        except BaseException:
            give_up_waiting(in_flight, "interrupted", "user_left")
            raise
        in_flight.waiting = False
        in_flight.waited_s += (time.monotonic_ns() - began) / 1e9
        if in_flight.closed:
            return False
        if not self._admission.again(in_flight):
            in_flight.reason = "budget"
            return False
        return True

    def _wait_for_place(self, virtual_user: VirtualUser, in_flight: InFlight) -> None:
        now_ns = time.monotonic_ns()
        at_ns = self._admission.place_again(in_flight, now_ns)
        if at_ns > now_ns:
            virtual_user.rest(self._alarms, at_ns)


def give_up_waiting(in_flight: InFlight, outcome: Outcome, reason: str) -> None:
    """End a request between two attempts, which gets no other: the service's last word was "not now", and where a
    person or we ended it, that is what happened to it."""
    in_flight.ended_as = outcome
    in_flight.reason = reason
