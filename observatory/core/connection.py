"""The connection settings of an opened target: what a worker needs and nothing secret.

Values from the environment are kept as ${NAME} references; `resolve` reads them in
the process that sends, so that no key reaches a hand-off file, a manifest or a command line.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from observatory.core.errors import BadInput

ENVIRONMENT_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_NOT_IN_A_HEADER = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")
"""RFC 9110, 5.5: no control characters; of the others those of one byte."""


class KeySource(msgspec.Struct, frozen=True):
    """Where the key is read from when a connection is used, and the header that carries it."""

    env: str | None = None
    file: str | None = None
    header: str = "Authorization"
    prefix: str = "Bearer "


class Throttle(msgspec.Struct, frozen=True):
    """The retry policy for 429 and similar refusals (core.targets.throttling.Throttling, in the form workers read)."""

    policy: Literal["record", "obey", "pace"] = "record"
    max_attempts: int = 8
    max_wait_s: float = 60.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Connection(msgspec.Struct, frozen=True):
    """One endpoint: address, TLS, references to secrets, limits, and its dialect."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    base_path: str
    model: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    key: KeySource | None = None
    ca_bundle: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 120.0
    between_events_timeout_s: float = 60.0
    total_timeout_s: float = 600.0
    max_rate_per_s: float | None = None
    max_concurrency: int | None = None
    extra_body: dict[str, Any] = {}
    reasoning_effort: str | None = None
    stream_usage: bool = True
    max_tokens_field: str = "max_tokens"
    wire: Literal["openai", "responses", "messages"] = "openai"
    """openai: Chat Completions or Completions, by the workload's request type; else OpenAI's Responses API
    or Anthropic's Messages API, which take chat workloads only."""
    transport: Literal["lean", "sdk"] = "lean"
    omitted: list[str] = []
    """Names of body fields that this endpoint refuses, e.g. seed: they are left out of every request."""
    service_tier: str | None = None
    throttle: Throttle = Throttle()
    models: list[str] = []
    """Model names used in turn, by the request's place in the plan; empty: always `model`."""

    @property
    def endpoint(self) -> str:
        """Return the URL without credentials and query, for records."""
        default = 443 if self.scheme == "https" else 80
        port = "" if self.port == default else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}{self.base_path}"


def resolve(text: str, where: str, environment: Mapping[str, str] | None = None) -> str:
    """Return `text` with every ${NAME} replaced from the environment; raise BadInput where one is missing."""
    values = os.environ if environment is None else environment

    def replace(match: Any) -> str:
        name = match[1]
        if not values.get(name):
            raise BadInput(
                f"the environment variable {name} is not set",
                where=where,
                fix=f"export {name}=... before the run",
            )
        return str(values[name])

    return ENVIRONMENT_REFERENCE.sub(replace, text)


def resolved_headers(connection: Connection) -> dict[str, str]:
    """Return all headers with their secrets in place; only for the process that sends, never stored."""
    headers = {name: resolve(value, f"header {name}") for name, value in connection.headers.items()}
    key = connection.key
    if key is not None:
        if key.env is not None:
            secret = resolve(f"${{{key.env}}}", "api_key_env")
        else:
            try:
                secret = Path(key.file or "").read_text(encoding="utf-8").strip()
            except OSError as error:
                raise BadInput(
                    f"the key file cannot be read: {error.strerror}", where=key.file
                ) from error
            if not secret:
                raise BadInput("the key file is empty", where=key.file)
        headers[key.header] = key.prefix + secret
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise BadInput("a header's value has a line break", where=f"header {name}")
        if _NOT_IN_A_HEADER.search(value):  # and no message repeats it: it may be a key
            raise BadInput(
                "a header's value has a character that cannot be sent in one",
                where=f"header {name}",
                fix="was more copied than the key? it has letters, digits and signs of ASCII",
            )
    return headers


def resolved_query(connection: Connection) -> str:
    """Return the query string with its secrets in place, with its question mark; "" where there is none."""
    if not connection.query:
        return ""
    pairs = {name: resolve(value, f"query {name}") for name, value in connection.query.items()}
    return "?" + urlencode(pairs)
