"""OpenAI: Chat Completions and the Responses API."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
CHAT = WireOffer(
    max_tokens_field="max_completion_tokens",
    seed=True,
    service_tiers=TIERS,
    efforts=EFFORTS,
    limit_bounds_reasoning=True,
)
# Neither seed nor stream_options.include_usage: a Responses stream ends with its usage.
RESPONSES = WireOffer(
    max_tokens_field="max_output_tokens",
    stream_usage=False,
    seed=False,
    service_tiers=TIERS,
    efforts=EFFORTS,
    limit_bounds_reasoning=True,
    omitted=("seed",),
    untold=("system_fingerprint",),
)
RATE_LIMITS = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)

OPENAI = Provider(
    name="openai",
    title="OpenAI",
    base_url="https://api.openai.com/v1",
    key_variable="OPENAI_API_KEY",
    wires={"chat": CHAT, "responses": RESPONSES},
    prices_id="openai",
    example_model="gpt-4.1-mini",
    request_id_header="x-request-id",
    processing_headers=("openai-processing-ms",),
    rate_limit_headers=RATE_LIMITS,
    rate_limits_read="a minute, or a day where the model has a daily limit; resets are durations "
    "(120ms, 6m0s)",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://developers.openai.com/api/reference/overview",
            "bearer key; openai-processing-ms, x-request-id and x-ratelimit-* headers",
        ),
        ProviderSource(
            "https://developers.openai.com/api/reference/resources/chat (openai 3.54.0, "
            "types/chat/completion_create_params.py)",
            "max_completion_tokens bounds visible and reasoning tokens, max_tokens is deprecated and "
            "refused by o-series models; seed (beta); service_tier; reasoning_effort; "
            "stream_options.include_usage",
        ),
        ProviderSource(
            "https://developers.openai.com/api/reference/resources/responses (openai 3.54.0, "
            "types/responses/response_create_params.py)",
            "max_output_tokens bounds visible and reasoning tokens; reasoning.effort; service_tier; no "
            "seed",
        ),
        ProviderSource(
            "https://platform.openai.com/docs/guides/rate-limits",
            "what the headers mean, with 1s and 6m0s as examples of resets",
        ),
    ),
)
