"""Models are listed as each provider lists them, free of charge, and a refusal names the key's variable."""

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from observatory.core.errors import BadInput, TargetFailed
from observatory.core.targets.api import ApiTarget
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.check import TargetCheck, check_target
from observatory.endpoints.listing_pages import page_in
from observatory.endpoints.opened import OpenContext
from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import Provider
from tests.endpoints.conftest import Scripted

CANARY = "canary-4711-never-show-this"
pytestmark = pytest.mark.usefixtures("no_ambient_openai")
EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))


def check(
    provider: Provider,
    scripted: Scripted,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    **fields: Any,
) -> TargetCheck:
    monkeypatch.setenv(provider.key_variable, CANARY)
    known = {
        "kind": "api",
        "name": "t",
        "provider": provider.name,
        "model": provider.example_model,
        "base_url": scripted.url,
    }
    target = ApiTarget.model_validate(known | fields)
    with open_target(target, OpenContext(folder, print)) as opened:
        return check_target(opened)


def listing(names: list[str]) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


@EVERY
def test_a_list_is_asked_for_with_the_providers_own_header_and_nothing_is_posted(
    provider: Provider, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [provider.listed_prefix + provider.example_model, "another"]
    scripted.body = listing(names)
    found = check(provider, scripted, tmp_path, monkeypatch)
    assert found.models is not None
    assert provider.example_model in found.models
    assert found.note is None
    offer = provider.wires[provider.usual_wire]
    for method, path, headers, _ in scripted.seen:
        assert (method, path.partition("?")[0]) == ("GET", "/v1/models")
        sent = {name.lower(): value for name, value in headers.items()}
        assert sent[offer.key_header.lower()] == offer.key_prefix + CANARY
        assert CANARY not in path
        if offer.key_header != "Authorization":
            assert "authorization" not in sent


@EVERY
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_by_its_variable_and_not_shown(
    provider: Provider,
    scripted: Scripted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    scripted.status = status
    scripted.body = json.dumps({"error": {"message": f"no such key: {CANARY}"}}).encode()
    with pytest.raises(BadInput) as caught:
        check(provider, scripted, tmp_path, monkeypatch)
    assert f"refused with HTTP {status}, the key of {provider.key_variable} was sent" in str(
        caught.value
    )
    assert provider.key_variable in (caught.value.fix or "")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@EVERY
@pytest.mark.parametrize(
    ("status", "message"), [(429, "throttling already"), (529, "failed itself with HTTP 529")]
)
def test_a_busy_provider_is_no_wrong_key(
    provider: Provider,
    scripted: Scripted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    message: str,
) -> None:
    scripted.status, scripted.body = status, b'{"error": {"message": "busy"}}'
    with pytest.raises(TargetFailed, match=message):
        check(provider, scripted, tmp_path, monkeypatch)


@EVERY
def test_a_model_that_is_not_listed_is_refused_only_where_the_list_tells(
    provider: Provider, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.body = listing(["another", "one-more"])
    if provider.lists_what_it_serves:
        with pytest.raises(BadInput, match="is not among the 2 models that it lists"):
            check(provider, scripted, tmp_path, monkeypatch)
        return
    found = check(provider, scripted, tmp_path, monkeypatch)
    assert found.note is not None
    assert "only a request would show" in found.note


@pytest.mark.parametrize("wire", ["messages", "chat"])
def test_anthropics_list_is_asked_for_page_by_page_with_its_version(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wire: str
) -> None:
    pages = [
        {"data": [{"type": "model", "id": "claude-a"}], "has_more": True, "last_id": "claude-a"},
        {"data": [{"type": "model", "id": "claude-haiku-4-5"}], "has_more": False, "last_id": "z"},
    ]
    scripted.bodies = [json.dumps(page).encode() for page in pages]
    found = check(PROVIDERS["anthropic"], scripted, tmp_path, monkeypatch, wire=wire)
    assert found.models == ["claude-a", "claude-haiku-4-5"]
    assert [path for _, path, _, _ in scripted.seen] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=claude-a",
    ]
    for _, _, headers, _ in scripted.seen:
        sent = {name.lower(): value for name, value in headers.items()}
        assert (sent["anthropic-version"], sent["x-api-key"]) == ("2023-06-01", CANARY)


def test_a_list_that_never_ends_is_left_after_twenty_pages(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = {"data": [{"id": "claude-haiku-4-5"}], "has_more": True, "last_id": "same"}
    scripted.body = json.dumps(endless).encode()
    assert check(PROVIDERS["anthropic"], scripted, tmp_path, monkeypatch).models is not None
    assert len(scripted.seen) == 20


def test_a_bare_list_is_a_list() -> None:
    assert page_in(b'[{"id": "a", "owned_by": "b"}, {"id": "c"}]') == ({"a": "b", "c": None}, None)
