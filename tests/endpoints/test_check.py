"""The errors of a check for faulty endpoints, each against a small server with that fault."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from observatory.core.errors import BadInput, TargetFailed
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.url import UrlTarget
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.check import TargetCheck, check_target, would_send
from observatory.endpoints.opened import OpenContext
from tests.endpoints.certificates import Certificates, make_certificates
from tests.endpoints.conftest import Scripted, serving

LISTING = json.dumps({"object": "list", "data": [{"id": "m-1"}, {"id": "m-2"}]}).encode()
CANARY = "sk-canary-4711-never-show-this"

pytestmark = pytest.mark.usefixtures("no_ambient_openai")


def check(url: str, tmp_path: Path, **fields: Any) -> TargetCheck:
    target = UrlTarget(kind="url", name="t", url=url, **({"model": "m-1"} | fields))
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        return check_target(opened)


def listing(scripted: Scripted) -> None:
    scripted.body = LISTING
    scripted.headers = {"content-type": "application/json"}


def test_a_good_endpoint_passes(scripted: Scripted, tmp_path: Path) -> None:
    listing(scripted)
    found = check(scripted.url, tmp_path)
    assert (found.models, found.note) == (["m-1", "m-2"], None)
    assert found.endpoint == scripted.url
    requested = [(method, path) for method, path, _, _ in scripted.seen]
    assert requested[0] == requested[-1] == ("GET", "/v1/models")
    assert {method for method, _ in requested} == {"GET"}  # who it is; nothing that costs anything


def test_our_own_emulator_behind_a_url_is_marked(
    emulator: tuple[str, int], scripted: Scripted, tmp_path: Path
) -> None:
    url = f"http://{emulator[0]}:{emulator[1]}/v1"
    for address, model, emulated in ((url, "emulated-model", True), (scripted.url, "m-1", False)):
        listing(scripted)
        target = UrlTarget(kind="url", name="t", url=address, model=model)
        with open_target(target, OpenContext(tmp_path, print)) as opened:
            check_target(opened)
            assert opened.facts.emulated is emulated
            assert (opened.facts.engine == "observatory-emulator") is emulated


def test_only_the_targets_own_headers_and_query_are_sent(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(scripted)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_ORG_ID", CANARY)
    monkeypatch.setenv("OPENAI_PROJECT_ID", CANARY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Leak: {CANARY}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("TEAM", "blue team")
    check(scripted.url, tmp_path, headers={"X-Team": "${TEAM}"}, query={"v": "${TEAM}"})
    (_, path, headers, _) = scripted.seen[0]
    assert path == "/v1/models?v=blue+team"
    assert headers["X-Team"] == "blue team"
    assert CANARY not in repr(scripted.seen)
    assert {name.lower() for name in headers} <= {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "x-team",
    }


def test_the_key_is_sent_and_no_error_repeats_it(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", CANARY)
    scripted.status = 401
    scripted.body = json.dumps({"error": {"message": f"Incorrect key {CANARY}"}}).encode()
    with pytest.raises(BadInput) as caught:
        check(scripted.url, tmp_path, api_key_env="SOME_KEY")
    assert scripted.seen[0][2]["Authorization"] == f"Bearer {CANARY}"
    assert "HTTP 401" in str(caught.value)
    assert "the key of SOME_KEY was sent" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_key_in_a_file_is_sent(scripted: Scripted, tmp_path: Path) -> None:
    listing(scripted)
    (tmp_path / "key").write_text(f"{CANARY}\n")
    check(scripted.url, tmp_path, api_key_file=tmp_path / "key")
    assert scripted.seen[0][2]["Authorization"] == f"Bearer {CANARY}"


def json_error(message: str) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "headers", "fault", "text"),
    [
        (401, b"", {}, BadInput, "refused with HTTP 401, no key was sent — name its key"),
        (403, json_error("not you"), {}, BadInput, "refused with HTTP 403, .*: not you"),
        (404, b"<html>nginx</html>", {}, TargetFailed, "404 with an HTML page — is this the base"),
        (404, b'{"detail":"Not Found"}', {}, TargetFailed, "404 to /models and to /chat"),
        (429, json_error("slow"), {}, TargetFailed, "throttling already .HTTP 429.: slow"),
        (500, json_error("oh dear"), {}, TargetFailed, "failed itself with HTTP 500: oh dear"),
        (503, b"<html>down</html>", {}, TargetFailed, "failed itself with HTTP 503$"),
        (
            302,
            b"",
            {"location": "https://u:p@login.example/x?secret=1"},
            TargetFailed,
            r"redirects .HTTP 302. to https://login.example/x — use",
        ),
        (200, b"<!doctype html><p>hi", {}, TargetFailed, "an HTML page instead of a list"),
        (200, b"", {}, TargetFailed, "answered nothing instead of a list"),
        (200, b'{"status":"ok"}', {}, TargetFailed, "other JSON instead of a list"),
        (200, b"hello", {"content-type": "text/plain"}, TargetFailed, "text/plain instead"),
        (
            200,
            json_error("no such key"),
            {},
            TargetFailed,
            "an error instead of a list of models: no such key$",
        ),
        (
            200,
            b'{"code": 401, "message": "expired"}',
            {},
            TargetFailed,
            "a list of models: expired .401.$",
        ),
        (
            200,
            b"\x1f\x8b\x08\x00",
            {},
            TargetFailed,
            "a compressed body, although none was requested",
        ),
        (
            422,
            b'{"detail": [{"loc": ["header", "x-team"], "msg": "Field required", "type": "missing"}]}',
            {},
            TargetFailed,
            "HTTP 422: header.x-team: Field required .missing.$",
        ),
    ],
)
def test_each_wrong_answer_has_its_line(
    scripted: Scripted,
    tmp_path: Path,
    status: int,
    body: bytes,
    headers: dict[str, str],
    fault: type[Exception],
    text: str,
) -> None:
    scripted.status, scripted.body, scripted.headers = status, body, headers
    with pytest.raises(fault, match=text) as caught:
        check(scripted.url, tmp_path)
    assert str(caught.value).startswith(scripted.url)
    assert "\n" not in str(caught.value)


def test_a_list_behind_a_byte_order_mark_is_a_list(scripted: Scripted, tmp_path: Path) -> None:
    scripted.body = b"\xef\xbb\xbf" + json.dumps({"data": [{"id": "m-1"}]}).encode()
    assert "m-1" in (check(scripted.url, tmp_path).models or {})


def test_other_models_are_named_the_nearest_first(scripted: Scripted, tmp_path: Path) -> None:
    scripted.body = json.dumps(
        {"data": [{"id": f"aa-{number:02d}"} for number in range(20)] + [{"id": "llama-3"}]}
    ).encode()
    with pytest.raises(
        BadInput, match=r"'lama3' is not among the 21 models.*: llama-3, aa-00.*9 more"
    ):
        check(scripted.url, tmp_path, model="lama3")


def test_a_name_or_words_without_end_are_cut_where_they_are_shown(
    scripted: Scripted, tmp_path: Path
) -> None:
    scripted.body = json.dumps({"data": [{"id": "x" * 100_000}, {"id": "aa"}]}).encode()
    with pytest.raises(
        BadInput, match=r"the 2 models that it lists: aa, x{120}\.\.\. \(100,000 char"
    ) as caught:
        check(scripted.url, tmp_path, model="lama3")
    assert len(str(caught.value)) < 500
    scripted.status = 403
    scripted.body = json.dumps({"error": {"message": "no " * 50_000}}).encode()
    with pytest.raises((BadInput, TargetFailed)) as refused:
        check(scripted.url, tmp_path)
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize("model", ["lama3", None])
def test_a_key_within_a_name_that_is_cut_is_masked_first(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None
) -> None:
    monkeypatch.setenv("SOME_KEY", CANARY)
    names = [f"{'x' * 100}{CANARY}{'x' * 500}", "m-2", "y" * 1_000]
    scripted.body = json.dumps({"data": [{"id": name} for name in names]}).encode()
    with pytest.raises(BadInput, match="it lists") as caught:
        check(scripted.url, tmp_path, model=model, api_key_env="SOME_KEY")
    assert CANARY[:10] not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_model_that_is_not_named_is_found_or_asked_for(
    scripted: Scripted, tmp_path: Path
) -> None:
    scripted.body = json.dumps({"data": [{"id": "the-only"}]}).encode()
    assert check(scripted.url, tmp_path, model=None).model == "the-only"
    listing(scripted)
    with pytest.raises(BadInput, match=r"which model is meant\? it lists 2 models: m-1, m-2"):
        check(scripted.url, tmp_path, model=None)


def test_an_endpoint_without_a_list_passes_with_a_note(scripted: Scripted, tmp_path: Path) -> None:
    scripted.by_path = {"/v1/models": (404, b"{}"), "/v1/chat/completions": (400, b"{}")}
    found = check(scripted.url, tmp_path)
    assert found.models is None
    assert found.note is not None
    assert "offers no list of models (404)" in found.note
    posted = [body for method, _, _, body in scripted.seen if method == "POST"]
    assert posted == [b"{}"]


BILLED: dict[str, Any] = {"billing": "tokens", "price": "unknown"}


def test_nothing_that_could_be_billed_is_posted(scripted: Scripted, tmp_path: Path) -> None:
    scripted.status, scripted.body = 404, b"{}"
    scripted.by_path = {"/v1/chat/completions": (400, b"{}")}
    found = check(scripted.url, tmp_path, **BILLED)
    assert found.models is None
    assert {body for method, _, _, body in scripted.seen if method == "POST"} == {b"{}"}


@pytest.mark.parametrize("billing", [{}, BILLED])
@pytest.mark.parametrize(
    "route", ["/chat/completions", "/completions", "/responses", "/messages", "/models"]
)
def test_a_base_url_that_ends_in_a_route_is_caught(
    scripted: Scripted, tmp_path: Path, route: str, billing: dict[str, Any]
) -> None:
    scripted.status, scripted.body = 404, b"nothing here"
    scripted.by_path = {"/v1/models": (200, LISTING), "/v1/chat/completions": (200, b"{}")}
    with pytest.raises(TargetFailed, match=f"ends in a route — use {scripted.url}$"):
        check(scripted.url + route, tmp_path, **billing)
    del scripted.by_path["/v1/models"]
    with pytest.raises(TargetFailed, match=f"ends in a route: use {scripted.url}$"):
        check(scripted.url + route, tmp_path, **billing)


@pytest.mark.parametrize(
    ("answers", "request_kind", "fault"),
    [
        ({}, "chat", "404 to /models and to /chat/completions"),
        ({"/v1/chat/completions": (405, b"")}, "chat", "405 to /models and to /chat/completions"),
        ({"/v1/chat/completions": (400, b"")}, "chat", None),
        ({"/v1/chat/completions": (400, b"")}, "completions", "404 to /models and to /completions"),
        ({"/v1/completions": (422, b"")}, None, None),
        ({"/v1/chat/completions": (404, b'{"error": "no such model"}')}, "chat", None),
        ({"/v1/chat/completions": (404, b'{"code": "DeploymentNotFound"}')}, "chat", None),
        ({"/v1/chat/completions": (500, b"")}, "chat", None),
    ],
)
def test_the_route_that_a_run_needs_is_looked_for(
    scripted: Scripted,
    tmp_path: Path,
    answers: dict[str, tuple[int, bytes]],
    request_kind: Any,
    fault: str | None,
) -> None:
    scripted.status, scripted.body, scripted.by_path = 404, b"{}", answers
    target = UrlTarget(kind="url", name="t", url=scripted.url, model="m-1", **BILLED)
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        if fault is None:
            assert check_target(opened, request_kind).models is None
        else:
            with pytest.raises(TargetFailed, match=fault):
                check_target(opened, request_kind)


def test_a_forgotten_v1_is_found(scripted: Scripted, tmp_path: Path) -> None:
    scripted.status, scripted.body = 404, b"{}"
    scripted.by_path = {"/v1/models": (200, LISTING)}
    with pytest.raises(TargetFailed, match=f"under /v1 — use {scripted.url}$"):
        check(scripted.url.removesuffix("/v1"), tmp_path)


def test_nobody_there_and_no_such_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TargetFailed, match=r"the connection was refused — is it running"):
        check(f"http://127.0.0.1:{port}/v1", tmp_path)
    with pytest.raises(TargetFailed, match=r"'nobody.invalid' cannot be resolved"):
        check("http://nobody.invalid/v1", tmp_path)


@contextlib.contextmanager
def speaking(words: bytes | None) -> Iterator[int]:
    """Run a server that sends these bytes to each client and closes; None: it stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    if words is None:
                        held.append(connection)
                        continue
                    connection.recv(65_536)
                    connection.sendall(words)
                    connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


def test_a_server_that_speaks_no_http_or_nothing(tmp_path: Path) -> None:
    with speaking(b"SSH-2.0-OpenSSH_9\r\n") as port:
        with pytest.raises(TargetFailed, match=r"broke the exchange off.*another service"):
            check(f"http://127.0.0.1:{port}/v1", tmp_path)
        with pytest.raises(TargetFailed, match=r"TLS failed: .*is it https at all"):
            check(f"https://127.0.0.1:{port}/v1", tmp_path)
    with speaking(None) as port, pytest.raises(TargetFailed, match=r"not answer within 0\.2 s"):
        check(f"http://127.0.0.1:{port}/v1", tmp_path, timeouts={"first_byte": "200ms"})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def secured(server: Any, certificates: Certificates, ask_client: bool = False) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    if ask_client:
        context.load_verify_locations(certificates.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)


def test_tls_is_verified_and_an_own_authority_is_taken(
    certificates: Certificates, tmp_path: Path
) -> None:
    script = Scripted(body=LISTING)
    with serving(script, lambda server: secured(server, certificates)):
        url = script.url.replace("http:", "https:")
        with pytest.raises(TargetFailed, match=r"certificate cannot be verified: .*ca_bundle"):
            check(url, tmp_path)
        assert check(url, tmp_path, ca_bundle=certificates.authority).models == ["m-1", "m-2"]


def test_a_client_certificate_is_shown(certificates: Certificates, tmp_path: Path) -> None:
    script = Scripted(body=LISTING)
    with serving(script, lambda server: secured(server, certificates, ask_client=True)):
        url = script.url.replace("http:", "https:")
        authority = {"ca_bundle": certificates.authority}
        with pytest.raises(TargetFailed, match=r"TLS failed|broke the exchange off"):
            check(url, tmp_path, **authority)
        found = check(url, tmp_path, **authority, client_certificate=certificates.client)
        assert found.models == ["m-1", "m-2"]


def test_pem_files_that_cannot_be_used_are_named(
    certificates: Certificates, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    url = "https://127.0.0.1:1/v1"
    with pytest.raises(BadInput, match=r"bad\.pem: ca_bundle cannot be used"):
        check(url, tmp_path, ca_bundle=bad)
    with pytest.raises(BadInput, match=r"bad\.pem: client_certificate cannot be used"):
        check(url, tmp_path, client_certificate=bad)
    with pytest.raises(BadInput, match=r"ca_bundle: there is no such file"):
        check(url, tmp_path, ca_bundle=tmp_path / "none.pem")


def test_what_would_be_sent_names_secrets_and_does_not_show_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_nothing: OpenContext
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("X_TOKEN", CANARY)
    target = ApiTarget(
        kind="api",
        name="o",
        provider="openai",
        model="gpt-x",
        headers={"X-Token": "${X_TOKEN}", "X-Team": "search"},
        query={"version": "2"},
    )
    with open_target(target, start_nothing) as opened:
        text = would_send(opened.connection)
    head, _, body = text.partition("\n\n")
    assert head.splitlines() == [
        "POST https://api.openai.com/v1/chat/completions?version=2",
        "Host: api.openai.com",
        "User-Agent: inference-observatory",
        "Accept: text/event-stream",
        "Accept-Encoding: identity",
        "Content-Type: application/json",
        "X-Token: ${X_TOKEN}",
        "X-Team: search",
        "Authorization: Bearer ${OPENAI_API_KEY}",
        f"Content-Length: {len(msgspec.json.format(body, indent=-1))}",
    ]
    assert json.loads(body)["model"] == "gpt-x"
    assert json.loads(body)["max_completion_tokens"] == 16


@pytest.fixture
def start_nothing(tmp_path: Path) -> OpenContext:
    def report(text: str) -> None:
        raise AssertionError(f"nothing was to be said: {text}")

    return OpenContext(tmp_path, report)


def test_our_own_emulator_passes(
    emulator: tuple[str, int], tmp_path: Path, start_emulator: Callable[..., tuple[str, int]]
) -> None:
    host, port = emulator
    assert check(f"http://{host}:{port}/v1", tmp_path, model=None).model == "emulated-model"
