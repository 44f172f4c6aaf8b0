"""The transport by itself: names, connections, TLS, stamps; each step with its instant or its fault."""

import datetime as dt
import ipaddress
import os
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from observatory.core.connection import Connection
from observatory.core.workspace import NO_RING_VARIABLE
from observatory.telemetry.machine import checkup
from tests.load.asking import Case, ask
from tests.load.servers import DONE, HEAD, LAST, STOP, Close, Seen, chunk, serve, token, usage

pytestmark = pytest.mark.usefixtures("either_way")

LINUX = sys.platform.startswith("linux")


def to(port: int, **more: Any) -> Connection:
    address = {"scheme": "http", "host": "127.0.0.1", "base_path": "/v1", "model": "m"}
    return Connection(port=port, **{**address, **more})


class Authority:
    """A certificate authority made for one test."""

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        """names: hosts of its certificates, in addition to loopback's."""
        self.folder = folder
        self.names = ["localhost", *names]
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self.sign(self.name, self.key.public_key(), authority=True)
        self.bundle = self.write("ca.pem", self.certificate)

    def sign(self, name: x509.Name, key: Any, *, authority: bool = False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        names: list[x509.GeneralName] = [
            *map(x509.DNSName, self.names),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def write(self, name: str, certificate: x509.Certificate, key: Any = None) -> str:
        data = certificate.public_bytes(serialization.Encoding.PEM)
        if key is not None:
            data += key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def issue(self, name: str) -> str:
        """A PEM file with a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self.write(f"{name}.pem", self.sign(subject, key.public_key()), key)


def slowly(sock: Any, seen: Seen) -> None:
    """Eight tokens, 20 ms apart."""
    sock.sendall(HEAD)
    for number in range(8):
        time.sleep(0.02)
        sock.sendall(token(f" {number}"))
    sock.sendall(STOP + usage(3, 8) + chunk(DONE) + LAST)


def test_an_answer_has_every_instant_in_order(tmp_path: Path) -> None:
    with serve({"ok": slowly}) as server:
        began = time.time_ns()
        [[first, second]] = ask(tmp_path, [Case(to(server.port), ["a", "b"])])
        ended = time.time_ns()
    one = first.attempt
    order = [
        one.connect_started,
        one.resolved,
        one.connected,
        one.sent,
        one.headers,
        one.first_event,
        one.event_ns[-1],
        one.usage_event,
        one.ended,
    ]
    # Read when the request has been handed over: the kernel may stamp an answer before this process runs again.
    handed_over = [one.sent, one.body_sent, one.ended]
    for instants in (order, handed_over):
        assert all(instant is not None for instant in instants)
        assert instants == sorted(instants, key=lambda instant: instant or 0)
    assert began < first.sent_unix_ns < ended
    # Where this process was late, a stamp is another segment's, and is marked so.
    own = [at for at, shared in zip(one.event_ns, one.event_shared, strict=True) if not shared]
    assert own and all(later - earlier > 10_000_000 for earlier, later in pairwise(own))
    assert one.stamp_source == ("kernel" if LINUX else "read")
    two = second.attempt
    assert two.reused_connection and two.connect_started is None and two.connected is None
    assert two.bytes_sent > 100 and two.bytes_received > 500


@pytest.mark.skipif(not LINUX, reason="the kernel stamps segments on Linux only")
def test_a_stalled_client_keeps_true_stamps_and_counts_the_shared_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop is blocked for 0.1 s while five tokens arrive: the last keeps its stamp."""
    monkeypatch.setenv(NO_RING_VARIABLE, "1")
    with serve({"ok": slowly}) as server:
        [[reported]] = ask(tmp_path, [Case(to(server.port), ["a"], stall_s=0.1)])
    attempt = reported.attempt
    assert reported.text == "".join(f" {number}" for number in range(8))
    assert attempt.shared_stamps >= 2
    assert attempt.shared_stamps == sum(attempt.event_shared)
    together = [
        at for at, shared in zip(attempt.event_ns, attempt.event_shared, strict=True) if shared
    ]
    after = next(
        at
        for at, shared in zip(attempt.event_ns, attempt.event_shared, strict=True)
        if not shared and at >= together[-1]
    )
    assert after == together[-1]


@pytest.mark.skipif(checkup.check_kernel_reads().state != "ok", reason="no io_uring")
def test_where_the_kernel_reads_a_stalled_client_loses_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NO_RING_VARIABLE, raising=False)
    with serve({"ok": slowly}) as server:
        cases = [Case(to(server.port), ["a"], stall_s=0.1) for _ in range(5)]
        answers = ask(tmp_path, cases)
    attempts = [reported.attempt for [reported] in answers]
    for attempt in attempts:
        assert attempt.stamp_source == "kernel"
        assert attempt.shared_stamps == sum(attempt.event_shared)
        own = [
            at
            for at, shared in zip(attempt.event_ns, attempt.event_shared, strict=True)
            if not shared
        ]
        assert min(after - before for before, after in pairwise(own)) > 10_000_000
    # A process that gets no processor for the time between two events has them in one read, and reports it.
    assert any(attempt.shared_stamps == 0 for attempt in attempts)


@pytest.mark.skipif(not LINUX, reason="TCP's segment counters are Linux's")
def test_a_burst_that_was_sent_at_once_shares_nothing(tmp_path: Path) -> None:
    def bursts(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD)
        for _ in range(3):
            time.sleep(0.03)
            sock.sendall(token("a") + token("b") + token("c"))
        time.sleep(0.03)
        sock.sendall(STOP + chunk(DONE) + LAST)

    with serve({"ok": bursts}) as server:
        [[reported, again]] = ask(tmp_path, [Case(to(server.port), ["a", "b"])])
    for one in (reported, again):
        assert len(one.attempt.event_ns) == 9
        assert len(set(one.attempt.event_ns)) == 3
        assert one.attempt.shared_stamps == 0


def test_a_name_is_resolved_and_the_next_address_is_tried(tmp_path: Path) -> None:
    with serve() as server:
        [[reported]] = ask(tmp_path, [Case(to(server.port, host="localhost"), ["a"])])
    attempt = reported.attempt
    assert attempt.outcome == "ok"
    assert attempt.connect_started is not None and attempt.resolved is not None
    assert attempt.resolved > attempt.connect_started


def test_what_keeps_a_connection_from_opening(tmp_path: Path) -> None:
    with serve() as server:
        closed = server.port
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    cases = [
        Case(to(closed), ["a"]),
        Case(to(1, host="x" * 70), ["a"]),
        Case(to(port, connect_timeout_s=0.3), ["a"]),
    ]
    try:
        [[refused], [nameless], [late]] = ask(tmp_path, cases)
    finally:
        for one in (full, *fillers):
            one.close()

    def where(told: Any) -> tuple[Any, ...]:
        attempt = told.attempt
        return attempt.outcome, attempt.error_phase, attempt.error_kind

    assert where(refused) == ("error", "connect", "refused")
    assert where(nameless) == ("error", "dns", "unreachable")
    assert where(late) == ("timeout", "connect", "timeout")
    for told in (refused, nameless, late):
        assert told.attempt.sent is None and told.attempt.ended is not None


def test_tls_is_verified_and_keeps_connections_and_stamps(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server"))

    def long(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD + token("x" * 200_000) + STOP + usage(1, 1) + chunk(DONE) + LAST)

    def cut(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD + token("one"))
        raise Close

    with serve({"ok": slowly, "long": long, "cut": cut}, tls=context) as server:
        https: dict[str, Any] = {"scheme": "https"}
        trusted = {**https, "ca_bundle": authority.bundle}
        cases = [
            Case(to(server.port, **trusted), ["a", "[long]", "b"]),
            Case(to(server.port, **https), ["a"]),
            Case(to(server.port, **trusted, host="localhost"), ["a"]),
            Case(to(server.port, **trusted), ["[cut]", "a"]),
        ]
        [[first, big, last], [doubted], [named], [broken, again]] = ask(tmp_path, cases)
    for reported in (first, big, last, named, again):
        assert reported.attempt.outcome == "ok", reported.attempt.error_text
    assert [reported.attempt.reused_connection for reported in (first, big, last)] == [
        False,
        True,
        True,
    ]
    assert first.attempt.stamp_source == ("kernel" if LINUX else "read")
    assert first.attempt.connected is not None and len(set(first.attempt.event_ns)) == 8
    assert len(big.text) == 200_000
    assert (doubted.attempt.error_phase, doubted.attempt.error_kind) == ("tls", "tls")
    assert "certificate" in (doubted.attempt.error_text or "")
    assert (broken.attempt.error_phase, broken.attempt.error_kind) == ("stream", "early_close")
    assert broken.text == "one" and not again.attempt.reused_connection


def test_a_client_certificate_is_shown_where_one_is_asked_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server"))
    context.load_verify_locations(authority.bundle)
    context.verify_mode = ssl.CERT_REQUIRED
    trusted = {"scheme": "https", "ca_bundle": authority.bundle}
    with serve(tls=context) as server:
        cases = [
            Case(to(server.port, **trusted, client_certificate=authority.issue("client")), ["a"]),
            Case(to(server.port, **trusted), ["a"]),
        ]
        [[known], [unknown]] = ask(tmp_path, cases)
    assert known.attempt.outcome == "ok"
    assert unknown.attempt.outcome == "error"
    assert unknown.attempt.error_kind in ("tls", "reset", "early_close")


def test_a_server_that_speaks_no_tls_runs_into_the_time_limit(tmp_path: Path) -> None:
    with serve() as server:
        connection = to(server.port, scheme="https", connect_timeout_s=0.3)
        [[reported]] = ask(tmp_path, [Case(connection, ["a"])])
    attempt = reported.attempt
    assert (attempt.outcome, attempt.error_phase, attempt.error_kind) == (
        "timeout",
        "tls",
        "timeout",
    )


def test_the_request_is_what_the_connection_says(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "headers": {"X-Team": "search", "X-Key": "${TEAM_KEY}", "user-agent": "ours"},
        "query": {"api-version": "2"},
    }
    with serve() as server:
        case = Case(to(server.port, **options), ["a"])
        [[reported]] = ask(tmp_path, [case], {**os.environ, "TEAM_KEY": "k-123456"})
    assert reported.attempt.outcome == "ok"
    head = server.seen[0].head.decode()
    lines = head.split("\r\n")
    assert lines[0] == "POST /v1/chat/completions?api-version=2 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert "X-Team: search" in lines and "X-Key: k-123456" in lines
    assert [line for line in lines if line.lower().startswith("user-agent")] == ["user-agent: ours"]
    assert "Accept-Encoding: identity" in lines
    assert f"Content-Length: {len(server.seen[0].body)}" in lines
