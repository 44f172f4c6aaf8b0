"""Addresses as a person writes them: what must not stand in one is a ValueError that says so.

Pure; nothing is asked for here.
"""

import ipaddress
from urllib.parse import urlsplit


def page_url(url: str) -> str:
    """The URL of a page, query and all; ValueError where it holds credentials or cannot be asked for."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials must not stand in a URL; use headers")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if not url.isascii() or any(letter.isspace() for letter in url):
        raise ValueError("the URL has characters that must be escaped")
    return url


def base_url(url: str) -> str:
    """A base URL without its last slash; ValueError where it holds more than an address and a path."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials must not stand in a URL; use api_key_env or headers")
    if parts.query or parts.fragment:
        raise ValueError("put query parameters under query:, not into the URL")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback, without asking a resolver."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
