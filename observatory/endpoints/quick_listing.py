"""List an endpoint's models without the openai package's half second, where the response is a plain list.

For any other response listing.py repeats the request and reports the error.
"""

import http.client
import time

from observatory.connect.bounds import LIST_S, LISTING
from observatory.connect.masking import Masker
from observatory.connect.plain_http import get
from observatory.core.connection import Connection
from observatory.endpoints.listing_pages import page_in

QUICK_WITHIN_S = 5.0
"""An endpoint that takes longer for its list gets the request again, with its whole time limit."""


_LONGEST_NAME = 120
"""Characters of a model's name that are shown."""


def owned_models(connection: Connection) -> dict[str, str | None] | None:
    """Return the models as listing.owned_models, which is called only where this got no list."""
    began = time.monotonic()
    owned = quick_models(connection)
    if owned:
        return owned
    from observatory.endpoints import listing  # brings the openai package

    return listing.owned_models(connection, LIST_S - (time.monotonic() - began))


def quick_models(connection: Connection) -> dict[str, str | None] | None:
    """Return the plain list; None for anything else, also where nothing answers."""
    if connection.wire == "messages":
        return None  # its list has headers and pages of its own
    timeout_s = min(connection.connect_timeout_s, QUICK_WITHIN_S)
    try:
        status, body = get(connection, f"{connection.base_path}/models", timeout_s, LISTING)
        return page_in(body)[0] if status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def shown_name(name: str, masker: Masker) -> str:
    """Return a model's name as messages have it: its beginning where it is longer than any, without a secret in it."""
    masked = masker.exact(name)
    if len(masked) <= _LONGEST_NAME:
        return masked
    return f"{masked[:_LONGEST_NAME]}... ({len(name):,} characters)"
