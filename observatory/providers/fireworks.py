"""Fireworks AI: open models through chat completions in OpenAI's shape."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

FIREWORKS = Provider(
    name="fireworks",
    title="Fireworks AI",
    base_url="https://api.fireworks.ai/inference/v1",
    key_variable="FIREWORKS_API_KEY",
    wires={
        "chat": WireOffer(
            stream_usage=False,
            seed=True,
            service_tiers=("auto", "default", "flex", "priority"),
            efforts=("none", "low", "medium", "high"),
        )
    },
    prices_id="fireworks",
    example_model="accounts/fireworks/models/gpt-oss-120b",
    lists_what_it_serves=False,
    reasoning_in="delta.reasoning_content",
    processing_headers=("fireworks-server-processing-time",),
    rate_limit_headers=(
        "x-ratelimit-limit-tokens-prompt",
        "x-ratelimit-limit-tokens-cache-adjusted-prompt",
        "x-ratelimit-limit-tokens-generated",
        "x-ratelimit-over-limit",
    ),
    rate_limits_read="once documented as a minute, once as a second: kept and not read as a limit",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://docs.fireworks.ai/api-reference/post-chatcompletions (fireworks-ai 1.2.30, "
            "types/chat/completion_create_params.py, chat_completion_chunk.py)",
            "max_tokens, max_completion_tokens as its alias; seed; service_tier, of which priority alone "
            "differs; reasoning_effort; usage in the stream; fireworks-* headers of answers that are not "
            "streamed",
        ),
        ProviderSource(
            "https://docs.fireworks.ai/serverless/rate-limits",
            "adaptive limits of prompt, uncached prompt and generated tokens, in headers described in "
            "tokens per second",
        ),
        ProviderSource(
            "https://docs.fireworks.ai/guides/quotas_usage/rate-limits",
            "the same headers, described as permitted per minute; x-ratelimit-over-limit",
        ),
    ),
    notes=("fireworks-server-processing-time comes with answers that are not streamed",),
)
