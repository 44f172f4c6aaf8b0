"""What rate limits did to a run: what the service took, what was waited for, what a user waited.

Rows of the view throttling and figures of stage_metrics in, drawings and cells out; only targets
that were refused or held back are spoken of.
"""

from collections.abc import Sequence

from observatory.presentation.figures import DASH, StageFigures, write
from observatory.site.charts.drawing import CellTable, Drawing, TableCell, figure_cell
from observatory.site.charts.latency_breakdown import LatencyParts, breakdown_chart
from observatory.site.members import MemberRun
from observatory.site.queries.reader import Reader
from observatory.site.queries.rows import ThrottlingRow
from observatory.site.queries.run_queries import throttling
from observatory.site.queries.run_row import RunRow

COUNTS = (
    "Requests",
    "Tries",
    "Tries refused",
    "Requests refused at least once",
    "Served after waiting",
    "Given up",
    "Time lost to refusals",
    "Time held back on purpose",
)
SIDES = (
    ("The service took", "e2e_s"),
    ("Throttle wait", "throttle_wait_s"),
    ("Pacing wait", "pace_wait_s"),
    ("The user waited", "e2e_scheduled_s"),
)
"""The parts of a whole answer's time, side by side: heads and whose figures they are."""
STATISTICS = (("median", "p50"), ("p90", "p90"))
POLICIES = {
    "record": "a refused request is not sent again",
    "obey": "a refused request is sent again at the time that the service states",
    "pace": "requests are held back so that the service need not refuse them",
}
"""What is done about a refusal, by the policy's name."""


def held_up(members: Sequence[MemberRun]) -> list[MemberRun]:
    """Return those of the runs that were throttled or paced at any load."""
    return [member for member in members if any(figures.held_up for _, figures in member.stages)]


def breakdown_drawings(anchor: str, members: Sequence[MemberRun]) -> list[Drawing]:
    """Return service and user side by side at the median and at p90; empty where no request was held up."""
    found = held_up(members)
    if not found:
        return []
    return [
        breakdown_chart(
            f"{anchor}-waits-{statistic}",
            words,
            [
                LatencyParts(
                    member.style,
                    member.verdict,
                    load,
                    *(figures.get(metric, statistic) for _, metric in SIDES),
                )
                for member in found
                for load, figures in member.stages
            ],
        )
        for words, statistic in STATISTICS
    ]


def policy_words(run: RunRow) -> str | None:
    """Return what is done about a refusal, in a sentence; None in runs that do not record it."""
    policy = run.throttling
    return f"Policy {policy}: {POLICIES[policy]}." if policy in POLICIES else None


def count_rows(reader: Reader, member: MemberRun) -> dict[int, ThrottlingRow]:
    """Return the rows of view throttling of a run, by stage."""
    return {row.stage: row for row in throttling(reader, member.run.run_id)}


def count_cells(row: ThrottlingRow | None) -> list[TableCell]:
    """Return the cells of COUNTS; dashes where the stage has no row."""
    if row is None:
        return [TableCell(DASH, number=True)] * len(COUNTS)
    share = row.throttled_share
    overloaded = row.overloaded_attempts
    return [
        _count(row.requests),
        _count(row.attempts),
        _count(
            row.throttled_attempts, f"{overloaded:,} of them overloaded" if overloaded else None
        ),
        _count(
            row.throttled_requests,
            None if share is None else write(share, "1", "share_fraction"),
        ),
        _count(row.served_after_waiting),
        _count(row.given_up),
        TableCell(write(row.throttle_lost_s, "s"), number=True),
        TableCell(write(row.pace_lost_s, "s"), number=True),
    ]


def _count(value: int, under: str | None = None) -> TableCell:
    return TableCell(f"{value:,}", under=under, number=True)


def latency_heads() -> list[str]:
    """Return the heads of latency_cells."""
    return [f"{head}, {words}" for words, _ in STATISTICS for head, _ in SIDES]


def latency_cells(figures: StageFigures) -> list[TableCell]:
    """Return the parts of a latency side by side, at the median and at p90."""
    return [
        figure_cell(figures.get(metric, statistic))
        for _, statistic in STATISTICS
        for _, metric in SIDES
    ]


def count_table(reader: Reader, member: MemberRun) -> CellTable:
    """Return what was refused at each load of one run; without rows where nothing was refused or held back."""
    heads = [("Load", False), *((head, True) for head in COUNTS)]
    if not held_up([member]):
        return CellTable(heads, [])
    rows = count_rows(reader, member)
    return CellTable(
        heads,
        [[TableCell(load.text), *count_cells(rows.get(load.stage))] for load, _ in member.stages],
    )


def side_table(member: MemberRun) -> CellTable:
    """Return the parts of a latency of one run, a row a load and statistic."""
    heads = [("Load", False), *((head, True) for head, _ in SIDES)]
    if not held_up([member]):
        return CellTable(heads, [])
    return CellTable(
        heads,
        [
            [
                TableCell(load.text, under=words),
                *(figure_cell(figures.get(metric, statistic)) for _, metric in SIDES),
            ]
            for load, figures in member.stages
            for words, statistic in STATISTICS
        ],
    )
