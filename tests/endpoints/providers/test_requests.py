"""The request of a small chat for each provider and wire: goldens, compared with each API.

A golden is what `observatory target check NAME --show` prints, for a prompt with a system message, a
temperature and a seed. OBSERVATORY_WRITE_GOLDENS=1 rewrites them: compare the difference with the
provider's pages (docs/providers.md) before it is kept.
"""

import json
import os
import typing
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from observatory.core.connection import resolved_headers
from observatory.core.plan import PlanItem
from observatory.core.targets.api import ApiTarget
from observatory.endpoints.api import api_connection
from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import Provider, WireWord
from observatory.wires.request_head import named_headers, request_headers
from observatory.wires.requests_body import render
from observatory.wires.wires import path_of

GOLDENS = Path(__file__).with_name("goldens")
EVERY_WIRE = pytest.mark.parametrize(
    ("provider", "word"),
    [(provider, word) for provider in PROVIDERS.values() for word in provider.wires],
    ids=[f"{name}-{word}" for name, provider in PROVIDERS.items() for word in provider.wires],
)
ITEM = PlanItem(
    prompt_id="p",
    sha256="",
    body={
        "messages": [
            {"role": "system", "content": "Answer with one word."},
            {"role": "user", "content": "Which label?"},
        ],
        "temperature": 0.0,
        "seed": 7,
    },
    max_tokens=16,
    prompt_tokens_estimate=12,
)


def target_of(provider: Provider, word: WireWord) -> ApiTarget:
    """Return the provider's example model with the last documented effort and tier; no
    effort by Messages, which takes no temperature with it."""
    offer = provider.wires[word]
    effort = offer.efforts[-1] if offer.efforts and word != "messages" else None
    return ApiTarget(
        kind="api",
        name="t",
        provider=provider.name,
        model=provider.example_model,
        wire=word,
        base_url=None if provider.base_url else "https://mine.openai.azure.com",
        reasoning_effort=effort,
        service_tier=offer.service_tiers[-1] if offer.service_tiers else None,
    )


def body_of(provider: Provider, word: WireWord) -> dict[str, Any]:
    connection = api_connection(target_of(provider, word))
    whole, _ = render(ITEM, connection, request="chat", stream=True, cache="natural")
    body: dict[str, Any] = json.loads(whole)
    return body


@EVERY_WIRE
def test_a_small_chat_leaves_as_its_golden_says(provider: Provider, word: WireWord) -> None:
    connection = api_connection(target_of(provider, word))
    headers = request_headers(connection, named_headers(connection), stream=True)
    lines = [f"POST {connection.endpoint}{path_of(connection, 'chat')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    text = "\n".join([*lines, "", json.dumps(body_of(provider, word), indent=2), ""])
    golden = GOLDENS / f"{provider.name}-{word}.txt"
    if os.environ.get("OBSERVATORY_WRITE_GOLDENS") == "1":
        GOLDENS.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_golden_is_of_a_provider_that_is_there() -> None:
    known = {f"{name}-{word}.txt" for name, one in PROVIDERS.items() for word in one.wires}
    assert {path.name for path in GOLDENS.iterdir()} == known


@EVERY_WIRE
def test_the_key_stands_in_its_header_and_nowhere_else(
    provider: Provider, word: WireWord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(provider.key_variable, "canary-4711")
    connection = api_connection(target_of(provider, word))
    headers = request_headers(connection, resolved_headers(connection), stream=True)
    holding = {name: value for name, value in headers.items() if "canary" in value}
    offer = provider.wires[word]
    assert holding == {offer.key_header: f"{offer.key_prefix}canary-4711"}
    assert "canary" not in json.dumps(body_of(provider, word)) + connection.endpoint


@EVERY_WIRE
def test_a_body_has_what_its_wire_documents_and_nothing_that_is_left_out(
    provider: Provider, word: WireWord
) -> None:
    offer, body = provider.wires[word], body_of(provider, word)
    assert body[offer.max_tokens_field] == 16
    others = {"max_tokens", "max_completion_tokens", "max_output_tokens"} - {offer.max_tokens_field}
    assert not others & set(body)
    assert not set(offer.omitted) & set(body)
    assert ("seed" in body) is ("seed" not in offer.omitted)
    assert ("stream_options" in body) is offer.stream_usage
    assert body.get("service_tier") == (offer.service_tiers[-1] if offer.service_tiers else None)
    assert body["stream"] is True
    if offer.efforts and word != "messages":
        assert f'"{offer.efforts[-1]}"' in json.dumps(body)


@pytest.mark.parametrize(
    ("provider", "word"),
    [(one, word) for one in PROVIDERS.values() for word in one.wires if word != "messages"],
    ids=[f"{one.name}-{w}" for one in PROVIDERS.values() for w in one.wires if w != "messages"],
)
def test_the_openai_package_takes_the_same_parameters(provider: Provider, word: WireWord) -> None:
    """All but those of Messages, which that package does not speak."""
    kind: Any = {
        "chat": completion_create_params.CompletionCreateParamsStreaming,
        "responses": response_create_params.ResponseCreateParamsStreaming,
    }[word]
    known = set(typing.get_type_hints(kind))
    assert set(body_of(provider, word)) <= known
