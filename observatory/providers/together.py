"""Together AI: open models through chat completions in OpenAI's shape."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

TOGETHER = Provider(
    name="together",
    title="Together AI",
    base_url="https://api.together.ai/v1",
    key_variable="TOGETHER_API_KEY",
    wires={
        "chat": WireOffer(
            stream_usage=False,
            seed=True,
            efforts=("low", "medium", "high"),
        ),
        "responses": WireOffer(
            max_tokens_field="max_output_tokens",
            stream_usage=False,
            omitted=("seed",),
        ),
    },
    prices_id="together",
    example_model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
    reasoning_in="delta.reasoning, delta.reasoning_content",
    rate_limit_headers=("x-ratelimit-reset",),
    rate_limits_read="the suggested interval before a retry, in seconds; the limits themselves are "
    "dynamic and not published; older answers also had x-ratelimit-limit and x-tokenlimit-limit, a "
    "second",
    request_windows_s={"x-ratelimit-limit": 1.0},
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://docs.together.ai/reference/chat-completions (together 3.1.1, _client.py, "
            "types/chat/completion_create_params.py, chat_completion_chunk.py)",
            "base URL and key variable; max_tokens; seed; reasoning_effort low, medium, high; usage and "
            "reasoning in the stream",
        ),
        ProviderSource(
            "https://docs.together.ai/docs/serverless/rate-limits",
            "dynamic limits; x-ratelimit-reset; 429 above the dynamic rate, 503 below it",
        ),
        ProviderSource(
            "https://docs.together.ai/docs/inference/responses-api",
            "POST /v1/responses",
        ),
    ),
)
