"""Reads a wait out of a text: a number, a duration, a date, or a sentence that requests it. Pure."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

EPOCH_S = 1e9
"""A plain number from this on is an instant since 1970: in seconds, or below a finer unit."""
_FINER = ((1e18, 1e-9), (1e15, 1e-6), (1e12, 1e-3))
"""From such a number on it counts nanoseconds, microseconds or milliseconds: in seconds, it would be more
than 31,000 years away."""
_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_AMOUNT = r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_PART = re.compile(_AMOUNT + r"(?![a-z])", re.IGNORECASE)
_SPAN = rf"(?:{_AMOUNT}(?:\s*,?\s*(?:and\s+)?(?=\d)|(?![a-z])))+"
_CLOCK = r"(?:(\d{1,2})(?:\s*days?,\s*|\.))?(\d{1,3}):([0-5]\d):([0-5]\d(?:\.\d+)?)"
"""00:00:39, as Python ("1 day, 0:00:39") and .NET ("1.00:00:39") write durations."""
_ISO = r"P(?=[\dT])(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?"
"""ISO 8601, 4.4.3.2, without years, months and weeks: PT1M30S."""
_ONE = r"(?:an?|one) (?P<one>second|minute|hour|day)\b"
_DURATIONS = rf"(?:{_CLOCK}|{_SPAN}|{_ISO}|{_ONE})"
_INSTANTS = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?(?:Z|UTC|GMT)|[+-]\d\d:?\d\d)?|1\d{9}(?:\d{3})?(?![\d.])"
_WAITS = (
    r"(?<!max )(?<!maximum )(?<!queue )(?<!had to )(?<!the )(?<!\ba )"
    r"\b(?:wait|pause|back[ -]?off|cool[ -]?down)\b"
)
_NEAR = (
    r"(?:(?:about|approximately|approx\.|around|another|at least|a further|the next|~)\s{0,3}){0,2}"
)
_IN_WORDS = re.compile(
    rf"(?:\b(?:try|retry|again|resets?|available)\b[^\d;]{{0,40}}?(?:\b(?:in|after|within)\b\s{{0,3}}:?|:|=)"
    rf"|{_WAITS}\s{{0,3}}(?:\b(?:for|of)\b)?[:=]?)"
    rf"\s{{0,3}}{_NEAR}(?P<wait>{_DURATIONS})(?!\s+(?:a|an|per|each|every)\b|/)",
    re.IGNORECASE,
)
"""Azure: "Please retry after 12 seconds."; OpenAI: "Please try again in 1m30s."; Gemini: "Please retry in
46.5s.". "Available 24 hours a day" requests no wait."""
_AT_IN_WORDS = re.compile(
    rf"(?:\b(?:try|retry|again|resets?|available|wait)\b)[^\d;]{{0,40}}?\b(?:at|on|after|until|from)\b[\s:]{{0,3}}"
    rf"(?P<at>{_INSTANTS})",
    re.IGNORECASE,
)


def number_of(value: Any) -> float | None:
    """Return a finite number of at least 0, also as text."""
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") and not isinstance(value, bool) else None


def epoch_s(number: float) -> float | None:
    """Return seconds since 1970 of a plain number that is an instant in any unit; None of a smaller one."""
    if number < EPOCH_S:
        return None
    return number * next((unit_s for least, unit_s in _FINER if number >= least), 1.0)


def instant_s(text: str) -> float | None:
    """Return seconds since 1970 of a date in one of HTTP's three forms, or ISO 8601; UTC where it has no zone.

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
    if "T" in text and text[:4].isdigit():
        return datetime.fromisoformat(text.removesuffix("UTC").removesuffix("GMT").strip())
    return parsedate_to_datetime(f"{text} GMT")


def duration_s(text: str) -> float | None:
    """Return seconds of a whole text that is a duration: 39s, 1m30s, 2 minutes and 5 seconds, 0:00:39, PT1M30S."""
    text = text.strip()
    if re.fullmatch(_SPAN, text, re.IGNORECASE):
        return sum(float(amount) * _UNITS_S[_unit(unit)] for amount, unit in _PART.findall(text))
    if clock := re.fullmatch(_CLOCK, text, re.IGNORECASE):
        days, hours, minutes, seconds = (float(part or 0) for part in clock.groups())
    elif iso := re.fullmatch(_ISO, text, re.IGNORECASE):
        if not any(iso.groups()):
            return None
        days, hours, minutes, seconds = (
            float((part or "0").replace(",", ".")) for part in iso.groups()
        )
    else:
        return None
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith(("ms", "milli")) else word[0]


def wait_of(value: Any, unit_s: float, now_s: float) -> float | None:
    """Return seconds of one value: a number in that unit or since 1970, a duration or date as text, or Protocol
    Buffers' seconds and nanos. Quotes around a text do not count. now_s: since 1970."""
    if isinstance(value, dict):
        seconds, nanos = number_of(value.get("seconds", 0)), number_of(value.get("nanos", 0))
        return None if seconds is None or nanos is None else seconds + nanos / 1e9
    if isinstance(value, str):
        value = value.strip().strip("\"'").strip()
    number = number_of(value)
    if number is not None:
        at_s = epoch_s(number) if number * unit_s >= EPOCH_S else None
        return number * unit_s if at_s is None else max(0.0, at_s - now_s)
    if not isinstance(value, str) or not value:
        return None
    span = duration_s(value)
    if span is not None:
        return span
    until = instant_s(value)
    return None if until is None else max(0.0, until - now_s)


def wait_in_words_s(text: str, now_s: float) -> float | None:
    """Return the first wait that a sentence requests, in seconds; None without any. now_s: since 1970."""
    found = _IN_WORDS.search(text)
    if found is not None and found["one"]:
        return _UNITS_S[found["one"][0].lower()]
    if found is not None and (span := duration_s(found["wait"])) is not None:
        return span
    at = _AT_IN_WORDS.search(text)
    return None if at is None else wait_of(at["at"], 1.0, now_s)
