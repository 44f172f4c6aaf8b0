"""Opening a target of any kind: its kind names the file that does it, imported when it is needed.

A new kind is a line of core.targets.catalogue, its model, and a file in this room with an OPENER.
"""

from importlib import import_module
from typing import Any

from observatory.connect.masking import Masker
from observatory.connect.proxies import proxy_shown
from observatory.connect.sent_secrets import hiding, secrets_in, secrets_of
from observatory.connect.tls import tls_context
from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.core.errors import BadInput, ObservatoryError
from observatory.core.targets.catalogue import TARGETS, Target
from observatory.core.targets.literal_secrets import names_a_secret
from observatory.endpoints.opened import OpenContext, OpenTarget, masked_facts
from observatory.endpoints.opener import Opener, Prerequisite


def open_target(target: Target, context: OpenContext) -> OpenTarget:
    """Bring a target up, or find it; the caller closes it.

    Raise BadInput for an invalid file (also for a key variable that is not set); TargetFailed or
    EnvironmentFailed where it does not come up, or does not respond to a required request.
    """
    masker = masker_for(target, check_inputs(target))
    with hiding(masker):
        opened = _opener(target).open(target, context)
    opened.masker = masker
    opened.facts = masked_facts(opened.facts, masker)
    return opened


def masker_for(target: Target, connection: Connection) -> Masker:
    """Return a masker that hides what a target is sent, and what the process of one that we start gets in
    its environment."""
    own = [
        secret
        for name, value in target.child_environment.items()
        if names_a_secret(name)
        for secret in secrets_in(name, value)
    ]
    return Masker([*secrets_of(connection), *own])


def _opener(target: Target) -> Opener[Any]:
    opener: Opener[Any] = import_module(target.opened_by).OPENER
    return opener


def check_inputs(target: Target) -> Connection:
    """Return a target's connection as far as its file defines it; raise BadInput for every fault in it that
    can be detected before a start.

    Faults: variables and key files that are missing, an unknown provider or model, files that are
    missing or unusable. Nothing is sent, started or fetched. open_target does this first; where
    several targets are opened, do it for all of them before the first is.
    """
    opener = _opener(target)
    opener.check(target)
    connection: Connection = opener.connection(target)
    resolved_headers(connection)
    resolved_query(connection)
    if connection.scheme == "https":
        tls_context(connection)
    return connection


def unopened_connection(target: Target) -> Connection:
    """Return how a target is spoken to that is not started here; raise BadInput for one that is."""
    if target.runs_here:
        raise BadInput(
            "its address is only known once it is started",
            where=f"target {target.name}",
            fix="leave --show out: it is started for the check and ended",
        )
    return planned_connection(target)


def requested_facts(target: Target) -> dict[str, Any]:
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
    return _opener(target).connection(target)


def installed_distribution(target: Target) -> str | None:
    """Return the package that would serve a target that is started here, where it is known."""
    return _opener(target).distribution(target)


def computes_on_gpus(target: Target) -> bool:
    """Return whether a target that is started here will compute on GPUs of this host."""
    return _opener(target).claims_gpus(target)


def unbounded_output(target: Target) -> str | None:
    """Return why a target's output limit may not bound what it bills; None where it does."""
    return _opener(target).unbounded_output(target)


def on_this_machine() -> list[Prerequisite]:
    """Return what the kinds of target need on this machine, and whether it is there."""
    return [one for kind in TARGETS for one in import_module(kind.opened_by).OPENER.prerequisites()]
