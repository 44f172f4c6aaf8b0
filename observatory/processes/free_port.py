"""A port on loopback for a server that binds it itself: found free, and held until it listens.

vLLM binds with SO_REUSEPORT, so that two of one user would share a port in silence; a socket that is
bound and never listens keeps it for the one that it was chosen for.
"""

import errno
import socket
from typing import Self

from observatory.core.errors import EnvironmentFailed

HOST = "127.0.0.1"


class HeldPort:
    """port: the number; 0 takes any free one. Raise EnvironmentFailed where it is not available.

    Close it once the server listens.
    """

    def __init__(self, port: int) -> None:
        if port:
            check_port(port)
        self._socket = socket.socket()
        try:
            # Both, as the server sets them: its bind is then compatible with ours, and no other process's is.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            raise _taken(port, error) from error
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Let go of it. Twice is as good as once."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def check_port(port: int, where: str | None = None) -> None:
    """Raise EnvironmentFailed where a port on loopback is taken or may not be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise _taken(port, error, where) from error


def _taken(port: int, error: OSError, where: str | None = None) -> EnvironmentFailed:
    taken = error.errno == errno.EADDRINUSE
    place = f"{HOST}:{port}"
    return EnvironmentFailed(
        "the port is taken" if taken else f"the port cannot be used: {error.strerror}",
        where=f"{where}: {place}" if where else place,
        fix="choose another port, or 0 for a free one",
    )
