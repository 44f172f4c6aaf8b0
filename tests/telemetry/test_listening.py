"""Whose process serves an address: ours, another machine's, or one that only passes connections on."""

import os
import socket
from collections.abc import Iterator

import psutil
import pytest

from observatory.telemetry.machine import listening
from observatory.telemetry.machine.listening import listeners


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_server_of_this_host_is_found(host: str, port: int) -> None:
    assert listeners(host, port) == [os.getpid()]


def test_by_the_hosts_own_address_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_own_addresses", lambda: {"192.0.2.7"})
    assert listeners("192.0.2.7", port) == [os.getpid()]


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1", "no such host"])
def test_another_machines_address_has_no_process_here(host: str, port: int) -> None:
    assert listeners(host, port) == []


def test_a_port_that_nobody_serves_is_unknown(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert listeners("127.0.0.1", free) is None


def test_a_process_that_only_passes_on_is_unknown(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_name", lambda pid: "docker-proxy")
    assert listeners("127.0.0.1", port) is None


def test_a_process_that_the_kernel_does_not_name_is_unknown(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert listeners("127.0.0.1", port) is None
