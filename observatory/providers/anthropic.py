"""Anthropic: its Messages API; its layer in OpenAI's format is an option with fewer counts."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

ANTHROPIC = Provider(
    name="anthropic",
    title="Anthropic",
    base_url="https://api.anthropic.com/v1",
    key_variable="ANTHROPIC_API_KEY",
    wires={
        "messages": WireOffer(
            stream_usage=False,
            seed=False,
            service_tiers=("auto", "standard_only"),
            efforts=("none", "low", "medium", "high", "xhigh", "max"),
            limit_bounds_reasoning=True,
            omitted=("seed",),
            untold=("system_fingerprint",),
            key_header="x-api-key",
            key_prefix="",
        ),
        "chat": WireOffer(
            seed=False,
            omitted=("seed",),
            untold=(
                "cached_prompt_tokens",
                "cache_write_tokens",
                "reasoning_tokens",
                "service_tier",
                "system_fingerprint",
            ),
        ),
    },
    prices_id="anthropic",
    example_model="claude-haiku-4-5",
    reasoning_in="content blocks of type thinking",
    request_id_header="request-id",
    rate_limit_headers=tuple(
        f"anthropic-ratelimit-{what}-{which}"
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
        for which in ("limit", "remaining", "reset")
    ),
    rate_limits_read="a minute; resets are RFC 3339 instants; tokens is the most restrictive limit in "
    "force, input and output together",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://platform.claude.com/docs/en/api/messages (anthropic 2.14.0, "
            "types/message_create_params.py, types/usage.py)",
            "max_tokens is required and counts thinking tokens; service_tier auto, standard_only; "
            "output_config.effort, and thinking of type disabled for none; usage with cache reads, cache writes and the tier; no seed",
        ),
        ProviderSource(
            "https://platform.claude.com/docs/en/api/rate-limits",
            "the anthropic-ratelimit-* headers; a reset is provided in RFC 3339 format",
        ),
        ProviderSource(
            "https://platform.claude.com/docs/en/api/openai-sdk",
            "the layer in OpenAI's shape: max_tokens, max_completion_tokens and stream_options are "
            "supported; seed, service_tier and reasoning_effort are ignored; it is for tests, not for "
            "production, and shows no detailed thinking",
        ),
        ProviderSource(
            "anthropic 2.14.0, _client.py, _response.py, types/model_list_params.py",
            "headers x-api-key and anthropic-version; request-id; GET /v1/models in pages of up to 1000",
        ),
    ),
    notes=(
        "wire: chat leaves cached, cache-write and reasoning tokens null: the layer does not return them",
    ),
)
