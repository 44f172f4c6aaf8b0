"""Opens a target of a provider billed by tokens: the catalogue of providers, one line each.

Nothing is started or sent here, and the key is not read into anything that is kept.
"""

from dataclasses import dataclass

from observatory.core.connection import Connection
from observatory.core.errors import BadInput
from observatory.core.target import ApiTarget
from observatory.endpoints.opened import OpenTarget, connect, facts_of
from observatory.endpoints.url import address_of, key_source


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's address, its usual key variable, and its dialect of the OpenAI wire."""

    base_url: str
    key_variable: str
    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True


PROVIDERS: dict[str, Provider] = {
    # OpenAI API reference, "Create chat completion": max_tokens is refused by reasoning models.
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY", "max_completion_tokens"),
}


def open_api(target: ApiTarget) -> OpenTarget:
    """The target as it stands; BadInput for an unknown provider."""
    connection = api_connection(target)
    return OpenTarget(connection, facts_of(target, connection, engine=target.provider))


def api_connection(target: ApiTarget) -> Connection:
    """How it is spoken to."""
    provider = PROVIDERS.get(target.provider)
    if provider is None:
        raise BadInput(
            f"there is no provider {target.provider!r}",
            where=f"target {target.name}",
            fix=f"one of: {', '.join(PROVIDERS)}; any other endpoint is a target of kind url",
        )
    scheme, host, port, base_path = address_of(
        target.base_url or provider.base_url, f"target {target.name}"
    )
    return connect(
        target,
        scheme=scheme,
        host=host,
        port=port,
        base_path=base_path,
        model=target.model,
        key=key_source(target, provider.key_variable),
        stream_usage=provider.stream_usage,
        max_tokens_field=provider.max_tokens_field,
    )
