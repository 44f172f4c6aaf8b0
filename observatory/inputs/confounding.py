"""Find which effects a set of cells confounds, in sentences. Pure: levels in, sentences out.

The rule is that of any design of experiments: in the additive model, a factor's effect is known
only if its columns of the design matrix are no combination of the others'.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

import msgspec
import numpy as np

from observatory.core.units import human_number


def confounding(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each group of factors whose effects cannot be separated; none where all can.

    cells: the level of each factor by name; a factor that a cell lacks is a level of its own. Every
    combination of the levels, run equally often, is free of it.
    """
    levels = _varied(cells)
    if len(levels) < 2:
        return []
    sentences = [_together(group) for group in _aliased(levels)]
    if sentences:
        return sentences
    combinations_run = len(set(zip(*levels.values(), strict=True)))
    possible = prod(len(set(column)) for column in levels.values())
    if combinations_run == possible:
        return []
    return [
        f"{_listed(list(levels))} were run in {human_number(combinations_run)} of "
        f"{human_number(possible)} combinations: each effect is known only if it does not depend on "
        "the other factors"
    ]


def _varied(cells: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return factor -> its level in each cell as text, of the factors that have more than one."""
    names = dict.fromkeys(name for cell in cells for name in cell)
    columns = {
        name: [
            msgspec.json.encode(cell[name], order="deterministic").decode() if name in cell else ""
            for cell in cells
        ]
        for name in names
    }
    return {name: column for name, column in columns.items() if len(set(column)) > 1}


def _aliased(levels: Mapping[str, list[str]]) -> list[list[str]]:
    """Return groups of factors of which none can be separated from the rest of its group."""
    groups: list[list[str]] = []
    for pair in combinations(levels, 2):
        if _independent([levels[name] for name in pair]):
            continue
        touching = [group for group in groups if set(group) & set(pair)]
        merged = [name for name in levels if any(name in part for part in [*touching, pair])]
        groups = [group for group in groups if group not in touching] + [merged]
    grouped = {name for group in groups for name in group}
    left = [name for name in levels if name not in grouped]
    if len(left) > 2 and not _independent([levels[name] for name in left]):
        groups.append([name for name in left if _lost(name, left, levels)])
    return groups


def _lost(name: str, among: list[str], levels: Mapping[str, list[str]]) -> bool:
    others = [levels[other] for other in among if other != name]
    gained = _rank([*others, levels[name]]) - _rank(others)
    return gained < len(set(levels[name])) - 1


def _independent(columns: Sequence[list[str]]) -> bool:
    return _rank(columns) == 1 + sum(len(set(column)) - 1 for column in columns)


def _rank(columns: Sequence[list[str]]) -> int:
    """Return the rank of the matrix of a constant and one indicator for each level but the first."""
    parts = [np.ones(len(columns[0]))]
    for column in columns:
        parts += [
            np.array([float(level == value) for value in column])
            for level in sorted(set(column))[1:]
        ]
    return int(np.linalg.matrix_rank(np.column_stack(parts)))


def _together(names: list[str]) -> str:
    whose = "neither's effect is known" if len(names) == 2 else "no single one's effect is known"
    return f"{_listed(names)} change together: {whose}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
