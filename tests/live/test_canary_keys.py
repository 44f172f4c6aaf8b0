"""A secret is in the sent requests and nowhere else, for every provider and for everything that
a server repeats: no manifest, log, journal, database, page, export, command line, hand-off or message."""

from pathlib import Path

import msgspec
import pytest

from observatory.core.clock import new_anchor
from observatory.core.errors import BadInput
from observatory.core.targets.api import ApiTarget
from observatory.endpoints.catalogue import check_inputs, open_target
from observatory.endpoints.check import check_target, would_send
from observatory.endpoints.opened import OpenContext
from observatory.load.connections.endpoint import make_endpoint
from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import Provider, WireWord
from tools.canaries import CANARIES, NEEDLES, PROXY_PASSWORD, Found, search
from tools.echo_server import ENCODINGS, echo_server

pytestmark = pytest.mark.live

EVERY_WIRE = pytest.mark.parametrize(
    ("provider", "word"),
    [(provider, word) for provider in PROVIDERS.values() for word in provider.wires],
    ids=[f"{name}-{word}" for name, provider in PROVIDERS.items() for word in provider.wires],
)
KEY = CANARIES["CANARY_KEY"]


def test_what_servers_repeat_is_neither_stored_nor_shown(tmp_path: Path) -> None:
    found, sent = search(tmp_path)
    assert found.hits == []
    # The secrets did reach the servers, and there was something to search.
    for secret in CANARIES.values():
        assert any(secret in value for value in sent), secret
    assert any("Basic " in value for value in sent), "the proxy's credentials"
    names = [path.name for path in tmp_path.rglob("*")]
    assert {"manifest.json", "attempts.csv", "attempts.parquet", "index.html"} <= set(names)
    assert any(name.startswith("locust-stage") for name in names)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_search_finds_a_secret_in_every_encoding(encoding: str) -> None:
    found = Found()
    found.look("a text", f"before {ENCODINGS[encoding](KEY)} after")
    found.look("another", "nothing at all")
    assert len(found.hits) == 1 and found.places == 2
    assert PROXY_PASSWORD in NEEDLES["proxy's password"]


def target_of(provider: Provider, word: WireWord, url: str) -> ApiTarget:
    return ApiTarget(
        kind="api", name="bought", provider=provider.name, wire=word, model="m", base_url=url,
        price="unknown",
    )  # fmt: skip


@EVERY_WIRE
def test_a_providers_key_stands_in_the_request_alone(
    provider: Provider, word: WireWord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(provider.key_variable, KEY)
    target = target_of(provider, word, "http://127.0.0.1:1/v1")
    with open_target(target, OpenContext(tmp_path, lambda text: None)) as opened:
        connection = opened.connection
        endpoint = make_endpoint(connection, new_anchor(), request="chat", stream=True)
        assert endpoint.head.decode().count(KEY) == 1
        stored = msgspec.json.encode([opened.facts, connection]).decode()
        assert KEY not in stored + would_send(connection) + repr(connection)
        for encode in ENCODINGS.values():
            assert encode(KEY) not in endpoint.masker.exact(f"you sent {encode(KEY)}")


@EVERY_WIRE
def test_a_refused_key_is_not_shown_either(
    provider: Provider, word: WireWord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(provider.key_variable, KEY)
    with echo_server() as server:
        target = target_of(provider, word, f"http://127.0.0.1:{server.server_port}/refuse/v1")
        check_inputs(target)
        with (
            pytest.raises(BadInput, match="401") as caught,
            open_target(target, OpenContext(tmp_path, lambda text: None)) as opened,
        ):
            check_target(opened)
    assert any(KEY in value for value in server.seen)
    assert provider.key_variable in str(caught.value)
    found = Found()
    found.look("the message", str(caught.value))
    assert found.hits == []
