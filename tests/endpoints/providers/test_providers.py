"""The catalogue: every entry whole and with its sources, and what each refuses before any request."""

from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers as priced
from pydantic import ValidationError

from observatory.core.connection import KeySource
from observatory.core.errors import BadInput
from observatory.core.targets.api import ApiTarget
from observatory.endpoints.api import api_connection, listing_connection, open_api
from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import WIRE_OF, Provider, WireWord
from observatory.wires.wires import WIRES

EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
EVERY_WIRE = pytest.mark.parametrize(
    ("provider", "word"),
    [(provider, word) for provider in PROVIDERS.values() for word in provider.wires],
    ids=[f"{name}-{word}" for name, provider in PROVIDERS.items() for word in provider.wires],
)


def target_of(provider: Provider, **fields: Any) -> ApiTarget:
    known = {"kind": "api", "name": "t", "provider": provider.name, "model": provider.example_model}
    if provider.base_url is None:
        known["base_url"] = "https://mine.openai.azure.com"
    return ApiTarget.model_validate(known | fields)


@EVERY
def test_an_entry_is_whole(provider: Provider) -> None:
    assert PROVIDERS[provider.name] is provider
    assert provider.sources and all(source.where and source.says for source in provider.sources)
    assert any(source.where.startswith("https://") for source in provider.sources)
    assert provider.looked == "2026-11-27"
    assert bool(provider.rate_limit_headers) == bool(provider.rate_limits_read)
    assert all(name == name.lower() for name in provider.rate_limit_headers)
    assert (provider.base_url is None) == (provider.example_url is not None)
    for offer in provider.wires.values():
        # A seed without effect never leaves, as if it had one.
        assert ("seed" in offer.omitted) == (offer.seed is False) or offer.seed is None


@EVERY
def test_the_price_ledger_knows_it_and_its_example(provider: Provider) -> None:
    assert provider.prices_id in {one.id for one in priced}
    found = calc_price(
        Usage(input_tokens=1, output_tokens=1),
        provider.example_model,
        provider_id=provider.prices_id,
    )
    assert found.provider.id == provider.prices_id
    assert found.total_price > 0


@EVERY_WIRE
def test_a_wire_is_spoken_as_its_entry_says(provider: Provider, word: WireWord) -> None:
    offer = provider.wires[word]
    opened = open_api(target_of(provider, wire=word))
    connection, facts = opened.connection, opened.facts
    assert connection.wire == WIRE_OF[word] == facts.wire
    assert connection.wire in WIRES
    assert connection.key == KeySource(
        env=provider.key_variable, header=offer.key_header, prefix=offer.key_prefix
    )
    assert connection.max_tokens_field == offer.max_tokens_field
    assert connection.stream_usage is offer.stream_usage
    assert connection.omitted == list(offer.omitted)
    assert facts.settings.get("left_out", []) == list(offer.omitted)
    assert (facts.provider, facts.transport, facts.service_tier) == (provider.name, "lean", None)
    assert (facts.hosting, facts.billing) == ("managed", "tokens")
    if provider.base_url is not None:
        assert connection.endpoint == provider.base_url


@EVERY_WIRE
def test_what_it_documents_is_taken(provider: Provider, word: WireWord) -> None:
    offer = provider.wires[word]
    for tier in offer.service_tiers:
        found = api_connection(target_of(provider, wire=word, service_tier=tier))
        assert found.service_tier == tier
    for effort in offer.efforts:
        found = api_connection(target_of(provider, wire=word, reasoning_effort=effort))
        assert found.reasoning_effort == effort


@EVERY_WIRE
def test_what_it_does_not_document_is_refused_with_what_it_does(
    provider: Provider, word: WireWord
) -> None:
    offer = provider.wires[word]
    for field, values in (
        ("service_tier", offer.service_tiers),
        ("reasoning_effort", offer.efforts),
    ):
        with pytest.raises(BadInput) as caught:
            api_connection(target_of(provider, wire=word, **{field: "no-such-value"}))
        assert caught.value.fix is not None
        text = ", ".join(values) if values else f"leave {field} out"
        assert text in caught.value.fix
        assert provider.title in str(caught.value)


@EVERY
def test_a_wire_that_it_does_not_offer_is_refused_with_those_it_does(provider: Provider) -> None:
    for word in WIRE_OF:
        if word not in provider.wires:
            with pytest.raises(
                BadInput, match=f"offers no wire '{word}' — one of: (chat|messages)"
            ):
                api_connection(target_of(provider, wire=word))


@EVERY
def test_its_models_are_listed_by_its_usual_wire(provider: Provider) -> None:
    usual = api_connection(target_of(provider))
    for word in provider.wires:
        listed = listing_connection(api_connection(target_of(provider, wire=word)), provider)
        assert (listed.wire, listed.key) == (usual.wire, usual.key)


def test_the_openai_package_does_not_speak_messages() -> None:
    anthropic = PROVIDERS["anthropic"]
    with pytest.raises(BadInput, match=r"does not speak wire: messages — .* or wire: chat"):
        api_connection(target_of(anthropic, transport="sdk"))
    assert api_connection(target_of(anthropic, transport="sdk", wire="chat")).transport == "sdk"


def test_azure_needs_a_resource_and_knows_where_its_api_stands_on_it() -> None:
    azure = PROVIDERS["azure"]
    with pytest.raises(
        BadInput, match="base_url is missing: Azure OpenAI is spoken to on a resource"
    ):
        api_connection(target_of(azure, base_url=None))
    for url in ("https://mine.openai.azure.com", "https://mine.openai.azure.com/openai/v1/"):
        found = api_connection(target_of(azure, base_url=url))
        assert found.endpoint == "https://mine.openai.azure.com/openai/v1"
        assert found.key == KeySource(env="AZURE_OPENAI_API_KEY", header="api-key", prefix="")


def test_what_a_provider_does_not_say_is_not_known() -> None:
    stated = {
        (name, word): offer.limit_bounds_reasoning
        for name, provider in PROVIDERS.items()
        for word, offer in provider.wires.items()
    }
    assert {key for key, value in stated.items() if value} == {
        ("openai", "chat"),
        ("openai", "responses"),
        ("azure", "chat"),
        ("azure", "responses"),
        ("anthropic", "messages"),
        ("deepseek", "chat"),
        ("xai", "responses"),
    }
    assert False not in stated.values()


def test_a_wire_has_only_known_words() -> None:
    with pytest.raises(ValidationError):
        target_of(PROVIDERS["openai"], wire="soap")
