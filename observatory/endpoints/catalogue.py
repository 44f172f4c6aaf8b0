"""The kinds of target, and the file that opens each: one line a kind, imported when it is needed.

A new kind is a model in core.targets, a file in this folder, and a line here.
"""

from typing import Any

from observatory.connect.masking import Masker
from observatory.connect.proxies import proxy_shown
from observatory.connect.sent_secrets import hiding, secrets_in, secrets_of
from observatory.connect.tls import tls_context
from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.core.errors import BadInput, ObservatoryError
from observatory.core.literal_secrets import names_a_secret
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.endpoints.opened import OpenContext, OpenTarget, connect, masked_facts
from observatory.processes.free_port import check_port

__all__ = ["OpenContext", "OpenTarget", "check_inputs", "open_target", "unopened_connection"]


def open_target(target: Target, context: OpenContext) -> OpenTarget:
    """Bring a target up, or find it; the caller closes it.

    Raise BadInput for an invalid file (also for a key variable that is not set); TargetFailed or
    EnvironmentFailed where it does not come up, or does not respond to a required request.
    """
    masker = masker_for(target, check_inputs(target))
    with hiding(masker):
        opened = _open(target, context)
    opened.masker = masker
    opened.facts = masked_facts(opened.facts, masker)
    return opened


def masker_for(target: Target, connection: Connection) -> Masker:
    """Hides what a target is sent, and what the process of one that we start gets in its environment."""
    given = target.environment if isinstance(target, VllmTarget) else {}
    own = [
        secret
        for name, value in given.items()
        if names_a_secret(name)
        for secret in secrets_in(name, value)
    ]
    return Masker([*secrets_of(connection), *own])


def _open(target: Target, context: OpenContext) -> OpenTarget:
    match target:
        case LlamaCppTarget():
            from observatory.endpoints.llamacpp import open_llamacpp

            return open_llamacpp(target, context)
        case VllmTarget():
            from observatory.endpoints.vllm import open_vllm

            return open_vllm(target, context)
        case UrlTarget():
            from observatory.endpoints.url import open_url

            return open_url(target)
        case ApiTarget():
            from observatory.endpoints.api import open_api

            return open_api(target)
        case EmulatedTarget():
            from observatory.endpoints.emulated import open_emulated

            return open_emulated(target, context)


def check_inputs(target: Target) -> Connection:
    """Return a target's connection as far as its file defines it; raise BadInput for every fault in it that
    can be detected before a start.

    Faults: variables and key files that are missing, an unknown provider or model, files that are
    missing or unusable. Nothing is sent, started or fetched. open_target does this first; where
    several targets are opened, do it for all of them before the first is.
    """
    match target:
        case LlamaCppTarget():
            from observatory.endpoints.llamacpp import check_model

            check_model(target)
            if target.port:
                check_port(target.port, f"target {target.name}")
            connection = _own_connection(target)
        case VllmTarget():
            from observatory.endpoints.url import url_connection
            from observatory.endpoints.vllm import check_vllm

            check_vllm(target)
            connection = _own_connection(target) if target.url is None else url_connection(target)
        case UrlTarget():
            from observatory.endpoints.url import url_connection

            connection = url_connection(target)
        case ApiTarget():
            from observatory.endpoints.api import api_connection

            connection = api_connection(target)
        case EmulatedTarget():
            connection = _own_connection(target)
    resolved_headers(connection)
    resolved_query(connection)
    if connection.scheme == "https":
        tls_context(connection)
    return connection


def unopened_connection(target: Target) -> Connection:
    """How a target is spoken to that is not started here; BadInput for one that is."""
    match target:
        case ApiTarget():
            from observatory.endpoints.api import api_connection

            return api_connection(target)
        case UrlTarget():
            from observatory.endpoints.url import url_connection

            return url_connection(target)
        case _:
            raise BadInput(
                "its address is only known once it is started",
                where=f"target {target.name}",
                fix="leave --show out: it is started for the check and ended",
            )


def asked_facts(target: Target) -> dict[str, Any]:
    """Return the fields of TargetFacts that the target's file alone gives: the address and the proxy. They
    are for a run whose target may never open. Empty for a target that is started here."""
    try:
        connection = check_inputs(target)
    except ObservatoryError:
        return {}
    if connection.port == 0:
        return {}
    proxy = proxy_shown(connection)
    return {"endpoint": connection.endpoint, "settings": {"proxy": proxy} if proxy else {}}


def planned_connection(target: Target) -> Connection:
    """Return a target's connection as far as its file defines it; no key is read and nothing is opened."""
    if isinstance(target, ApiTarget | UrlTarget):
        return unopened_connection(target)
    return _own_connection(target)


def _own_connection(target: LlamaCppTarget | VllmTarget | EmulatedTarget) -> Connection:
    """Return the HTTP settings of a target that is started here, before it has an address."""
    wire = target.wire if isinstance(target, EmulatedTarget) else "openai"
    return connect(
        target, scheme="http", host="127.0.0.1", port=0, base_path="/v1", model="", wire=wire
    )
