"""One page of an endpoint's list of models, read from JSON. Pure."""

from typing import Any

import msgspec

from observatory.wires.streams.sse import BOM


class _Listed(msgspec.Struct):
    id: str
    owned_by: Any = None


class _Listing(msgspec.Struct):
    data: list[_Listed]
    has_more: bool = False
    last_id: str | None = None


def page_in(text: bytes) -> tuple[dict[str, str | None], str | None]:
    """Return whose each model is in the answer to GET /models, and the cursor of the next page (Anthropic's
    after_id), None after the last; ValueError where it is no list of models.

    Together AI returns the bare list.
    """
    page = msgspec.json.decode(text.removeprefix(BOM), type=_Listing | list[_Listed])
    listed = page if isinstance(page, list) else page.data
    owned = {one.id: one.owned_by if isinstance(one.owned_by, str) else None for one in listed}
    return owned, page.last_id if isinstance(page, _Listing) and page.has_more else None
