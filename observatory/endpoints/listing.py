"""List an endpoint's models with the openai package; errors name the cause.

Listing is free at every provider; no request here generates text.
"""

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import httpx2
import msgspec
import openai

from observatory.connect.bounded_httpx import BoundedTransport, TooLarge
from observatory.connect.bounds import LIST_S, LISTING
from observatory.connect.masking import Masker
from observatory.connect.proxies import proxy_of
from observatory.connect.sent_secrets import masker_of
from observatory.connect.tls import tls_context
from observatory.core.connection import (
    Connection,
    KeySource,
    resolved_headers,
    resolved_query,
)
from observatory.core.errors import BadInput, TargetFailed
from observatory.endpoints.listing_pages import page_in
from observatory.wires.failures.error_words import error_in, words_of
from observatory.wires.failures.failures import failure_in
from observatory.wires.wires import fixed_headers

_PAGE = 1000
"""Models requested at once where a list comes in pages: the most that Anthropic allows ("List Models")."""
_LONGEST_MESSAGE = 200
_GZIP = b"\x1f\x8b"
_MOST_PAGES = 20
_ROUTES = ("/chat/completions", "/completions", "/responses", "/messages", "/models")
"""What people leave at the end of a base URL; the longest first."""
PATH_FIX = "is this the base URL of an OpenAI-compatible API? it usually ends in /v1"
TRANSPORT_HEADERS = frozenset(
    [
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "content-type",
        "content-length",
    ]
)


def owned_models(connection: Connection, within_s: float = LIST_S) -> dict[str, str | None] | None:
    """Return whose each model is that an endpoint lists; None where it offers no list (404).

    The whole list must arrive within that time; the target's own limits do not apply.

    BadInput: a key that is missing or refused (401, 403). TargetFailed: it refuses, is not found,
    fails TLS, times out, redirects, answers something else than a list of models, or fails itself.
    """
    headers = resolved_headers(connection)
    masker = masker_of(connection)
    headers |= fixed_headers(connection, headers)
    ends = time.monotonic() + within_s
    owned: dict[str, str | None] = {}
    after: str | None = None
    for _ in range(_MOST_PAGES):
        page = _page(connection, headers, after, masker, ends)
        if page is None:
            return None
        more, after = page
        owned |= more
        if after is None:
            break
    return owned


def _page(
    connection: Connection,
    headers: Mapping[str, str],
    after: str | None,
    masker: Masker,
    ends: float,
) -> tuple[dict[str, str | None], str | None] | None:
    """Return a page of the list and the cursor of the next one; None where there is no list."""
    try:
        text, media = _get_models(connection, headers, after, ends)
    except openai.APIStatusError as error:
        if error.status_code == 404:
            _refuse_wrong_path(connection, error)
            return None
        _refused(connection, error, masker)
    except openai.APITimeoutError as error:
        raise TargetFailed(_late(connection, ends), where=connection.endpoint) from error
    except openai.APIConnectionError as error:
        raise _unreachable(connection, error, masker) from error
    try:
        return page_in(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        failure = failure_in(text)
        if failure is not None:
            words = masker.error(words_of(failure))[:_LONGEST_MESSAGE]
            raise TargetFailed(
                f"it answered an error instead of a list of models: {words}",
                where=f"{connection.endpoint}/models",
            ) from None
        raise TargetFailed(
            f"it answered {masker.error(_what(text, media))} instead of a list of models",
            where=f"{connection.endpoint}/models",
            fix=PATH_FIX,
        ) from error


def _get_models(
    connection: Connection, headers: Mapping[str, str], after: str | None, ends: float
) -> tuple[bytes, str]:
    """Return the body and media type of GET /models, sent with our headers and with no others.

    The package reads OPENAI_* variables (key, organisation, project, headers) on its own; the
    transport drops what it adds, so that an ambient key never reaches somebody else's endpoint.
    """
    query = dict(httpx2.QueryParams(resolved_query(connection).removeprefix("?")))
    if connection.wire == "messages":
        query |= {"limit": str(_PAGE)} | ({"after_id": after} if after is not None else {})
    with (
        own_transport(connection, headers, ends - time.monotonic()) as transport,
        openai.OpenAI(
            api_key="replaced by the transport",
            base_url=connection.endpoint,
            default_query=query,
            max_retries=0,
            http_client=transport,
        ) as client,
    ):
        response = client.get("/models", cast_to=httpx2.Response)
        return response.content, response.headers.get("content-type", "")


def own_transport(
    connection: Connection, headers: Mapping[str, str], within_s: float = LIST_S
) -> httpx2.Client:
    """Return a client that sends these headers and, but for what HTTP needs, no others.

    All that it does together takes within_s at most, and no answer of more than LISTING bytes is taken.
    """

    def only_ours(request: httpx2.Request) -> None:
        for name in list(request.headers):
            if name.lower() not in TRANSPORT_HEADERS:
                del request.headers[name]
        request.headers.update(httpx2.Headers(headers, encoding="latin-1"))
        # What a few compressed bytes become has no bound.
        request.headers["Accept-Encoding"] = "identity"

    def as_it_came(response: httpx2.Response) -> None:
        response.headers.pop("content-encoding", None)

    # It would write URLs, whose query can hold a key, to wherever logging is pointed.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return httpx2.Client(
        transport=BoundedTransport(
            within_s=within_s,
            most=LISTING,
            verify=tls_context(connection) if connection.scheme == "https" else False,
            proxy=client_proxy(connection),
            trust_env=False,
        ),
        trust_env=False,  # its own reading of the environment is not the load's
        timeout=httpx2.Timeout(_timeout_s(connection), connect=connection.connect_timeout_s),
        event_hooks={"request": [only_ours], "response": [as_it_came]},
    )


def client_proxy(connection: Connection) -> httpx2.Proxy | None:
    """Return the connection's proxy, as httpx takes it."""
    proxy = proxy_of(connection)
    if proxy is None:
        return None
    auth = None if proxy.username is None else (proxy.username, proxy.password)
    return httpx2.Proxy(f"http://{proxy.address}", auth=auth)


def _timeout_s(connection: Connection) -> float:
    return min(connection.first_byte_timeout_s, LIST_S)


def _late(connection: Connection, ends: float) -> str:
    if time.monotonic() >= ends:
        return f"it did not send its whole list within {LIST_S:g} s"
    return f"it did not answer within {_timeout_s(connection):g} s"


def _refuse_wrong_path(connection: Connection, error: openai.APIStatusError) -> None:
    """TargetFailed where a 404 means more than that no list of models is offered."""
    text, base = error.response.content, connection.base_path
    bare, below = without_route(connection), connection
    if not base.endswith("/v1"):
        below = msgspec.structs.replace(connection, base_path=base + "/v1")
    if bare is not None and _lists(bare):
        problem, fix = "it answered 404, and the base URL ends in a route", f"use {bare.endpoint}"
    elif "html" in error.response.headers.get("content-type", "") or text.lstrip()[:1] == b"<":
        problem, fix = "it answered 404 with an HTML page", PATH_FIX
    elif below is not connection and _lists(below):
        problem = "it answered 404, but there is a list of models under /v1"
        fix = f"use {below.endpoint}"
    else:
        return
    raise TargetFailed(problem, where=f"{connection.endpoint}/models", fix=fix) from error


def without_route(connection: Connection) -> Connection | None:
    """Return the connection with a base URL that stops before the route that it ends in; None without one."""
    path = connection.base_path.rstrip("/")
    for route in _ROUTES:
        if path.endswith(route):
            return msgspec.structs.replace(connection, base_path=path.removesuffix(route))
    return None


def _lists(connection: Connection) -> bool:
    try:
        return owned_models(connection) is not None
    except (TargetFailed, BadInput):
        return False


def _refused(connection: Connection, error: openai.APIStatusError, masker: Masker) -> NoReturn:
    # From None: the package's error holds the service's text, which may repeat the key.
    where = f"{connection.endpoint}/models"
    status = error.status_code
    message = masker.error(_message(error))[:_LONGEST_MESSAGE]
    if status in (401, 403):
        key = connection.key
        source = "no key was sent" if key is None else f"the key of {key.env or key.file} was sent"
        raise BadInput(
            f"access was refused with HTTP {status}, {source}{message}",
            where=where,
            fix="name its key with api_key_env" if key is None else _key_fix(key),
        ) from None
    if 300 <= status < 400:
        to = masker.error(_location(error.response.headers.get("location", "")))
        raise TargetFailed(
            f"it redirects (HTTP {status}) to {to}", where=where, fix="use the final URL"
        ) from None
    if status == 429:
        raise TargetFailed(
            f"it is throttling already (HTTP 429){message}",
            where=where,
            fix="wait, or request a higher limit",
        ) from None
    kind = "it failed itself" if status >= 500 else "it refused"
    raise TargetFailed(f"{kind} with HTTP {status}{message}", where=where) from None


def _location(text: str) -> str:
    """Return where a redirect leads, without credentials and query."""
    try:
        return str(httpx2.URL(text).copy_with(userinfo=b"", query=None))
    except httpx2.InvalidURL:
        return "something that is no URL"


def _key_fix(key: KeySource) -> str:
    what = "is it this provider's key, whole, not expired, and may it use the API?"
    return f"look at the key in {key.file}: {what}" if key.file else f"look at {key.env}: {what}"


def _message(error: openai.APIStatusError) -> str:
    """Return the error's text in one line after ": "; "" where it is empty or an HTML page."""
    found = error_in(error.response.content)
    if found:
        return f": {words_of(found)}"
    body: Any = error.body
    if not isinstance(body, str) or not body or body.startswith("<"):
        return ""
    return f": {' '.join(body.split())}"


def _unreachable(
    connection: Connection, error: openai.APIConnectionError, masker: Masker
) -> TargetFailed:
    where = connection.endpoint
    proxy = proxy_of(connection)
    if proxy is not None:
        where += f" through the proxy {proxy.address}"
    problem, fix = _why_unreachable(error, (proxy or connection).host, masker)
    return TargetFailed(problem, where=where, fix=fix)


def _why_unreachable(
    error: openai.APIConnectionError, host: str, masker: Masker
) -> tuple[str, str | None]:
    """Return what was wrong, by the first cause that is known, and what to do."""
    causes = list(causes_of(error))
    for cause in causes:
        match cause:
            case TooLarge():
                return f"{cause} for its list of models", PATH_FIX
            case ssl.SSLCertVerificationError():
                problem = (
                    f"its TLS certificate cannot be verified: {masker.error(cause.verify_message)}"
                )
                return problem, "give ca_bundle where its authority is your own"
            case ssl.SSLError():
                problem = f"TLS failed: {masker.error(str(cause.reason or cause))}"
                return problem, "is it https at all? does it require a client_certificate?"
            case socket.gaierror():
                problem = f"the name {host!r} cannot be resolved: {cause.strerror}"
                return problem, "check the spelling and this machine's DNS"
            case ConnectionRefusedError():
                return "the connection was refused", "is it running, on this port?"
    nearest, last = error.__cause__, masker.error(str(causes[-1]))
    if isinstance(nearest, httpx2.ProxyError):
        fix = "put the proxy's credentials into its URL, or name the target's host in NO_PROXY"
        return f"the proxy refused the tunnel: {masker.error(str(nearest))}", fix
    if isinstance(nearest, httpx2.ConnectError):
        return f"it cannot be reached: {last}", None
    fix = "is it http or https? is there another service on this port?"
    return f"it broke the exchange off: {last}", fix


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error's causes, the nearest first."""
    seen: BaseException | None = error.__cause__ or error.__context__
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _what(text: bytes, media: str) -> str:
    if "html" in media or text.lstrip()[:1] == b"<":
        return "an HTML page"
    if not text.strip():
        return "nothing"
    if text.startswith(_GZIP):
        return "a compressed body, although none was requested,"
    return "other JSON" if text.lstrip()[:1] in b"{[" else f"{media or 'something'}"
