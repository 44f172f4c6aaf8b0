"""`observatory cost`: what each target's money was made of, and what a volume would cost a month."""

from typing import Annotated, Any

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


def cost(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="A run, a campaign, a label, or `last`.")
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
    """Show what runs cost: every component, the machine's time kept and in use, and a month.

    A bill or tokens a day become requests by what they are at the campaign's one target billed by
    tokens.

    Example: observatory cost last --requests-a-day 50000
    """
    from observatory.cli.money.money_json import cost_json
    from observatory.cli.money.money_views import print_cost, print_json
    from observatory.store.folder.run_folder import resolve_runs
    from observatory.store.queries.money import (
        component_rows,
        figure_rows,
        money_rows,
        stated_scenario,
    )

    workspace = open_workspace(results)
    rows = money_rows(workspace, resolve_runs(workspace, run))
    if not rows:
        raise BadInput("the runs are not in the database", where=run, fix="observatory rebuild")
    typed = {
        "requests_a_day": requests_a_day,
        "tokens_a_day": tokens_a_day,
        "api_bill_usd_a_day": api_bill_a_day,
        "api_bill_usd_a_month": api_bill_a_month,
        "peak_to_mean": peak_to_mean,
        "hourly_shares": hourly_shares,
        "spare_replicas": spare_replicas,
        "assumption": assumption,
        "active_hours": active_hours,
    }
    changed = note_changes(workspace, (row.run_id for row in rows))
    demand = demand_of(stated_scenario(workspace, rows[0].run_id), typed)
    volume = _volume(rows, demand)
    shown = [
        (row, component_rows(workspace, row.run_id), figure_rows(workspace, row.run_id))
        for row in rows
    ]
    if json_output:
        print_json([cost_json(*each, demand, volume, changed) for each in shown])
        return
    for each in shown:
        print_cost(*each, demand, volume, changed)


def _volume(rows: list[MoneyRow], demand: Any) -> float | None:
    """Return the demand in requests a day, counted where requests are bought; else at the first target."""
    from observatory.analysis.billing.serving import volume_of

    by_tokens = [row for row in rows if row.billing == "tokens" and row.usd_per_request]
    try:
        return volume_of(demand, (by_tokens or rows)[0])
    except ValueError as error:
        raise BadInput(str(error), where="cost", fix="give --requests-a-day") from error
