"""The transport through a proxy: tunnel, whole request, credentials, refusal, and every time limit."""

import os
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from observatory.core.connection import Connection
from tests.load.asking import Case, RequestOutcome, ask
from tests.load.proxies import ProxyServer, proxying
from tests.load.servers import HEAD, Seen, serve, token
from tests.load.test_transport import Authority, slowly

HOST = "api.example.test"
pytestmark = pytest.mark.usefixtures("either_way")


def through(proxy: ProxyServer | str, **more: str) -> dict[str, str]:
    """An environment that names this proxy for http and https, and no other."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    url = proxy if isinstance(proxy, str) else proxy.url
    return {**kept, "HTTPS_PROXY": url, "http_proxy": url, **more}


def to(scheme: str, port: int = 0, host: str = HOST, **more: Any) -> Connection:
    port = port or (443 if scheme == "https" else 80)
    settings = {"base_path": "/v1", "model": "m", **more}
    return Connection(scheme=scheme, host=host, port=port, **settings)  # type: ignore[arg-type]


def secured(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context for HOST, and the bundle to trust it by."""
    authority = Authority(folder, names=[HOST])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server"))
    return context, authority.bundle


def where(expected: RequestOutcome) -> tuple[Any, ...]:
    attempt = expected.attempt
    return attempt.outcome, attempt.error_phase, attempt.error_kind


def test_https_goes_through_a_tunnel_that_is_kept(tmp_path: Path) -> None:
    context, bundle = secured(tmp_path)
    with serve({"ok": slowly}, tls=context) as server, proxying(server.port) as proxy:
        case = Case(to("https", ca_bundle=bundle), ["a", "b"])
        [[first, second]] = ask(tmp_path, [case], through(proxy))
    assert proxy.heads == [f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443"]
    assert [seen.head.split(b"\r\n")[0] for seen in server.seen] == [
        b"POST /v1/chat/completions HTTP/1.1"
    ] * 2
    one, two = first.attempt, second.attempt
    assert where(first) == where(second) == ("ok", None, None)
    assert not one.reused_connection and two.reused_connection
    instants = [one.connect_started, one.resolved, one.connected, one.sent, one.first_token]
    assert None not in instants
    assert instants == sorted(instants)  # type: ignore[type-var]
    assert one.stamp_source == two.stamp_source == "kernel"
    for attempt in (one, two):
        assert len(attempt.event_ns) == 8 and len(set(attempt.event_ns)) > 1


def test_plain_http_names_its_target_in_the_first_line(tmp_path: Path) -> None:
    with serve({"ok": slowly}) as server, proxying(server.port) as proxy:
        connection = to("http", 8080, query={"v": "1"})
        [[first, second]] = ask(tmp_path, [Case(connection, ["a", "b"])], through(proxy))
    assert where(first) == where(second) == ("ok", None, None)
    assert second.attempt.reused_connection
    lines = proxy.heads[0].split("\r\n")
    assert lines[0] == f"POST http://{HOST}:8080/v1/chat/completions?v=1 HTTP/1.1"
    assert f"Host: {HOST}:8080" in lines
    assert len(first.attempt.event_ns) == 8 and len(set(first.attempt.event_ns)) > 1


def test_the_hop_to_the_proxy_is_part_of_connecting(tmp_path: Path) -> None:
    context, bundle = secured(tmp_path)
    with serve({"ok": slowly}, tls=context) as server, proxying(server.port, delay_s=0.2) as proxy:
        case = Case(to("https", ca_bundle=bundle), ["a"])
        [[reported]] = ask(tmp_path, [case], through(proxy))
    attempt = reported.attempt
    assert attempt.outcome == "ok"
    assert attempt.connected is not None and attempt.resolved is not None
    assert attempt.sent is not None and attempt.sent >= attempt.connected
    assert attempt.connected - attempt.resolved >= 200_000_000


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_credentials_are_sent_to_the_proxy_and_never_told(tmp_path: Path, scheme: str) -> None:
    context, bundle = secured(tmp_path)
    tls = context if scheme == "https" else None
    wanted = "Basic dTpwQHNzd29yZA=="  # u:p@ssword
    with serve(tls=tls) as server, proxying(server.port, credentials=wanted) as proxy:
        case = Case(to(scheme, ca_bundle=bundle), ["a"])
        url = f"http://u:p%40ssword@127.0.0.1:{proxy.port}"
        [[known]] = ask(tmp_path, [case], through(url))
        [[unknown]] = ask(tmp_path, [case], through(url.replace("p%40ssword", "wr0ngone")))
    assert where(known) == ("ok", None, None)
    assert wanted in proxy.heads[0]
    assert wanted.encode() not in b"".join(seen.head for seen in server.seen) or scheme == "http"
    text = unknown.attempt.error_text or ""
    assert "407" in text and "wr0ngone" not in text and "p@ssword" not in text
    if scheme == "https":
        assert where(unknown) == ("error", "connect", "http_status")
        assert f"proxy 127.0.0.1:{proxy.port}: it refused the tunnel" in text
        assert unknown.attempt.sent is None and unknown.attempt.http_status is None
    else:
        assert where(unknown) == ("error", "headers", "http_status")
        assert unknown.attempt.http_status == 407


def test_a_password_that_a_server_repeats_is_masked(tmp_path: Path) -> None:
    def repeats(sock: Any, seen: Seen) -> None:
        body = b'{"error": {"message": "you sent p@ssword"}}'
        sock.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with serve({"ok": repeats}) as server, proxying(server.port) as proxy:
        url = f"http://u:p%40ssword@127.0.0.1:{proxy.port}"
        [[reported]] = ask(tmp_path, [Case(to("http"), ["a"])], through(url))
    assert reported.attempt.error_text == "HTTP 400: you sent ***"


@pytest.mark.parametrize("status", [b"403 Forbidden", b"502 Bad Gateway"])
def test_a_refused_tunnel_is_an_error_of_connecting(tmp_path: Path, status: bytes) -> None:
    with serve() as server, proxying(server.port, status=status) as proxy:
        [[reported]] = ask(tmp_path, [Case(to("https"), ["a"])], through(proxy))
    assert where(reported) == ("error", "connect", "http_status")
    assert status.decode() in (reported.attempt.error_text or "")
    assert server.seen == []


def test_a_proxy_that_closes_is_slow_is_not_there_or_is_no_proxy(tmp_path: Path) -> None:
    def says_ssh(sock: Any, seen: Seen) -> None:
        sock.sendall(b"SSH-2.0-OpenSSH\r\n")

    with serve({"ok": says_ssh}) as other:
        tried = Case(to("https", connect_timeout_s=0.3), ["a"])
        with proxying(other.port, closes=True) as proxy:
            [[closed]] = ask(tmp_path, [tried], through(proxy))
        with proxying(other.port, delay_s=2.0) as proxy:
            [[late]] = ask(tmp_path, [tried], through(proxy))
        [[absent]] = ask(tmp_path, [tried], through(f"http://127.0.0.1:{proxy.port}"))
        [[odd]] = ask(tmp_path, [tried], through(f"http://127.0.0.1:{other.port}"))
        [[nameless]] = ask(tmp_path, [tried], through("http://" + "x" * 70))
    assert where(closed) == ("error", "connect", "early_close")
    assert where(late) == ("timeout", "connect", "timeout")
    assert where(absent) == ("error", "connect", "refused")
    assert where(odd) == ("error", "connect", "protocol")
    assert where(nameless) == ("error", "dns", "unreachable")
    for reported in (closed, late, absent, odd, nameless):
        assert (reported.attempt.error_text or "").startswith("proxy ")


def test_loopback_and_no_proxy_go_straight(tmp_path: Path) -> None:
    with serve() as server, proxying(server.port) as proxy:
        cases = [
            Case(to("http", server.port, host="127.0.0.1"), ["a"]),
            Case(to("http", server.port, host="localhost"), ["a"]),
        ]
        outcomes = ask(tmp_path, cases, through(proxy))
        [[exempt]] = ask(tmp_path, [Case(to("http"), ["a"])], through(proxy, NO_PROXY="test"))
    assert [where(one) for [one] in outcomes] == [("ok", None, None)] * 2
    assert exempt.attempt.outcome == "error" and exempt.attempt.error_phase == "dns"
    assert proxy.heads == []


def _silent(sock: Any, seen: Seen) -> None:
    time.sleep(2.0)


def _stalls(sock: Any, seen: Seen) -> None:
    sock.sendall(HEAD + token("one"))
    time.sleep(2.0)


def _drips(sock: Any, seen: Seen) -> None:
    sock.sendall(HEAD)
    for number in range(60):
        sock.sendall(token(f"{number}"))
        time.sleep(0.05)


@pytest.mark.parametrize("route", ["straight", "over TLS", "through a proxy"])
def test_each_time_limit_ends_a_request_in_its_phase(tmp_path: Path, route: str) -> None:
    context, bundle = secured(tmp_path)
    tls = None if route == "straight" else context
    behaviours = {"silent": _silent, "stalls": _stalls, "drips": _drips}
    with serve(behaviours, tls=tls) as server, proxying(server.port) as proxy:
        address: dict[str, Any] = {"host": "localhost", "port": server.port, "scheme": "http"}
        if route != "straight":
            address.update(scheme="https", ca_bundle=bundle)
        if route == "through a proxy":
            address.update(host=HOST, port=443)
        cases = [
            Case(to(**address, first_byte_timeout_s=0.3), ["[silent]"]),
            Case(to(**address, between_events_timeout_s=1.0), ["[stalls]"]),
            Case(to(**address, total_timeout_s=1.5), ["[drips]"]),
            Case(to(**address, total_timeout_s=1.5), ["[silent]"]),
        ]
        outcomes = ask(tmp_path, cases, through(proxy))
    assert len(proxy.heads) == (4 if route == "through a proxy" else 0)
    assert [where(one) for [one] in outcomes] == [
        ("timeout", "headers", "timeout"),
        ("timeout", "stream", "stall"),
        ("timeout", "stream", "timeout"),
        ("timeout", "headers", "timeout"),
    ]
    stated = [one.attempt.error_text for [one] in outcomes]
    assert stated == [
        "no first byte within 0.3 s",
        "nothing more for 1 s",
        "no whole answer within 1.5 s",
        "no whole answer within 1.5 s",
    ]
    [[_], [stalled], [dripped], [_]] = outcomes
    assert stalled.text == "one" and dripped.text.startswith("012")


def test_a_tls_handshake_that_never_ends_runs_into_the_limit_of_connecting(tmp_path: Path) -> None:
    with serve() as server, proxying(server.port) as proxy:
        case = Case(to("https", connect_timeout_s=0.3), ["a"])
        [[reported]] = ask(tmp_path, [case], through(proxy))
    assert where(reported) == ("timeout", "tls", "timeout")
