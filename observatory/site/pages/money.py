"""The money page: for each workload what its latest campaign cost, component by component, and from
which volume serving it costs no more than buying it.

Nothing is computed here: rows of cost_components and money_per_run, figures of stage_metrics, and the
answers of analysis.billing.serving.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observatory.analysis.billing import serving
from observatory.core.counted_nouns import count_of
from observatory.core.money.demand import Demand
from observatory.core.reasons import REASONS
from observatory.core.units import human_number
from observatory.presentation import break_even_text
from observatory.presentation.dollars import write_usd
from observatory.presentation.figures import DASH
from observatory.site.charts.drawing import CellTable, Drawing, TableCell
from observatory.site.charts.levels import level_chart, series_of
from observatory.site.loads import Load
from observatory.site.members import MemberRun
from observatory.site.pages.page import Document, Results
from observatory.site.queries.reader import Reader
from observatory.site.queries.run_queries import bill
from observatory.site.queries.run_row import RunRow
from observatory.site.sections.break_even import BreakEvenPlan, plan_of
from observatory.site.sections.campaign import Section
from observatory.site.sections.derived import Derived, derived
from observatory.store.queries.money_rows import ComponentRow, MoneyRow
from observatory.store.queries.typed_rows import columns_of

KEPT = (
    ("1,000 requests", "usd_per_1k_requests"),
    ("1,000 characters", "usd_per_1k_characters"),
    ("A correct answer", "usd_per_correct"),
    ("A million tokens, prompt and output", "usd_per_million_tokens"),
    ("A million output tokens", "usd_per_million_output"),
)
USED = (
    ("1,000 requests", "usage_usd_per_1k_requests"),
    ("A million tokens, prompt and output", "usage_usd_per_million_tokens"),
    ("A million output tokens", "usage_usd_per_million_output"),
    ("Time with a request open", "busy_fraction"),
    ("1,000 more requests", "marginal_usd_per_1k_requests"),
)
ACCOUNTINGS = {
    "tokens": "by tokens",
    "reservation": "kept: reservation-based",
    "usage": "busy only: usage-based",
}
COMPONENTS = {
    "accelerators": "accelerators or machine",
    "electricity_gpu": "electricity, GPUs",
    "electricity_cpu": "electricity, CPUs",
    "electricity_memory": "electricity, memory",
    "electricity_host": "electricity, whole machine",
    "electricity_datacentre_overhead": "electricity, data centre's overhead (PUE)",
    "cached_input": "input tokens from a cache",
    "cache_write": "input tokens written to a cache",
    "input": "input tokens",
    "output": "output tokens",
}
HEADS = [
    ("Load", False),
    ("Accounting", False),
    ("Component", False),
    ("Quantity", True),
    ("US dollars a unit", True),
    ("US dollars", True),
    ("Source", False),
]


@dataclass(frozen=True, slots=True)
class Bill:
    """One run's components, with what its caches did to its money; quote: words, where there was one."""

    member: MemberRun
    table: CellTable
    cached: str | None
    quote: str | None


@dataclass(frozen=True, slots=True)
class MoneySection:
    """One workload's latest campaign."""

    anchor: str
    first: RunRow
    drawings: list[Drawing]
    tables: list[Derived]
    bills: list[Bill]
    plans: list[BreakEvenPlan]
    refused: list[str]
    """Pairs of a served and a bought target without a break-even, each with the reason."""


def _section(reader: Reader, section: Section) -> MoneySection:
    rows = {member.run.run_id: _row(reader, member) for member in section.members}
    pairs = _pairs(section, rows)
    plans = [plan for plan in pairs if isinstance(plan, BreakEvenPlan)]
    return MoneySection(
        anchor=section.anchor,
        first=section.first,
        drawings=[_against_load(section)],
        tables=[
            derived("What it costs to have: reservation-based", KEPT, section.members),
            derived("What its busy time costs: usage-based", USED, _by_hours(section.members)),
        ],
        bills=[_bill(reader, member, rows[member.run.run_id]) for member in section.members],
        plans=plans,
        refused=[plan for plan in pairs if isinstance(plan, str)],
    )


def _against_load(section: Section) -> Drawing:
    return level_chart(
        f"{section.anchor}-usd",
        "What a thousand requests cost at each load: a kept machine gets cheaper as it fills up, a "
        "bought request costs what it costs.",
        series_of(section.members, "usd_per_1k_requests"),
    )


def _by_hours(members: Sequence[MemberRun]) -> list[MemberRun]:
    return [member for member in members if member.run.billing == "hours"]


def _row(reader: Reader, member: MemberRun) -> MoneyRow:
    [row] = reader.typed(
        MoneyRow,
        f"SELECT {columns_of(MoneyRow)} FROM money_per_run WHERE run_id = $run_id",
        run_id=member.run.run_id,
    )
    return row


def _pairs(section: Section, rows: dict[str, MoneyRow]) -> list[BreakEvenPlan | str]:
    """Return a plan, or why there is none, for each served target with each bought one."""
    found: list[BreakEvenPlan | str] = []
    for served in _by_hours(section.members):
        for bought in section.members:
            if bought.run.billing != "tokens":
                continue
            own, other = rows[served.run.run_id], rows[bought.run.run_id]
            one = serving.answer(own, other, demand_of(served.run))
            if one.found is None:
                found.append(break_even_text.sentence(one))
            else:
                name = f"{section.anchor}-plan-{len(found)}"
                found.append(plan_of(name, (served, bought), one))
    return found


def demand_of(run: RunRow) -> Demand:
    """Return the demand that the run's scenario states; the default shape where it states none."""
    stated = json.loads(run.scenario_json or "{}").get("demand")
    return Demand.model_validate(stated) if stated else Demand()


def _bill(reader: Reader, member: MemberRun, row: MoneyRow) -> Bill:
    loads = {load.stage: load for load, _ in member.stages}
    found = reader.typed(
        ComponentRow,
        f"SELECT {columns_of(ComponentRow)} FROM cost_components WHERE run_id = $run_id ORDER BY ALL",
        run_id=member.run.run_id,
    )
    rows = [one for one in found if one.stage in loads]
    rows.sort(key=lambda one: (one.stage, list(ACCOUNTINGS).index(one.accounting)))
    table = CellTable(HEADS, [_cells(one, loads) for one in rows])
    return Bill(member, table, break_even_text.cache_sentence(row), _quote(reader, member.run))


def _cells(row: ComponentRow, loads: dict[int, Load]) -> list[TableCell]:
    quantity, price, usd = row.quantity, row.usd_per_unit, row.usd
    reason: str | None = REASONS.get(row.reason or "", row.reason)
    return [
        TableCell(loads[row.stage].text),
        TableCell(ACCOUNTINGS[row.accounting]),
        TableCell(COMPONENTS.get(row.component, row.component)),
        TableCell(DASH if quantity is None else human_number(quantity, 4), row.unit, number=True),
        TableCell(DASH if price is None else write_usd(price), number=True),
        TableCell(
            DASH if usd is None else write_usd(usd), under=reason, number=True, basis=row.basis
        ),
        TableCell(row.source or DASH),
    ]


def _quote(reader: Reader, run: RunRow) -> str | None:
    """Return what was expected of the run, and what it amounted to, warm-up and failures included."""
    usd = run.quoted.usd if run.quoted else None
    if usd is None:
        return None
    cost = bill(reader, run.run_id)
    low, expected, high = map(write_usd, (usd.low, usd.expected, usd.high))
    came = "not known" if cost.usd is None else write_usd(cost.usd)
    if cost.usd is not None and (n := cost.unpriced):
        came += f" and {count_of(n, 'answer')} of unknown cost"
    return f"quoted {low} to {high}, {expected} expected; it came to {came}, warm-up included"


def documents(results: Results) -> Iterator[Document]:
    """Make money.html."""
    reader = results.reader
    sections = [_section(reader, one) for one in results.sections if reader and one.members]
    yield Document("money.html", "money.html", {"sections": sections})
