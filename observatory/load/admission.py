"""Whether one more request may go out now: in-flight limits, the target's rate limits, the budget. Pure.

Limits are of a whole stage; each worker keeps its share of them.
"""

import math
from typing import Literal

from observatory.core.record import Attempt
from observatory.core.stage_counts import NANO_USD, OUTPUT_TOKENS, TRIES
from observatory.load.budget import WorkerBudget, share
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight
from observatory.load.rate_limit import AllowanceCost, Pacer, RateLimit
from observatory.wires.failures.rate_limit_headers import rate_limit_headers
from observatory.wires.failures.ratelimit_fields import joined_fields

Decision = Literal["go", "wait", "never"] | int
"""go; wait until something ends; never, for the budget is spent; or the instant (monotonic) to try again."""


class Admission:
    """Called before each request, and when one begins and ends.

    lasting: where the worker's counts outlive it (core.stage_counts).
    """

    def __init__(
        self, handoff: Handoff, worker: int, start_ns: int, lasting: memoryview | None = None
    ) -> None:
        workers = handoff.workers
        self.budget = WorkerBudget(handoff.caps, worker, workers)
        caps = handoff.caps
        capped = caps.requests is not None or caps.output_tokens is not None or caps.usd is not None
        self._lasting = lasting if capped else None
        self.in_flight = 0
        limits = [handoff.connection.max_concurrency, handoff.stage.in_flight_limit]
        shares = (share(limit, worker, workers) for limit in limits)
        self._most = min((most for most in shares if most is not None), default=None)
        rate = handoff.connection.max_rate_per_s
        self._rate = None if rate is None else RateLimit(rate, worker, workers, start_ns)
        throttle = handoff.connection.throttle
        self._pacer = Pacer(throttle, workers, start_ns) if throttle.policy == "pace" else None
        # Anthropic counts what came ("Rate limits": OTPM limits are "evaluated in real time as output
        # tokens are produced", ITPM estimates are "adjusted during the request", cache reads do not
        # count for most models). OpenAI and Azure keep to what they estimated at the request's arrival.
        self._counts_what_came = handoff.connection.wire == "messages"

    def decide(self, in_flight: InFlight, now_ns: int) -> Decision:
        """Return what to do with `in_flight` at this moment."""
        worst = in_flight.worst_prompt_tokens, in_flight.worst_output_tokens
        if not self.budget.fits(*worst):
            return "wait" if self.budget.held and self.budget.could_fit(*worst) else "never"
        if self._most is not None and self.in_flight >= self._most:
            return "wait"
        later = self._rate.wait_until(now_ns) if self._rate is not None else None
        if self._pacer is not None:
            later = max(later or 0, self._pacer.free_at(in_flight.cost, now_ns))
        return "go" if later is None or later <= now_ns else later

    def enter(self, in_flight: InFlight, now_ns: int) -> None:
        """Called when the request goes out."""
        self.in_flight += 1
        self.budget.hold(in_flight.worst_prompt_tokens, in_flight.worst_output_tokens)
        if self._lasting is not None:
            self._note_spent(self._lasting)
        if self._rate is not None:
            self._rate.sent(now_ns)
        if self._pacer is not None:
            in_flight.mark = self._pacer.take(in_flight.cost, now_ns)

    def again(self, in_flight: InFlight) -> bool:
        """Return whether a request in flight, whose attempt has ended, may be sent once more.

        An attempt refused unserved costs nothing; of any other attempt the cost is not known.
        """
        http_attempt, tried = in_flight.http_attempt, None
        if http_attempt.response is not None and http_attempt.response.status is not None:
            tried = Attempt(
                number=http_attempt.number,
                sent=http_attempt.sent,
                http_status=http_attempt.response.status,
            )
        granted = self.budget.again(
            in_flight.worst_prompt_tokens,
            in_flight.worst_output_tokens,
            tried,
            unread=in_flight.met_stale_connection,
        )
        if granted and self._lasting is not None:
            self._note_spent(self._lasting)
        return granted

    def _note_spent(self, lasting: memoryview) -> None:
        """Write down what is spent where it outlives this process; what is in flight at its worst."""
        budget = self.budget
        lasting[TRIES] = budget.requests
        lasting[OUTPUT_TOKENS] = budget.spent_tokens
        lasting[NANO_USD] = math.ceil(budget.spent_usd * 1e9)

    def place_again(self, in_flight: InFlight, now_ns: int) -> int:
        """Take another attempt's place under the rate limits; the instant from which it may go out.

        It is taken at once, so that requests which wait for their first attempt do not go before it for
        ever.
        """
        at_ns = now_ns
        if self._rate is not None:
            at_ns = max(at_ns, self._rate.wait_until(at_ns) or 0)
        if self._pacer is not None:
            at_ns = self._pacer.free_at(in_flight.cost, at_ns)
            in_flight.mark = self._pacer.take(in_flight.cost, at_ns)
        if self._rate is not None:
            self._rate.sent(at_ns)
        return at_ns

    def heard(self, in_flight: InFlight, unix_s: float, now_ns: int) -> None:
        """Called when an attempt has ended: the limits in its headers hold from now on."""
        response = in_flight.http_attempt.response
        if self._pacer is None or not self._pacer.learns or response is None:
            return
        limits = rate_limit_headers(joined_fields(response.headers), unix_s=unix_s)
        self._pacer.learn(limits, in_flight.mark or {}, now_ns)

    def counted(self, in_flight: InFlight, attempt: Attempt) -> None:
        """Called when an answer was decoded: where the service counts what came, that is what it took."""
        tokens = attempt.tokens
        if self._pacer is None or not self._counts_what_came or tokens.output_from != "usage":
            return
        prompt = in_flight.cost.prompt_tokens
        if tokens.prompt is not None and (tokens.cached or 0) <= tokens.prompt:
            prompt = tokens.prompt - (tokens.cached or 0)
        self._pacer.correct(in_flight.cost, AllowanceCost(prompt, tokens.output or 0))

    def leave(self) -> None:
        """Called when an HTTP attempt ended; its cost is settled once it is decoded."""
        self.in_flight -= 1
