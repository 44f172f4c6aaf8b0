"""What is kept of a response's headers. Pure; names come in lower case."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from observatory.connect.masking import Masker
from observatory.wires.failures.ratelimit_fields import FIELDS
from observatory.wires.failures.stated_wait import (
    NOT_NOW,
    RELAYED,
    RETRY_MS,
    RETRY_S,
    stated_wait_s,
)
from observatory.wires.failures.wait_texts import number_of
from observatory.wires.streams.http_response import ResponseReader

_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-correlation-id",
    "cf-ray",
)
_RATE_LIMITS = (
    "x-ratelimit-",
    "ratelimit",
    "anthropic-ratelimit-",
    "x-rate-limit-",
    "x-tokenlimit-",
    RELAYED,
)
_RETRY = (*RETRY_S, *RETRY_MS)
_PROCESSING = (
    # OpenAI, API reference, "Debugging requests": milliseconds.
    ("openai-processing-ms", 1.0),
    # Fireworks, API reference, perf_metrics_in_response: seconds, of answers that are not streamed.
    ("fireworks-server-processing-time", 1000.0),
    # Envoy, "HTTP header manipulation": milliseconds until the upstream's headers; in a recorded
    # answer of Anthropic's.
    ("x-envoy-upstream-service-time", 1.0),
)
"""Processing-time headers, the most specific first, and milliseconds in one of their units."""
_TIMING = "server-timing"
_TIMES = frozenset({_TIMING, *(name for name, _ in _PROCESSING)})
_GATEWAY_CALL = "x-litellm-call-id"
"""LiteLLM's proxy sends it with every answer."""
_DURATION = re.compile(r";\s*dur\s*=\s*\"?([0-9.]+)")
_MOST_KEPT = 64
"""Rate-limit headers kept of one response; a server that sends more means no good."""


class KeptHeaders(msgspec.Struct, frozen=True):
    """The record's header fields; a struct, because one is made for every answer."""

    provider_request_id: str | None
    rate_limit_headers: dict[str, str]
    retry_after_s: float | None
    processing_ms: float | None
    gateway_cost_usd: float | None = None
    gateway_call_id: str | None = None
    gateway_overhead_ms: float | None = None
    gateway_fallbacks: int | None = None


class _Places(NamedTuple):
    """The positions of the headers to keep in a response's list, by names alone.

    identifiers: the most specific name's first, of one name the last first.
    """

    limits: tuple[int, ...]
    identifiers: tuple[int, ...]
    timed: bool
    of_gateway: bool


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...]) -> _Places:
    """Return the places, found once for a list of names: the next response of the same server has the same ones."""
    limits = tuple(
        place
        for place, name in enumerate(names)
        if (name.startswith(_RATE_LIMITS) or name in _RETRY) and _of_limits(name)
    )
    identifiers = sorted(
        (_REQUEST_IDS.index(name), -place)
        for place, name in enumerate(names)
        if name in _REQUEST_IDS
    )
    return _Places(
        limits,
        tuple(-place for _, place in identifiers),
        not _TIMES.isdisjoint(names),
        _GATEWAY_CALL in names,
    )


def kept_headers(response: ResponseReader, masker: Masker, unix_s: float) -> KeptHeaders:
    """Return the fields out of one response that was received at `unix_s` (for dates)."""
    headers = response.headers
    places = _places(tuple([name for name, _ in headers]))
    limits: dict[str, str] = {}
    for place in places.limits:
        if len(limits) < _MOST_KEPT:
            name, value = headers[place]
            key, text = masker.exact(name)[:200], masker.exact(value)[:200]
            limits[key] = f"{limits[key]}, {text}" if key in limits and key in FIELDS else text
    identifier = next((headers[at][1] for at in places.identifiers if headers[at][1]), None)
    kept = KeptHeaders(
        masker.exact(identifier)[:200] if identifier else None,
        limits,
        stated_wait_s(response, unix_s) if limits or response.status in NOT_NOW else None,
        _processing_ms(response) if places.timed else None,
    )
    return replace(kept, **_gateway(response, masker)) if places.of_gateway else kept


def _of_limits(name: str) -> bool:
    """Return whether a header is about limits; of those that a gateway passes on under its prefix, few are."""
    if not name.startswith(RELAYED):
        return True
    name = name.removeprefix(RELAYED)
    return name.startswith(_RATE_LIMITS) or name in _RETRY


def _gateway(response: ResponseReader, masker: Masker) -> dict[str, Any]:
    """Return the fields that LiteLLM's proxy states about itself (docs.litellm.ai, "Response Headers")."""
    fallbacks = number_of(response.header("x-litellm-attempted-fallbacks"))
    return {
        "gateway_cost_usd": number_of(response.header("x-litellm-response-cost")),
        "gateway_call_id": masker.exact(response.header(_GATEWAY_CALL) or "")[:200] or None,
        "gateway_overhead_ms": number_of(response.header("x-litellm-overhead-duration-ms")),
        "gateway_fallbacks": None if fallbacks is None else min(int(fallbacks), 1_000),
    }


def _processing_ms(response: ResponseReader) -> float | None:
    """Return the server's own time by the first header that has one; of Server-Timing the longest part."""
    for name, unit_ms in _PROCESSING:
        stated = number_of(response.header(name))
        if stated is not None:
            return stated * unit_ms
    parts = [number_of(text) for text in _DURATION.findall(response.header(_TIMING) or "")]
    return max((part for part in parts if part is not None), default=None)
