"""Reads the wait that a service requests: from headers, fields of the error or the error's words. Pure.

docs/rate-limits.md lists the spellings in the order in which they are believed.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from observatory.wires.failures.rate_limit_headers import reset_s
from observatory.wires.failures.ratelimit_fields import Quota, binding, joined_fields, quotas_of
from observatory.wires.failures.wait_texts import instant_s, number_of, wait_in_words_s, wait_of
from observatory.wires.streams.http_response import ResponseReader

NOT_NOW = frozenset({429, 503, 529})
"""Statuses that mean "try again later": too many requests (RFC 6585, 4), service unavailable (RFC
9110, 15.6.4), and Anthropic's "overloaded"."""
MOST_WAIT_S = 7 * 86_400.0
"""No longer wait is believed; the longest window of a documented limit is a week."""
RELAYED = "llm_provider-"
"""What LiteLLM's proxy puts before the names of the headers that its own provider sent it."""
RETRY_MS = ("retry-after-ms", "x-retry-after-ms", "x-ms-retry-after-ms")
RETRY_S = ("retry-after", "x-retry-after")
_BETWEEN = re.compile(r",(?!\s*\d{1,2}[ -][A-Za-z]{3})")
"""The comma of a list, which a date's after the weekday is not."""
_READ = 64 << 10
_DEPTH = 8
_QUOTED_FIELD = re.compile(
    r"\b((?:retry )?[a-z][a-z_-]{3,40})[\\\"'\s:=]+([\w.:+-]+)(?![\w:+-])(?!\s+[a-z])",
    re.IGNORECASE,
)
"""A field where an error object is quoted in a text: gateways wrap a provider's JSON into their own words."""
_Sort = Literal["retry", "reset", "instant"]
_FIELDS: dict[str, tuple[_Sort, float]] = {
    # google.rpc.RetryInfo: a duration as JSON, "39s"; some libraries spell it as an object.
    **dict.fromkeys(("retrydelay", "retryafter", "retryafters", "retryin"), ("retry", 1.0)),
    **dict.fromkeys(("retryafterseconds", "retryaftersec", "retryinseconds"), ("retry", 1.0)),
    **dict.fromkeys(("waitseconds", "cooldownseconds"), ("retry", 1.0)),
    **dict.fromkeys(("retryafterms", "retryaftermilliseconds", "retryinms"), ("retry", 1e-3)),
    **dict.fromkeys(("retrydelayms", "waitms", "cooldownms"), ("retry", 1e-3)),
    # OpenAI's Codex: resets_in_seconds, resets_at; Google's Code Assist: quotaResetDelay and -TimeStamp.
    **dict.fromkeys(("resetsinseconds", "resetinseconds", "resetsin", "resetin"), ("reset", 1.0)),
    **dict.fromkeys(("resetafter", "resetafterseconds", "quotaresetdelay"), ("reset", 1.0)),
    **dict.fromkeys(("resetsinms", "resetinms", "resetafterms"), ("reset", 1e-3)),
    **dict.fromkeys(("resetsat", "resetat", "retryat", "resettime"), ("instant", 1.0)),
    **dict.fromkeys(("quotaresettimestamp", "retryaftertimestamp"), ("instant", 1.0)),
    # OpenRouter: the headers of its provider, as fields.
    **dict.fromkeys(("xratelimitreset", "ratelimitreset"), ("instant", 1.0)),
}
"""Fields of an error object without their case and separators: what they are, and the seconds in one of
their units. What names the next attempt is believed before what names a limit's reset."""
_ROUNDED_S = 1.0
"""A wait that was cut or rounded to whole seconds differs from the exact one by less than this."""


def stated_wait_s(
    response: ResponseReader, unix_s: float, *, refused: bool | None = None
) -> float | None:
    """Return seconds to wait from the response's own moment, at most MOST_WAIT_S; None where none are named.

    unix_s: when it was received, for a service that sends no Date. refused: whether it is a refusal, whose
    body and limits count too; default: by its status.
    """
    if refused is None:
        refused = response.status in NOT_NOW
    now_s = _now_s(response, unix_s)
    found = _by_header(response, now_s, "")
    if found is None and refused:
        found = _by_header(response, now_s, RELAYED)
        if found is None:
            found = _by_body(b"".join(response.pieces)[:_READ], now_s)
        if found is None:
            found = _by_limits(response, now_s)
    return None if found is None else min(found, MOST_WAIT_S)


def _now_s(response: ResponseReader, unix_s: float) -> float:
    """Return the service's own clock where it sends one, because its dates are by that."""
    date = response.header("date")
    now = instant_s(date) if date else None
    return now if now is not None else unix_s


def _by_header(response: ResponseReader, now_s: float, prefix: str) -> float | None:
    """Return Retry-After as seconds, a duration or a date (RFC 9110, 10.2.3), or the same in milliseconds.

    The longest where there are several. Milliseconds are the exact spelling of whole seconds.
    """
    exact = _longest(response, {prefix + name for name in RETRY_MS}, 1e-3, now_s)
    rounded = _longest(response, {prefix + name for name in RETRY_S}, 1.0, now_s)
    if exact is None or rounded is None:
        return exact if rounded is None else rounded
    return exact if rounded - exact < _ROUNDED_S else rounded


def _longest(
    response: ResponseReader, names: set[str], unit_s: float, now_s: float
) -> float | None:
    waits = [
        wait
        for name, value in response.headers
        if name in names
        for wait in _waits_of(value, unit_s, now_s)
    ]
    return max(waits, default=None)


def _waits_of(value: str, unit_s: float, now_s: float) -> list[float]:
    """Return the waits of one header, which is a list where a proxy joined several."""
    seconds = wait_of(value, unit_s, now_s)
    if seconds is not None:
        return [seconds]
    parts = _BETWEEN.split(value)
    found = (wait_of(part, unit_s, now_s) for part in parts) if len(parts) > 1 else ()
    return [wait for wait in found if wait is not None]


def _by_body(body: bytes, now_s: float) -> float | None:
    """Return a field of the error object or the error's words, the longer one where it has both.

    Google's field is cut to whole seconds: "retryDelay": "58s" with "Please retry in 58.934310785s."
    (github.com/googleapis/python-genai/pull/2114).
    """
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    start = text.lstrip("\ufeff \t\r\n")
    words = wait_in_words_s(text, now_s)
    documents = [start] if start.startswith(("{", "[")) else _event_data(text)
    for document in documents:
        try:
            found = _best(_fields(msgspec.json.decode(document.encode()), 0), now_s)
        except msgspec.DecodeError:
            continue
        if found is not None:
            return max(found, words or 0.0)
    quoted = _best(_QUOTED_FIELD.findall(text), now_s)
    return words if quoted is None else max(quoted, words or 0.0)


def _event_data(text: str) -> Iterator[str]:
    return (line[5:].strip() for line in text.splitlines() if line.startswith("data:"))


def _fields(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield every field, from the outside in."""
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name), inner
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _fields(inner, depth + 1)


def _best(
    fields: "Iterator[tuple[str, Any]] | list[tuple[str, Any]]", now_s: float
) -> float | None:
    """Return the wait that fields name: the longest of the next attempt, else of a reset, else until an instant."""
    waits: dict[_Sort, float] = {}
    for name, value in fields:
        sort, unit_s = _FIELDS.get(re.sub(r"[^a-z]", "", name.lower()), ("retry", 0.0))
        wait_s = wait_of(value, unit_s, now_s) if unit_s else None
        if wait_s is None or (sort == "instant" and not _is_instant(value)):
            continue
        waits[sort] = max(waits.get(sort, 0.0), wait_s)
    retry, reset = waits.get("retry"), waits.get("reset")
    if retry is None:
        return reset if reset is not None else waits.get("instant")
    return reset if reset is not None and 0 < reset - retry < _ROUNDED_S else retry


def _is_instant(value: Any) -> bool:
    """Return whether an instant's value is one: a plain small number is counted from an unknown start."""
    number = number_of(value)
    return isinstance(value, str | int | float) and (number is None or number >= 1e9)


def _by_limits(response: ResponseReader, now_s: float) -> float | None:
    """Return when the limit that is used up is whole again; where the headers name one limit alone, that one.

    With several of which none is at zero it is not known which one refused.
    """
    named = {name.removeprefix(RELAYED): value for name, value in reversed(response.headers)}
    tightest = _tightest(response) if "ratelimit" in named else None
    resets: dict[str, float] = {}
    for name, value in named.items():
        if "ratelimit" in name.replace("-", "") and "reset" in name:
            found = reset_s(value, now_s)
            found = wait_of(value, 1.0, now_s) if found is None else found
        else:
            continue
        if found is not None:
            resets[name] = found
    empty = [
        wait
        for name, wait in resets.items()
        if number_of(named.get(name.replace("reset-after", "reset").replace("reset", "remaining")))
        == 0
    ]
    if tightest is not None and tightest.reset_s is not None:
        resets["ratelimit"] = tightest.reset_s
        if tightest.remaining == 0:
            empty.append(tightest.reset_s)
    if empty:
        return max(empty)
    return next(iter(resets.values())) if len(resets) == 1 else None


def _tightest(response: ResponseReader) -> Quota | None:
    """Return the policy of the fields RateLimit and RateLimit-Policy that is the closest to its limit."""
    plain = ((name.removeprefix(RELAYED), value) for name, value in response.headers)
    return binding(quotas_of(joined_fields(plain)))
