"""Reports expected answers that no scorer could use before the run, not in its scores."""

from observatory.core.errors import BadInput
from observatory.core.plan import Plan
from observatory.quality.scorers import reference_problem

SHOWN = 5


def check_references(plan: Plan) -> None:
    """Raise BadInput (exit 2) naming the items whose `expected` their scorer cannot use."""
    problems = []
    for item in plan.items:
        if item.expected is None or item.scorer in (None, "none"):
            continue
        problem = reference_problem(item.scorer, item.expected, item.labels)
        if problem is not None:
            problems.append(f"{item.prompt_id}: {problem}")
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise BadInput(
            f"expected answers that cannot be scored: {'; '.join(problems[:SHOWN])}{more}",
            where=f"scenario {plan.scenario}",
            fix="mend `expected`, name another `scorer`, or leave `expected` out",
        )
