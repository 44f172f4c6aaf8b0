"""What a page of another site, a slow client or a link could do to the served site."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from observatory.site import serve
from observatory.site.serve import LOOPBACK, SiteServer, site_server


@contextmanager
def served(folder: Path) -> Iterator[SiteServer]:
    with site_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SiteServer]:
    site = tmp_path / "dist"
    (site / "data").mkdir(parents=True)
    (site / "index.html").write_text("here")
    (site / ".observatory-site").write_text("marker")
    (tmp_path / "secret").write_text("secret")
    (site / "out").symlink_to(tmp_path / "secret")
    (site / "up").symlink_to(tmp_path, target_is_directory=True)
    (site / "in").symlink_to(site / "index.html")
    with served(site) as running:
        yield running


def asked(server: SiteServer, path: str = "/", *lines: str) -> bytes:
    with socket.create_connection((LOOPBACK, server.server_port), timeout=10) as client:
        head = [f"GET {path} HTTP/1.1", *lines, "Connection: close", "", ""]
        client.sendall("\r\n".join(head).encode())
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8090", "[::1]:8090", "LOCALHOST", "localhost.", "127.0.0.2:1"]
)
def test_loopbacks_names_are_answered(server: SiteServer, host: str) -> None:
    assert asked(server, "/", f"Host: {host}").endswith(b"here")


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: attacker.example"],
        ["Host: 127.0.0.1.attacker.example:8090"],
        ["Host: localhost.attacker.example"],
        ["Host: 10.0.0.1"],
        ["Host: "],
        [],
        ["Host: localhost", "Host: attacker.example"],
        ["Host: [::1"],
    ],
    ids=str,
)
def test_other_names_are_refused(server: SiteServer, lines: list[str]) -> None:
    answer = asked(server, "/", *lines)
    assert b" 421 " in answer.splitlines()[0] and b"here" not in answer


@pytest.mark.parametrize(
    "path",
    ["/out", "/up/secret", "/up/", "/../secret", "/%2e%2e/secret", "/data/", "/.observatory-site", "/%00"],
)  # fmt: skip
def test_nothing_outside_the_pages_is_served(server: SiteServer, path: str) -> None:
    answer = asked(server, path, "Host: localhost")
    assert (
        b" 404 " in answer.splitlines()[0] and b"secret" not in answer and b"marker" not in answer
    )


def test_a_link_within_the_folder_is_a_page(server: SiteServer) -> None:
    assert asked(server, "/in", "Host: localhost").endswith(b"here")


def test_connections_are_limited_in_number(
    server: SiteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "MOST_CONNECTIONS", 3)
    with ExitStack() as stack:
        for _ in range(3):
            address = (LOOPBACK, server.server_port)
            stack.enter_context(socket.create_connection(address, timeout=10)).sendall(b"GET ")
        assert b" 503 " in asked(server, "/", "Host: localhost").splitlines()[0]


@pytest.mark.parametrize("limit", ["SILENT_S", "LONGEST_S"])
def test_a_silent_or_endless_client_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(serve, "LONGEST_S", 0.05 if limit == "LONGEST_S" else 60.0)
    monkeypatch.setattr(serve._Handler, "timeout", 0.05 if limit == "SILENT_S" else 60.0)
    with served(tmp_path) as server:
        address = (LOOPBACK, server.server_port)
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: local")
            assert client.recv(100) == b""
