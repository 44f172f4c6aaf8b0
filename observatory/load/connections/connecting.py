"""Opens one connection: name, TCP, a proxy's tunnel, TLS, each with its own fault.

Once a connection, so it waits in the plain gevent way, inside the user's greenlet.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gevent
import gevent.hub
import gevent.socket
from gevent.monkey import get_original

from observatory.connect.happy_eyeballs import AddressInfo, Winners, connect_first
from observatory.connect.proxies import Proxy
from observatory.core.connection import Connection
from observatory.core.record import ErrorPhase
from observatory.load.connections.endpoint import Endpoint
from observatory.load.reading import kernel_stamps
from observatory.wires.failures.socket_faults import name_fault, socket_fault
from observatory.wires.http_attempt import Fault, HttpAttempt
from observatory.wires.streams.proxy_answer import ProxyAnswer, connect_request

# The unpatched class: its calls never wait behind our back.
_socket: Any = get_original("socket", "socket")
_winners = Winners()


class AttemptBroken(Exception):
    """An attempt that cannot go on, with its fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class OpenedSocket:
    """A connected socket, its TLS session if any, and whether the kernel stamps its segments."""

    __slots__ = ("incoming", "outgoing", "raw", "stamped", "tls")

    def __init__(self, raw: Any, stamped: bool) -> None:
        self.raw = raw
        self.stamped = stamped
        self.tls: ssl.SSLObject | None = None
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


def open_connection(endpoint: Endpoint, http_attempt: HttpAttempt) -> OpenedSocket:
    """Connect within connect_timeout_s, instants written into `http_attempt`; raise AttemptBroken with the
    phase that failed.

    Through a proxy, `resolved` is its name's, and `connected` comes after its tunnel and TLS.
    """
    now = endpoint.anchor.now
    http_attempt.connect_started = now()
    deadline = time.monotonic() + endpoint.connection.connect_timeout_s
    proxy = endpoint.proxy
    host = endpoint.connection if proxy is None else proxy
    with _through(proxy):
        with _within(deadline, "dns"):
            addresses = _resolve(host.host, host.port)
        http_attempt.resolved = now()
        opened = _connect((host.host, host.port), addresses, deadline)
    if endpoint.tls is not None:
        try:
            if proxy is not None:
                with _through(proxy), _within(deadline, "connect"):
                    _tunnel(opened, endpoint.connection, proxy)
            with _within(deadline, "tls"):
                _handshake(opened, endpoint)
        except BaseException:
            opened.raw.close()
            raise
    http_attempt.connected = now()
    return opened


@contextmanager
def _through(proxy: Proxy | None) -> Iterator[None]:
    """Mark faults raised in the block as faults on the way to the proxy."""
    try:
        yield
    except AttemptBroken as broken:
        if proxy is None:
            raise
        fault = broken.fault
        text = f"proxy {proxy.address}: {fault.text}"
        raise AttemptBroken(Fault(fault.phase, fault.kind, text, fault.outcome)) from broken


@contextmanager
def _within(deadline: float, phase: ErrorPhase) -> Iterator[None]:
    """Raise AttemptBroken where the block takes longer or its sockets fail."""
    late = gevent.Timeout(max(0.001, deadline - time.monotonic()))
    late.start()
    try:
        yield
    except gevent.Timeout as timeout:
        if timeout is not late:
            raise
        raise AttemptBroken(Fault(phase, "timeout", f"no {phase} in time", "timeout")) from None
    except gevent.socket.gaierror as error:
        raise AttemptBroken(name_fault(error)) from error
    except ssl.SSLError as error:
        text = getattr(error, "verify_message", "") or error.reason or str(error)
        raise AttemptBroken(Fault(phase, "tls", str(text))) from error
    except OSError as error:
        raise AttemptBroken(socket_fault(phase, error)) from error
    finally:
        late.close()


def _resolve(host: str, port: int) -> list[AddressInfo]:
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
        raise AttemptBroken(Fault("dns", "unreachable", f"no host name: {error}")) from error


def _connect(host: tuple[str, int], addresses: list[AddressInfo], deadline: float) -> OpenedSocket:
    """Return the first address that takes us; the last one's fault where none does."""
    if not addresses:
        raise AttemptBroken(Fault("dns", "unreachable", "the name has no address"))
    stamped: dict[Any, bool] = {}

    def make(address: AddressInfo) -> Any:
        raw = _socket(*address[:3])
        raw.setblocking(False)
        raw.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        stamped[raw] = kernel_stamps.enable(raw)
        return raw

    with _within(deadline, "connect"):
        raw, address = connect_first(_winners.in_order(host, addresses), make, _writable)
    _winners.won(host, address)
    return OpenedSocket(raw, stamped[raw])


def _writable(sockets: Sequence[Any], timeout_s: float | None) -> Sequence[Any]:
    """Wait as happy_eyeballs.Wait, while others run."""
    loop, waiter = gevent.get_hub().loop, gevent.hub.Waiter()
    watchers = [loop.io(each.fileno(), 2) for each in sockets]
    for each, watcher in zip(sockets, watchers, strict=True):
        watcher.start(waiter.switch, [each])
    if timeout_s is not None:
        watchers.append(loop.timer(timeout_s))
        watchers[-1].start(waiter.switch, [])
    try:
        ready: Sequence[Any] = waiter.get()
    finally:
        for watcher in watchers:
            watcher.close()
    return ready


def _wait(raw: Any, events: int) -> None:
    hub = gevent.get_hub()
    watcher = hub.loop.io(raw.fileno(), events)
    try:
        hub.wait(watcher)
    finally:
        watcher.close()


def _tunnel(opened: OpenedSocket, connection: Connection, proxy: Proxy) -> None:
    """Make the proxy carry bytes to the target. What comes after its answer is the target's own."""
    send_all(opened.raw, connect_request(connection, proxy))
    answer = ProxyAnswer()
    while not answer.complete:
        data = _read(opened.raw)
        if not data:
            text = "it closed the connection without an answer to CONNECT"
            raise AttemptBroken(Fault("connect", "early_close", text))
        answer.feed(data)
    fault = answer.fault()
    if fault is not None:
        raise AttemptBroken(fault)
    opened.incoming.write(answer.rest)


def _handshake(opened: OpenedSocket, endpoint: Endpoint) -> None:
    """Perform TLS over memory, so that the reads stay ours and keep their stamps."""
    context = endpoint.tls
    assert context is not None
    tls = context.wrap_bio(
        opened.incoming, opened.outgoing, server_hostname=endpoint.connection.host
    )
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            send_all(opened.raw, opened.outgoing.read())
            data = _read(opened.raw)
            if not data:
                text = "the server closed during the TLS handshake"
                raise AttemptBroken(Fault("tls", "early_close", text)) from None
            opened.incoming.write(data)
        else:
            break
    send_all(opened.raw, opened.outgoing.read())
    opened.tls = tls


def _read(raw: Any) -> bytes:
    """Return what came, waiting for it; empty where the peer has closed."""
    while True:
        try:
            data: bytes = raw.recv(kernel_stamps.READ_SIZE)
        except BlockingIOError:
            _wait(raw, 1)
        else:
            return data


def send_all(raw: Any, data: bytes) -> None:
    """Hand everything to the kernel, waiting where its buffer is full."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[raw.send(rest) :]
        except BlockingIOError:
            _wait(raw, 2)
