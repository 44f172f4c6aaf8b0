"""Check the machine's cores: other programs used them, or engine and load generator share them.

Each check takes a window's data, or a run's, and answers with findings; numbers are in thresholds.
"""

from collections.abc import Iterator

import polars as pl

from observatory.analysis.checks.client_checks import ClientLateness, lateness
from observatory.analysis.checks.foreign_cpu import ForeignCpu, foreign_cpu_of
from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.analysis.stage_data import StageData
from observatory.analysis.windows import loaded_stages
from observatory.core.counted_nouns import count_of
from observatory.core.run import SEVERITIES, Finding, Manifest, Severity
from observatory.core.targets.catalogue import kind_traits


def foreign_cpu(data: StageData, ticks: pl.DataFrame) -> Iterator[Finding]:
    """Find other work on the machine, by its share of the cores; no graver than its measured effect.

    Where the engine's waits for a core or the load generator's lateness are known, they must pass the same
    limits: much other work on a machine with idle cores is a note.
    """
    window, row = data.window, THRESHOLDS["foreign_cpu"]
    found = foreign_cpu_of(data.manifest, data.samples, window.start_ns, window.end_ns)
    if isinstance(found, str):
        return
    if (by_share := row.severity(found.fraction)) is None:
        return
    severity: Severity = by_share
    message = f"{found.words}, {found.fraction:.0%} of the machine"
    effects = list(_effects(data, found, lateness(data, ticks)))
    if effects:
        seen, words = max(effects)
        severity = min(by_share, row.severity(seen) or "note", key=SEVERITIES.index)
        message = f"{message}; {words}"
    limit = row.limit(severity) if severity != "note" else row.degraded
    yield Finding("foreign_cpu", severity, message, window.stage, found.fraction, limit)


def _effects(
    data: StageData, found: ForeignCpu, late: ClientLateness | None
) -> Iterator[tuple[float, str]]:
    """Yield what it did, as a share, and in words; nothing where that is not known."""
    target = data.manifest.target
    if target.on_this_host and not target.emulated:
        if found.slowed is None:
            return
        yield found.slowed, f"it slowed the engine by about {found.slowed:.0%}"
    if late is not None:
        what = f"{late.share:.1%} of the median time to first token"
        yield late.share, f"the load generator was late by {what}"


def shared_cores(manifest: Manifest, samples: pl.DataFrame, *, starved: bool) -> Iterator[Finding]:
    """Yield the engine on the client's own cores; a note where both left them mostly idle.

    starved: `foreign_cpu` was found, which explains more than the sharing of cores does.
    """
    if not manifest.target.on_this_host or manifest.target.emulated:
        return
    cores, of = manifest.cores_usable, manifest.cores_logical
    if kind_traits(manifest.target.kind).foreign_server and cores and of and cores < of:
        # Somebody gave the load generator cores of its own; what the target may use we cannot see.
        message = f"the load generator is bound to {cores} of {count_of(of, 'core')}; the target's are not known"
        yield Finding("shared_cores", "note", message)
        return
    message = "the engine and the load generator share " + (
        count_of(cores, "core") if cores else "this host's cores"
    )
    shares = [
        share
        for stage in loaded_stages(manifest)
        if stage.steady_started is not None and stage.steady_ended is not None
        if (share := _busy(manifest, samples, stage.steady_started, stage.steady_ended)) is not None
    ]
    row = THRESHOLDS["shared_cores"]
    if not shares:
        yield Finding("shared_cores", "degraded", message, threshold=row.degraded)
        return
    busiest = max(shares)
    severity = row.severity(busiest) or "note"
    if starved:
        severity, message = "note", f"{message}, and other work took part of them (foreign_cpu)"
    yield Finding(
        "shared_cores", severity, f"{message}, {busiest:.0%} busy", None, busiest, row.degraded
    )


def _busy(manifest: Manifest, samples: pl.DataFrame, start: int, end: int) -> float | None:
    """Return the share of the cores that the run's own processes used; of all processes where theirs is unknown."""
    found = foreign_cpu_of(manifest, samples, start, end)
    if isinstance(found, ForeignCpu):
        return found.own_fraction
    in_time = pl.col("at_ns").is_between(start, end)
    # The device of a probe's host is the probe.
    read = samples.filter(in_time, sensor="host", metric="cpu_util_fraction", device="")
    share = read.get_column("value").mean()
    return share if isinstance(share, float) else None
