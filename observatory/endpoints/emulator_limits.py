"""The emulator's allowances: buckets that refill evenly, and OpenAI's headers about them. Pure."""

import math

from observatory.core.profile import Limits
from observatory.endpoints.emulator_wire import Reply, error, retry_headers

Headers = tuple[tuple[str, str], ...]


class _Bucket:
    """What is left of an allowance a minute; full at first."""

    def __init__(self, a_minute: int) -> None:
        self.a_minute = a_minute
        self.left = float(a_minute)
        self._at_s: float | None = None

    def refill(self, now_s: float) -> None:
        if self._at_s is not None:
            self.left += (now_s - self._at_s) * self.a_minute / 60
            self.left = min(float(self.a_minute), self.left)
        self._at_s = now_s

    def wait_s(self, amount: float) -> float:
        """Seconds until this much is there."""
        return max(0.0, amount - self.left) * 60 / self.a_minute


class Allowance:
    """Requests and tokens a minute; what is not limited has no header and refuses nothing."""

    def __init__(self, limits: Limits) -> None:
        self._buckets = {
            name: _Bucket(limit)
            for name, limit in (
                ("requests", limits.requests_per_minute),
                ("tokens", limits.tokens_per_minute),
            )
            if limit is not None
        }

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self._buckets)

    def ask(self, now_s: float, tokens: int, model: str) -> tuple[Headers, Reply | None]:
        """Take one request of this many tokens: its headers, and its refusal where it is one.

        A refused request takes nothing. One that is larger than the whole allowance waits for all
        of it, as otherwise it would never be served.
        """
        wanted = {"requests": 1, "tokens": tokens}
        for bucket in self._buckets.values():
            bucket.refill(now_s)
        over = [
            (bucket.wait_s(min(wanted[name], bucket.a_minute)), name)
            for name, bucket in self._buckets.items()
            if bucket.left < min(wanted[name], bucket.a_minute)
        ]
        if not over:
            for name, bucket in self._buckets.items():
                bucket.left -= min(wanted[name], bucket.a_minute)
            return self._headers(), None
        wait_s, name = max(over)
        bucket = self._buckets[name]
        letter = "RPM" if name == "requests" else "TPM"
        message = (
            f"Rate limit reached for {model} on {name} per min ({letter}): Limit "
            f"{bucket.a_minute}, Used {math.ceil(bucket.a_minute - bucket.left)}, Requested "
            f"{wanted[name]}. Please try again in {written_duration(wait_s)}."
        )
        headers = (*self._headers(), *retry_headers(wait_s))
        return headers, error(429, message, kind=name, code="rate_limit_exceeded")

    def _headers(self) -> Headers:
        headers: list[tuple[str, str]] = []
        for name, bucket in self._buckets.items():
            full_s = bucket.wait_s(bucket.a_minute)
            headers += [
                (f"x-ratelimit-limit-{name}", str(bucket.a_minute)),
                (f"x-ratelimit-remaining-{name}", str(int(bucket.left))),
                (f"x-ratelimit-reset-{name}", written_duration(full_s)),
            ]
        return tuple(headers)


def written_duration(seconds: float) -> str:
    """A duration as OpenAI's headers write it: 120ms, 1.2s, 6m0s."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text
