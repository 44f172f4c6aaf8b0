"""The list of models of an endpoint where all is well, without the openai package's half second.

Whatever is not a plain list is answered with None: then listing.py asks again and says why.
"""

import http.client
from typing import Any

import msgspec

from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.endpoints.tls import tls_context

_LARGEST = 4 << 20
"""Bytes of a list of models; the longest seen (a router's, 400 models) has under one million."""


class _Listed(msgspec.Struct):
    id: str
    owned_by: Any = None


class _Listing(msgspec.Struct):
    data: list[_Listed]


def quick_models(connection: Connection, timeout_s: float) -> dict[str, str | None] | None:
    """Whose each model is that GET /models lists; None for anything but a list of some.

    BadInput where a key or a certificate cannot be read.
    """
    headers = {"Accept": "application/json", **resolved_headers(connection)}
    path = f"{connection.base_path}/models{resolved_query(connection)}"
    client = _client(connection, timeout_s)
    try:
        client.request("GET", path, headers=headers)
        response = client.getresponse()
        if response.status != 200:
            return None
        listed = msgspec.json.decode(response.read(_LARGEST), type=_Listing).data
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        client.close()
    owned = {one.id: one.owned_by if isinstance(one.owned_by, str) else None for one in listed}
    return owned or None


def _client(connection: Connection, timeout_s: float) -> http.client.HTTPConnection:
    host, port = connection.host, connection.port
    if connection.scheme == "https":
        context = tls_context(connection)
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)
