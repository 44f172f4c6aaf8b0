"""What the cells of a matrix turned out to differ in although no factor names it.

Pure: facts that targets reported of themselves once they were up, in; sentences out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from observatory.core.distribution import third_party_package

FOLLOWS = {
    "engine": ("engine", "engine_version", "engine_distribution"),
    "model": ("weight_format", "parameters", "quantization"),
    "revision": ("weight_format", "parameters", "quantization"),
    "weight_format": ("weight_format", "quantization"),
    "quantization": ("quantization", "weight_format"),
    "dtype": ("dtype",),
}
"""Facts of an opened target that differ where this factor does, as they should."""
ENGINE = ("engine", "engine_version", "engine_distribution")
FACTS = (*ENGINE, "weight_format", "parameters", "dtype", "quantization")


@dataclass(frozen=True, slots=True)
class OpenedTarget:
    """A run's target as it was: its cell, its name, and each of FACTS (None: unknown)."""

    cell: int
    target: str
    facts: Mapping[str, Any]


def undeclared(factors: Iterable[str], runs: Sequence[OpenedTarget]) -> list[str]:
    """Return the differences between cells that no factor explains, and those within a cell, a sentence each.

    Of engine, version and package only the first that differs is named.
    """
    expected = {fact for factor in factors for fact in FOLLOWS.get(factor, ())}
    lines = []
    named = False
    for fact in FACTS:
        found: dict[int, dict[str, str]] = {}
        names: dict[int, str] = {}
        for run in runs:
            value = run.facts.get(fact)
            if value is not None:
                found.setdefault(run.cell, {}).setdefault(str(value), _shown(fact, run))
                names[run.cell] = run.target
        changed = [cell for cell, values in sorted(found.items()) if len(values) > 1]
        levels = {frozenset(values) for values in found.values()}
        differs = fact not in expected and len(levels) > 1
        if fact in ENGINE and named:
            continue
        for cell in changed:
            lines.append(f"{fact} of {names[cell]} changed between runs: {_list(found[cell])}")
        if differs:
            listed = ", ".join(
                f"{_list(values)} ({names[cell]})" for cell, values in sorted(found.items())
            )
            lines.append(f"{fact} differs too, and is no factor: {listed}")
        named = named or (fact in ENGINE and (bool(changed) or differs))
    return lines


def _list(values: Mapping[str, str]) -> str:
    return ", ".join(values.values())


def _shown(fact: str, run: OpenedTarget) -> str:
    """Return the differences of builds: a third party's build is not called by the engine's name."""
    if fact == "engine":
        return third_party_package(run.facts.get("engine_distribution")) or str(run.facts[fact])
    return str(run.facts[fact])
