"""Units as people write and read them: "30s", "500ms", "2/s" in files, base units inside.

Inside the program a duration is in seconds and a rate per second, both floats.
"""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from observatory.core.counted_nouns import count_of
from observatory.core.plan import PRIMING

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"^\s*{_NUMBER}\s*([a-z]+)\s*$", re.ASCII)
_RATE = re.compile(rf"^\s*{_NUMBER}\s*/\s*([a-z]+)\s*$", re.ASCII)
MOST = 2e12
"""More seconds, or more events a second, are a typing error."""
_PER = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: object) -> float:
    """Return the seconds of a duration such as "500ms", "30s", "5min", "1h"; raise ValueError with the allowed forms."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None or match[2] not in _SECONDS:
        raise ValueError(
            f"{_cut(text)} is not a duration: write a number and a unit, one of "
            f"{', '.join(_SECONDS)}, such as 500ms or 30s"
        )
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > MOST:
        raise ValueError(f"{_cut(match[0])} is longer than can be meant")
    return seconds


def parse_rate(text: object) -> float:
    """Return the events a second of a rate such as "2/s" or "90/min"; raise ValueError with the allowed forms."""
    match = _RATE.match(text) if isinstance(text, str) else None
    if match is None or match[2] not in _PER:
        raise ValueError(
            f"{_cut(text)} is not a rate: write a number, a slash and a unit, one of "
            f"{', '.join(_PER)}, such as 2/s or 90/min"
        )
    rate_per_s = float(match[1]) / _PER[match[2]]
    if rate_per_s > MOST:
        raise ValueError(f"{_cut(match[0])} is more than can be sent")
    return rate_per_s


def _cut(value: object) -> str:
    """Return the value as Python writes it, a number without quotes; cut where it is long."""
    text = str(value)
    if len(text) > 40:
        return repr(f"{text[:37]}...")
    return repr(value)


def format_duration(seconds: float) -> str:
    """Return the shortest exact way to write a duration that parse_duration reads back."""
    for unit in ("h", "min", "s", "ms", "us"):
        text = f"{round(seconds / _SECONDS[unit])}{unit}"
        if seconds >= _SECONDS[unit] and parse_duration(text) == seconds:
            return text
    return f"{Decimal(repr(seconds)):f}s"


def format_rate(per_second: float) -> str:
    """Return a rate as parse_rate reads it back, exactly; by the minute or hour where that is shorter."""
    for unit in ("s", "min", "h"):
        text = f"{per_second * _PER[unit]:.6g}/{unit}"
        if "e" not in text and parse_rate(text) == per_second:
            return text
    return f"{Decimal(repr(per_second)):f}/s"


def human_seconds(seconds: float | None) -> str:
    """Return a latency for reading: three significant digits in µs, ms or s; a dash where there is none."""
    if seconds is None:
        return "–"
    magnitude = abs(seconds)
    if magnitude == 0:
        return "0 s"
    if magnitude < 0.9995e-3:
        return f"{seconds * 1e6:.3g} µs"
    if magnitude < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if magnitude < 100 else f"{seconds:.0f} s"


def human_number(value: float | None, digits: int = 3) -> str:
    """Return a number for reading, with thousands separators and no exponent; a dash where there is none.

    To `digits` significant digits below 999.5; nothing is shown of less than 1e-12.
    """
    if value is None:
        return "–"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    if abs(value) < 1e-12:
        return "0"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{Decimal(text):f}"


MOST_PERCENT = 10.0
"""A change beyond this factor, up or down, is written as a ratio: +1,300 % is hard to read."""


def change_text(change: float) -> str:
    """Return a relative change, such as "+12 %"; beyond MOST_PERCENT the ratio, such as "14 x" or "0.07 x"."""
    ratio = 1 + change
    if ratio > MOST_PERCENT + 1e-9 or 0 < ratio < 1 / MOST_PERCENT - 1e-9:
        return f"{human_number(ratio)} x"
    return f"{change * 100:+.3g} %"


def human_rate(per_second: float) -> str:
    """Return "1 request/s" or "100.25 requests/s": to six digits, so that two close levels read apart."""
    return f"{human_number(per_second, 6)} request{'' if per_second == 1 else 's'}/s"


def human_level(kind: str, concurrency: int | None, rate_per_s: float | None) -> str:
    """Return a load level: "4 users", "2 requests/s, poisson", "priming"; its kind where neither is known."""
    if kind == PRIMING:
        return "priming"
    if concurrency is not None:
        return count_of(concurrency, "user")
    return f"{human_rate(rate_per_s)}, {kind}" if rate_per_s is not None else kind


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def _duration_schema(description: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\s*\d+(\.\d+)?\s*(us|ms|s|min|m|h|d)\s*$",
            "description": description,
            "examples": ["500ms", "30s", "5min"],
        }
    )


_write_duration = PlainSerializer(format_duration, return_type=str)
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    _write_duration,
    _duration_schema("a duration, zero allowed"),
]
PositiveDuration = Annotated[
    float,
    BeforeValidator(lambda text: _positive(parse_duration(text))),
    _write_duration,
    _duration_schema("a duration longer than zero"),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    Field(gt=0),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\s*\d+(\.\d+)?\s*/\s*(s|min|m|h)\s*$",
            "description": "a rate",
            "examples": ["2/s", "90/min"],
        }
    ),
]
