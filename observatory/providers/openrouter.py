"""OpenRouter: other providers' models behind one API in OpenAI's shape."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

OPENROUTER = Provider(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai/api/v1",
    key_variable="OPENROUTER_API_KEY",
    wires={
        "chat": WireOffer(
            max_tokens_field="max_completion_tokens",
            stream_usage=False,
            seed=True,
            service_tiers=("auto", "default", "fast", "flex", "priority", "scale", "ultrafast"),
            efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        )
    },
    prices_id="openrouter",
    example_model="meta-llama/llama-3.3-70b-instruct",
    reasoning_in="delta.reasoning",
    rate_limit_headers=("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    rate_limits_read="with refusals of the platform's own; the window of the limit is not documented",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://openrouter.ai/docs/api-reference/chat (openrouter 1.3.84, "
            "components/chatrequest.py, chatstreamoptions.py)",
            "max_completion_tokens, max_tokens is deprecated; seed; service_tier; reasoning_effort; usage "
            "is always returned and include_usage has no effect",
        ),
        ProviderSource(
            "https://openrouter.ai/docs/guides/best-practices/reasoning-tokens",
            "on most providers the limit holds for reasoning and answer together: not on all, and a "
            "documented example passes it",
        ),
        ProviderSource(
            "https://openrouter.ai/docs/api_reference/limits",
            "X-RateLimit-* headers on the error response",
        ),
    ),
    notes=(
        "which provider answers is OpenRouter's choice: pin it with extra_body: {provider: {order: [...], "
        "allow_fallbacks: false}}",
    ),
)
