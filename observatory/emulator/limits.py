"""The emulator's allowances, refilled evenly or whole each minute, and their headers. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from observatory.core.emulation.profile import Limits
from observatory.emulator.requests import Reply, error, retry_headers

Headers = tuple[tuple[str, str], ...]
LimitHeaders = Callable[[str, int, int, float], Headers]
"""(name, limit, remaining, seconds until it is whole again) -> the wire's rate-limit headers."""
MINUTE_S = 60.0


@dataclass(slots=True)
class _Refilled:
    """An allowance that refills evenly; full at first, and never above what may be saved up."""

    a_minute: int
    burst_s: float
    left: float = 0.0
    _at_s: float | None = None

    @property
    def most(self) -> float:
        """Return the largest amount that it ever holds; at least one, or nothing would ever be served."""
        return max(1.0, self.a_minute * self.burst_s / MINUTE_S)

    def refill(self, now_s: float) -> None:
        """Bring what is left up to this moment."""
        if self._at_s is None:
            self.left = self.most
        else:
            gained = (now_s - self._at_s) * self.a_minute / MINUTE_S
            self.left = min(self.most, self.left + gained)
        self._at_s = now_s

    def wait_s(self, amount: float) -> float:
        """Return seconds until this much is there."""
        return max(0.0, amount - self.left) * MINUTE_S / self.a_minute


@dataclass(slots=True)
class _EachMinute:
    """An allowance that is whole again at every full minute of the emulator's clock."""

    a_minute: int
    left: float = 0.0
    _at_s: float = 0.0
    _minute: float | None = None

    @property
    def most(self) -> float:
        """Return the largest amount that it ever holds."""
        return float(self.a_minute)

    def refill(self, now_s: float) -> None:
        """Bring what is left up to this moment."""
        minute = now_s // MINUTE_S
        if minute != self._minute:
            self._minute, self.left = minute, self.most
        self._at_s = now_s

    def wait_s(self, amount: float) -> float:
        """Return seconds until this much is there."""
        return 0.0 if amount <= self.left else MINUTE_S - self._at_s % MINUTE_S


class Allowance:
    """Requests and tokens a minute; what is not limited has no header and refuses nothing."""

    def __init__(self, limits: Limits) -> None:
        self._counts_refused = limits.refused == "counted"
        self._buckets: dict[str, _Refilled | _EachMinute] = {
            name: _EachMinute(limit)
            if limits.window == "minute"
            else _Refilled(limit, limits.burst)
            for name, limit in (
                ("requests", limits.requests_per_minute),
                ("tokens", limits.tokens_per_minute),
            )
            if limit is not None
        }

    @property
    def limited(self) -> bool:
        """Return whether there is any limit."""
        return bool(self._buckets)

    def admit(
        self, now_s: float, tokens: int, model: str, limit_headers: LimitHeaders | None = None
    ) -> tuple[Headers, Reply | None]:
        """Take one request of this many tokens: its headers, and its refusal where it is one.

        limit_headers: makes the headers of a limit on the request's wire; default: OpenAI's.

        A refused request takes nothing, unless refused requests are counted: then what is left. A request
        that is larger than the whole allowance waits for all of it, as otherwise it would never be served.
        """
        limit_headers = limit_headers or openai_limit
        wanted = {"requests": 1, "tokens": tokens}
        for bucket in self._buckets.values():
            bucket.refill(now_s)
        over = [
            (bucket.wait_s(min(wanted[name], bucket.most)), name)
            for name, bucket in self._buckets.items()
            if bucket.left < min(wanted[name], bucket.most)
        ]
        if not over:
            for name, bucket in self._buckets.items():
                bucket.left -= min(wanted[name], bucket.most)
            return self._headers(limit_headers), None
        if self._counts_refused:
            for name, bucket in self._buckets.items():
                bucket.left = max(0.0, bucket.left - wanted[name])
        wait_s, name = max(over)
        bucket = self._buckets[name]
        letter = "RPM" if name == "requests" else "TPM"
        message = (
            f"Rate limit reached for {model} on {name} per min ({letter}): Limit "
            f"{bucket.a_minute}, Used {math.ceil(bucket.most - bucket.left)}, Requested "
            f"{wanted[name]}. Please try again in {written_duration(wait_s)}."
        )
        refusal = error(
            429,
            message,
            kind=name,
            code="rate_limit_exceeded",
            headers=retry_headers(wait_s),
        )
        return self._headers(limit_headers), refusal

    def _headers(self, limit_headers: LimitHeaders) -> Headers:
        headers: list[tuple[str, str]] = []
        for name, bucket in self._buckets.items():
            full_s = bucket.wait_s(bucket.most)
            headers += limit_headers(name, bucket.a_minute, int(bucket.left), full_s)
        return tuple(headers)


def openai_limit(name: str, limit: int, left: int, full_s: float) -> Headers:
    """Return OpenAI's headers about one limit ("Rate limits in headers")."""
    return (
        (f"x-ratelimit-limit-{name}", str(limit)),
        (f"x-ratelimit-remaining-{name}", str(left)),
        (f"x-ratelimit-reset-{name}", written_duration(full_s)),
    )


def throttled(
    retry_after_s: float, limit_headers: LimitHeaders = openai_limit, *, limited: bool = False
) -> Reply:
    """Return a random refusal. Its headers have made-up limits of the right shape, unless the answers already
    have the headers of real limits (`limited`): two sets would contradict each other."""
    stand_ins = (
        ()
        if limited
        else (*limit_headers("requests", 60, 0, 1.0), *limit_headers("tokens", 60_000, 59_000, 1.0))
    )
    return error(
        429,
        "Rate limit reached (emulated).",
        kind="requests",
        code="rate_limit_exceeded",
        headers=(*retry_headers(retry_after_s), *stand_ins),
    )


def written_duration(seconds: float) -> str:
    """Return a duration as OpenAI's headers write it: 120ms, 1.2s, 6m0s."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text
