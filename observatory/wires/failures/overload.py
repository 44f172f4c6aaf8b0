"""Recognise an error that means overload or a rate limit by its codes, types and words, with any status. Pure.

Services send throttles with other statuses than 429: AWS 400 (ThrottlingException), Google 403
(rateLimitExceeded), Groq 498 (capacity_exceeded), and several 200.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

from observatory.wires.failures.error_words import is_filter, parsed

_SETTLED = frozenset({401, 402, 404, 405, 406, 410, 411, 413, 414, 415, 431, 451})
"""Statuses whose meaning does not depend on the body: the same request is refused again. 413 of Groq has the
code rate_limit_exceeded where one request is larger than the limit."""
_LABELS = frozenset(
    {"code", "type", "status", "reason", "errortype", "errorcode", "statuscode", "httpstatus", "errcode"}
)  # fmt: skip
"""Names of fields without case and separators."""
_INSIDE = frozenset(
    {"error", "errors", "innererror", "detail", "details", "message", "metadata", "raw", "response"}
)
_WORDY = frozenset({"msg", "errormsg", "errormessage", "statusmsg", "description", "title"})
_DEEPEST, _SHOWN = 6, 8
# A plain 503 is not among them: as with a status, an error without a time to wait is a failure.
_CODES = re.compile(
    r"overloaded|rate_?limit|too_?many_?(?:requests|concurrent)|throttl|resource_?exhausted|slow_?down"
    r"|(?:server|model|engine|system)_?busy|capacity_?exceeded|(?:over|no|at)_?capacity|usage_?limit"
    r"|quota_?(?:limit_?)?exceeded|exceeded_?quota|insufficient_?quota|concurrency_?limit"
    r"|request_?limit_?exceeded|\b(?:429|529)\b"
)
_WORDS = re.compile(
    r"\bthrottled\b|throttling_?(?:exception|error)|\brequests? throttling\b|ratelimit_?(?:error|exceeded)"
    r"|^rate[- ]limit(?:ing|s)?[.!]?$|\brate[- ]limited\b|\brate[-_ ]limit(?:s|ing)?(?:[ \w]{0,40})[_ ](?:exceeded|reached|hit)\b"
    r"|\b(?:per[- ]minute|usage|concurrency|[rt]p[ms]|requests?) limit (?:has been |was |is )?(?:exceeded|reached|hit)\b"
    r"|\b(?:reached|hit|exceed\w*)(?: [\w'-]+){0,4} (?:usage|concurrency|request|[rt]p[ms]) limits?\b"
    r"|\b[rt]p[ms] (?:exceeded|reached)\b|\bresources? (?:has been |is )?exhausted\b|\bplease slow down\b"
    r"|\brequests too (?:quickly|fast)\b|\bhigh demand\b"
    r"|\b(?:exceed\w*|reached|hit|over)\b(?: [\w'-]+){0,5} rate[- ]limits?\b"
    r"|\btoo many (?:concurrent )?requests\b|\btoo many tokens, please wait\b"
    r"|\b(?:exceed\w*|reached|used up|exhausted|out of)\b(?: [\w'-]+){0,4} quotas?\b"
    r"|\bquotas?\b(?:[ \w']{0,40}) (?:exceeded|exhausted|reached|used up)\b|\bquota exceeded\b"
    r"|\b(?:at|over|out of|no|insufficient|lacks?)(?: \w+){0,2} capacity\b|\bcapacity (?:is |was )?(?:exceeded|reached|exhausted)\b"
    r"|\b(?:is|are|currently|temporarily|been)(?: \w+){0,2} overloaded\b|^overloaded[.!]?$|\boverloaded_error\b"
    r"|\b(?:server|model|engine|service|system) (?:is )?(?:currently |too )*busy\b",
    re.IGNORECASE | re.MULTILINE,
)
_LOAD = re.compile(r"overload|capacity|busy|high demand", re.IGNORECASE)
"""Words of a refusal by a service that is overloaded by all clients together."""
_OF_THE_REQUEST = re.compile(
    r"\bcontext\b|\bprompt\b|\bparameter\b|\bunknown field\b|billing|\bcredits?\b|\bbalance\b|\bpayment\b"
    r"|insufficient_quota",
    re.IGNORECASE,
)
"""Words of a refusal that no later time changes: the request itself, or an account without money."""


def is_overload(error: object) -> bool:
    """Return whether an error inside a 200 means "try again later", by its codes and types or its words."""
    return _by_codes(error) or _by_words(error)


def is_throttle(status: int, error: object) -> bool:
    """Return whether a refusal with a 4xx other than 429 is a throttle. error: what its body has, parsed or as text."""
    if not 400 <= status < 500 or status in _SETTLED or is_filter(error):
        return False
    texts = "\n".join(_texts(error, 0))
    if _OF_THE_REQUEST.search(texts):
        return bool(re.search(r"throttl|too_?many_?requests", " ".join(_codes(error, 0))))
    return _by_codes(error) or bool(_WORDS.search(texts))


def refusal_kind(error: object) -> Literal["rate_limited", "overloaded"]:
    """Return whether a "try again later" is about this client's limit or the service's load, by its codes, else its words."""
    codes = _CODES.findall(" ".join(_codes(error, 0)))
    texts = codes or ["\n".join(_texts(error, 0))]
    return "overloaded" if any(map(_LOAD.search, texts)) else "rate_limited"


def _by_codes(error: object) -> bool:
    return bool(_CODES.search(" ".join(_codes(error, 0))))


def _by_words(error: object) -> bool:
    texts = "\n".join(_texts(error, 0))
    return bool(_WORDS.search(texts)) and not _OF_THE_REQUEST.search(texts)


def _codes(error: object, depth: int) -> Iterator[str]:
    """Yield every code, type and status of an error and of what is in it, in lower case and snake case."""
    for name, value in _leaves(error, "", depth):
        if name in _LABELS:
            yield re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value).lower().replace("-", "_")


def _texts(error: object, depth: int) -> Iterator[str]:
    return (value for _, value in _leaves(error, "", depth))


def _leaves(error: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield names, in small letters without separators, and values of the fields of an error and of what is in it."""
    if depth > _DEEPEST:
        return
    if isinstance(error, str) and error.strip()[:1] in ("{", "["):
        inside: Any = parsed(error.strip().encode("utf-8", "replace"))
        error = inside if inside is not None else error
    if isinstance(error, list):
        for one in error[:_SHOWN]:
            yield from _leaves(one, name, depth + 1)
    elif isinstance(error, dict):
        for key, value in error.items():
            own = re.sub(r"[^a-z]", "", str(key).lower())
            if own in _LABELS or own in _INSIDE or own in _WORDY:
                yield from _leaves(value, own, depth + 1)
    elif isinstance(error, str | int) and not isinstance(error, bool):
        yield name, str(error)
