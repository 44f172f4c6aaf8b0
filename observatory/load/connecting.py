"""Opens one connection: name, TCP, TLS, each with its instant and its own fault.

Once a connection, so it waits in the plain gevent way, inside the user's greenlet.
"""

import errno
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import gevent.socket
from gevent.monkey import get_original

from observatory.core.record import ErrorKind, ErrorPhase
from observatory.endpoints.exchange import Exchange, Fault
from observatory.load import kernel_stamps
from observatory.load.endpoint import Endpoint

# The unpatched class: its calls never wait behind our back.
_socket: Any = get_original("socket", "socket")
_socket_error_kinds: dict[int, ErrorKind] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    # This machine's own limits: descriptors, ports, memory.
    errno.EMFILE: "client",
    errno.ENFILE: "client",
    errno.EADDRNOTAVAIL: "client",
    errno.ENOBUFS: "client",
    errno.ENOMEM: "client",
}


class Broken(Exception):
    """A try that cannot go on, with its fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def socket_fault(phase: ErrorPhase, error: OSError) -> Fault:
    """An OSError as a fault of that phase."""
    kind = _socket_error_kinds.get(
        error.errno or 0, "reset" if phase != "connect" else "unreachable"
    )
    text = error.strerror or str(error) or type(error).__name__
    return Fault(phase, kind, text, "timeout" if kind == "timeout" else "error")


class Opened:
    """A connected socket, its TLS session if any, and whether the kernel stamps its segments."""

    __slots__ = ("incoming", "outgoing", "raw", "stamped", "tls")

    def __init__(self, raw: Any, stamped: bool) -> None:
        self.raw = raw
        self.stamped = stamped
        self.tls: ssl.SSLObject | None = None
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


def open_connection(endpoint: Endpoint, exchange: Exchange) -> Opened:
    """Connect within connect_timeout_s, instants written into `exchange`; Broken says where it failed."""
    now = endpoint.anchor.now
    exchange.connect_started = now()
    deadline = time.monotonic() + endpoint.connection.connect_timeout_s
    with _within(deadline, "dns"):
        addresses = _resolve(endpoint)
    exchange.resolved = now()
    opened = _connect(addresses, deadline)
    if endpoint.tls is not None:
        try:
            with _within(deadline, "tls"):
                _handshake(opened, endpoint)
        except BaseException:
            opened.raw.close()
            raise
    exchange.connected = now()
    return opened


@contextmanager
def _within(deadline: float, phase: ErrorPhase) -> Iterator[None]:
    """Broken where the block takes longer or its sockets fail."""
    late = gevent.Timeout(max(0.001, deadline - time.monotonic()))
    late.start()
    try:
        yield
    except gevent.Timeout as timeout:
        if timeout is not late:
            raise
        raise Broken(Fault(phase, "timeout", f"no {phase} in time", "timeout")) from None
    except gevent.socket.gaierror as error:
        text = f"the name cannot be resolved: {error.strerror or error}"
        raise Broken(Fault("dns", "unreachable", text)) from error
    except ssl.SSLError as error:
        text = getattr(error, "verify_message", "") or error.reason or str(error)
        raise Broken(Fault(phase, "tls", str(text))) from error
    except OSError as error:
        raise Broken(socket_fault(phase, error)) from error
    finally:
        late.close()


def _resolve(endpoint: Endpoint) -> list[Any]:
    host, port = endpoint.connection.host, endpoint.connection.port
    stream = gevent.socket.SOCK_STREAM
    for family in (gevent.socket.AF_INET, gevent.socket.AF_INET6):
        try:
            gevent.socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, stream, 0, "", (host, port))]
    try:
        return list(gevent.socket.getaddrinfo(host, port, type=stream))
    except UnicodeError as error:
        raise Broken(Fault("dns", "unreachable", f"no host name: {error}")) from error


def _connect(addresses: list[Any], deadline: float) -> Opened:
    """The first address that takes us; the last one's fault where none does."""
    broken: Broken | None = None
    for family, kind, protocol, _, address in addresses:
        try:
            with _within(deadline, "connect"):
                return _connect_one(family, kind, protocol, address)
        except Broken as error:
            broken = error
    raise broken or Broken(Fault("dns", "unreachable", "the name has no address"))


def _connect_one(family: int, kind: int, protocol: int, address: Any) -> Opened:
    raw = _socket(family, kind, protocol)
    try:
        raw.setblocking(False)
        raw.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        stamped = kernel_stamps.enable(raw)
        code = raw.connect_ex(address)
        if code == errno.EINPROGRESS:
            wait_writable(raw)
            code = raw.getsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        raw.close()
        raise
    return Opened(raw, stamped)


def wait_writable(raw: Any) -> None:
    """Wait until the socket takes bytes."""
    _wait(raw, 2)


def _wait(raw: Any, events: int) -> None:
    hub = gevent.get_hub()
    watcher = hub.loop.io(raw.fileno(), events)
    try:
        hub.wait(watcher)
    finally:
        watcher.close()


def _handshake(opened: Opened, endpoint: Endpoint) -> None:
    """TLS over memory, so that the reads stay ours and keep their stamps."""
    context = endpoint.tls
    assert context is not None
    tls = context.wrap_bio(
        opened.incoming, opened.outgoing, server_hostname=endpoint.connection.host
    )
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            send_all(opened.raw, [opened.outgoing.read()])
            _receive(opened)
        else:
            break
    send_all(opened.raw, [opened.outgoing.read()])
    opened.tls = tls


def _receive(opened: Opened) -> None:
    while True:
        try:
            data = opened.raw.recv(kernel_stamps.READ_SIZE)
        except BlockingIOError:
            _wait(opened.raw, 1)
            continue
        if not data:
            raise Broken(Fault("tls", "early_close", "the server closed during the TLS handshake"))
        opened.incoming.write(data)
        return


def send_all(raw: Any, pieces: list[bytes]) -> None:
    """Hand everything to the kernel, waiting where its buffer is full."""
    while pieces:
        try:
            sent = raw.sendmsg(pieces)
        except BlockingIOError:
            wait_writable(raw)
            continue
        while pieces and sent >= len(pieces[0]):
            sent -= len(pieces.pop(0))
        if pieces:
            pieces[0] = pieces[0][sent:]
