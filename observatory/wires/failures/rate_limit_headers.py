"""Read the caller's rate limits from the headers of a response, of any service. Pure.

This module only reads; pacing and the search for a limit decide by its result.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from observatory.wires.failures.ratelimit_fields import FIELDS, Quota, binding, quotas_of
from observatory.wires.failures.wait_texts import number_of

MINUTE_S = 60.0
DAY_S = 86_400.0
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
"""Go's time.Duration as text, which OpenAI and Groq send: 120ms, 6m0s, 2m59.56s."""
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
"""A plain number above these is no wait but an instant, in seconds or milliseconds since 1970."""
_LEAST_LIMIT, _MOST_LIMIT = 1e-3, 1e12
"""A limit outside these is not plausible: waiting for one request under it would take weeks, or it overflows."""
_DAY_TOLERANCE = 0.10
_SHORTEST_RESET_S = 0.1
"""Resets are rounded to milliseconds: of a shorter one no window can be computed."""


@dataclass(frozen=True, slots=True)
class RateLimitHeaders:
    """Limits, what is left of them and in how many seconds they are whole again; None: not stated.

    tokens: prompt and output together. A limit a day is no limit a minute and has fields of its own;
    remaining and reset are of the limit that the service stated.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    requests_remaining: float | None = None
    tokens_remaining: float | None = None
    requests_reset_s: float | None = None
    tokens_reset_s: float | None = None
    requests_per_day: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class _Family:
    """The three headers of one limit, and the seconds that it counts over; None: not documented."""

    limit: str
    remaining: str
    reset: str
    window_s: float | None = MINUTE_S


_REQUESTS = (
    # Anthropic, "Rate limits", response headers: resets are RFC 3339 instants.
    _Family(
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    # Mistral's names contain their window.
    _Family("x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", ""),
    # OpenAI, "Rate limits in headers"; Azure, Groq and xAI use the same names.
    _Family(
        "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"
    ),
    # Bare names: Together's are per second; the window of OpenRouter's and of a gateway's is not documented.
    _Family("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", None),
    # draft-ietf-httpapi-ratelimit-headers to 06; the window is in RateLimit-Policy.
    _Family("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", None),
)
_TOKENS = (
    _Family(
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    _Family("x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute", ""),
    _Family("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    # Together: "tokens per sec that are permitted".
    _Family("x-tokenlimit-limit", "x-tokenlimit-remaining", "x-ratelimit-reset", 1.0),
)
# Fireworks too counts them apart (x-ratelimit-limit-tokens-prompt, -generated), but its pages give
# once "permitted per minute" and once "described in tokens per second": they are kept and not read.
_INPUT = "anthropic-ratelimit-input-tokens-limit"
_OUTPUT = "anthropic-ratelimit-output-tokens-limit"


def rate_limit_headers(
    headers: Mapping[str, str], *, unix_s: float, windows_s: Mapping[str, float] | None = None
) -> RateLimitHeaders:
    """Return the limits in `headers` (any case) of a response received at `unix_s`; all None where it has none.

    Values below zero, which Azure sends for "unknown", and a limit of zero or an implausible one
    count as not stated. windows_s: the seconds that the provider's request limits count over, by header
    (Provider.request_windows_s), where a name alone leaves them open.

    A request limit of OpenAI's names is one a day where Groq's own headers are with it ("always refers to
    Requests Per Day") and where its own numbers show it: limits refill evenly, so that limit x reset /
    used is the window.
    """
    named = {name.lower(): value for name, value in headers.items()}
    policies = quotas_of(named) if any(name in named for name in FIELDS) else []
    requests = _family(_REQUESTS, named)
    tokens = _family(_TOKENS, named)
    limit, left, reset = _three(requests, named, unix_s)
    token_limit, token_left, token_reset = _three(tokens, named, unix_s)
    window_s = requests.window_s if requests is not None else None
    if requests is not None and requests.limit == "x-ratelimit-limit":
        window_s = 1.0 if "x-tokenlimit-limit" in named else None
    if requests is not None and requests.limit == "x-ratelimit-limit-requests":
        groq = any(name.startswith("x-groq-") for name in named)
        window_s = DAY_S if groq or _refills_in_a_day(limit, left, reset) else MINUTE_S
    if requests is not None and requests.limit == "ratelimit-limit":
        window_s = next((one.window_s for one in policies if one.quota == limit), None)
    if requests is not None and windows_s is not None:
        window_s = windows_s.get(requests.limit, window_s)
    of_requests = _Policies(
        [one for one in policies if one.unit == "requests" and not one.of_tokens]
    )
    if requests is None:
        left, reset = of_requests.left
    of_tokens = _Policies([one for one in policies if one.of_tokens])
    if tokens is None:
        token_left, token_reset = of_tokens.left
    token_window_s = tokens.window_s if tokens is not None else None
    return RateLimitHeaders(
        requests_per_minute=_a_minute(limit, window_s) if requests else of_requests.a_minute,
        tokens_per_minute=_a_minute(token_limit, token_window_s) if tokens else of_tokens.a_minute,
        requests_remaining=left,
        tokens_remaining=token_left,
        requests_reset_s=reset,
        tokens_reset_s=token_reset,
        requests_per_day=(limit if window_s == DAY_S else None) if requests else of_requests.a_day,
        input_tokens_per_minute=_limit(named.get(_INPUT)),
        output_tokens_per_minute=_limit(named.get(_OUTPUT)),
    )


class _Policies(NamedTuple):
    """Policies of one unit in the fields RateLimit and RateLimit-Policy."""

    each: list[Quota]

    @property
    def a_minute(self) -> float | None:
        """Return the narrowest limit a minute."""
        limits = (
            _a_minute(one.quota, one.window_s) for one in self.each if _is_limit(one.quota or 0.0)
        )
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def a_day(self) -> float | None:
        """Return the narrowest limit a day."""
        limits = (one.quota for one in self.each if one.window_s == DAY_S)
        return min((limit for limit in limits if _is_limit(limit or 0.0)), default=None)  # type: ignore[type-var]

    @property
    def left(self) -> tuple[float | None, float | None]:
        """Return what remains, and the seconds to the reset, of the policy that is the closest to its limit."""
        one = binding(self.each)
        return (None, None) if one is None else (one.remaining, one.reset_s)


def _family(families: tuple[_Family, ...], named: Mapping[str, str]) -> _Family | None:
    """Return the first family of which a limit or a remainder is there."""
    for family in families:
        if family.limit in named or family.remaining in named:
            return family
    return None


def _three(
    family: _Family | None, named: Mapping[str, str], unix_s: float
) -> tuple[float | None, float | None, float | None]:
    if family is None:
        return None, None, None
    return (
        _limit(named.get(family.limit)),
        number_of(named.get(family.remaining)),
        reset_s(named.get(family.reset), unix_s),
    )


def _a_minute(limit: float | None, window_s: float | None) -> float | None:
    if limit is None or window_s is None or window_s > MINUTE_S:
        return None
    return limit * MINUTE_S / window_s


def _refills_in_a_day(limit: float | None, left: float | None, reset: float | None) -> bool:
    if limit is None or left is None or reset is None or reset < _SHORTEST_RESET_S or left >= limit:
        return False
    window_s = reset * limit / (limit - left)
    return abs(window_s - DAY_S) <= _DAY_TOLERANCE * DAY_S


def reset_s(text: str | None, unix_s: float) -> float | None:
    """Return seconds from `unix_s` until a reset: a duration, seconds, an instant since 1970, RFC 3339."""
    text = (text or "").strip()
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS_S[unit] for amount, unit in _PART.findall(text))
    number = number_of(text)
    if number is not None:
        if number >= _EPOCH_S:
            return max(0.0, number / (1000 if number >= _EPOCH_MS else 1) - unix_s)
        return number
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return max(0.0, instant.timestamp() - unix_s)


def _limit(text: str | None) -> float | None:
    number = number_of(text)
    return number if number is not None and _is_limit(number) else None


def _is_limit(number: float) -> bool:
    return _LEAST_LIMIT <= number <= _MOST_LIMIT
