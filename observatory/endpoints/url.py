"""Open a URL target: any OpenAI-compatible endpoint that runs already.

Nothing is started; where no model is named, the endpoint's list must have exactly one.
"""

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import ValidationError

from observatory.connect.masking import Masker
from observatory.connect.sent_secrets import masker_of
from observatory.core.connection import Connection, KeySource
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.url import UrlTarget
from observatory.emulator.requests import EMULATOR
from observatory.endpoints.opened import Address, OpenTarget, connect, facts_of
from observatory.endpoints.opener import Opener
from observatory.endpoints.quick_listing import owned_models, quick_models, shown_name
from observatory.endpoints.self_description import SelfDescription, describe


def open_url(target: UrlTarget) -> OpenTarget:
    """Open the target as open_found does."""
    return open_found(target, target.model, url_connection(target))


def open_found(target: Target, model: str | None, connection: Connection) -> OpenTarget:
    """Return the target that runs at `connection`. Raise BadInput where it names no model and lists none or several."""
    if model is None:
        owned = owned_models(connection)
        only = _only_model(target, owned, masker_of(connection))
        connection = msgspec.structs.replace(connection, model=only)
    else:
        owned = quick_models(connection)  # check_target reports faults in the list
    own = [connection.model if name == "base" else name for name in connection.models]
    connection = msgspec.structs.replace(connection, models=own)
    # A provider's gateway is no engine, and has none of the engines' pages.
    ours = target.hosting == "self" and owned and EMULATOR not in owned.values()
    described = describe(connection, list(owned.values())) if owned and ours else SelfDescription()
    facts = facts_of(
        target,
        connection,
        engine=described.engine,
        engine_version=described.version,
        dtype=_name(described.details.get("dtype") or described.details.get("model_dtype")),
        quantization=_name(described.details.get("quantization")),
        model_revision=_name(described.details.get("model_sha")),
        settings={"said": described.details} if described.details else {},
    )
    return OpenTarget(connection, facts)


def url_connection(target: UrlTarget) -> Connection:
    """Return its connection; the model is "" where the target names none."""
    return connect(
        target,
        address_of(target.url, f"target {target.name}"),
        target.model or "",
        key=key_source(target, None),
        stream_usage=target.stream_usage,
        max_tokens_field=target.max_tokens_field,
        wire=target.wire,
        transport=target.transport,
    )


UNNAMED = "endpoint"
"""A target of which no model is known; never the host's name, which pages do not show."""


def name_of_model(model: str) -> str:
    """Return a model's name as a target's: its last part, in lower case."""
    name = re.sub(r"[^a-z0-9._-]+", "-", model.split("/")[-1].lower()).strip("-._")
    return name[:55].strip("-._") or UNNAMED


def ad_hoc_target(url: str, model: str | None, name: str | None = None) -> UrlTarget:
    """Return the target of `--url URL --model NAME`, called `name`, else after its model. Raise BadInput for a bad URL."""
    address_of(url, "--url")
    name = name or (name_of_model(model) if model else UNNAMED)
    try:
        return UrlTarget(kind="url", name=name, url=url, model=model)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(reason, where="--url") from error


def address_of(url: str, where: str) -> Address:
    """Return the address of a base URL; BadInput where it is none."""
    fix = "write it like http://host:8000/v1"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"this is not a URL: {error}", where=where, fix=fix) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("this is not a URL of http or https", where=where, fix=fix)
    if not url.isascii() or any(letter.isspace() for letter in url):
        raise BadInput("the URL has characters that must be escaped", where=where, fix=fix)
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    port = port or (443 if scheme == "https" else 80)
    return Address(scheme, parts.hostname, port, parts.path.rstrip("/"))


def key_source(target: UrlTarget | ApiTarget, usual_variable: str | None) -> KeySource | None:
    """Return where the target's key comes from; None where it has none."""
    if target.api_key_file is not None:
        return KeySource(file=str(target.api_key_file.expanduser().resolve()))
    variable = target.api_key_env or usual_variable
    return KeySource(env=variable) if variable is not None else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _only_model(target: Target, owned: dict[str, str | None] | None, masker: Masker) -> str:
    listed = None if owned is None else sorted(owned)
    if listed is not None and len(listed) == 1:
        return listed[0]
    found = (
        "no list of models is offered"
        if listed is None
        else f"it lists {count_of(len(listed), 'model')}"
    )
    shown = ", ".join(shown_name(name, masker) for name in listed[:20]) if listed else ""
    raise BadInput(
        f"which model is meant? {found}" + (f": {shown}" if shown else ""),
        where=f"target {target.name}",
        fix="name one with model: (or --model)",
    )


OPENER = Opener(lambda target, context: open_url(target), url_connection)
