"""No page names a host unless it was allowed: host names are masked where rows enter the site.

Hosts are those of the environment and of url targets' endpoints; loopback and the public addresses
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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def masked(frame: pl.DataFrame, names: frozenset[str]) -> pl.DataFrame:
    """The frame with every name in its free-text columns replaced by MASK."""
    present = [column for column in FREE_TEXT if frame.schema.get(column) == pl.String]
    if not names or not present:
        return frame
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    pattern = rf"(?i)\b(?:{'|'.join(re.escape(name) for name in longest_first)})\b"
    return frame.with_columns(pl.col(present).str.replace_all(pattern, MASK))
