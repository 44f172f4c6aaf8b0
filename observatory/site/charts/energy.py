"""Energy per request against load, or why it is not known.

Where only the energy of a shared host is known it is a note, and not made a figure per request.
"""

from collections.abc import Sequence
from dataclasses import replace

from observatory.presentation.figures import write
from observatory.site.charts.drawing import Drawing
from observatory.site.charts.levels import level_chart, series_of
from observatory.site.members import MemberRun


def energy_chart(
    name: str,
    about: str,
    members: Sequence[MemberRun],
    metric: str = "j_per_request",
    *,
    hosts: bool = True,
) -> Drawing:
    """Return the drawing of an energy figure; shapes show its basis.

    hosts: the energy of shared hosts is in its notes.
    """
    drawing = level_chart(name, about, series_of(members, metric, by_basis=True))
    notes = list(drawing.notes)
    if drawing.spec:
        notes.append("Shapes: a circle is measured, a square estimated, a diamond modelled.")
    shared = filter(None, map(_shared, members)) if hosts else ()
    return replace(drawing, notes=[*notes, *shared])


def _shared(member: MemberRun) -> str | None:
    """Return the shared host's average power over the loads, in words."""
    found = [
        (load, figure)
        for load, figure in member.series("shared_host_energy_j", "value")
        if figure.drawable
    ]
    if not found:
        return None
    energies = ", ".join(
        f"{write(figure.value or 0.0, 'J')} at {load.text}" for load, figure in found
    )
    basis = found[0][1].modelled
    return (
        f"{member.style.label}: engine and client share a host, which drew {energies} in the steady "
        f"window{f' ({basis})' if basis else ''}."
    )
