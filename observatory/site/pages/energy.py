"""The energy page: for each workload the ledger of its latest campaign, and what is derived from it.

Nothing is computed here: rows of the table energy, and figures of stage_metrics with their basis.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observatory.core.units import human_number
from observatory.site.charts.drawing import CellTable, Drawing
from observatory.site.charts.energy import energy_chart
from observatory.site.loads import Load
from observatory.site.members import MemberRun
from observatory.site.pages.page import Document, Results
from observatory.site.queries.reader import Reader
from observatory.site.queries.rows import LedgerRow
from observatory.site.queries.run_queries import energy
from observatory.site.queries.run_row import RunRow
from observatory.site.sections.campaign import Section
from observatory.site.sections.derived import Derived, derived
from observatory.site.sections.energy_tables import ledger_table

DERIVED = (
    ("Energy of a request", "j_per_request"),
    ("Energy of an output token", "j_per_output_token"),
    ("Output tokens per joule", "tokens_per_j"),
    ("1,000 requests", "wh_per_1k_requests"),
    ("A million requests", "kwh_per_million_requests"),
    ("Emissions of a million requests", "kgco2e_per_million_requests"),
)
POWER = (
    ("Energy in the window", "energy_j"),
    ("Of its GPUs alone", "gpu_energy_j"),
    ("With the data centre's overhead", "facility_energy_j"),
    ("Mean power under load", "power_w"),
    ("Idle power: loaded, no requests", "idle_power_w"),
    ("Shared host, engine and client together", "shared_host_energy_j"),
)
_CHARTS = (
    ("j_per_output_token", "Energy that the target drew for each token that it streamed."),
    ("j_per_request", "Energy that the target drew for each request that it answered."),
)
FOLDED_FROM = 40
"""A ledger with more rows is folded."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One run's rows of the ledger; open: shown without unfolding."""

    member: MemberRun
    table: CellTable
    open: bool


@dataclass(frozen=True, slots=True)
class EnergySection:
    """One workload's latest campaign."""

    anchor: str
    first: RunRow
    grids: list[tuple[str, str]]
    drawings: list[Drawing]
    tables: list[Derived]
    ledgers: list[Ledger]
    silent: list[MemberRun]
    """Runs without a row in the ledger."""


def _section(reader: Reader, section: Section) -> EnergySection:
    rows = {m.run.run_id: energy(reader, m.run.run_id) for m in section.members}
    measured = [member for member in section.members if rows[member.run.run_id]]
    n_rows = sum(map(len, rows.values()))
    ledgers = [
        Ledger(member, ledger_table(rows[member.run.run_id], _loads(member)), n_rows <= FOLDED_FROM)
        for member in measured
    ]
    tables = [
        derived("For each request and token", DERIVED, section.members),
        derived("Energy and power", POWER, section.members),
    ]
    return EnergySection(
        anchor=section.anchor,
        first=section.first,
        grids=_grids([(m, rows[m.run.run_id]) for m in measured if not m.style.emulated]),
        drawings=_drawings(section),
        tables=[table for table in tables if table.heads],
        ledgers=ledgers,
        silent=[member for member in section.members if member not in measured],
    )


def _drawings(section: Section) -> list[Drawing]:
    """Return the charts that show something; where none does, one with the reason."""
    found = [
        energy_chart(f"{section.anchor}-{metric}", about, section.members, metric, hosts=False)
        for metric, about in _CHARTS
    ]
    return [drawing for drawing in found if drawing.spec] or found[-1:]


def _loads(member: MemberRun) -> dict[int, Load]:
    return {load.stage: load for load, _ in member.stages}


def _grids(measured: Sequence[tuple[MemberRun, list[LedgerRow]]]) -> list[tuple[str, str]]:
    """Return what holds of whose electricity; targets of which the same holds are named together."""
    holds: dict[str, list[str]] = {}
    for member, rows in measured:
        holds.setdefault(_grid(rows), []).append(member.style.label)
    return [(", ".join(names), words) for words, names in holds.items()]


def _grid(rows: Sequence[LedgerRow]) -> str:
    """Return zone, intensity and source of a run's grid, and its PUE, in words."""
    known = [row for row in rows if row.grid_kgco2e_per_kwh is not None]
    grid = "no grid intensity is known, so no emissions are given"
    if known:
        row = known[0]
        source = str(row.source or "").rpartition("grid: ")[2] or "source not recorded"
        intensity = human_number(row.grid_kgco2e_per_kwh)
        grid = f"grid {row.grid_zone}, {intensity} kg CO2e per kWh ({source})"
    stated = sorted({row.pue for row in rows if row.pue is not None})
    if stated:
        pue = f"PUE {', '.join(map(human_number, stated))} as stated, in its own row, applied once"
    elif any(row.basis == "modelled" and row.energy_j is not None for row in rows):
        pue = "the model's range holds its data centre's overhead"
    else:
        pue = "no PUE is stated, so no figure holds a data centre's overhead"
    return f"{grid}; {pue}"


def documents(results: Results) -> Iterator[Document]:
    """Make energy.html."""
    reader = results.reader
    sections = [_section(reader, one) for one in results.sections if reader and one.members]
    yield Document("energy.html", "energy.html", {"sections": sections})
