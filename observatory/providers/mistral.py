"""Mistral: chat completions in OpenAI's shape, with a seed of its own name."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

MISTRAL = Provider(
    name="mistral",
    title="Mistral",
    base_url="https://api.mistral.ai/v1",
    key_variable="MISTRAL_API_KEY",
    wires={
        "chat": WireOffer(
            stream_usage=False,
            seed=False,
            service_tiers=("auto", "standard_only"),
            efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            omitted=("seed",),
            untold=("system_fingerprint",),
        )
    },
    prices_id="mistral",
    ecologits_id="mistralai",
    example_model="mistral-small-latest",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://docs.mistral.ai/api (mistralai 3.7.0, models/chatcompletionstreamrequest.py, "
            "models/usageinfo.py)",
            "max_tokens; random_seed and no seed; no stream_options; reasoning_effort; service_tier auto, "
            "standard_only; usage with the tier",
        ),
        ProviderSource(
            "https://docs.mistral.ai/inference/priority-tier",
            "priority is by agreement; auto uses it where there is one",
        ),
        ProviderSource(
            "https://docs.mistral.ai/deployment/ai-studio/tier",
            "limits are requests a second, tokens a minute and tokens a month; no header is named",
        ),
    ),
    notes=(
        "its seed is called random_seed: state it in extra_body, the workload's seed is left out",
        "answers were seen with x-ratelimit-limit-req-minute, x-ratelimit-limit-tokens-minute and their "
        "remaining counterparts: read where they come, although no page names them",
    ),
)
