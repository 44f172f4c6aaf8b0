"""Which models an endpoint has, without the openai package's half second where all is well.

Only a plain list is believed here: for anything else listing.py asks again and says what is wrong.
"""

import http.client
from typing import Any

import msgspec

from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.endpoints.tls import tls_context

QUICK_WITHIN_S = 5.0
"""An endpoint that takes longer for its list is asked again, with all the time that it is allowed."""
_LARGEST = 4 << 20
"""Bytes of a list of models; the longest seen (a router's, 400 models) has under one million."""


class _Listed(msgspec.Struct):
    id: str
    owned_by: Any = None


class _Listing(msgspec.Struct):
    data: list[_Listed]


def models_in(text: bytes) -> dict[str, str | None]:
    """Whose each model is in the answer to GET /models; ValueError where it is no list of models."""
    listed = msgspec.json.decode(text, type=_Listing).data
    return {one.id: one.owned_by if isinstance(one.owned_by, str) else None for one in listed}


def owned_models(connection: Connection) -> dict[str, str | None] | None:
    """As listing.owned_models, which is asked only where the quick way got no list."""
    owned = quick_models(connection)
    if owned:
        return owned
    from observatory.endpoints import listing  # brings the openai package

    return listing.owned_models(connection)


def quick_models(connection: Connection) -> dict[str, str | None] | None:
    """The plain list; None for anything else, also where nothing answers."""
    timeout_s = min(connection.connect_timeout_s, QUICK_WITHIN_S)
    headers = {"Accept": "application/json", **resolved_headers(connection)}
    path = f"{connection.base_path}/models{resolved_query(connection)}"
    client = _client(connection, timeout_s)
    try:
        client.request("GET", path, headers=headers)
        response = client.getresponse()
        if response.status != 200:
            return None
        return models_in(response.read(_LARGEST))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        client.close()


def _client(connection: Connection, timeout_s: float) -> http.client.HTTPConnection:
    host, port = connection.host, connection.port
    if connection.scheme == "https":
        context = tls_context(connection)
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)
