"""What is kept of a response's headers. Pure; names come in lower case."""

import re
from typing import Any

import msgspec

from observatory.connect.masking import Masker
from observatory.wires.failures.asked_wait import NOT_NOW, RELAYED, RETRY_MS, RETRY_S, asked_wait_s
from observatory.wires.failures.ratelimit_fields import FIELDS
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
"""Processing-time headers, the most telling first, and milliseconds in one of their units."""
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


def kept_headers(response: ResponseReader, masker: Masker, unix_s: float) -> KeptHeaders:
    """The fields out of one response that was received at `unix_s` (for dates)."""
    limits: dict[str, str] = {}
    found: dict[str, str] = {}
    for name, value in response.headers:
        if name.startswith(_RATE_LIMITS) or name in _RETRY:
            if len(limits) < _MOST_KEPT and _of_limits(name):
                key, text = masker.exact(name)[:200], masker.exact(value)[:200]
                limits[key] = f"{limits[key]}, {text}" if key in limits and key in FIELDS else text
        elif name in _REQUEST_IDS and value:
            found[name] = value
    identifier = min(found, key=_REQUEST_IDS.index) if found else None
    return KeptHeaders(
        provider_request_id=masker.exact(found[identifier])[:200] if identifier else None,
        rate_limit_headers=limits,
        retry_after_s=asked_wait_s(response, unix_s)
        if limits or response.status in NOT_NOW
        else None,
        processing_ms=_processing_ms(response),
        **(_gateway(response, masker) if response.header(_GATEWAY_CALL) is not None else {}),
    )


def _of_limits(name: str) -> bool:
    """Whether a header is about limits; of those that a gateway passes on under its prefix, few are."""
    if not name.startswith(RELAYED):
        return True
    name = name.removeprefix(RELAYED)
    return name.startswith(_RATE_LIMITS) or name in _RETRY


def _gateway(response: ResponseReader, masker: Masker) -> dict[str, Any]:
    """What LiteLLM's proxy states of its own part (docs.litellm.ai, "Response Headers")."""
    fallbacks = _number(response.header("x-litellm-attempted-fallbacks"))
    return {
        "gateway_cost_usd": _number(response.header("x-litellm-response-cost")),
        "gateway_call_id": masker.exact(response.header(_GATEWAY_CALL) or "")[:200] or None,
        "gateway_overhead_ms": _number(response.header("x-litellm-overhead-duration-ms")),
        "gateway_fallbacks": None if fallbacks is None else min(int(fallbacks), 1_000),
    }


def _processing_ms(response: ResponseReader) -> float | None:
    """The server's own time, by the first header that tells one; of Server-Timing the longest part."""
    for name, unit_ms in _PROCESSING:
        told = _number(response.header(name))
        if told is not None:
            return told * unit_ms
    parts = [_number(text) for text in _DURATION.findall(response.header("server-timing") or "")]
    return max((part for part in parts if part is not None), default=None)


def _number(text: str | None) -> float | None:
    """A finite number of at least 0."""
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
