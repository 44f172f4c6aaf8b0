"""`observatory breakeven`: from which volume on serving it oneself costs no more than buying it."""

from typing import Annotated

import typer

from observatory.cli.change_notes import note_changes
from observatory.cli.console import print_json
from observatory.cli.money import demand_options as demands
from observatory.cli.options import JsonOption, ResultsOption
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace
from observatory.store.queries.money_rows import MoneyRow

SelfTarget = Annotated[str, typer.Argument(metavar="SELF_TARGET", help="A target billed by hours.")]
ApiTarget = Annotated[str, typer.Argument(metavar="API_TARGET", help="A target billed by tokens.")]


def breakeven(
    command: typer.Context,
    self_target: SelfTarget,
    api_target: ApiTarget,
    campaign: Annotated[
        str, typer.Option(help="The campaign that measured both (or a label).")
    ] = "last",
    requests_a_day: demands.RequestsOption = None,
    tokens_a_day: demands.TokensOption = None,
    api_bill_usd_a_day: demands.DailyBillOption = None,
    api_bill_usd_a_month: demands.BillOption = None,
    peak_to_mean: demands.PeakOption = None,
    hourly_shares: demands.SharesOption = None,
    spare_replicas: demands.SpareOption = None,
    assumption: demands.AssumptionOption = None,
    active_hours: demands.HoursOption = None,
    json_output: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """Find the volume from which serving it yourself costs no more than buying it, for one workload.

    Replicas are whole, sized for the peak hour by what the target served within the SLO, with spares.
    docs/money.md has the arithmetic and what is not in it.

    Example: observatory breakeven smollm2-llamacpp emulated-api --peak-to-mean 2
    """
    from observatory.analysis.billing.serving import answer
    from observatory.cli.money.money_json import answer_json
    from observatory.cli.money.money_views import print_answer
    from observatory.store.folder.run_folder import resolve_runs
    from observatory.store.queries.money import money_rows, stated_scenario

    workspace = open_workspace(results)
    rows = money_rows(workspace, resolve_runs(workspace, campaign))
    own, bought = _one_of(rows, self_target, campaign), _one_of(rows, api_target, campaign)
    changed = note_changes(workspace, (own.run_id, bought.run_id))
    stated = stated_scenario(workspace, own.run_id)
    demand = demands.demand_of(stated, demands.typed_demand(command))
    try:
        found = answer(own, bought, demand)
    except ValueError as error:
        raise BadInput(str(error), where="breakeven", fix="give --requests-a-day") from error
    if json_output:
        print_json(answer_json(found, changed))
    else:
        print_answer(found, changed)


def _one_of(rows: list[MoneyRow], target: str, campaign: str) -> MoneyRow:
    """Return the target's run; of a matrix the last block's."""
    found = [row for row in rows if row.target == target]
    if not found:
        there = ", ".join(sorted({row.target for row in rows})) or "no run in the database"
        raise BadInput(
            f"no run of {target!r}",
            where=f"campaign {campaign}",
            fix=f"measured there: {there} (observatory runs list)",
        )
    return found[-1]
