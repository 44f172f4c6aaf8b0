"""An opened target: how it is spoken to, what is known of it, and the server that we started for it.

It knows no kind of target; each kind's file makes one of these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import msgspec
from msgspec import to_builtins

from observatory.connect.masking import Masker
from observatory.connect.proxies import proxy_shown
from observatory.core.connection import Connection, KeySource, Throttle
from observatory.core.errors import BadInput
from observatory.core.run import TargetFacts
from observatory.core.targets.addresses import is_loopback
from observatory.core.targets.catalogue import Target
from observatory.core.targets.identity import Transport, Wire
from observatory.core.targets.throttling import Throttling
from observatory.processes.server_child import ServerChild
from observatory.processes.supervised_child import SupervisedChild


@dataclass(frozen=True, slots=True)
class OpenContext:
    """Where a server's log goes, and the callback for progress messages."""

    log_folder: Path
    report: Callable[[str], None]


@dataclass(eq=False, slots=True)
class OpenTarget:
    """Closed by leaving its `with` block; close() twice is as good as once.

    To be opened in a thread that lives at least as long (see ServerChild). masker: masks the secrets of
    this connection in the server's texts; set by open_target.
    """

    connection: Connection
    facts: TargetFacts
    child: ServerChild | SupervisedChild | None = None
    masker: Masker = field(default_factory=Masker)

    @property
    def process_id(self) -> int | None:
        """Return the server's process id where we started it."""
        return self.child.process_id if self.child is not None else None

    @property
    def log_path(self) -> Path | None:
        """Return the server's log where we started it."""
        return self.child.log_path if self.child is not None else None

    def alive(self) -> str | None:
        """Return None while nothing is known to be wrong, else how our server ended."""
        return self.child.alive() if self.child is not None else None

    def close(self) -> None:
        """End what we started."""
        if self.child is not None:
            self.child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class Address(NamedTuple):
    """Where an API is; base_path is the path of its base URL."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    base_path: str = "/v1"


def connect(
    target: Target,
    address: Address,
    model: str,
    *,
    key: KeySource | None = None,
    stream_usage: bool = True,
    max_tokens_field: str = "max_tokens",
    models: Sequence[str] = (),
    wire: Wire = "openai",
    transport: Transport = "lean",
) -> Connection:
    """Return the connection to a target at this address, with the HTTP settings of its file.

    Raise BadInput where a file that it names is missing.
    """
    return Connection(
        **address._asdict(),
        model=model,
        headers=dict(target.headers),
        query=dict(target.query),
        key=key,
        ca_bundle=_file(target.name, "ca_bundle", target.ca_bundle),
        client_certificate=_file(target.name, "client_certificate", target.client_certificate),
        client_key=_file(target.name, "client_key", target.client_key),
        connect_timeout_s=target.timeouts.connect,
        first_byte_timeout_s=target.timeouts.first_byte,
        between_events_timeout_s=target.timeouts.between_events,
        total_timeout_s=target.timeouts.whole,
        max_rate_per_s=target.max_rate,
        max_concurrency=target.max_concurrency,
        extra_body=dict(target.extra_body),
        reasoning_effort=target.reasoning_effort,
        stream_usage=stream_usage,
        max_tokens_field=max_tokens_field,
        throttle=_throttle(target.throttling),
        models=list(models),
        wire=wire,
        transport=transport,
    )


def _throttle(throttling: Throttling | None) -> Throttle:
    """Return the target's own policy; the caller that opens it for a scenario sets the scenario's before."""
    if throttling is None:
        return Throttle()
    return Throttle(
        policy=throttling.policy,
        max_attempts=throttling.max_attempts,
        max_wait_s=throttling.max_wait,
        requests_per_minute=throttling.requests_per_minute,
        tokens_per_minute=throttling.tokens_per_minute,
    )


def facts_of(
    target: Target, connection: Connection, *, settings: dict[str, Any] | None = None, **known: Any
) -> TargetFacts:
    """Return a target's facts without applied prices; no key, credentials or query.

    known: fields of TargetFacts that this kind of target adds or knows better.
    """
    stated = {
        "extra_body": connection.extra_body,
        "reasoning_effort": connection.reasoning_effort,
        "max_rate_per_s": connection.max_rate_per_s,
        "max_concurrency": connection.max_concurrency,
        "headers": sorted(connection.headers),
        "query": sorted(connection.query),
        "asked_in_turn": connection.models,
        "proxy": proxy_shown(connection),
        "throttling": _stated_throttle(connection.throttle),
    }
    price, rate = target.stated_price, target.stated_rate
    fields: dict[str, Any] = {
        "name": target.name,
        "kind": target.kind,
        "hosting": target.hosting,
        "weights": target.weights,
        "billing": target.billing,
        "model": connection.model,
        "license": target.license,
        "tokenizer": target.tokenizer,
        "endpoint": connection.endpoint,
        "emulated": target.emulated,
        "settings": {name: value for name, value in stated.items() if value} | (settings or {}),
        "price": None if price is None or price == "unknown" else price.model_dump(mode="json"),
        "rate": None if rate is None else rate.model_dump(mode="json"),
        "wire": connection.wire,
        "transport": connection.transport,
        "service_tier": connection.service_tier,
        "throttling": connection.throttle.policy,
        "on_this_host": is_loopback(connection.host),
    }
    return TargetFacts(**(fields | known))


def masked_facts(facts: TargetFacts, masker: Masker) -> TargetFacts:
    """Return the facts with secrets masked in the fields that a server may fill; the others are from the target's file."""
    masked = {name: masker.values(getattr(facts, name)) for name in _SERVERS_WORDS}
    return msgspec.structs.replace(facts, **masked)


_SERVERS_WORDS = (
    "model",
    "model_reported",
    "engine",
    "engine_version",
    "engine_distribution",
    "model_revision",
    "weight_format",
    "dtype",
    "quantization",
    "tokenizer",
    "system_fingerprints",
    "settings",
)
"""Fields of TargetFacts that a server's own pages, lists, answers or log may have filled."""


def _stated_throttle(throttle: Throttle) -> dict[str, Any]:
    """Return the bounds of a policy that has any, without those that were left open."""
    if throttle.policy == "record":
        return {}
    return {name: value for name, value in to_builtins(throttle).items() if value is not None}


def _file(target: str, field: str, path: Path | None) -> str | None:
    if path is None:
        return None
    resolved = path.expanduser().resolve()
    if not resolved.is_file():
        raise BadInput(f"{field}: there is no such file: {path}", where=f"target {target}")
    return str(resolved)


def own_connection(target: Target, wire: Wire = "openai") -> Connection:
    """Return the HTTP settings of a target that is started here, before it has an address: port 0, no model."""
    return connect(target, Address("http", "127.0.0.1", 0), "", wire=wire)
