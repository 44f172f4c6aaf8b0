"""What the runner hands to the sampler: a configuration at its start, then the processes to watch.

The watched processes are in one small file that is replaced whole, so that a reader never sees
half of it.
"""

from pathlib import Path
from typing import Any

import msgspec

from observatory.core.clock import Anchor
from observatory.core.connection import Connection
from observatory.telemetry.remote.remote_samples import ProbeAddress

READY = b"ready\n"
"""Written by the sampler to standard output when its first reading lies in the journal, and, where
there are GPUs, how often their sensors change is known."""
LOAD_ROLE = "client"
"""The role of the load generator: while it is watched there is load, or there is about to be."""

SERVER_ROLE = "server:"
"""Begins the role of a process that serves a target on this host and that was not started by us: its
CPU time is no other work, and it is not sampled as a process of the run."""
SERVER_UNKNOWN = 0
"""In place of the process id of such a server where the kernel does not name its process to us."""

_roles_decoder = msgspec.json.Decoder(dict[str, int])


class ScrapedPage(msgspec.Struct, frozen=True):
    """A Prometheus page and what is kept of it; headers still hold ${NAME}: no secret is in it."""

    name: str
    url: str
    series: list[str]
    every_s: float
    headers: dict[str, str] = {}


class SamplerConfig(msgspec.Struct, frozen=True):
    """The configuration of a sampler. journal and watch are absolute paths."""

    journal: str
    watch: str
    anchor: Anchor
    interval_s: float
    parent: int
    settings: dict[str, Any] = {}
    """The scenario's `telemetry` (core.sensor_config) as plain values, for RunSetup.setting."""
    engines: dict[str, Connection] = {}
    """Role -> how to connect to its target; no secrets are in it."""
    links: bool = False
    engine_pages: dict[str, str] = {}
    """Role -> its page, where that is not next to its API."""
    engine_aliases: dict[str, dict[str, str]] = {}
    """Role -> series of its page -> the name of engine_names that each is read as."""
    dcgm: str | None = None
    prometheus: list[ScrapedPage] = []
    probes: list[ProbeAddress] = []


def write_watch(path: Path, roles: dict[str, int]) -> None:
    """Replace the file: role -> process id."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(roles))
    fresh.replace(path)


class WatchedRoles:
    """The roles of a watch file as they are now; read again only when the file was replaced."""

    def __init__(self, path: Path, own: dict[str, int]) -> None:
        self._path = path
        self._own = own
        self._roles = dict(own)
        self._version: tuple[int, int] | None = None

    def now(self) -> dict[str, int]:
        """Return role -> process id, those given at construction included."""
        try:
            status = self._path.stat()
        except OSError:
            return self._roles
        version = (status.st_ino, status.st_mtime_ns)
        if version != self._version:
            self._roles = {**_roles_decoder.decode(self._path.read_bytes()), **self._own}
            self._version = version
        return self._roles

    def sampled(self) -> dict[str, int]:
        """Return those that are processes of the run: without servers that others started."""
        return {role: pid for role, pid in self.now().items() if not role.startswith(SERVER_ROLE)}
