"""The energy ledger as a table: a row a window, subject and scope, with its idle baseline.

Rows of the table energy in, cells out. The baseline is a row of its own and is subtracted from nothing.
"""

from collections.abc import Sequence

from observatory.core.reasons import REASONS
from observatory.core.stage_words import human_stage
from observatory.core.units import human_number
from observatory.presentation.figures import DASH, write
from observatory.site.charts.drawing import CellTable, TableCell
from observatory.site.loads import Load
from observatory.site.queries.rows import LedgerRow

SUBJECTS = {"target": "target", "client": "client", "shared_host": "shared host"}
SCOPES = {
    "gpu": "GPU",
    "cpu": "CPU",
    "memory": "memory",
    "host": "whole machine",
    "datacentre_overhead": "data centre's overhead",
}
METHODS = {
    "nvml_counter": "NVML energy counter",
    "nvml_power_trapezoid": "NVML power, integrated",
    "dcgm_counter": "DCGM energy counter",
    "dcgm_power_trapezoid": "DCGM power, integrated",
    "rapl": "RAPL",
    "ecologits": "EcoLogits",
    "pue": "stated PUE",
    "none": "none",
}
"""Methods whose name is no sentence by itself; one that is not here is shown as it is."""
HEADS = [
    ("Load", False),
    ("Whose", False),
    ("Scope", False),
    ("Energy", True),
    ("Idle baseline", True),
    ("Basis", False),
    ("Method", False),
    ("Emissions", True),
    ("Reason or source", False),
]


def ledger_table(rows: Sequence[LedgerRow], loads: dict[int, Load]) -> CellTable:
    """Return a row each; windows in order of load, the target first, the idle baselines in their column."""
    idle = {(row.subject, row.scope, row.method): row for row in rows if row.stage is None}
    loaded = sorted((row for row in rows if row.stage is not None), key=_order)
    idle_only = {key: row for key, row in idle.items() if key not in set(map(_key, loaded))}
    return CellTable(
        HEADS,
        [_cells(row, idle.get(_key(row)), loads) for row in loaded]
        + [_cells(row, None, loads) for row in idle_only.values()],
    )


def _key(row: LedgerRow) -> tuple[str, str, str | None]:
    return row.subject, row.scope, row.method


def _order(row: LedgerRow) -> tuple[int, int, int, bool, str]:
    subjects, scopes = list(SUBJECTS), list(SCOPES)
    return (
        row.stage or 0,
        subjects.index(row.subject),
        scopes.index(row.scope),
        row.counts is False,
        row.method or "",
    )


def _cells(row: LedgerRow, idle: LedgerRow | None, loads: dict[int, Load]) -> list[TableCell]:
    stage = row.stage
    if stage is None:
        load = TableCell("idle", under="engine loaded, no requests")
    else:
        load = TableCell(loads[stage].text if stage in loads else human_stage(stage))
    checks = row.counts is False
    return [
        load,
        TableCell(SUBJECTS[row.subject]),
        TableCell(SCOPES[row.scope]),
        _joules(row),
        _baseline(idle),
        TableCell(_basis(row)),
        TableCell(
            METHODS.get(row.method or "none", row.method or DASH), under=_quality(row, checks)
        ),
        _emissions(row),
        TableCell(_why(row)),
    ]


def _basis(row: LedgerRow) -> str:
    """Return the basis; a dash where there is no figure that it could be the basis of."""
    known = row.energy_j is not None or row.low_j is not None
    return str(row.basis) if known and row.basis else DASH


def _quality(row: LedgerRow, checks: bool) -> str | None:
    parts = ["a check on the row above: in no sum"] if checks else []
    coverage, gap = row.coverage_fraction, row.longest_gap_s
    if coverage is not None:
        parts.append(f"readings cover {write(coverage, '1', 'coverage_fraction')}")
    if gap is not None:
        parts.append(f"longest gap {write(gap, 's')}")
    return "; ".join(parts) or None


def _seconds(row: LedgerRow) -> float | None:
    start, end = row.window_start_ns, row.window_end_ns
    return (end - start) / 1e9 if start is not None and end is not None and end > start else None


def _joules(row: LedgerRow) -> TableCell:
    """Return joules with the mean power under them; the ends of a modelled range."""
    joules, seconds = row.energy_j, _seconds(row)
    low, high = row.low_j, row.high_j
    ends = None if low is None or high is None else f"{write(low, 'J')} – {write(high, 'J')}"
    if joules is None:
        return TableCell(ends or DASH, under="range of the model" if ends else None, number=True)
    parts = [f"range {ends}"] if ends else []
    if seconds and row.basis != "modelled":
        parts.append(f"{human_number(joules / seconds)} W on average over {seconds:.1f} s")
    return TableCell(write(joules, "J"), under="; ".join(parts) or None, number=True)


def _baseline(idle: LedgerRow | None) -> TableCell:
    seconds = _seconds(idle) if idle else None
    if idle is None or idle.energy_j is None or not seconds:
        reason = idle.reason if idle else None
        return TableCell(DASH, under=reason, number=True)
    under = f"{write(idle.energy_j, 'J')} in {seconds:.1f} s, not subtracted"
    return TableCell(f"{human_number(idle.energy_j / seconds)} W", under=under, number=True)


def _emissions(row: LedgerRow) -> TableCell:
    if row.kgco2e is None:
        return TableCell(DASH, number=True)
    grams = f"{human_number(row.kgco2e * 1000)} g CO2e"
    return TableCell(grams, under=f"grid {row.grid_zone}", number=True)


def _why(row: LedgerRow) -> str:
    reason = row.reason
    return (REASONS.get(reason, reason) if reason else row.source) or DASH
