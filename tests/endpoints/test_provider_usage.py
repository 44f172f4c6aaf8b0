"""How each provider of the catalogue counts tokens, by its documentation, and what becomes of it.

Each usage object follows the page named next to it. What is billed is checked a second time
against genai-prices, which reads the same objects with its own mappings.
"""

from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from observatory.core.record import Tokens
from observatory.wires.http_attempt import DecodedAnswer
from tests.endpoints.wire_streams import delta, event, read, stream, whole

USAGES: dict[str, tuple[str, dict[str, Any], tuple[int | None, ...]]] = {
    # prompt, cached, cache write, output, reasoning
    # platform.openai.com/docs/api-reference/chat/object, /docs/guides/prompt-caching
    "openai": (
        "openai",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 256, "audio_tokens": 0},
        },
        (2006, 1920, 64, 300, 256),
    ),
    # api-docs.deepseek.com/guides/kv_cache: prompt_tokens = hit + miss
    "deepseek": (
        "deepseek",
        {
            "prompt_tokens": 1010,
            "completion_tokens": 11,
            "total_tokens": 1021,
            "prompt_tokens_details": {"cached_tokens": 960},
            "prompt_cache_hit_tokens": 960,
            "prompt_cache_miss_tokens": 50,
        },
        (1010, 960, None, 11, None),
    ),
    # docs.x.ai/docs/guides/reasoning: reasoning is outside completion_tokens, in the total
    "x-ai": (
        "x-ai",
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {
                "text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6,
            },
            "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
            "num_sources_used": 0,
        },
        (32, 6, None, 103, 94),
    ),
    # docs.mistral.ai/studio-api/conversations/advanced/prompt-caching
    "mistral": (
        "mistral",
        {
            "prompt_tokens": 1013,
            "total_tokens": 1043,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 1008},
        },
        (1013, 1008, None, 30, None),
    ),
    # console.groq.com/docs/prompt-caching, "Tracking Cache Usage"
    "groq": (
        "groq",
        {
            "queue_time": 0.026959759,
            "prompt_tokens": 4641,
            "prompt_time": 0.009995497,
            "completion_tokens": 1817,
            "completion_time": 5.57691751,
            "total_tokens": 6458,
            "total_time": 5.586913007,
            "prompt_tokens_details": {"cached_tokens": 4608},
            "completion_tokens_details": {"reasoning_tokens": 1017},
        },
        (4641, 4608, None, 1817, 1017),
    ),
    # openrouter.ai/docs/use-cases/usage-accounting
    "openrouter": (
        "openrouter",
        {
            "completion_tokens": 2,
            "completion_tokens_details": {"reasoning_tokens": 0},
            "cost": 0.95,
            "cost_details": {"upstream_inference_cost": 19},
            "prompt_tokens": 194,
            "prompt_tokens_details": {
                "cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0,
            },
            "total_tokens": 196,
        },
        (194, 0, 100, 2, 0),
    ),
    # docs.fireworks.ai/guides/prompt-caching
    "fireworks": (
        "fireworks",
        {
            "prompt_tokens": 1200,
            "completion_tokens": 20,
            "total_tokens": 1220,
            "prompt_tokens_details": {"cached_tokens": 1024},
        },
        (1200, 1024, None, 20, None),
    ),
    # docs.together.ai/reference/chat-completions-1
    "together": (
        "together",
        {"prompt_tokens": 18, "completion_tokens": 30, "total_tokens": 48},
        (18, None, None, 30, None),
    ),
    # platform.claude.com/docs/en/api/openai-sdk: its compatibility layer hides cache and thinking
    "anthropic": (
        "anthropic",
        {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28},
        (20, None, None, 8, None),
    ),
}  # fmt: skip
GEMINI = {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}
"""ai.google.dev/gemini-api/docs/openai: no field for thoughts, which the total has (docs/thinking)."""


def streamed(usage: dict[str, Any], *lines: dict[str, Any], model: str = "m-1") -> DecodedAnswer:
    last = {**delta(finish_reason="stop"), "usage": usage}
    parts = [
        event({**delta(content="Bern"), "model": model}),
        *map(event, lines),
        event(last),
        event("[DONE]"),
    ]
    return read(stream(parts))


def five(tokens: Tokens) -> tuple[int | None, ...]:
    return (tokens.prompt, tokens.cached, tokens.cache_write, tokens.output, tokens.reasoning)


@pytest.mark.parametrize("name", USAGES)
def test_a_providers_counts_are_read_from_streams_and_whole_answers(name: str) -> None:
    _, usage, expected = USAGES[name]
    assert five(streamed(usage).attempt.tokens) == expected
    choice = {"message": {"content": "Bern"}, "finish_reason": "stop"}
    body = {"model": "m", "choices": [choice], "usage": usage}
    assert five(read(whole(body), streaming=False).attempt.tokens) == expected


@pytest.mark.parametrize("name", [name for name in USAGES if name != "together"])
def test_genai_prices_bills_the_same_tokens(name: str) -> None:
    identifier, usage, _ = USAGES[name]
    provider = get_snapshot().find_provider(None, identifier, None)
    flavours = [one.api_flavor for one in provider.extractors or ()]
    flavour = "chat" if "chat" in flavours else "default"
    _, theirs = provider.extract_usage({"model": "m", "usage": usage}, api_flavor=flavour)
    tokens = streamed(usage).attempt.tokens
    assert theirs.input_tokens == tokens.prompt
    assert theirs.output_tokens == tokens.output
    assert (theirs.cache_read_tokens or 0) == (tokens.cached or 0)
    assert (theirs.cache_write_tokens or 0) == (tokens.cache_write or 0)


def test_geminis_thoughts_are_billed_though_no_field_counts_them() -> None:
    tokens = streamed(GEMINI, model="gemini-2.5-flash").attempt.tokens
    assert five(tokens) == (20, None, None, 603, 405)
    assert tokens.streamed == 198


def test_geminis_running_counts_are_of_the_answer_alone() -> None:
    """It sends usage in every event; thoughts are in the total from the first one on."""
    parts = []
    for text, output in (("The ", 50), ("answer", 120), (" is 36.", 198)):
        counts = {"prompt_tokens": 20, "completion_tokens": output, "total_tokens": 425 + output}
        parts.append(
            event({**delta(content=text), "model": "models/gemini-2.5-pro", "usage": counts})
        )
    parts += [event({**delta(finish_reason="stop"), "usage": GEMINI}), event("[DONE]")]
    attempt = read(stream(parts)).attempt
    assert five(attempt.tokens) == (20, None, None, 603, 405)
    assert attempt.event_tokens == [50, 70, 78] and attempt.tokens.streamed_from == "usage"


def test_a_total_that_says_less_than_its_parts_is_not_believed() -> None:
    tokens = streamed(
        {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 0}
    ).attempt.tokens
    assert five(tokens) == (5, None, None, 3, None)


def test_groqs_own_envelope_has_usage_too() -> None:
    """console.groq.com/docs/api-reference: in streams, x_groq of the last chunk."""
    last = {**delta(finish_reason="stop"), "x_groq": {"id": "req_1", "usage": USAGES["groq"][1]}}
    answer = read(stream([event(delta(content="a")), event(last), event("[DONE]")]))
    assert five(answer.attempt.tokens) == USAGES["groq"][2]


def test_openrouters_processing_comments_native_reasons_and_errors() -> None:
    """openrouter.ai/docs/api-reference/streaming: comments while it waits, errors inside a stream."""
    first = delta(content="Bern")
    first["choices"][0]["native_finish_reason"] = None
    parts = [b": OPENROUTER PROCESSING\n\n", event(first)]
    good = {**delta(content="", finish_reason="stop"), "provider": "OpenAI"}
    good["choices"][0]["native_finish_reason"] = "end_turn"
    answer = read(stream([*parts, event(good), event("[DONE]")]))
    assert (answer.text, answer.attempt.finish_reason) == ("Bern", "stop")
    assert len(answer.attempt.event_ns) == 1
    broken = delta(content="", finish_reason="error")
    broken["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}
    attempt = read(stream([*parts, event(broken), event("[DONE]")])).attempt
    assert (attempt.error_kind, attempt.error_text) == (
        "error_event",
        "Provider disconnected (502)",
    )
