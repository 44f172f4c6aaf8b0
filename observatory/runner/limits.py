"""A target's own limits, which no scenario may exceed: a typing error must not flood a gateway."""

from observatory.core.errors import BadInput
from observatory.core.plan import Plan
from observatory.core.target import Target


def check_within_limits(target: Target, plan: Plan) -> None:
    """BadInput (exit 2) where a stage asks for more than max_concurrency or max_rate allow."""
    for number, stage in enumerate(plan.stages):
        users = stage.concurrency
        if users is not None and target.max_concurrency is not None:
            _refuse(target.name, number, users, target.max_concurrency, "users", "max_concurrency")
        if stage.rate_per_s is not None and target.max_rate is not None:
            _refuse(target.name, number, stage.rate_per_s, target.max_rate, "/s", "max_rate")


def _refuse(name: str, stage: int, asked: float, allowed: float, unit: str, field: str) -> None:
    if asked > allowed:
        raise BadInput(
            f"the stage asks for {asked:g} {unit}; target {name} allows {allowed:g} ({field})",
            where=f"stages[{stage}]",
            fix=f"lower the stage, or raise {field} of the target on purpose",
        )
