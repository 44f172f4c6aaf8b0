"""Send the first requests to a started server: its health check, and one real completion of a token.

So the first measured request is not the one that warms it up.
"""

import http.client
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from observatory.connect.sent_secrets import masker_of
from observatory.connect.timed_http import TimedConnection
from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.core.errors import TargetFailed
from observatory.processes.server_child import too_late
from observatory.processes.server_log import ServerLog

POLL_S = 0.05
_LARGEST = 16 << 20
"""Bytes of a body: an answer of a token, or a metrics page."""
_DEATH_S = 6.0
"""An engine's supervisor reports its end after it has ended the other processes, which get 3 s."""


class Server(Protocol):
    """The part of a started server that is used here."""

    name: str
    log: ServerLog

    def alive(self) -> str | None:
        """Return None while it runs, else how it ended."""


def await_health(
    server: Server,
    connection: Connection,
    deadline_s: float,
    *,
    poll_s: float = POLL_S,
    moment: Callable[[], None] = lambda: None,
) -> None:
    """Wait until GET /health answers 200; deadline_s is of time.monotonic(). moment is called now and then.

    TargetFailed where the server ends or the deadline passes first.
    """
    while True:
        moment()
        check_alive(server, deadline_s)
        try:
            if request_once(connection, "GET", "/health", None, _left_s(deadline_s))[0] == 200:
                return
        except TimeoutError as error:
            raise too_late(server.name, server.log) from error
        except (OSError, http.client.HTTPException):
            pass  # it does not listen yet
        time.sleep(poll_s)


def await_completion(
    server: Server,
    connection: Connection,
    path: str,
    body: dict[str, object],
    deadline_s: float,
) -> None:
    """Send one real completion. Raise TargetFailed as await_health, and for any status but 200."""
    encoded = msgspec.json.encode(body)
    status, answer = await_answer(server, connection, "POST", path, encoded, deadline_s)
    if status != 200:
        text = masker_of(connection).error(answer.decode("utf-8", "replace"))[:200]
        raise TargetFailed(
            f"{server.name} answered its first completion with HTTP {status}: {text}",
            where=str(server.log.path),
        )


def await_answer(
    server: Server,
    connection: Connection,
    method: str,
    path: str,
    body: bytes | None,
    deadline_s: float,
) -> tuple[int, bytes]:
    """Return status and body, of any response. Raise TargetFailed where it ends, breaks off, or is too late."""
    check_alive(server, deadline_s)
    try:
        return request_once(connection, method, path, body, _left_s(deadline_s))
    except TimeoutError as error:
        raise too_late(server.name, server.log) from error
    except (OSError, http.client.HTTPException) as error:
        raise TargetFailed(
            _death(server) or f"{server.name} broke its first answer off: {error!r}",
            where=str(server.log.path),
        ) from error


def check_alive(server: Server, deadline_s: float) -> None:
    """TargetFailed where the server has ended or the deadline has passed."""
    if (ended := server.alive()) is not None:
        raise TargetFailed(ended, where=str(server.log.path))
    if time.monotonic() >= deadline_s:
        raise too_late(server.name, server.log)


def request_once(
    connection: Connection, method: str, path: str, body: bytes | None, timeout_s: float
) -> tuple[int, bytes]:
    """Return status and body of one request over plain HTTP to loopback, with the connection's headers.

    path is from the server's root. The whole takes timeout_s at most, and the body is cut at _LARGEST.
    OSError, HTTPException: as they come.
    """
    client = TimedConnection(connection.host, connection.port, timeout_s)
    headers = {"content-type": "application/json", **resolved_headers(connection)}
    try:
        client.request(method, path + resolved_query(connection), body, headers)
        response = client.getresponse()
        return response.status, response.read(_LARGEST)
    finally:
        client.close()


def _left_s(deadline_s: float) -> float:
    return max(0.001, deadline_s - time.monotonic())


def _death(server: Server) -> str | None:
    """Return how it ended, where it is ending now: its answer breaks off a moment before it is gone."""
    until = time.monotonic() + _DEATH_S
    while (ended := server.alive()) is None and time.monotonic() < until:
        time.sleep(POLL_S)
    return ended
