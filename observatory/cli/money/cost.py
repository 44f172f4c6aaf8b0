"""`observatory cost`: what each target's money was made of, and what a volume would cost a month."""

from typing import Annotated, Any

import typer

from observatory.cli.change_notes import note_changes
from observatory.cli.console import print_json
from observatory.cli.money import demand_options as demands
from observatory.cli.options import JsonOption, ResultsOption
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace
from observatory.store.queries.money_rows import MoneyRow


def cost(
    command: typer.Context,
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="A run, a campaign, a label, or `last`.")
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
    """Show what runs cost: every component, the machine's time kept and in use, and a month.

    A bill or tokens a day become requests by what they are at the campaign's one target billed by
    tokens.

    Example: observatory cost last --requests-a-day 50000
    """
    from observatory.cli.money.money_json import cost_json
    from observatory.cli.money.money_views import print_cost
    from observatory.store.folder.run_folder import resolve_runs
    from observatory.store.queries import money

    workspace = open_workspace(results)
    rows = money.money_rows(workspace, resolve_runs(workspace, run))
    if not rows:
        raise BadInput("the runs are not in the database", where=run, fix="observatory rebuild")
    changed = note_changes(workspace, (row.run_id for row in rows))
    stated = money.stated_scenario(workspace, rows[0].run_id)
    demand = demands.demand_of(stated, demands.typed_demand(command))
    volume = _volume(rows, demand)
    shown = [
        (row, money.component_rows(workspace, row.run_id), money.figure_rows(workspace, row.run_id))
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
