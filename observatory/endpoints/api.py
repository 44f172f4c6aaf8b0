"""Opens a target of a provider of the catalogue, billed by tokens, and refuses what it does not take.

Nothing is started or sent here, and the key is not read into anything that is kept.
"""

from collections.abc import Mapping, Sequence

import msgspec

from observatory.core.connection import Connection, KeySource
from observatory.core.errors import BadInput
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.endpoints.opened import OpenTarget, connect, facts_of
from observatory.endpoints.opener import Opener
from observatory.endpoints.url import address_of, key_source
from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import WIRE_OF, Provider, WireOffer, WireWord


def open_api(target: ApiTarget) -> OpenTarget:
    """Return the opened target; raise BadInput as api_connection."""
    connection = api_connection(target)
    left_out = {"left_out": connection.omitted} if connection.omitted else {}
    facts = facts_of(
        target,
        connection,
        engine=target.provider,
        provider=target.provider,
        settings=left_out,
        on_this_host=False,
    )
    return OpenTarget(connection, facts)


def api_connection(target: ApiTarget) -> Connection:
    """Return how it is spoken to.

    BadInput: an unknown provider; an address that is missing; a wire, a service tier, a reasoning
    effort or a transport that the provider does not offer, with what it does.
    """
    where = f"target {target.name}"
    provider = provider_of(target)
    word, offer = offer_of(target, provider)
    _documented("service_tier", target.service_tier, offer.service_tiers, provider, word, where)
    _documented("reasoning_effort", target.reasoning_effort, offer.efforts, provider, word, where)
    if target.transport == "sdk" and word == "messages":
        other = next((name for name in provider.wires if name != word), None)
        raise BadInput(
            "transport: sdk measures through the openai package, which does not speak wire: messages",
            where=where,
            fix=f"transport: lean, or wire: {other}" if other else "transport: lean",
        )
    address = address_of(_base_url(target, provider), where)
    connection = connect(
        target,
        address._replace(base_path=address.base_path or provider.base_path),
        target.model,
        key=_key(target, provider, offer),
        stream_usage=offer.stream_usage,
        max_tokens_field=offer.max_tokens_field,
    )
    return msgspec.structs.replace(
        connection,
        wire=WIRE_OF[word],
        transport=target.transport,
        service_tier=target.service_tier,
        omitted=list(offer.omitted),
    )


def listing_connection(connection: Connection, provider: Provider) -> Connection:
    """Return how the provider's models are listed: by its usual wire, whichever one is measured."""
    word = provider.usual_wire
    offer = provider.wires[word]
    key = connection.key
    if key is not None:
        key = msgspec.structs.replace(key, header=offer.key_header, prefix=offer.key_prefix)
    return msgspec.structs.replace(connection, wire=WIRE_OF[word], key=key)


def missing_keys(targets: Sequence[Target], environment: Mapping[str, str]) -> list[str]:
    """Return a line for each target of a provider whose key variable is not set."""
    lines = []
    for target in targets:
        if not isinstance(target, ApiTarget) or target.api_key_file is not None:
            continue
        variable = target.api_key_env or provider_of(target).key_variable
        if not environment.get(variable):
            lines.append(f"target {target.name} needs the key in {variable}, which is not set")
    return lines


def provider_of(target: ApiTarget) -> Provider:
    """Return the target's provider; raise BadInput for one that the catalogue does not have."""
    provider = PROVIDERS.get(target.provider)
    if provider is None:
        raise BadInput(
            f"there is no provider {target.provider!r}",
            where=f"target {target.name}",
            fix=f"one of: {', '.join(PROVIDERS)}; any other endpoint is a target of kind url",
        )
    return provider


def offer_of(target: ApiTarget, provider: Provider) -> tuple[WireWord, WireOffer]:
    """Return the target's wire, else the usual one; raise BadInput where it is not offered."""
    word = target.wire or provider.usual_wire
    offer = provider.wires.get(word)
    if offer is None:
        raise BadInput(
            f"{provider.title} offers no wire {word!r}",
            where=f"target {target.name}",
            fix=f"one of: {', '.join(provider.wires)}",
        )
    return word, offer


def _documented(
    field: str,
    requested: str | None,
    values: Sequence[str],
    provider: Provider,
    word: WireWord,
    where: str,
) -> None:
    if requested is None or requested in values:
        return
    message = f"{field} {requested!r} is none that {provider.title} documents for wire {word}"
    fix = f"one of: {', '.join(values)}" if values else f"leave {field} out: it has no such field"
    raise BadInput(message, where=where, fix=fix)


def _base_url(target: ApiTarget, provider: Provider) -> str:
    url = target.base_url or provider.base_url
    if url is None:
        raise BadInput(
            f"base_url is missing: {provider.title} is spoken to on a resource of your own",
            where=f"target {target.name}",
            fix=f"base_url: {provider.example_url}",
        )
    return url


def _key(target: ApiTarget, provider: Provider, offer: WireOffer) -> KeySource | None:
    source = key_source(target, provider.key_variable)
    if source is None:
        return None
    return msgspec.structs.replace(source, header=offer.key_header, prefix=offer.key_prefix)


def unbounded_output(target: ApiTarget) -> str | None:
    """Return why a target's output limit may not bound what it bills; None where its provider documents that
    it does."""
    if target.provider not in PROVIDERS:
        return None
    _, offer = offer_of(target, PROVIDERS[target.provider])
    match offer.limit_bounds_reasoning:
        case True:
            return None
        case False:
            return f"{target.provider} does not count hidden reasoning towards the output limit"
        case None:
            return (
                f"{target.provider} does not document that its output limit counts hidden reasoning"
            )


OPENER = Opener(
    lambda target, context: open_api(target), api_connection, unbounded_output=unbounded_output
)
