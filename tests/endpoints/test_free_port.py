"""A port that is chosen is kept for the server that is to bind it, as vLLM and others bind."""

import socket

import pytest

from observatory.core.errors import EnvironmentFailed
from observatory.processes.free_port import HeldPort


def server(port: int, *options: int) -> socket.socket:
    made = socket.socket()
    for option in options:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        made.bind(("127.0.0.1", port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made


@pytest.mark.parametrize(
    "options",
    [(socket.SO_REUSEADDR, socket.SO_REUSEPORT), (socket.SO_REUSEADDR,)],
    ids=["as vLLM", "as most"],
)
def test_the_server_it_is_held_for_gets_it(options: tuple[int, ...]) -> None:
    with HeldPort(0) as held, server(held.port, *options) as serving:
        client = socket.create_connection(("127.0.0.1", held.port), timeout=5)
        accepted, _ = serving.accept()
        accepted.close()
        client.close()


def test_a_stranger_does_not_get_it() -> None:
    with HeldPort(0) as held, pytest.raises(OSError, match="in use"):
        server(held.port)


def test_no_two_are_the_same() -> None:
    held = [HeldPort(0) for _ in range(50)]
    assert len({one.port for one in held}) == 50
    for one in held:
        one.close()


def test_one_that_is_taken() -> None:
    with server(0, socket.SO_REUSEADDR, socket.SO_REUSEPORT) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFailed, match=rf"127\.0\.0\.1:{port}: the port is taken"):
            HeldPort(port)
