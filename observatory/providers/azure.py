"""Azure OpenAI: OpenAI's APIs on a resource of the customer's own, by the /openai/v1 route."""

from dataclasses import replace

from observatory.providers.openai import CHAT, RATE_LIMITS, RESPONSES
from observatory.providers.provider import Provider, ProviderSource

TIERS = ("auto", "default", "priority")

AZURE = Provider(
    name="azure",
    title="Azure OpenAI",
    base_url=None,
    base_path="/openai/v1",
    example_url="https://RESOURCE.openai.azure.com/openai/v1",
    key_variable="AZURE_OPENAI_API_KEY",
    wires={
        "chat": replace(CHAT, service_tiers=TIERS, key_header="api-key", key_prefix=""),
        "responses": replace(RESPONSES, service_tiers=TIERS, key_header="api-key", key_prefix=""),
    },
    prices_id="azure",
    example_model="gpt-4o-mini",
    names_deployments=True,
    lists_what_it_serves=False,
    rate_limit_headers=RATE_LIMITS,
    rate_limits_read="a minute; resets are whole seconds; -1 means that a limit is not stated",
    looked="2026-11-27",
    sources=(
        ProviderSource(
            "https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
            "the v1 API: /openai/v1 on the resource, no api-version, header api-key",
        ),
        ProviderSource(
            "https://learn.microsoft.com/azure/foundry/openai/concepts/priority-processing",
            "service_tier for Chat Completions and Responses: auto, default, priority",
        ),
        ProviderSource(
            "https://learn.microsoft.com/answers/questions/5625878",
            "x-ratelimit-reset-tokens is an integer of seconds; -1 where no limit is stated",
        ),
        ProviderSource(
            "https://developers.openai.com/api/reference/resources/chat",
            "the fields of a request, as OpenAI's",
        ),
    ),
    notes=(
        "model is the name of a deployment; GET /models lists base models, so that a check cannot find out "
        "whether the deployment is there",
        "the price ledger needs the base model's name: name the deployment after it, or state price",
    ),
)
