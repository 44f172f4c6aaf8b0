"""What a matrix cannot decide, in the words of its page.

Stated by the scenario (factors that change together) and seen once the engines were up.
"""

import json
from collections.abc import Iterable, Sequence

from observatory.analysis.comparison.undeclared import FACTS, OpenedTarget, undeclared
from observatory.site.queries.run_row import RunRow


def confounded(runs: Sequence[RunRow]) -> list[str]:
    """Return sentences; the names of factors and facts are written as the page writes them."""
    factors = dict.fromkeys(name for run in runs for name in json.loads(run.factors or "{}"))
    lines = dict.fromkeys(line for run in runs for line in run.confounded or [])
    opened = [
        OpenedTarget(run.place, run.target, {fact: getattr(run, fact) for fact in FACTS})
        for run in runs
    ]
    return [
        *(_spoken(line, factors) for line in lines),
        *(_spoken(line, FACTS) for line in undeclared(factors, opened)),
    ]


def _spoken(line: str, names: Iterable[str]) -> str:
    for name in sorted(names, key=len, reverse=True):
        line = line.replace(name, name.replace("_", " "))
    return line
