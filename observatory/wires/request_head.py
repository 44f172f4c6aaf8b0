"""A request's headers: one list for the worker that sends them and for the check that shows them. Pure."""

from collections.abc import Mapping

from observatory.connect.masking import Masker
from observatory.core.connection import Connection, KeySource
from observatory.wires.wires import fixed_headers


def request_headers(
    connection: Connection, theirs: Mapping[str, str], *, stream: bool
) -> dict[str, str]:
    """Return all headers but Content-Length, in their order; theirs, the target's own, win in any case.

    theirs: with their secrets in place (core.connection.resolved_headers), or named (named_headers).
    """
    own = {
        "Host": host_of(connection),
        "User-Agent": "inference-observatory",
        "Accept": "text/event-stream" if stream else "application/json",
        # Compressed events would arrive when the compressor likes.
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
    }
    taken = {name.lower() for name in theirs}
    headers = {name: value for name, value in own.items() if name.lower() not in taken}
    return headers | fixed_headers(connection, theirs) | dict(theirs)


def host_of(connection: Connection) -> str:
    """Return the Host header: with the port where it is not the scheme's own."""
    return connection.endpoint.removeprefix(f"{connection.scheme}://").split("/")[0]


def named_headers(connection: Connection) -> dict[str, str]:
    """Return the target's own headers with each secret's name in its place, and values that look like a
    key masked."""
    mask = Masker().error
    headers = {
        name: value if "${" in value else mask(value) for name, value in connection.headers.items()
    }
    key = connection.key
    if key is not None:
        headers[key.header] = key.prefix + _key_name(key)
    return headers


def _key_name(key: KeySource) -> str:
    return f"${{{key.env}}}" if key.env is not None else f"(the key in {key.file})"
