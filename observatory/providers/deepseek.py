"""DeepSeek: chat completions in OpenAI's format, with its chain of thought in a separate field."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

DEEPSEEK = Provider(
    name="deepseek",
    title="DeepSeek",
    base_url="https://api.deepseek.com",
    key_variable="DEEPSEEK_API_KEY",
    wires={
        "chat": WireOffer(
            efforts=("minimal", "low", "medium", "high", "xhigh", "max"),
            limit_bounds_reasoning=True,
        )
    },
    prices_id="deepseek",
    example_model="deepseek-flash",
    reasoning_in="delta.reasoning_content",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://api-docs.deepseek.com/guides/thinking_mode",
            "thinking is on by default; reasoning_effort and what each value is mapped to; max_tokens is "
            "the maximum output length, including the chain of thought; reasoning_content",
        ),
        ProviderSource(
            "https://api-docs.deepseek.com/api/create-chat-completion",
            "base URL without /v1; max_tokens; stream_options; usage with cache hits and reasoning tokens",
        ),
        ProviderSource(
            "https://api-docs.deepseek.com/quick_start/rate_limit",
            "a limit of concurrent requests by account and model, 429 above it; no header is named",
        ),
    ),
    notes=(
        "limits are of concurrent requests, not of requests or tokens a minute",
        "thinking is turned off by extra_body: {thinking: {type: disabled}}",
    ),
)
