"""The cap on what a stage may spend: what is in flight counts at its worst, what ended at its cost.

Pure. Each worker holds an equal share, so that the shares' sum never exceeds the cap.
"""

from collections.abc import Sequence

from observatory.core.record import Attempt
from observatory.load.handoff import Caps

_NEVER_SERVED = frozenset(range(400, 500)) | {529}
"""Refused before anything was generated; other failures may have been billed."""


class Budget:
    """One worker's share. A worst case is (prompt tokens, output tokens); held is how many are in flight
    or not yet decoded."""

    def __init__(self, caps: Caps, worker: int, workers: int) -> None:
        self._caps = caps
        self._requests = _share(caps.requests, worker, workers)
        self._tokens = _share(caps.output_tokens, worker, workers)
        self._usd = None if caps.usd is None else caps.usd / workers
        self.issued = 0
        self.held = 0
        self.settled_tokens = 0
        self.settled_usd = 0.0
        self._held_tokens = 0
        self._held_usd = 0.0

    @property
    def spent_tokens(self) -> int:
        """Output tokens of what ended, and of what is in flight at its worst."""
        return self.settled_tokens + self._held_tokens

    @property
    def spent_usd(self) -> float:
        """US dollars likewise."""
        return self.settled_usd + self._held_usd

    def fits(self, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether one more request of that worst case stays within the share."""
        return self._room(prompt_tokens, output_tokens, self._held_tokens, self._held_usd)

    def could_fit(self, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether it would, if everything in flight turned out to cost nothing."""
        return self._room(prompt_tokens, output_tokens, 0, 0.0)

    def _room(self, prompt: int, output: int, held_tokens: int, held_usd: float) -> bool:
        if self._requests is not None and self.issued >= self._requests:
            return False
        if self._tokens is not None and self.settled_tokens + held_tokens + output > self._tokens:
            return False
        usd = self.settled_usd + held_usd + self._price(prompt, output)
        return self._usd is None or usd <= self._usd

    def hold(self, prompt_tokens: int, output_tokens: int) -> None:
        """A request goes out."""
        self.issued += 1
        self.held += 1
        self._held_tokens += output_tokens
        self._held_usd += self._price(prompt_tokens, output_tokens)

    def again(self, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether a request in flight may be tried once more. Its first try then stays spent at its
        worst case, because nobody can say that the server did not read it. Requests are not counted
        twice: the cap on requests is on what was asked."""
        usd = self._price(prompt_tokens, output_tokens)
        if self._tokens is not None and self.spent_tokens + output_tokens > self._tokens:
            return False
        if self._usd is not None and self.spent_usd + usd > self._usd:
            return False
        self.settled_tokens += output_tokens
        self.settled_usd += usd
        return True

    def settle(self, prompt_tokens: int, output_tokens: int, attempts: Sequence[Attempt]) -> None:
        """It ended: its worst case is given back, its cost is kept.

        A request never sent, or refused with a 4xx, costs nothing. Where the answer states no
        usage, the worst case stays spent; output counts at least one token for each text event,
        whatever usage says.
        """
        self.held -= 1
        self._held_tokens -= output_tokens
        # Rounding errors do not pile up: nothing in flight holds nothing.
        rest = self._held_usd - self._price(prompt_tokens, output_tokens)
        self._held_usd = rest if self.held else 0.0
        for attempt in attempts:
            prompt, output = _cost(attempt, prompt_tokens, output_tokens)
            self.settled_tokens += output
            self.settled_usd += self._price(prompt, output)

    def _price(self, prompt: int, output: int) -> float:
        caps = self._caps
        return prompt * caps.input_usd_per_token + output * caps.output_usd_per_token


def _cost(attempt: Attempt, worst_prompt: int, worst_output: int) -> tuple[int, int]:
    if attempt.sent is None or attempt.http_status in _NEVER_SERVED:
        return 0, 0
    tokens = attempt.tokens
    if tokens.output is None or tokens.output_from != "usage":
        return worst_prompt, max(worst_output, len(attempt.event_ns))
    prompt = tokens.prompt if tokens.prompt is not None else worst_prompt
    return prompt, max(tokens.output, len(attempt.event_ns))


def _share(cap: int | None, worker: int, workers: int) -> int | None:
    """The shares of a whole number are whole, and sum to it."""
    return None if cap is None else cap // workers + (worker < cap % workers)
