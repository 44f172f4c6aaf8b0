"""Read pip's configuration as uv's variables: uv reads no pip.conf and no PIP_ variable.

What a UV_ variable sets is left alone.
"""

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
_MORE_INDEXES = ("UV_INDEX", "UV_EXTRA_INDEX_URL")
_SETTINGS: dict[str, tuple[tuple[str, ...], str]] = {
    "index-url": (_INDEXES, " "),
    "extra-index-url": (_MORE_INDEXES, " "),
    "find-links": (("UV_FIND_LINKS",), ","),
    "trusted-host": (("UV_INSECURE_HOST",), " "),
    "constraint": (("UV_CONSTRAINT",), " "),
    "default-timeout": (("UV_HTTP_TIMEOUT",), " "),
    "timeout": (("UV_HTTP_TIMEOUT",), " "),
    "retries": (("UV_HTTP_RETRIES",), " "),
    "cert": (("SSL_CERT_FILE",), " "),
    "client-cert": (("SSL_CLIENT_CERT",), " "),
    "proxy": (("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"), " "),
}
"""pip's setting -> uv's variables (the first is set where none is), and what separates several values."""


def uv_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make uv look where pip looks."""
    found = _found(environment)
    variables = {}
    for setting, (names, separator) in _SETTINGS.items():
        value = separator.join(found.get(setting, "").split())
        if value and not any(environment.get(name) for name in names):
            variables[names[0]] = value
    if "UV_INDEX" in variables:
        # pip takes the best version of all indexes, and uv that of the first index that has the name.
        variables["UV_INDEX_STRATEGY"] = environment.get("UV_INDEX_STRATEGY", "unsafe-best-match")
    return variables


def no_index(environment: Mapping[str, str]) -> bool:
    """Return whether pip may use no index; uv has an option for it and no variable."""
    return _found(environment).get("no-index", "").lower() in ("1", "t", "true", "y", "yes", "on")


def _found(environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings: its variables go before its files."""
    found = _of_files(environment)
    for setting in (*_SETTINGS, "no-index"):
        if value := environment.get(f"PIP_{setting.upper().replace('-', '_')}"):
            found[setting] = value
    return found


def _of_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the sections [global] and [install] of pip's files, the later file and section first."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(_files(environment))
    except (configparser.Error, UnicodeDecodeError, OSError):
        return {}
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            items = parser.items(section)
            found.update({name.replace("_", "-"): value for name, value in items})
    return found


def _files(environment: Mapping[str, str]) -> list[Path]:
    """Return pip's configuration files, the most general first (pip's guide, "Configuration").

    Where PIP_CONFIG_FILE names a file that is there, pip leaves out the files in the home folder.
    """
    own = environment.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path.home()
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [
        Path(each) for each in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if each
    ]
    files = [*(each / "pip/pip.conf" for each in shared), Path("/etc/pip.conf")]
    if not (own and Path(own).exists()):
        files += [home / ".pip/pip.conf", user / "pip/pip.conf"]
    files.append(Path(sys.prefix, "pip.conf"))
    return [*files, Path(own)] if own else files
