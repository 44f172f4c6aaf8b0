"""The cap on what a stage may spend: what is in flight counts at its worst, what ended at its cost.

Pure. Each worker holds an equal share, so that the shares' sum never exceeds the cap; what is
guaranteed and what is not is in docs/spending.md.
"""

from collections.abc import Callable, Sequence

from observatory.core.record import Attempt
from observatory.economics.cost import request_cost_usd
from observatory.economics.counts import billable, counts_of
from observatory.economics.price_rows import AppliedPrices
from observatory.load.handoff import Caps

_NEVER_BILLED = frozenset({401, 402, 403, 404, 405, 413, 415, 429, 529})
"""Turned away before anything was read. Not 400, 408 and 5xx: what was processed may be billed
with any status, e.g. 400 of a content filter or 408 of a timeout (Microsoft, "Plan to manage
costs for Azure OpenAI", HTTP error response code and billing status)."""


class WorkerBudget:
    """One worker's share. A worst case is (prompt tokens, output tokens); held is how many are in flight
    or not yet decoded.

    requests counts attempts except those that a stale connection lost: of the others, no more than its
    share are ever sent. assumed_usd is the part of what is settled that no response stated: worst cases, of
    responses without usage or with usage that cannot be true.
    overrun: how many times its worst case the most expensive answer was billed, at least 1; what is in
    flight counts so many times.
    """

    def __init__(self, caps: Caps, worker: int, workers: int) -> None:
        self._caps = caps
        self._requests = share(caps.requests, worker, workers)
        self._tokens = share(caps.output_tokens, worker, workers)
        self._usd = None if caps.usd is None else caps.usd / workers
        self._cost_of = _cost_function(caps)
        self.requests = 0
        self.held = 0
        self.settled_tokens = 0
        self.settled_usd = 0.0
        self.assumed_usd = 0.0
        self._held_tokens = 0
        self._held_usd = 0.0
        self.overrun = caps.overrun

    @property
    def spent_tokens(self) -> int:
        """Output tokens of what ended, and of what is in flight at its worst."""
        return self.settled_tokens + round(self._held_tokens * self.overrun)

    @property
    def spent_usd(self) -> float:
        """US dollars likewise."""
        return self.settled_usd + self._held_usd * self.overrun

    @property
    def exceeded(self) -> bool:
        """Whether more was billed than the share: a service did not keep to the limits it was sent."""
        tokens = self._tokens is not None and self.settled_tokens > self._tokens
        return tokens or (self._usd is not None and self.settled_usd > self._usd * (1 + 1e-12))

    def fits(self, prompt_tokens: int, output_tokens: int) -> bool:
        """Return whether one more request of that worst case stays within the share."""
        return self._room(prompt_tokens, output_tokens, self._held_tokens, self._held_usd)

    def could_fit(self, prompt_tokens: int, output_tokens: int) -> bool:
        """Return whether it would, if everything in flight turned out to cost nothing."""
        return self._room(prompt_tokens, output_tokens, 0, 0.0)

    def _room(self, prompt: int, output: int, held_tokens: int, held_usd: float) -> bool:
        if self._requests is not None and self.requests >= self._requests:
            return False
        tokens = self.settled_tokens + (held_tokens + output) * self.overrun
        if self._tokens is not None and tokens > self._tokens:
            return False
        if self._usd is None:
            return True
        usd = self.settled_usd + (held_usd + self._worst_usd(prompt, output)) * self.overrun
        return usd <= self._usd

    def hold(self, prompt_tokens: int, output_tokens: int) -> None:
        """Called when a request goes out."""
        self.requests += 1
        self.held += 1
        self._held_tokens += output_tokens
        self._held_usd += self._worst_usd(prompt_tokens, output_tokens)

    def again(
        self,
        prompt_tokens: int,
        output_tokens: int,
        tried: Attempt | None = None,
        *,
        unread: bool = False,
    ) -> bool:
        """Return whether a request in flight may be sent once more; the new attempt is counted if so.

        What was `tried` is settled at what it cost; None: at its worst case, because it is not known
        that the server did not read it. unread: it met a stale connection, and the new attempt takes its
        place among the requests.
        """
        tokens, usd, stated = self._cost(tried, prompt_tokens, output_tokens)
        if not unread and self._requests is not None and self.requests >= self._requests:
            return False
        if self._tokens is not None and self.spent_tokens + tokens > self._tokens:
            return False
        if self._usd is not None and self.spent_usd + usd > self._usd:
            return False
        self.requests += not unread
        self._settle(tokens, usd, stated)
        return True

    def settle(self, prompt_tokens: int, output_tokens: int, attempts: Sequence[Attempt]) -> None:
        """Called when it ended: its worst case is given back, the cost of its last attempts is kept.

        A request never sent, or turned away with a status that is never billed, costs nothing.
        Where the answer states no usage, or usage that the answer itself contradicts, the worst
        case stays spent. Usage above the worst case is believed and raises overrun: where one
        answer was longer than its limit, the next may be.
        """
        self.held -= 1
        self._held_tokens -= output_tokens
        # Rounding errors do not pile up: nothing in flight holds nothing.
        worst_usd = self._worst_usd(prompt_tokens, output_tokens)
        self._held_usd = self._held_usd - worst_usd if self.held else 0.0
        for attempt in attempts:
            tokens, usd, stated = self._cost(attempt, prompt_tokens, output_tokens)
            self._settle(tokens, usd, stated)
            self.overrun = max(
                self.overrun,
                tokens / output_tokens if output_tokens else 1.0,
                usd / worst_usd if worst_usd else 1.0,
            )

    def _settle(self, tokens: int, usd: float, stated: bool) -> None:
        self.settled_tokens += tokens
        self.settled_usd += usd
        if not stated:
            self.assumed_usd += usd

    def _cost(
        self, attempt: Attempt | None, worst_prompt: int, worst_output: int
    ) -> tuple[int, float, bool]:
        """Return output tokens and US dollars of an attempt, and whether they are the server's own figures."""
        if attempt is None:
            return worst_output, self._worst_usd(worst_prompt, worst_output), False
        if attempt.sent is None or attempt.http_status in _NEVER_BILLED:
            return 0, 0.0, True
        counts = attempt.tokens
        if counts.output is not None and billable(counts_of(attempt)):
            usd = self._cost_of(attempt)
            if usd is not None:
                return counts.output, usd, True
            if counts.prompt is None:
                return counts.output, self._worst_usd(worst_prompt, counts.output), False
        output = max(worst_output, len(attempt.event_ns), counts.output or 0)
        prompt = max(worst_prompt, counts.prompt or 0)
        return output, self._worst_usd(prompt, output), False

    def _worst_usd(self, prompt: int, output: int) -> float:
        caps = self._caps
        return prompt * caps.input_usd_per_token + output * caps.output_usd_per_token


def _cost_function(caps: Caps) -> Callable[[Attempt], float | None]:
    """Return US dollars of an answer as the run's rows are charged; None where its counts do not add up."""
    if caps.prices is None:
        return lambda attempt: (
            None
            if attempt.tokens.prompt is None
            else attempt.tokens.prompt * caps.input_usd_per_token
            + (attempt.tokens.output or 0) * caps.output_usd_per_token
        )
    prices = AppliedPrices.from_dict(caps.prices)

    def cost(attempt: Attempt) -> float | None:
        counts = attempt.tokens
        return request_cost_usd(
            prices, counts.prompt, counts.cached, counts.output, counts.cache_write
        )

    return cost


def share(cap: int | None, worker: int, workers: int) -> int | None:
    """Return a worker's part of a cap: the shares of a whole number are whole, and sum to it."""
    return None if cap is None else cap // workers + (worker < cap % workers)
