"""Figures of several targets side by side, a row a target and load: those that any of them has.

A figure is always shown with its basis, and a target without figures with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.core.metric import has_trait
from observatory.presentation.figures import Figure
from observatory.site.charts.drawing import TableCell, figure_cell
from observatory.site.loads import Load
from observatory.site.members import MemberRun


@dataclass(frozen=True, slots=True)
class Derived:
    """A table of figures: heads, and for each member and load its cells."""

    title: str
    heads: list[str]
    rows: list[tuple[MemberRun, Load, list[TableCell]]]
    absent: list[str]
    """Targets without any of these figures, each with the reason."""


def derived(title: str, wanted: Sequence[tuple[str, str]], members: Sequence[MemberRun]) -> Derived:
    """Return the figures wanted (head, metric) that any member has; a member that has none of them is listed with the reason."""
    columns = [
        (head, metric)
        for head, metric in wanted
        if any(_is_shown(figure) for m in members for _, figure in m.series(metric, "value"))
    ]
    shown = [
        member
        for member in members
        if any(_is_shown(f) for _, metric in columns for _, f in member.series(metric, "value"))
    ]
    rows = [
        (member, load, [_cell(member, figures.get(metric)) for _, metric in columns])
        for member in shown
        for load, figures in member.stages
    ]
    absent = [_absence(member, wanted[0][1]) for member in members if member not in shown]
    return Derived(title, [head for head, _ in columns], rows, absent)


def _absence(member: MemberRun, metric: str) -> str:
    figures = [figure for _, figure in member.series(metric, "value")]
    reasons = dict.fromkeys(figure.note or "not recorded" for figure in figures)
    return f"{member.style.label}: {'; '.join(reasons) or 'no stage was run'}."


def _is_shown(figure: Figure) -> bool:
    return figure.drawable or figure.withheld


def _cell(member: MemberRun, figure: Figure) -> TableCell:
    """Return a figure with its basis, measured or not, and what is in it."""
    cell = figure_cell(figure)
    parts = [cell.under]
    if figure.drawable:
        parts.append(figure.scopes)
        if has_trait(figure.metric, "per_token"):
            parts.append(f"tokenizer: {member.run.tokenizer or 'unknown'}")
    under = "; ".join(part for part in parts if part)
    basis = figure.basis if figure.drawable else None
    return TableCell(cell.text, under=under or None, number=True, basis=basis)
