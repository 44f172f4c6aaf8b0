"""Requests to a target before the load take the load's route, through its proxy."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from observatory.cli.setup.doctor import proxy_check
from observatory.cli.setup.target import app
from observatory.core.connection import Connection
from observatory.core.errors import TargetFailed
from observatory.core.targets.url import UrlTarget
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.check import check_target
from observatory.endpoints.listing import owned_models
from observatory.endpoints.opened import OpenContext
from observatory.endpoints.quick_listing import quick_models
from tests.endpoints.conftest import Scripted, serving
from tests.endpoints.test_check import LISTING
from tests.load.proxies import ProxyServer, proxying
from tests.load.test_transport import Authority

HOST = "api.example.test"
BASIC = "Basic dTpwQHNzd29yZA=="  # u:p@ssword
pytestmark = pytest.mark.usefixtures("no_ambient_openai")


@pytest.fixture
def bundle(tmp_path: Path) -> Authority:
    return Authority(tmp_path, names=[HOST])


@pytest.fixture(params=["http", "https"])
def proxied(
    request: pytest.FixtureRequest, bundle: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ProxyServer, Connection]]:
    """A proxy that wants credentials, named by the environment, and a target behind it."""

    def secure(server: Any) -> None:
        if request.param == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(bundle.issue("server"))
            server.socket = context.wrap_socket(server.socket, server_side=True)

    script = Scripted(body=LISTING, headers={"content-type": "application/json"})
    with serving(script, secure), proxying(script.port, credentials=BASIC) as proxy:
        use(monkeypatch, f"http://u:p%40ssword@127.0.0.1:{proxy.port}")
        port = 443 if request.param == "https" else 80
        yield (
            proxy,
            Connection(
                scheme=request.param,
                host=HOST,
                port=port,
                base_path="/v1",
                model="m-1",
                ca_bundle=bundle.bundle,
            ),
        )


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("all_proxy", "no_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("https_proxy", url)
    monkeypatch.setenv("http_proxy", url)


def test_both_lists_of_models_come_through_it(proxied: tuple[ProxyServer, Connection]) -> None:
    proxy, connection = proxied
    assert quick_models(connection) == {"m-1": None, "m-2": None}
    assert owned_models(connection) == {"m-1": None, "m-2": None}
    assert len(proxy.heads) == 2
    for head in proxy.heads:
        start = "CONNECT" if connection.scheme == "https" else f"GET http://{HOST}/v1/models"
        assert head.startswith(start) and BASIC in head


def test_a_check_names_host_and_port_and_no_credentials(
    proxied: tuple[ProxyServer, Connection], bundle: Authority, tmp_path: Path
) -> None:
    proxy, connection = proxied
    target = UrlTarget(
        kind="url", name="t", url=connection.endpoint, model="m-1", ca_bundle=Path(bundle.bundle)
    )
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        found = check_target(opened)
        assert opened.facts.settings["proxy"] == f"127.0.0.1:{proxy.port}"
    assert found.proxy == f"127.0.0.1:{proxy.port}" and found.models == ["m-1", "m-2"]


def test_the_verb_and_the_doctor_say_so(
    proxied: tuple[ProxyServer, Connection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, connection = proxied
    if connection.scheme == "http":
        done = CliRunner().invoke(app, ["check", "--url", connection.endpoint, "--model", "m-1"])
        assert done.exit_code == 0, done.exception
        assert f"it is reached through the proxy 127.0.0.1:{proxy.port}," in done.output
        assert "p@ssword" not in done.output and "p%40ssword" not in done.output
    found = proxy_check()
    assert found.state == "ok"
    assert found.found.startswith(f"http through 127.0.0.1:{proxy.port}, https through")
    assert "ssword" not in found.found
    assert "straight" in proxy_check({}).found
    refused = proxy_check({"https_proxy": "socks5://u:canary@one:1"})
    assert refused.state == "warning" and "SOCKS" in refused.found and refused.fix
    assert "canary" not in refused.found


def test_a_refused_tunnel_and_a_dead_proxy_are_said(
    bundle: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection(scheme="https", host=HOST, port=443, base_path="/v1", model="m")
    with proxying(1, credentials=BASIC) as proxy:
        use(monkeypatch, f"http://u:wr0ngone@127.0.0.1:{proxy.port}")
        with pytest.raises(TargetFailed, match=r"refused the tunnel: 407") as caught:
            owned_models(connection)
    assert f"through the proxy 127.0.0.1:{proxy.port}" in str(caught.value)
    assert "wr0ngone" not in str(caught.value)
    with pytest.raises(TargetFailed, match=r"through the proxy .*: the connection was refused"):
        owned_models(connection)
