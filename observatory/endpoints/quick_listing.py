"""List an endpoint's models without the openai package's half second, where the response is a plain list.

For any other response listing.py repeats the request and reports the error.
"""

import http.client
import time
from typing import Any

import msgspec

from observatory.connect.bounds import LIST_S, LISTING
from observatory.connect.masking import Masker
from observatory.connect.plain_http import get
from observatory.core.connection import Connection

QUICK_WITHIN_S = 5.0
"""An endpoint that takes longer for its list gets the request again, with its whole time limit."""


_LONGEST_NAME = 120
"""Characters of a model's name that are shown."""


class _Listed(msgspec.Struct):
    id: str
    owned_by: Any = None


class _Listing(msgspec.Struct):
    data: list[_Listed]
    has_more: bool = False
    last_id: str | None = None


def models_in(text: bytes) -> dict[str, str | None]:
    """Whose each model is in the answer to GET /models; ValueError where it is no list of models."""
    return page_in(text)[0]


def page_in(text: bytes) -> tuple[dict[str, str | None], str | None]:
    """Return the models as models_in, and the cursor of the next page (Anthropic's after_id), None after the last.

    Together AI returns the bare list.
    """
    page = msgspec.json.decode(text, type=_Listing | list[_Listed])
    listed = page if isinstance(page, list) else page.data
    owned = {one.id: one.owned_by if isinstance(one.owned_by, str) else None for one in listed}
    return owned, page.last_id if isinstance(page, _Listing) and page.has_more else None


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
        return models_in(body) if status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def shown_name(name: str, masker: Masker) -> str:
    """Return a model's name as messages have it: its beginning where it is longer than any, without a secret in it."""
    masked = masker.exact(name)
    if len(masked) <= _LONGEST_NAME:
        return masked
    return f"{masked[:_LONGEST_NAME]}... ({len(name):,} characters)"
