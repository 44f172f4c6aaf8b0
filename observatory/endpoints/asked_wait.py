"""Reads the wait that a service requests: from headers, fields of the error or the error's words. Pure.

docs/rate-limits.md lists the spellings in the order in which they are believed.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from observatory.endpoints.http_response import ResponseReader
from observatory.endpoints.limits_said import reset_s

NOT_NOW = frozenset({429, 503, 529})
"""Statuses that mean "try again later": too many requests (RFC 6585, 4), service unavailable (RFC
9110, 15.6.4), and Anthropic's "overloaded"."""
MOST_WAIT_S = 7 * 86_400.0
"""No longer wait is believed; the longest window of a documented limit is a week."""
RELAYED = "llm_provider-"
"""What LiteLLM's proxy puts before the names of the headers that its own provider sent it."""
_EPOCH_S = 1e9
"""A plain number above this is an instant, in seconds since 1970."""
_RESET_FIELD = re.compile(r"\b(?:reset|t)\s*=\s*(\d+)")
_READ = 64 << 10
_DEPTH = 8
_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_AMOUNT = r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_PART = re.compile(_AMOUNT + r"(?![a-z])", re.IGNORECASE)
_SPAN = re.compile(rf"(?:{_AMOUNT}(?:\s*,?\s*(?:and\s+)?(?=\d)|(?![a-z])))+", re.IGNORECASE)
_WORDS = re.compile(
    rf"\b(?:try|retry|again|wait|resets?|available)\b[^\d;]{{0,40}}?(?P<span>{_SPAN.pattern})",
    re.IGNORECASE,
)
"""Azure: "Please retry after 12 seconds."; OpenAI: "Please try again in 1m30s."; Gemini: "Please retry in
46.5s."."""
_QUOTED_FIELD = re.compile(
    r"\bretry[-_ ]?(?:delay|after)[\\\"'\s:=]+(\d+(?:\.\d+)?)(ms|s)?\b(?!\s*[a-z])", re.IGNORECASE
)
"""The field where an error object is quoted in a text: gateways wrap a provider's JSON into their own words."""
_FIELDS_S = {
    # google.rpc.RetryInfo: a duration as JSON, "39s"; some libraries spell it as an object.
    "retrydelay": 1.0,
    "retryafter": 1.0,
    "retryafters": 1.0,
    "retryafterseconds": 1.0,
    "retryaftersec": 1.0,
    "retryafterms": 1e-3,
    "retryaftermilliseconds": 1e-3,
}
"""Fields of an error object without their case and separators, and the seconds in one of their units."""


def asked_wait_s(
    response: ResponseReader, unix_s: float, *, refused: bool | None = None
) -> float | None:
    """Seconds to wait from the response's own moment, at most MOST_WAIT_S; None where none are named.

    unix_s: when it was received, for a service that sends no Date. refused: whether it is a refusal, whose
    body and limits count too; default: by its status.
    """
    if refused is None:
        refused = response.status in NOT_NOW
    found = _by_header(response, unix_s, "")
    if found is None and refused:
        found = _by_header(response, unix_s, RELAYED)
        if found is None:
            found = _by_body(b"".join(response.pieces)[:_READ])
        if found is None:
            found = _by_limits(response, unix_s)
    return None if found is None else min(found, MOST_WAIT_S)


def _by_header(response: ResponseReader, unix_s: float, prefix: str) -> float | None:
    """retry-after-ms, else Retry-After as seconds, a duration or a date (RFC 9110, 10.2.3)."""
    exact = _number(response.header(f"{prefix}retry-after-ms"))
    if exact is not None:
        return exact / 1000
    value = response.header(f"{prefix}retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None and seconds < _EPOCH_S:
        return seconds
    if seconds is None and (span := duration_s(value)) is not None:
        return span
    until = seconds if seconds is not None else instant_s(value)
    if until is None:
        return None
    return max(0.0, until - _now_s(response, unix_s))


def _now_s(response: ResponseReader, unix_s: float) -> float:
    """The service's own clock where it sends one, because its dates are by that."""
    date = response.header("date")
    now = instant_s(date) if date else None
    return now if now is not None else unix_s


def instant_s(text: str) -> float | None:
    """Seconds since 1970 of a date in one of HTTP's three forms, or ISO 8601; UTC where it has no zone.

    RFC 9110, 5.6.7: the two obsolete forms name no zone or GMT, and both are UTC.
    """
    for read in (parsedate_to_datetime, datetime.fromisoformat, _without_zone):
        try:
            moment = read(text.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _without_zone(text: str) -> datetime:
    return parsedate_to_datetime(f"{text} GMT")


def duration_s(text: str) -> float | None:
    """Seconds of a whole text that is a duration with units: 39s, 1m30s, 2 minutes and 5 seconds, 120ms."""
    return _sum_s(text) if _SPAN.fullmatch(text.strip()) else None


def wait_in_words_s(text: str) -> float | None:
    """Return the first wait in a sentence, in seconds; None without any."""
    found = _WORDS.search(text)
    return _sum_s(found["span"]) if found is not None else None


def _sum_s(text: str) -> float:
    return sum(float(amount) * _UNITS_S[_unit(unit)] for amount, unit in _PART.findall(text))


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith(("ms", "milli")) else word[0]


def _by_body(body: bytes) -> float | None:
    """A field of the error object or the error's words, the longer one where it has both.

    Google's field is cut to whole seconds: "retryDelay": "58s" with "Please retry in 58.934310785s."
    (github.com/googleapis/python-genai/pull/2114).
    """
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    start = text.lstrip("\ufeff \t\r\n")
    documents = [start] if start.startswith(("{", "[")) else _event_data(text)
    for document in documents:
        try:
            found = next(_fields(msgspec.json.decode(document.encode()), 0), None)
        except msgspec.DecodeError:
            continue
        if found is not None:
            return max(found, wait_in_words_s(text) or 0.0)
    quoted = _QUOTED_FIELD.search(text)
    return wait_in_words_s(text) if quoted is None else _sum_s(f"{quoted[1]}{quoted[2] or 's'}")


def _event_data(text: str) -> Iterator[str]:
    return (line[5:].strip() for line in text.splitlines() if line.startswith("data:"))


def _fields(value: Any, depth: int) -> Iterator[float]:
    """Every wait that a field names, from the outside in."""
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            unit_s = _FIELDS_S.get(re.sub(r"[^a-z]", "", str(name).lower()))
            wait_s = _field_s(inner, unit_s) if unit_s is not None else None
            if wait_s is not None:
                yield wait_s
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _fields(inner, depth + 1)


def _field_s(value: Any, unit_s: float) -> float | None:
    """A number in the field's unit, a duration as text, or Protocol Buffers' seconds and nanos."""
    if isinstance(value, dict):
        seconds, nanos = _number(value.get("seconds", 0)), _number(value.get("nanos", 0))
        return None if seconds is None or nanos is None else seconds + nanos / 1e9
    number = _number(value)
    if number is not None:
        return number * unit_s if number * unit_s < _EPOCH_S else None
    return duration_s(value) if isinstance(value, str) else None


def _by_limits(response: ResponseReader, unix_s: float) -> float | None:
    """When the limit that is used up is whole again; where the headers name one limit alone, that one.

    With several of which none is at zero it is not known which one refused.
    """
    named = {name.removeprefix(RELAYED): value for name, value in reversed(response.headers)}
    now_s = _now_s(response, unix_s)
    resets: dict[str, float] = {}
    for name, value in named.items():
        if "ratelimit" in name.replace("-", "") and "reset" in name:
            found = reset_s(value, now_s)
        elif name == "ratelimit" and (field := _RESET_FIELD.search(value)):
            # RateLimit of draft-ietf-httpapi-ratelimit-headers: seconds, as reset (to -07) or t.
            found = _number(field[1])
        else:
            continue
        if found is not None:
            resets[name] = found
    empty = [
        wait
        for name, wait in resets.items()
        if _number(named.get(name.replace("reset-after", "reset").replace("reset", "remaining")))
        == 0
    ]
    if empty:
        return max(empty)
    return next(iter(resets.values())) if len(resets) == 1 else None


def _number(value: Any) -> float | None:
    """A finite number of at least 0, also as text."""
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") and not isinstance(value, bool) else None
