"""Groq: open models through chat completions in OpenAI's shape."""

from observatory.providers.openai import RATE_LIMITS
from observatory.providers.provider import Provider, ProviderSource, WireOffer

GROQ = Provider(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",
    key_variable="GROQ_API_KEY",
    wires={
        "chat": WireOffer(
            max_tokens_field="max_completion_tokens",
            seed=True,
            service_tiers=("auto", "on_demand", "flex", "performance"),
            efforts=("none", "default", "low", "medium", "high"),
        )
    },
    prices_id="groq",
    example_model="llama-3.3-70b-versatile",
    reasoning_in="delta.reasoning",
    rate_limit_headers=RATE_LIMITS,
    rate_limits_read="requests are a day's, tokens a minute's; resets are durations (2m59.56s)",
    request_windows_s={"x-ratelimit-limit-requests": 86_400.0},
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://console.groq.com/docs/api-reference (groq 1.7.0, "
            "types/chat/completion_create_params.py, chat_completion_chunk.py)",
            "max_completion_tokens, max_tokens is deprecated; seed; service_tier; reasoning_effort; "
            "stream_options.include_usage; x_groq with the usage of a stream",
        ),
        ProviderSource(
            "https://console.groq.com/docs/rate-limits",
            "x-ratelimit-limit-requests always refers to requests a day, -tokens to tokens a minute; "
            "cached tokens do not count",
        ),
        ProviderSource(
            "https://console.groq.com/docs/service-tiers",
            "performance, on_demand, flex, auto",
        ),
    ),
)
