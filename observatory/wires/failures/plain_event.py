"""Recognises the event that nearly every stream has once without choices: the one with its usage. Pure.

No field here is one that a failure could be stated in (a test holds that against failures.py), so that an
event with no other field states none.
"""

from typing import Annotated

import msgspec

_Scalar = str | int | float | None


class PlainDetails(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What the counts are made of."""

    accepted_prediction_tokens: _Scalar = None
    audio_tokens: _Scalar = None
    cache_creation_tokens: _Scalar = None
    cache_write_tokens: _Scalar = None
    cached_tokens: _Scalar = None
    image_tokens: _Scalar = None
    reasoning_tokens: _Scalar = None
    rejected_prediction_tokens: _Scalar = None
    text_tokens: _Scalar = None
    video_tokens: _Scalar = None


class PlainUsage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The counts of OpenAI, vLLM, SGLang, llama.cpp, DeepSeek and OpenRouter."""

    completion_tokens: _Scalar = None
    completion_tokens_details: PlainDetails | None = None
    cost: _Scalar = None
    prompt_cache_hit_tokens: _Scalar = None
    prompt_cache_miss_tokens: _Scalar = None
    prompt_tokens: _Scalar = None
    prompt_tokens_details: PlainDetails | None = None
    reasoning_tokens: _Scalar = None
    total_tokens: _Scalar = None


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The event around them."""

    choices: Annotated[list[None], msgspec.Meta(max_length=0)] | None = None
    created: _Scalar = None
    id: _Scalar = None
    model: _Scalar = None
    object: _Scalar = None
    obfuscation: _Scalar = None
    provider: _Scalar = None
    service_tier: _Scalar = None
    system_fingerprint: _Scalar = None
    usage: PlainUsage | None = None


_decode = msgspec.json.Decoder(PlainEvent).decode


def is_plain_event(data: bytes) -> bool:
    """Return whether it is a JSON object with these fields alone, however deep."""
    try:
        _decode(data)
    except (ValueError, RecursionError):
        return False
    return True
