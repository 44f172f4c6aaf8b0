"""The table cost_lines: what each run's target costs a day by component, before a demand is applied.

Computed by economics.fleet from a run's row of money_per_run; the macros monthly_cost and break_even apply
a demand to it.
"""

from collections.abc import Iterator, Sequence
from typing import get_args

import duckdb

from observatory.core.money.demand import Assumption
from observatory.economics.fleet import fleet_cost
from observatory.store.frames import frame_of
from observatory.store.ingest.insert import insert_frame
from observatory.store.queries.money import replica_of
from observatory.store.queries.money_rows import MoneyRow
from observatory.store.queries.typed_rows import columns_of, typed_rows
from observatory.store.schema.tables import COST_LINES


def fill_cost_lines(connection: duckdb.DuckDBPyConnection, run_ids: Sequence[str]) -> None:
    """Compute the lines of these runs again, from what the database contains of them."""
    connection.execute(
        f"DELETE FROM {COST_LINES.name} WHERE list_contains(?, run_id)", [list(run_ids)]
    )
    found = connection.execute(
        f"SELECT {columns_of(MoneyRow)} FROM money_per_run WHERE list_contains(?, run_id)"
        " AND usd_per_hour IS NOT NULL",
        [list(run_ids)],
    )
    for row in typed_rows(MoneyRow, found):
        insert_frame(connection, COST_LINES, frame_of(COST_LINES, list(_lines(row))), row.run_id)


def _lines(row: MoneyRow) -> Iterator[tuple[object, ...]]:
    """Yield rows of COST_LINES without run_id; none where no stage met the SLO."""
    replica = replica_of(row)
    if replica is None:
        return
    ends = {"at": row.goodput_rps, "low": row.goodput_rps_high, "high": row.goodput_rps_low}
    for end, goodput_rps in ends.items():  # a replica that serves more costs less
        if not goodput_rps or goodput_rps < 0:
            continue
        for capacity in get_args(Assumption):
            fleet = fleet_cost(replica.at(goodput_rps), capacity)
            for line in fleet.lines:
                yield (
                    end,
                    capacity,
                    line.component,
                    line.unit,
                    line.usd_per_unit,
                    line.a_day,
                    line.a_step,
                    line.a_step_hour,
                    line.a_request,
                    fleet.step_requests,
                    fleet.by_hour,
                    line.basis,
                    line.source,
                )
