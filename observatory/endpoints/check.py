"""Check whether a target is reachable, accepts the key and has the model, and show what would be sent to it.

A check sends no request that could be billed.
"""

import difflib
import re
import time

import msgspec

from observatory.connect.masking import Masker
from observatory.connect.proxies import proxy_of
from observatory.connect.sent_secrets import hiding
from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput, TargetFailed
from observatory.core.plan import PlanItem
from observatory.emulator.requests import EMULATOR, TOKENIZER
from observatory.endpoints.api import listing_connection
from observatory.endpoints.opened import OpenTarget
from observatory.endpoints.quick_listing import owned_models, shown_name
from observatory.providers.catalogue import PROVIDERS
from observatory.wires.request_head import named_headers, request_headers
from observatory.wires.requests_body import render
from observatory.wires.wires import RequestKind, fixed_headers, path_of, wire_of

_NAMED = 12
_NO_ROUTE = (404, 405)
_NAMES_A_MODEL = re.compile(r"model|deployment", re.IGNORECASE)
_READ = 4096


class TargetCheck(msgspec.Struct, frozen=True):
    """A check's result. models is None where the endpoint offers no list; note then has the consequence.

    proxy: host and port of the proxy that it is reached through, None without one.
    """

    endpoint: str
    model: str
    models: list[str] | None
    answered_s: float
    note: str | None = None
    proxy: str | None = None


def check_target(opened: OpenTarget, request: RequestKind | None = None) -> TargetCheck:
    """Run _check with the target's secrets masked in the result and in errors, also where its server repeats them."""
    masker = opened.masker
    with hiding(masker):
        found = _check(opened, request)
    masked = [masker.exact(name) for name in found.models] if found.models is not None else None
    note = masker.exact(found.note) if found.note is not None else None
    return msgspec.structs.replace(found, model=masker.exact(found.model), models=masked, note=note)


def _check(opened: OpenTarget, request: RequestKind | None) -> TargetCheck:
    """Return whether the target answers and has its model; errors as owned_models, BadInput for others.

    A target that turns out to be our emulator is marked so in opened.facts.

    An endpoint without a list of models (404) passes with a note, because only a real request would
    show whether it works. It is sent an empty JSON object, which no API bills, to check that it has the
    route of `request` (None: any route of its wire).
    """
    started = time.monotonic()
    connection = opened.connection
    provider = PROVIDERS.get(opened.facts.provider or "")
    listing = connection if provider is None else listing_connection(connection, provider)
    owned = owned_models(listing)
    answered_s = time.monotonic() - started
    prefix = provider.listed_prefix if provider is not None else ""
    listed = None if owned is None else sorted(name.removeprefix(prefix) for name in owned)
    if owned is not None and owned.get(connection.model) == EMULATOR:
        opened.facts = msgspec.structs.replace(
            opened.facts, emulated=True, engine=EMULATOR, tokenizer=TOKENIZER
        )
    requested = (connection.model, *connection.models)
    unknown = [name for name in requested if listed is not None and name not in listed]
    if unknown and provider is not None and not provider.lists_what_it_serves:
        return TargetCheck(
            connection.endpoint,
            connection.model,
            listed,
            answered_s,
            f"{connection.model!r} is not in its list of models, which does not have the names in requests"
            "; only a request would show whether it serves it",
        )
    if listed is not None and unknown:
        near = difflib.get_close_matches(unknown[0], listed, n=1, cutoff=0.4)
        raise BadInput(
            f"the model {shown_name(unknown[0], opened.masker)!r} is not among the {count_of(len(listed), 'model')} that it lists: "
            + _some(listed, near, opened.masker),
            where=connection.endpoint,
            fix=f"did you mean {shown_name(near[0], opened.masker)!r}?"
            if near
            else "name one of them",
        )
    note = None
    if listed is None:
        _check_route(connection, request)
        note = (
            f"it offers no list of models (404), so whether it serves {connection.model!r} is not "
            "known; nothing that could be billed was tried"
        )
    proxy = proxy_of(connection)
    return TargetCheck(
        endpoint=connection.endpoint,
        model=connection.model,
        models=listed,
        answered_s=answered_s,
        note=note,
        proxy=proxy.address if proxy is not None else None,
    )


def _check_route(connection: Connection, request: RequestKind | None) -> None:
    """TargetFailed where the endpoint has none of the routes that requests go to."""
    from observatory.endpoints.listing import PATH_FIX, without_route

    paths = wire_of(connection).paths
    tried = list(paths.values()) if request is None else [path_of(connection, request)]
    for path in tried:
        status, text = _post_nothing(connection, path)
        # A router may look for the model before anything else, and find none in an empty request.
        if status not in _NO_ROUTE or _NAMES_A_MODEL.search(text):
            return
    bare = without_route(connection)
    raise TargetFailed(
        f"it answers {status} to /models and to {tried[0]}",
        where=connection.endpoint,
        fix=PATH_FIX if bare is None else f"the base URL ends in a route: use {bare.endpoint}",
    )


def _post_nothing(connection: Connection, path: str) -> tuple[int | None, str]:
    """Return the status of a POST of {} to that path and the beginning of what came; (None, "") without one."""
    import httpx2

    from observatory.endpoints.listing import own_transport

    url = f"{connection.endpoint}{path}{resolved_query(connection)}"
    headers = resolved_headers(connection)
    headers |= fixed_headers(connection, headers)
    try:
        with (
            own_transport(connection, headers) as transport,
            transport.stream("POST", url, json={}) as response,
        ):
            if response.status_code not in _NO_ROUTE:
                return response.status_code, ""  # what comes may have no end
            return response.status_code, next(response.iter_text(_READ), "")
    except httpx2.HTTPError:
        return None, ""


def _some(names: list[str], near: list[str], masker: Masker) -> str:
    shown = [*near, *(name for name in names if name not in near)][:_NAMED]
    more = len(names) - len(shown)
    shown = [shown_name(name, masker) for name in shown]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else "none"


def would_send(connection: Connection) -> str:
    """Return a small request as it would leave, as text: values from the environment by name only.

    The body is indented to be read; Content-Length is of the bytes that would be sent.
    """
    item = PlanItem(
        prompt_id="example",
        sha256="",
        body={"messages": [{"role": "user", "content": "Say hello."}]},
        max_tokens=16,
        prompt_tokens_estimate=4,
    )
    body, _ = render(item, connection, request="chat", stream=True, cache="natural")
    query = "&".join(f"{name}={value}" for name, value in connection.query.items())
    path = path_of(connection, "chat")
    headers = request_headers(connection, named_headers(connection), stream=True)
    lines = [f"POST {connection.endpoint}{path}" + (f"?{query}" if query else "")]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\n".join([*lines, "", msgspec.json.format(body).decode()])
