"""Which processes of this host serve an address: of a target here that the observatory did not start."""

import ipaddress
import socket

import psutil

FORWARDERS = frozenset(
    {"docker-proxy", "rootlessport", "slirp4netns", "pasta", "conmon", "ssh", "kubectl", "socat"}
)
"""Programs that only pass connections on: what computes the answers is another process."""


def listeners(host: str, port: int) -> list[int] | None:
    """Return the processes that listen there; [] where the address is another machine's.

    None: it is this machine's and the kernel does not name the process (it is another user's, or lies in
    a container), or the process only passes connections on.
    """
    addresses = _addresses(host, port)
    if not addresses & _own_addresses():
        return []
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    pids = {
        connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
    }
    known = sorted(pid for pid in pids if pid)
    if not known or len(known) < len(pids) or any(_name(pid) in FORWARDERS for pid in known):
        return None
    return known


def _addresses(host: str, port: int) -> set[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {_plain(str(address[0])) for *_, address in found}


def _own_addresses() -> set[str]:
    own = {"127.0.0.1", "::1"}
    for interface in psutil.net_if_addrs().values():
        own.update(_plain(one.address) for one in interface if one.family in _INTERNET)
    return own


_INTERNET = (socket.AF_INET, socket.AF_INET6)


def _plain(address: str) -> str:
    """Return the address without the interface (fe80::1%eth0); every loopback address as one."""
    bare = address.partition("%")[0]
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return bare
    if parsed.version == 4 and parsed.is_loopback:
        return "127.0.0.1"
    return str(parsed)


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""
