"""Reports what a target's wire cannot carry before the run, not by the first worker that sends."""

from observatory.core.connection import Connection
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.plan import Plan
from observatory.core.targets.catalogue import Target
from observatory.wires.requests_body import render
from observatory.wires.wires import WIRES


def check_askable(plan: Plan, target: Target, connection: Connection) -> None:
    """Raise BadInput (exit 2) for the first item that cannot be sent on the target's wire, with the reason: a field
    without a translation, or an output limit below the least that the API accepts.

    OpenAI's own wire sends any item of a workload as it is; the others translate it.
    """
    if connection.wire == "openai":
        return
    least = WIRES[connection.wire].least_output
    for item in plan.items:
        if item.max_tokens < least:
            raise BadInput(
                f"{item.prompt_id} has an output limit of {count_of(item.max_tokens, 'token')}; target {target.name} "
                f"takes no less than {least} (wire {connection.wire})",
                where=f"scenario {plan.scenario}",
                fix=f"set max_tokens (or the lengths of output_tokens) to {least} or more",
            )
        try:
            render(item, connection, request=plan.request, stream=plan.stream, cache=plan.cache)
        except ValueError as problem:
            raise BadInput(
                f"{item.prompt_id} cannot be sent to target {target.name}: {problem}",
                where=f"scenario {plan.scenario}",
                fix="change the workload, or the target's wire or extra_body",
            ) from problem
