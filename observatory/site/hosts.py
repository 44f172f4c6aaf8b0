"""No page names a host unless it was allowed: host names are masked where rows enter the site.

Hosts are those of the environment, of url targets' endpoints and of proxies; loopback and the public addresses
of the provider catalogue are no secret.
"""

import ipaddress
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from observatory.site.figures import Row

MASK = "(host not shown)"
HOST_KEYS = frozenset({"host", "hostname", "host_name", "node", "nodename", "fqdn"})
"""Keys of the environment whose value is the machine's name."""
FREE_TEXT = (
    "comparison_fields",
    "details",
    "endpoint",
    "environment",
    "error_text",
    "message",
    "reason",
    "scenario_json",
    "source",
    "status_reason",
    "target_facts",
    "verdict_sentence",
)
"""Columns in which a host's name may stand; identifiers are left alone, links depend on them."""


def host_names(runs: Iterable[Row]) -> frozenset[str]:
    """The names to hide; runs are rows of the table runs."""
    names: set[str] = set()
    for run in runs:
        names.update(_named_in(json.loads(run["environment"] or "{}")))
        names.update(_proxy_of(json.loads(run.get("target_facts") or "{}")))
        if run["target_kind"] not in ("api", "emulated"):
            host = urlsplit(run["endpoint"] or "").hostname
            if host and not _is_loopback(host):
                names.add(host)
    return frozenset(name for name in names if name and not _is_loopback(name))


def _named_in(value: Any) -> Iterable[str]:
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key.lower() in HOST_KEYS and isinstance(inner, str):
            yield inner
        yield from _named_in(inner)


def _proxy_of(facts: Row) -> Iterable[str]:
    """The host of the proxy that a target was reached through: "host:port" in its settings."""
    proxy = (facts.get("settings") or {}).get("proxy")
    if isinstance(proxy, str) and proxy != "none":
        yield proxy.rpartition(":")[0].strip("[]")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HostMask:
    """Replaces the given names by MASK, as whole words and whatever their case."""

    def __init__(self, names: Iterable[str]) -> None:
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        alternatives = "|".join(re.escape(name) for name in longest_first)
        self._pattern = rf"(?i)\b(?:{alternatives})\b" if alternatives else None

    def row(self, row: Row) -> Row:
        """A row with every name in its free-text columns replaced."""
        if self._pattern is None:
            return row
        return {
            name: re.sub(self._pattern, MASK, value)
            if name in FREE_TEXT and isinstance(value, str)
            else value
            for name, value in row.items()
        }

    def frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The same for a frame."""
        present = [column for column in FREE_TEXT if frame.schema.get(column) == pl.String]
        if self._pattern is None or not present:
            return frame
        return frame.with_columns(pl.col(present).str.replace_all(self._pattern, MASK))
