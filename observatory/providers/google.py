"""Google: Gemini through its API in OpenAI's shape."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

GOOGLE = Provider(
    name="google",
    title="Google Gemini",
    base_url="https://generativelanguage.googleapis.com/v1beta/openai",
    key_variable="GEMINI_API_KEY",
    wires={
        "chat": WireOffer(
            efforts=("none", "minimal", "low", "medium", "high"),
        )
    },
    prices_id="google",
    ecologits_id="google_genai",
    example_model="gemini-3.8-flash",
    listed_prefix="models/",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://ai.google.dev/gemini-api/docs/openai",
            "base URL; bearer key; chat completions; reasoning_effort",
        ),
        ProviderSource(
            "https://discuss.ai.google.dev/t/openai-compat-api-rejects-reasoning-effort-minimal-for-"
            "gemini-3-flash/118724",
            "not every model takes every effort",
        ),
        ProviderSource(
            "https://github.com/googleapis/python-genai/issues/2062",
            "the output limit was seen to bound thinking and answer together, against the documentation: "
            "counted here as not documented",
        ),
    ),
    notes=(
        "that its streams return usage on request, and that it takes max_tokens, follows from OpenAI's "
        "format and is on no page that was read: a run with a key will show it",
    ),
)
