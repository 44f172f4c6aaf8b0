"""How a level of a matrix's factor is written for people."""

import json


def factor_level(level: object) -> str:
    """Return "default" for None, "on" or "off" for a boolean, a list's items, the last part of a path."""
    if level is None:
        return "default"
    if isinstance(level, bool):
        return "on" if level else "off"
    if isinstance(level, list):
        return ", ".join(map(str, level))
    if isinstance(level, dict):
        return json.dumps(level, sort_keys=True)
    text = str(level)
    return text.rstrip("/").rsplit("/", 1)[-1] if text.startswith(("/", "~")) else text
