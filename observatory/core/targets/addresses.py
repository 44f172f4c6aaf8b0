"""Check addresses of scenario and target files; a forbidden part raises ValueError.

Pure: no request is sent.
"""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field


def page_url(url: str) -> str:
    """Return the URL of a page with its query; raise ValueError for credentials or another scheme than HTTP."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials are not allowed in a URL; use headers")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if not url.isascii() or any(letter.isspace() for letter in url):
        raise ValueError("the URL has characters that must be escaped")
    return url


def base_url(url: str) -> str:
    """Return a base URL without its last slash; raise ValueError where it holds more than an address and a path."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials are not allowed in a URL; use api_key_env or headers")
    if parts.query or parts.fragment:
        raise ValueError("put query parameters under query:, not into the URL")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    return url.rstrip("/")


PageUrl = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(page_url)]
BaseUrl = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(base_url)]


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback, without a DNS query."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
