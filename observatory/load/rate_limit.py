"""A target's own rate limit, kept by all workers together without talking to each other. Pure."""


class RateLimit:
    """At most one request in each of the worker's intervals, evenly. Times are CLOCK_MONOTONIC.

    Worker k of W starts k/W of an interval late, so that all together keep the even spacing.
    """

    def __init__(self, rate_per_s: float, worker: int, workers: int, start_ns: int) -> None:
        self._interval_ns = round(workers * 1e9 / rate_per_s)
        self._next_ns = start_ns + self._interval_ns * worker // workers

    def wait_until(self, now_ns: int) -> int | None:
        """The instant before which nothing may go out; None where it may now."""
        return self._next_ns if now_ns < self._next_ns else None

    def sent(self, now_ns: int) -> None:
        """One goes out."""
        self._next_ns = max(self._next_ns, now_ns) + self._interval_ns
