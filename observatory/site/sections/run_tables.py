"""The tables of a run's page: stages, figures, outcomes, errors, findings, prices.

Rows of the warehouse in, tables of cells out.
"""

import re
from collections.abc import Sequence

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.floors import count_text
from observatory.core.metric import BY_NAME
from observatory.core.run import SEVERITIES
from observatory.core.units import human_number
from observatory.economics.price_details import PriceDetails
from observatory.presentation.dollars import write_usd
from observatory.presentation.figures import BASES, DASH, STATISTICS, Figure
from observatory.site.charts.drawing import CellTable, TableCell, figure_cell
from observatory.site.loads import Load
from observatory.site.members import MemberRun
from observatory.site.queries.rows import (
    FailedAttempts,
    FindingRow,
    NeverSent,
    OutcomeCount,
    PriceOfRun,
    StageRow,
)

_ORDER = ("value", "p50", "p90", "p95", "p99", "p999", "mean")
_PERCENTILES = ("p50", "p90", "p95", "p99")
EVERY_STATISTIC = (*_ORDER, *(f"{name}_ok" for name in _ORDER))


def words(value: str | None) -> str:
    """Return an identifier as words; a dash for none."""
    return (value or DASH).replace("_", " ")


def stage_table(stages: Sequence[StageRow], loads: dict[int, Load]) -> CellTable:
    """Return what each stage planned, issued and recorded."""
    heads = [("Load", False), ("Steady window", True), ("Planned", True), ("Issued", True)]
    heads += [("Recorded", True), ("Not issued", True), ("Workers lost", False)]
    rows = []
    for stage in stages:
        start, end = stage.steady_start_ns, stage.steady_end_ns
        window = "not reached"
        if start is not None and end is not None:
            window = f"{end / 1e9 - start / 1e9:.1f} s"
        counts = [
            _count(n) for n in (stage.planned, stage.issued, stage.recorded, stage.not_issued)
        ]
        lost = ", ".join(stage.lost_workers or []) or "none"
        load = loads[stage.stage]
        rows.append(
            [TableCell(load.text), TableCell(window, number=True), *counts, TableCell(lost)]
        )
    return CellTable(heads, rows)


def _count(value: int | None) -> TableCell:
    return TableCell(DASH if value is None else f"{value:,}", number=True)


def figure_table(member: MemberRun, metrics: Sequence[str], statistics: Sequence[str]) -> CellTable:
    """Return one row a metric and statistic that any stage has, one column a load."""
    heads = [("", False), *((load.text, True) for load, _ in member.stages)]
    rows = []
    for metric in metrics:
        for statistic in statistics:
            found = [figures.by_key.get((metric, statistic)) for _, figures in member.stages]
            if any(figure is not None for figure in found):
                given = [figure or Figure(metric, statistic) for figure in found]
                rows.append([TableCell(given[0].title), *(_with_n(figure) for figure in given)])
    return CellTable(heads, rows)


def latency_table(member: MemberRun, metrics: Sequence[str]) -> CellTable:
    """Return one row a metric and load, one column a percentile."""
    heads = [("Latency and load", False)]
    heads += [(STATISTICS[name], True) for name in _PERCENTILES]
    rows = []
    for metric in metrics:
        for load, figures in member.stages:
            found = [figures.get(metric, statistic) for statistic in _PERCENTILES]
            known = (metric, _PERCENTILES[0]) in figures.by_key
            counts = {figure.n for figure in found if figure.n is not None}
            independent = [f.effective_n for f in found if f.effective_n is not None]
            least = min(independent) if independent else None
            noun = "request" if counts == {1} else "requests"
            n = f", {count_text(max(counts), least)} {noun}" if counts else ""
            if known:
                title = TableCell(BY_NAME[metric].title, under=f"{load.text}{n}")
                rows.append([title, *(figure_cell(figure) for figure in found)])
    return CellTable(heads, rows)


def _with_n(figure: Figure) -> TableCell:
    cell = figure_cell(figure)
    if not figure.n or figure.below_floor:
        return cell
    under = "; ".join(
        part for part in (cell.under, f"n {count_text(figure.n, figure.effective_n)}") if part
    )
    return TableCell(cell.text, under=under, number=True, basis=cell.basis)


def outcome_table(counts: Sequence[OutcomeCount], loads: dict[int, Load]) -> CellTable:
    """Return how many requests of each stage ended how."""
    names = sorted({row.outcome for row in counts}, key=lambda name: (name != "ok", name))
    found = {(row.stage, row.outcome): row.n for row in counts}
    return CellTable(
        [("Load", False), *((words(name), True) for name in names)],
        [
            [TableCell(load.text), *(_count(found.get((stage, name), 0)) for name in names)]
            for stage, load in sorted(loads.items())
        ],
    )


def error_table(rows: Sequence[FailedAttempts], loads: dict[int, Load]) -> CellTable:
    """Return failed attempts by kind, each with one text as an example."""
    heads = [("Outcome", False), ("Where", False), ("What", False), ("HTTP", True)]
    heads += [("Tries", True), ("At", False), ("For example", False)]
    return CellTable(
        heads,
        [
            [
                *(
                    TableCell(words(name))
                    for name in (row.outcome, row.error_phase, row.error_kind)
                ),
                TableCell(str(row.http_status or DASH), number=True),
                _count(row.n),
                TableCell(", ".join(loads[stage].text for stage in row.stages if stage in loads)),
                TableCell(row.error_text or DASH),
            ]
            for row in rows
        ],
    )


def never_sent_table(rows: Sequence[NeverSent]) -> CellTable:
    """Return requests that were planned and never sent, by reason."""
    return CellTable(
        [("Outcome", False), ("Reason", False), ("Requests", True)],
        [[TableCell(words(r.outcome)), TableCell(words(r.reason)), _count(r.n)] for r in rows],
    )


def finding_table(rows: Sequence[FindingRow], loads: dict[int, Load]) -> CellTable:
    """Return the doubts, the gravest first, each with what was seen and its threshold."""
    heads = [("Check", False), ("Gravity", False), ("What was found", False), ("Load", False)]
    heads += [("Seen", True), ("Threshold", True)]
    ordered = sorted(rows, key=lambda row: -SEVERITIES.index(row.severity))
    return CellTable(
        heads,
        [
            [
                TableCell(words(row.code)),
                TableCell("", verdict=row.severity),
                TableCell(row.message),
                TableCell(
                    "all"
                    if (load := loads.get(row.stage or 0)) is None or row.stage is None
                    else load.text
                ),
                TableCell(human_number(row.value), number=True),
                TableCell(human_number(row.threshold), number=True),
            ]
            for row in ordered
        ],
    )


_PER = {"machine_hour": "an hour", "operations_hour": "an hour", "electricity_kwh": "per kWh"}


def price_table(rows: Sequence[PriceOfRun]) -> CellTable:
    """Return prices as applied, each with its tiers, its basis, and the source with its version."""
    heads = [("Price", False), ("US dollars", True), ("Basis", False), ("Source", False)]
    heads += [("Holds from", False)]
    return CellTable(heads, [_price_cells(row, _details(row.details)) for row in rows])


def _details(text: str | None) -> PriceDetails:
    return msgspec.json.decode(text or "{}", type=PriceDetails)


def _price_cells(row: PriceOfRun, details: PriceDetails) -> list[TableCell]:
    return [
        TableCell(words(row.kind), under=_PER.get(row.kind, "per million tokens")),
        TableCell(
            write_usd(row.usd) if row.usd is not None else DASH,
            under=_steps(details),
            number=True,
        ),
        TableCell(words(row.basis), under=BASES.get(row.basis)),
        TableCell(row.source or DASH, under=_origin(details)),
        TableCell(
            row.effective_from or DASH,
            under=_until(details),
        ),
    ]


def _until(details: PriceDetails) -> str | None:
    until, applied = details.effective_until, details.applied_at
    parts = [f"until {until}" if until else None, f"looked up {applied[:10]}" if applied else None]
    return "; ".join(filter(None, parts)) or None


def _steps(details: PriceDetails) -> str | None:
    """Return the higher prices of long prompts, and the list price that a discount was taken off."""
    steps = [
        f"{write_usd(step.usd)} above {step.above_prompt_tokens:,} prompt tokens"
        for step in details.tiers or []
    ]
    if details.discount and details.list_usd is not None:
        steps.append(f"{human_number(details.discount * 100)} % off {write_usd(details.list_usd)}")
    return "; ".join(steps) or None


def _origin(details: PriceDetails) -> str | None:
    """Return the book and its version, the model, the tier, the notes, and what an hour consists of."""
    version = details.version or ""
    if re.match(r"[0-9a-f]{64}", version):
        version = f"{version[:12]}{version[64:]}"
    book = " ".join(filter(None, (details.package or details.book, version)))
    tier, count, commitment = details.service_tier, details.accelerators, details.commitment
    includes = details.rate_includes or []
    parts = [
        book,
        details.model,
        f"tier {tier}" if tier else None,
        details.note,
        details.provider_note,
        details.base_url_note,
        count_of(count, "accelerator") if count else None,
        words(commitment) if commitment else None,
        f"includes {', '.join(words(one) for one in includes)}" if includes else None,
    ]
    return "; ".join(filter(None, parts)) or None
