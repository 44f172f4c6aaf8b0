"""Which proxy a connection takes: the variables, their order, and what is exempt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.connect.masking import Masker
from observatory.connect.proxies import Proxy, named_proxies, proxy_of, proxy_shown
from observatory.core.connection import Connection
from observatory.core.errors import BadInput


def to(host: str = "api.example.com", scheme: Any = "https", port: int = 443) -> Connection:
    return Connection(scheme=scheme, host=host, port=port, base_path="/v1", model="m")


def address(environment: dict[str, str], **connection: Any) -> str | None:
    proxy = proxy_of(to(**connection), environment)
    return proxy.address if proxy is not None else None


ONE, TWO = "http://one:1", "http://two:2"


@pytest.mark.parametrize(
    ("environment", "https", "http"),
    [
        ({}, None, None),
        ({"https_proxy": ONE}, "one:1", None),
        ({"HTTPS_PROXY": ONE}, "one:1", None),
        ({"http_proxy": ONE}, None, "one:1"),
        ({"HTTP_PROXY": ONE}, None, "one:1"),
        ({"all_proxy": ONE}, "one:1", "one:1"),
        ({"ALL_PROXY": ONE, "https_proxy": TWO}, "two:2", "one:1"),
        ({"https_proxy": ONE, "HTTPS_PROXY": TWO}, "one:1", None),
        ({"https_proxy": "", "HTTPS_PROXY": TWO}, None, None),
        # In a CGI script a request's Proxy header sets HTTP_PROXY, and only that one.
        ({"HTTP_PROXY": ONE, "REQUEST_METHOD": "GET"}, None, None),
        ({"http_proxy": ONE, "REQUEST_METHOD": "GET"}, None, "one:1"),
        ({"HTTPS_PROXY": ONE, "REQUEST_METHOD": "GET"}, "one:1", None),
        ({"https_proxy": "one:1"}, "one:1", None),
        ({"https_proxy": "http://one"}, "one:80", None),
        ({"https_proxy": "http://[fd00::1]:3128/"}, "[fd00::1]:3128", None),
    ],
)
def test_variables(environment: dict[str, str], https: str | None, http: str | None) -> None:
    assert address(environment) == https
    assert address(environment, scheme="http", port=80) == http
    named = {scheme: proxy.address for scheme, proxy in named_proxies(environment).items()}
    assert named == {
        scheme: one for scheme, one in (("https", https), ("http", http)) if one is not None
    }


@pytest.mark.parametrize(
    ("host", "no_proxy", "straight"),
    [
        ("api.example.com", "*", True),
        ("api.example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("API.Example.COM", "example.com", True),
        ("api.example.com", "other.org, api.example.com", True),
        ("api.example.com", "other.org api.example.com", True),
        ("notexample.com", "example.com", False),
        ("api.example.com", "example", False),
        ("api.example.com", "api.example.com:443", True),
        ("api.example.com", "api.example.com:8443", False),
        ("api.example.com", "https://api.example.com", True),
        ("api.example.com", "", False),
        ("api.example.com", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.9/24", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "2.3", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "[fd00::1]:80", False),
        ("fd00::1", "::2", False),
    ],
)
def test_what_no_proxy_names(host: str, no_proxy: str, straight: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        proxy = proxy_of(to(host), {"https_proxy": ONE, name: no_proxy})
        assert (proxy is None) is straight


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "a.localhost"])
def test_loopback_is_never_proxied(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"https_proxy": ONE, "http_proxy": ONE, "all_proxy": "socks5://one:1"}
    for scheme in ("http", "https"):
        assert proxy_of(to(host, scheme), environment) is None
    monkeypatch.setenv("https_proxy", ONE)
    assert proxy_shown(to(host)) is None


def test_what_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_shown(to()) == "none"
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@one:1")
    assert proxy_shown(to()) == "one:1"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("socks5://u:canary@one:1", "SOCKS"),
        ("socks5h://one:1", "SOCKS"),
        ("socks4://one:1", "SOCKS"),
        ("https://u:canary@one:1", "over TLS"),
        ("ftp://one:1", "not an HTTP proxy"),
        ("http://u:canary@one:port", "not a proxy's URL"),
        ("http://", "not an HTTP proxy"),
    ],
)
def test_what_is_no_http_proxy_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        proxy_of(to(), {"HTTPS_PROXY": url})
    assert message in str(caught.value) and "https_proxy" in str(caught.value)
    assert "canary" not in str(caught.value) and caught.value.fix
    assert proxy_of(to(), {"HTTPS_PROXY": url, "NO_PROXY": "*"}) is None


# RFC 7617, section 2 and 2.1.
@pytest.mark.parametrize(
    ("user", "password", "value"),
    [
        ("Aladdin", "open%20sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123%C2%A3", "Basic dGVzdDoxMjPCow=="),
    ],
)
def test_credentials_are_basic(user: str, password: str, value: str) -> None:
    proxy = proxy_of(to(), {"https_proxy": f"http://{user}:{password}@one:1"})
    assert proxy is not None and proxy.authorization == value
    assert proxy.address == "one:1" and user not in repr(proxy)
    assert Masker(proxy.secrets).exact(f"x {value} y") == "x *** y"


@given(st.text(), st.text())
def test_any_value_gives_an_answer_or_bad_input(url: str, no_proxy: str) -> None:
    try:
        proxy = proxy_of(to(), {"https_proxy": url, "no_proxy": no_proxy})
    except BadInput:
        return
    assert proxy is None or isinstance(proxy, Proxy)
