"""A target's own rate limits, kept by all workers together without talking to each other. Pure.

Each worker keeps its share. Times are CLOCK_MONOTONIC, in nanoseconds.
"""

from dataclasses import dataclass

from observatory.core.connection import Throttle
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders

BURST_S = 1.0
"""Seconds of an allowance that may go at once. Providers enforce a limit a minute over shorter times:
"60,000 requests/minute may be enforced as 1,000 requests/second" (OpenAI, "Rate limits"), "60 requests
per minute (RPM) may be enforced as 1 request per second" (Anthropic, "Rate limits")."""
MINUTE_S = 60.0


class RateLimit:
    """At most one request in each of the worker's intervals, evenly.

    Worker k of W starts k/W of an interval late, so that all together keep the even spacing.
    """

    def __init__(self, rate_per_s: float, worker: int, workers: int, start_ns: int) -> None:
        self._interval_ns = round(workers * 1e9 / rate_per_s)
        self._next_ns = start_ns + self._interval_ns * worker // workers

    def wait_until(self, now_ns: int) -> int | None:
        """Return the instant before which nothing may go out; None where it may now."""
        return self._next_ns if now_ns < self._next_ns else None

    def sent(self, now_ns: int) -> None:
        """Called when one goes out."""
        self._next_ns = max(self._next_ns, now_ns) + self._interval_ns


class Bucket:
    """An allowance a minute that refills evenly and holds BURST_S of it, one request at the least.

    What costs more than the bucket holds goes when it is full, and what comes after pays the rest off.
    In any time T no more goes than the larger of what it holds and the largest cost, and T's refill.
    """

    def __init__(self, a_minute: float, now_ns: int) -> None:
        self.a_minute = a_minute
        self._at_ns = now_ns
        self._level = self._most = max(1.0, a_minute * BURST_S / MINUTE_S)

    def free_at(self, cost: float, now_ns: int) -> int:
        """Return the instant from which so much may go."""
        self._refill(now_ns)
        missing = min(cost, self._most) - self._level
        if missing <= 0:
            return max(now_ns, self._at_ns)
        return max(now_ns, self._at_ns) + -int(-missing * MINUTE_S * 1e9 // self.a_minute)

    def take(self, cost: float, at_ns: int) -> None:
        """Take so much at that instant, which may be one to come: it is free_at's answer then."""
        self._refill(at_ns)
        self._level -= cost

    def give_back(self, amount: float) -> None:
        """Give back: so much less was used than taken (more, where negative)."""
        self._level = min(self._most, self._level + amount)

    def change(self, a_minute: float, now_ns: int) -> None:
        """Change the limit: the allowance is another one from now on."""
        self._refill(now_ns)
        self.a_minute = a_minute
        self._most = max(1.0, a_minute * BURST_S / MINUTE_S)
        self._level = min(self._level, self._most)

    def holds_at_most(self, amount: float) -> None:
        """Called when no more than this is left, by the service's own word."""
        self._level = min(self._level, max(0.0, amount))

    def _refill(self, now_ns: int) -> None:
        if now_ns > self._at_ns:
            grown = (now_ns - self._at_ns) * self.a_minute / (MINUTE_S * 1e9)
            self._level = min(self._most, self._level + grown)
            self._at_ns = now_ns


@dataclass(frozen=True, slots=True)
class AllowanceCost:
    """What a request takes of each allowance, as providers count: its prompt and its output limit."""

    prompt_tokens: int
    output_tokens: int

    def of(self, kind: str) -> int:
        """Return its part in one of the allowances."""
        match kind:
            case "requests":
                return 1
            case "input_tokens":
                return self.prompt_tokens
            case "output_tokens":
                return self.output_tokens
            case _:
                return self.prompt_tokens + self.output_tokens


Mark = dict[str, float]
"""How much had been taken in all, by kind, when a request went out."""


class Pacer:
    """Holds requests back so that no allowance is exceeded; without any, they go as they come.

    Allowances are those given; else those of the service's headers, from the first that states one on.
    """

    def __init__(self, throttle: Throttle, workers: int, now_ns: int) -> None:
        self._workers = workers
        self._taken: Mark = {}
        self._buckets: dict[str, Bucket] = {}
        given = {
            "requests": throttle.requests_per_minute,
            "tokens": throttle.tokens_per_minute,
        }
        for kind, limit in given.items():
            if limit is not None:
                self._buckets[kind] = Bucket(limit / workers, now_ns)
        self.learns = not self._buckets

    def free_at(self, cost: AllowanceCost, now_ns: int) -> int:
        """Return the instant from which a request may go out; not after now_ns where it may now."""
        instants = [bucket.free_at(cost.of(kind), now_ns) for kind, bucket in self._buckets.items()]
        return max(instants, default=now_ns)

    def take(self, cost: AllowanceCost, at_ns: int) -> Mark:
        """Take the limits' parts for a request that goes out at that instant; the mark is for `learn`."""
        for kind in ("requests", "tokens"):
            self._taken[kind] = self._taken.get(kind, 0) + cost.of(kind)
        for kind, bucket in self._buckets.items():
            bucket.take(cost.of(kind), at_ns)
        return dict(self._taken)

    def correct(self, cost: AllowanceCost, used: AllowanceCost) -> None:
        """Correct for what a response really used, at a service that counts that in the end."""
        for kind, bucket in self._buckets.items():
            bucket.give_back(cost.of(kind) - used.of(kind))

    def learn(self, header_limits: RateLimitHeaders, mark: Mark, now_ns: int) -> None:
        """Take over the limits of a response's headers; mark is of the request that it belongs to.

        What was sent after that request may not be in the remainder that they state, and is taken off.
        """
        if not self.learns:
            return
        limits = {
            "requests": (header_limits.requests_per_minute, header_limits.requests_remaining),
            "tokens": (header_limits.tokens_per_minute, header_limits.tokens_remaining),
            "input_tokens": (header_limits.input_tokens_per_minute, None),
            "output_tokens": (header_limits.output_tokens_per_minute, None),
        }
        for kind, (limit, left) in limits.items():
            if limit is None:
                continue
            share = limit / self._workers
            bucket = self._buckets.get(kind)
            if bucket is None:
                bucket = self._buckets[kind] = Bucket(share, now_ns)
            elif bucket.a_minute != share:
                bucket.change(share, now_ns)
            if left is not None:
                since = self._taken.get(kind, 0) - mark.get(kind, 0)
                bucket.holds_at_most(left / self._workers - since)
