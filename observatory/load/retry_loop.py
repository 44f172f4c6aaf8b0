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

    def __init__(self, patience: RetryPolicy, admission: Admission, alarms: AlarmClock) -> None:
        self._patience = patience
        # Without a policy, no answer is a reason to look at it again: limits are learnt under "pace" alone.
        self._only_records = not patience.asks_again
        self._admission = admission
        self._alarms = alarms

    def make(self, seat: VirtualUser, turn: InFlight) -> None:
        """Send until there is an answer, a failure, or a refusal that the policy does not wait on.

        A request on a kept connection that the server had closed is sent again at once, on a new connection,
        under any policy: that is no failure of the service. Where a cap on tokens or dollars has no room
        for it, the request ends as cut off by the budget. Every attempt is in turn.earlier or turn.exchange.
        """
        while not turn.closed:
            seat.transport.ask(turn.body, turn.exchange)
            if turn.closed:
                return
            if self._only_records and turn.exchange.fault is None:
                return
            unix_s = time.time()
            self._admission.heard(turn, unix_s, time.monotonic_ns())
            if turn.met_stale_connection:
                if not self._admission.again(turn):
                    give_up_waiting(turn, "interrupted", "budget")
                    return
            elif not self._wait(seat, turn, unix_s):
                return
            turn.try_again()

    def _wait(self, seat: VirtualUser, turn: InFlight, unix_s: float) -> bool:
        """Wait as the policy and the rate limits require; return whether another attempt follows.

        Its place under the rate limits is taken when the stated wait is over: taken before, for an instant
        far ahead, it would hold up the requests that go out until then.
        """
        what = self._patience.after(turn, unix_s)
        if what is None:
            return False
        if isinstance(what, str):
            turn.reason = what
            return False
        began = time.monotonic_ns()
        turn.waiting = True
        try:
            seat.rest(self._alarms, began + round(what * 1e9))
            if not turn.closed:
                self._wait_for_place(seat, turn)
        except BaseException:
            give_up_waiting(turn, "interrupted", "user_left")
            raise
        turn.waiting = False
        turn.waited_s += (time.monotonic_ns() - began) / 1e9
        if turn.closed:
            return False
        if not self._admission.again(turn):
            turn.reason = "budget"
            return False
        return True

    def _wait_for_place(self, seat: VirtualUser, turn: InFlight) -> None:
        now_ns = time.monotonic_ns()
        at_ns = self._admission.place_again(turn, now_ns)
        if at_ns > now_ns:
            seat.rest(self._alarms, at_ns)


def give_up_waiting(turn: InFlight, outcome: Outcome, reason: str) -> None:
    """End a request between two attempts, which gets no other: the service's last word was "not now", and where a
    person or we ended it, that is what happened to it."""
    turn.ended_as = outcome
    turn.reason = reason
