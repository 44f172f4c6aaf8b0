"""Masks host names where rows enter the site, so that no page names a host unless it was allowed.

Names are those of the environment, of the addresses that were used (endpoints, proxies, pages of metrics) and
of telemetry's addresses. Masked too are all addresses, sockets, home folders and the workspace's own path in
texts that a server, a library or an error wrote. Loopback and the addresses of the provider catalogue
are no secret.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from observatory.core.run import TargetFacts
from observatory.core.stored_scenario import StoredTelemetry
from observatory.core.targets.catalogue import kind_traits
from observatory.providers.catalogue import PROVIDERS
from observatory.site.queries.run_row import RunRow

MASK = "(host not shown)"
SOCKET_MASK = "(socket not shown)"
WORKSPACE_MASK = "(workspace)"
HOST_KEYS = frozenset({"host", "hostname", "host_name", "node", "nodename", "fqdn"})
"""Keys of the environment whose value is the machine's name."""
WRITTEN = ("details", "error_text", "message", "reason", "status_reason", "verdict_sentence")
"""Columns whose text comes from servers, libraries and errors: any address in it is hidden."""
FREE_TEXT = (
    *WRITTEN,
    "comparison_fields",
    "endpoint",
    "environment",
    "scenario_json",
    "source",
    "target_facts",
)
"""Columns in which a host's name may be; identifiers are left alone, links depend on them."""
DEVICE = "device"
"""Names a reading's host where a page of metrics does; two hosts must stay two."""
_PUBLIC = frozenset(
    host for one in PROVIDERS.values() if (host := urlsplit(one.base_url or "").hostname)
)
_URL = re.compile(r"(?i)\b(?:https?|wss?|grpcs?|tcp|udp|ssh|redis|nats)://[^\s'\"<>)\],]+")
_PORT = r"(?::\d{1,5})?\b"
_IPV6 = r"(?:[0-9a-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})(?:%\w+)?"
_ADDRESSES = re.compile(
    rf"\[{_IPV6}\](?::\d{{1,5}}\b)?|(?<![\w.:\[]){_IPV6}(?![\w:])"
    rf"|(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.]*\w\.){_PORT}",
    re.IGNORECASE,
)
_HOSTS = re.compile(
    r"\b(?=[\w.-]*[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)+:\d{2,5}\b"
    r"|\b(?=[a-z]*[-0-9])(?=[a-z0-9-]*[a-z])[a-z0-9][a-z0-9-]*:\d{3,5}\b"
    r"|\bip-\d+-\d+-\d+-\d+(?:\.[a-z0-9.-]+)?\b"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:internal|local|localdomain|lan|corp|intra|intranet|private|home"
    r"|svc|arpa|test|example|invalid|onion)(?::\d{1,5})?(?![\w-]|\.\w)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?P<before>\bproxy )(?P<name>[\w.-]+:\d{1,5})\b"
    r"|(?P<words>(?:\b(?:host|hostname|node|peer|upstream|name|valid for|either of|match)|,)\s+)"
    r"(?P<quote>['\"])(?P<quoted>[\w.*:-]+)(?P=quote)",
    re.IGNORECASE,
)
_OF_HOSTS = re.compile(r"certificate|hostname|resolve|proxy|\bhost\b|upstream|peer", re.IGNORECASE)
_QUOTED = re.compile(r"(?<=['\"])(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?=['\"])", re.IGNORECASE)
_SOCKET = re.compile(r"(?:unix:(?://)?)?/[\w./-]+\.sock(?:et)?\b|\bunix:(?://)?/[\w./-]+")
_HOME = re.compile(r"/(?:home|Users)/[^/\s'\":,]+|/root(?=/)")
_PERSON = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\b")
_LABELS = re.compile(
    r"(?i)(?P<before>\b(?:\w*host(?:name)?|node(?:name)?|\w*instance|pod|fqdn)=\")(?P<name>[^\"]+)"
)
_HOST_PORT = re.compile(r"^\[?(?P<host>.*?)\]?(?::\d{1,5})?$")


def host_names(runs: Iterable[RunRow]) -> frozenset[str]:
    """Return the names to hide; runs are rows of the table runs."""
    names: set[str] = set()
    for run in runs:
        names.update(_named_in(json.loads(run.environment or "{}")))
        names.update(_proxy_of(run.facts))
        names.update(_watched_by(run.stored.telemetry))
        if not kind_traits(run.target_kind).emulated:
            names.update(_host(run.endpoint or ""))
        for url in _URL.findall(run.status_reason or ""):
            names.update(_host(url))
    return frozenset(name for name in names if name and not _is_shown(name))


def host_named(runs: Iterable[RunRow]) -> dict[str, str]:
    """Return targets that were named after their host, by versions that did so, and what they are called here."""
    found = set()
    for run in runs:
        urls = [run.endpoint or "", *_URL.findall(run.status_reason or "")]
        for url in urls:
            parts = urlsplit(url)
            if not parts.hostname or _is_shown(parts.hostname):
                continue
            port = parts.port or (443 if parts.scheme == "https" else 80)
            slugs = {_slug(parts.netloc), _slug(f"{parts.hostname}-{port}"), _slug(parts.hostname)}
            found |= slugs & {run.target}
    return {name: f"host-not-shown-{place}" for place, name in enumerate(sorted(found), 1)}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60]


def _host(url: str) -> Iterator[str]:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return
    if host:
        yield host


def _named_in(value: Any) -> Iterable[str]:
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key.lower() in HOST_KEYS and isinstance(inner, str):
            yield inner
        yield from _named_in(inner)


def _proxy_of(facts: TargetFacts) -> Iterable[str]:
    """Return the host of the proxy that a target was reached through."""
    if facts.proxy:
        yield facts.proxy.rpartition(":")[0].strip("[]")


def _watched_by(telemetry: StoredTelemetry) -> Iterable[str]:
    """Return the hosts of telemetry's pages and probes, and of engines' pages of their own."""
    pages = (*telemetry.prometheus, *(telemetry.probes or ()))
    for url in (telemetry.dcgm, *(page.url for page in pages)):
        yield from _host(url or "")


def _is_shown(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost") or host in _PUBLIC:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


class HostMask:
    """Replaces names by MASK, as whole words in any case, and addresses in written texts.

    workspace: folders whose paths are hidden. aliases: identifiers that name a host -> their replacement
    everywhere, links included.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        workspace: Iterable[Path] = (),
        aliases: dict[str, str] | None = None,
        active: bool = True,
    ) -> None:
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        alternatives = "|".join(re.escape(name) for name in longest_first)
        self._names = re.compile(rf"(?i)\b(?:{alternatives})\b") if alternatives else None
        self._folders = sorted({str(path) for path in workspace if len(path.parts) > 2}, key=len)
        self._aliases = aliases or {}
        identifiers = "|".join(map(re.escape, sorted(self._aliases, key=len, reverse=True)))
        self._identifiers = (
            re.compile(rf"(?<![a-z0-9])(?:{identifiers})(?![a-z0-9])") if identifiers else None
        )
        self._numbers: dict[str, int] = {}
        self._active = active

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with every name in its free-text columns replaced."""
        if not self._active:
            return row
        return {
            name: self._shown(name, value) if isinstance(value, str) else value
            for name, value in row.items()
        }

    def frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the same for a frame."""
        if not self._active:
            return frame
        columns = [name for name, kind in frame.schema.items() if kind == pl.String]
        if self._identifiers is None:
            columns = [name for name in columns if name in FREE_TEXT or name == DEVICE]
        for column in columns:
            values = frame.get_column(column).drop_nulls().unique(maintain_order=True).to_list()
            changed = {v: shown for v in values if (shown := self._shown(column, v)) != v}
            if changed:
                frame = frame.with_columns(pl.col(column).replace(changed))
        return frame

    def unmasked(self, value: Any) -> Any:
        """Return an identifier as the warehouse has it, of one that was shown."""
        if isinstance(value, str):
            for name, shown in self._aliases.items():
                value = re.sub(rf"(?<![a-z0-9]){re.escape(shown)}(?![0-9])", name, value)
        return value

    def _shown(self, column: str, text: str) -> str:
        if column in WRITTEN:
            text = self._written(text)
        elif column in FREE_TEXT:
            text = self._known(text)
        elif column == DEVICE:
            text = self._device(text)
        if self._identifiers is not None:
            text = self._identifiers.sub(lambda found: self._aliases[found[0]], text)
        return text

    def _known(self, text: str) -> str:
        """Return the text without the names and paths that are known."""
        for folder in reversed(self._folders):
            text = text.replace(folder, WORKSPACE_MASK)
        text = _HOME.sub("~", text)
        return text if self._names is None else self._names.sub(MASK, text)

    def _written(self, text: str) -> str:
        """Return the text without any address: of a URL its scheme is left, and what comes after the host goes too."""
        for folder in reversed(self._folders):
            text = text.replace(folder, WORKSPACE_MASK)
        text = _SOCKET.sub(SOCKET_MASK, text)
        text = _URL.sub(_url_shown, text)
        text = _PERSON.sub(MASK, text)
        text = _ADDRESSES.sub(_address_shown, text)
        if _OF_HOSTS.search(text):
            text = _NAMED.sub(_named_shown, text)
            text = _QUOTED.sub(_host_shown, text)
        text = _HOSTS.sub(_host_shown, text)
        if self._names is not None:
            text = re.sub(
                rf"(?:{self._names.pattern[4:]})(?::\d{{1,5}}\b)?", MASK, text, flags=re.I
            )
        return _HOME.sub("~", text)

    def _device(self, text: str) -> str:
        """Return each host by a number of its own: its readings are other than the next one's."""

        def numbered(found: re.Match[str]) -> str:
            name = found["name"] if "name" in found.groupdict() else found[0]
            if name == MASK or _is_shown(_bare(name)):
                return found[0]
            number = self._numbers.setdefault(name.lower(), len(self._numbers) + 1)
            before = found["before"] if "before" in found.groupdict() else ""
            return f"{before}(host {number})"

        text = _LABELS.sub(numbered, text)
        text = _ADDRESSES.sub(numbered, text)
        text = _HOSTS.sub(numbered, text)
        return text if self._names is None else self._names.sub(numbered, text)


def _bare(text: str) -> str:
    found = _HOST_PORT.match(text)
    return found["host"] if found else text


def _url_shown(found: re.Match[str]) -> str:
    text = found[0]
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:
        host = ""
    return text if _is_shown(host) else f"{text.partition('://')[0]}://{MASK}"


def _address_shown(found: re.Match[str]) -> str:
    text = found[0]
    for candidate in (text.strip("[]"), _bare(text)):
        try:
            ipaddress.ip_address(candidate.partition("%")[0])
        except ValueError:
            continue
        return text if _is_shown(candidate) else MASK
    return text


def _host_shown(found: re.Match[str]) -> str:
    return found[0] if _is_shown(_bare(found[0]).lower()) else MASK


def _named_shown(found: re.Match[str]) -> str:
    """Mask a name after "proxy", or in quotes after words for a host."""
    name = found["name"] or found["quoted"]
    if _is_shown(_bare(name).lower()):
        return found[0]
    if found["name"]:
        return f"{found['before']}{MASK}"
    return f"{found['words']}{found['quote']}{MASK}{found['quote']}"
