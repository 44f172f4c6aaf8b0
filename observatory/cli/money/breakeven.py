"""`observatory breakeven`: from which volume on serving it oneself costs no more than buying it."""

from typing import Annotated

import typer

from observatory.cli.change_notes import note_changes
from observatory.cli.money.demand_options import (
    AssumptionOption,
    BillOption,
    DailyBillOption,
    HoursOption,
    PeakOption,
    RequestsOption,
    SharesOption,
    SpareOption,
    TokensOption,
    demand_of,
)
from observatory.cli.options import JsonOption, ResultsOption
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace
from observatory.store.queries.money_rows import MoneyRow

SelfTarget = Annotated[str, typer.Argument(metavar="SELF_TARGET", help="A target billed by hours.")]
ApiTarget = Annotated[str, typer.Argument(metavar="API_TARGET", help="A target billed by tokens.")]


def breakeven(
    self_target: SelfTarget,
    api_target: ApiTarget,
    campaign: Annotated[
        str, typer.Option(help="The campaign that measured both (or a label).")
    ] = "last",
    requests_a_day: RequestsOption = None,
    tokens_a_day: TokensOption = None,
    api_bill_a_day: DailyBillOption = None,
    api_bill_a_month: BillOption = None,
    peak_to_mean: PeakOption = None,
    hourly_shares: SharesOption = None,
    spare_replicas: SpareOption = None,
    assumption: AssumptionOption = None,
    active_hours: HoursOption = None,
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
    from observatory.cli.money.money_views import print_answer, print_json
    from observatory.store.folder.run_folder import resolve_runs
    from observatory.store.queries.money import money_rows, stated_scenario

    workspace = open_workspace(results)
    rows = money_rows(workspace, resolve_runs(workspace, campaign))
    own, bought = _one_of(rows, self_target, campaign), _one_of(rows, api_target, campaign)
    changed = note_changes(workspace, (own.run_id, bought.run_id))
    demand = demand_of(
        stated_scenario(workspace, own.run_id),
        {
            "requests_a_day": requests_a_day,
            "tokens_a_day": tokens_a_day,
            "api_bill_usd_a_day": api_bill_a_day,
            "api_bill_usd_a_month": api_bill_a_month,
            "peak_to_mean": peak_to_mean,
            "hourly_shares": hourly_shares,
            "spare_replicas": spare_replicas,
            "assumption": assumption,
            "active_hours": active_hours,
        },
    )
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
