"""The address behind a target's name in each run, as a keyed hash, so that a run does not disclose it.

The key lies in the results folder, readable by its user alone, and is in no run folder, database or export.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from observatory.core.targets.catalogue import kind_traits
from observatory.core.workspace import Workspace
from observatory.store.files import disk_error
from observatory.store.folder.manifest import MANIFEST_NAME, run_folders

KEY_NAME = "address.key"
_KEY_BYTES = 32
_HASH_DIGITS = 16
NAME_DIGITS = 4
"""Of the hash, after the name of a model that another address serves, too."""


class _Target(msgspec.Struct):
    name: str
    kind: str
    endpoint: str | None = None
    address_hash: str | None = None


class _ManifestHead(msgspec.Struct):
    target: _Target
    run_id: str
    created_utc: str


@dataclass(frozen=True, slots=True)
class Use:
    """A run of a target's name. address: its hash, "" for a target that is started here."""

    run_id: str
    address: str


def normalised(url: str) -> str:
    """Return an address in one spelling: the case of scheme and host, the port in full, no last slash.

    localhost is 127.0.0.1, an IPv6 address is in its short form, a name has no last dot, and characters
    of the path are escaped only where they must be.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if host == "localhost":
        host = "127.0.0.1"
    try:
        host = ipaddress.ip_address(host).compressed
    except ValueError:
        host = host.encode("idna").decode() if host and not host.isascii() else host
    scheme = parts.scheme.lower()
    port = parts.port or (443 if scheme == "https" else 80)
    path = quote(unquote(parts.path), safe="/:@!$&'()*+,;=-._~").rstrip("/")
    return f"{scheme}://[{host}]:{port}{path}"


def address_hash(workspace: Workspace, url: str) -> str:
    """Return 16 hex digits of an address; equal ones in this workspace alone."""
    digest = hmac.new(_key(workspace), normalised(url).encode(), hashlib.sha256)
    return digest.hexdigest()[:_HASH_DIGITS]


def secret_hash(workspace: Workspace, secret: str) -> str:
    """Return the full keyed hash of a secret: equal ones in this workspace alone."""
    message = b"secret\0" + secret.encode("utf-8", "surrogateescape")
    return hmac.new(_key(workspace), message, hashlib.sha256).hexdigest()


def _key(workspace: Workspace) -> bytes:
    """Return the workspace's key, made when it is first needed; of two that make it one wins."""
    path = workspace.results / KEY_NAME
    try:
        if not path.exists():
            workspace.results.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{KEY_NAME}.{os.getpid()}.part")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                os.fsync(file.fileno())
            try:
                os.link(part, path)
            except FileExistsError:
                pass
            finally:
                part.unlink()
        return path.read_bytes()
    except OSError as error:
        raise disk_error(error, path) from error


def uses_of_names(workspace: Workspace) -> dict[str, list[Use]]:
    """Return every run of each target's name, the latest last, by the run folders; unreadable ones are left out."""
    found: dict[str, list[tuple[str, Use]]] = {}
    for folder in run_folders(workspace):
        head = _manifest_head(folder / MANIFEST_NAME)
        if head is None:
            continue
        target, address = head.target, ""
        if kind_traits(target.kind).addressed or target.address_hash:
            address = target.address_hash or ""
            if not address and target.endpoint:  # of a version that stored no hash
                address = address_hash(workspace, target.endpoint)
            if not address:
                continue
        found.setdefault(target.name, []).append((head.created_utc, Use(head.run_id, address)))
    return {
        name: [use for _, use in sorted(uses, key=lambda pair: (pair[0], pair[1].run_id))]
        for name, uses in found.items()
    }


def _manifest_head(manifest: Path) -> _ManifestHead | None:
    try:
        return msgspec.json.decode(manifest.read_bytes(), type=_ManifestHead)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def name_for(workspace: Workspace, wanted: str, url: str) -> str:
    """Return `wanted`, unless its latest run was at another address and ours had it never: then with four digits."""
    address = address_hash(workspace, url)
    uses = uses_of_names(workspace).get(wanted, [])
    if not uses or any(use.address == address for use in uses):
        return wanted
    return f"{wanted}-{address[:NAME_DIGITS]}"


def elsewhere(workspace: Workspace, name: str, address: str) -> str | None:
    """Return the latest run of the name at another address than this; None where it was always this one."""
    uses = uses_of_names(workspace).get(name, [])
    return next((use.run_id for use in reversed(uses) if use.address not in (address, "")), None)
