"""Choose the proxy of a connection from the environment, as curl and httpx read it.

The only place of this choice, so that a check, a list of models and the load take the same route. Pure
over the environment that it is given; it opens no connection.
"""

import ipaddress
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from observatory.core.connection import Connection
from observatory.core.errors import BadInput
from observatory.core.targets.addresses import is_loopback

_DEFAULT_PORT = 80
"""Where the URL names none: httpx's choice, and RFC 9110's for http (4.2.1)."""
_LEAST_USER_NAME = 6
_FIX = "use a proxy with http:// before it, or name the target's host in NO_PROXY"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy reached without TLS. Its credentials are for the socket only."""

    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Host and port, without credentials: what may be shown and stored."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """Return the value of Proxy-Authorization (RFC 7617); None where there are no credentials."""
        if self.username is None:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {b64encode(pair).decode()}"

    @property
    def secrets(self) -> list[str]:
        """Return the parts of it that must never be stored; a user name of a few letters would mask words."""
        if self.authorization is None or self.username is None:
            return []
        user = [self.username] if len(self.username) >= _LEAST_USER_NAME else []
        return [self.authorization, self.password, *user]


def proxy_of(connection: Connection, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy that this connection goes through; None where it goes straight.

    https_proxy or http_proxy, by the target's scheme, else all_proxy; each in lower case first, where
    an empty value hides the upper-case one. HTTP_PROXY is not believed inside a CGI script
    (REQUEST_METHOD is set), because there a client's header named Proxy sets it (CVE-2016-5385).
    Loopback is never proxied, nor is what no_proxy names.

    Raise BadInput for a proxy that is no HTTP proxy (SOCKS, or reached over TLS), or with an invalid URL.
    """
    values = os.environ if environment is None else environment
    if is_loopback(connection.host) or _exempt(connection, _value(values, "no_proxy")):
        return None
    return _named(connection.scheme, values)


def named_proxies(environment: Mapping[str, str] | None = None) -> dict[str, Proxy]:
    """Return the proxy for targets of http and of https, where the environment names one; raise BadInput as proxy_of."""
    values = os.environ if environment is None else environment
    found = {scheme: _named(scheme, values) for scheme in ("http", "https")}
    return {scheme: proxy for scheme, proxy in found.items() if proxy is not None}


def proxy_shown(connection: Connection) -> str | None:
    """Return the proxy as recorded: its host and port, "none", or None for loopback, which has no choice."""
    if is_loopback(connection.host):
        return None
    proxy = proxy_of(connection)
    return proxy.address if proxy is not None else "none"


def _named(scheme: str, values: Mapping[str, str]) -> Proxy | None:
    for name in (f"{scheme}_proxy", "all_proxy"):
        if url := _value(values, name):
            return _parse(url, name)
    return None


def _value(values: Mapping[str, str], name: str) -> str:
    upper = name.upper()
    if name in values:
        return values[name].strip()
    if upper == "HTTP_PROXY" and values.get("REQUEST_METHOD"):
        return ""
    return values.get(upper, "").strip()


def _parse(url: str, name: str) -> Proxy:
    """Return the proxy of a variable's value; no message repeats the value, which may hold a password."""
    where = f"{name} in the environment"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput("this is not a proxy's URL", where=where, fix=_FIX) from error
    if parts.scheme.startswith("socks"):
        raise BadInput("a SOCKS proxy is not supported", where=where, fix=_FIX)
    if parts.scheme == "https":
        raise BadInput("a proxy that is spoken to over TLS is not supported", where=where, fix=_FIX)
    if parts.scheme != "http" or not host or not host.isascii():
        raise BadInput("this is not an HTTP proxy's URL", where=where, fix=_FIX)
    if parts.username is None:
        return Proxy(host, port or _DEFAULT_PORT)
    username, password = unquote(parts.username), unquote(parts.password or "")
    return Proxy(host, port or _DEFAULT_PORT, username, password)


def _exempt(connection: Connection, no_proxy: str) -> bool:
    host = connection.host.lower().rstrip(".")
    return any(_covers(entry, host, connection.port) for entry in re.split(r"[,\s]+", no_proxy))


def _covers(entry: str, host: str, port: int) -> bool:
    """Return whether one entry of no_proxy names the host: *, an address, a network, or a name and all below.

    A port after it limits the entry to that port.
    """
    entry = entry.lower().rpartition("://")[2].rstrip("/")
    if entry == "*":
        return True
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", entry)
    named = re.fullmatch(r"([^:]*):(\d+)", entry)
    if found := bracketed or named:
        entry = found[1]
        if found[2] is not None and int(found[2]) != port:
            return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = entry.removeprefix("*").lstrip(".").rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
