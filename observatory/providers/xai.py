"""xAI: Grok through Chat Completions and the Responses API."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

EFFORTS = ("none", "low", "medium", "high", "xhigh")

XAI = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    key_variable="XAI_API_KEY",
    wires={
        "chat": WireOffer(
            max_tokens_field="max_completion_tokens",
            seed=True,
            efforts=EFFORTS,
        ),
        "responses": WireOffer(
            max_tokens_field="max_output_tokens",
            stream_usage=False,
            seed=False,
            efforts=EFFORTS,
            limit_bounds_reasoning=True,
            omitted=("seed",),
        ),
    },
    prices_id="x-ai",
    example_model="grok-4-1-fast-non-reasoning",
    reasoning_in="delta.reasoning_content",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://docs.x.ai/developers/rest-api-reference",
            "base URL; bearer key; compatible with OpenAI's REST API",
        ),
        ProviderSource(
            "https://reference.langchain.com/javascript/langchain-xai/XAIResponsesCreateParams",
            "Responses: max_output_tokens includes output and reasoning tokens; service_tier is not "
            "supported",
        ),
        ProviderSource(
            "xai-sdk 1.21.0, chat.py",
            "seed; reasoning effort none, low, medium, high, xhigh",
        ),
        ProviderSource(
            "https://docs.x.ai/developers/rate-limits",
            "requests a second and tokens a minute by model and tier; no header is named",
        ),
    ),
    notes=(
        "chat: max_completion_tokens was documented as a bound of visible and reasoning tokens, and later "
        "of visible tokens: whether it bounds reasoning is taken as not known",
    ),
)
