"""Whether a window's energy is sound: the gates that its headline figures must pass.

A gate that fails is a finding, and the figures are withheld: null, with the finding's words as the
reason. The ledger's rows stay as they were read. What is modelled has no readings to be doubted.
"""

from collections.abc import Iterator

from observatory.analysis.checks.findings import as_found, over_limit
from observatory.analysis.stage_data import StageData
from observatory.core.run import Finding
from observatory.core.sample import EnergyRow
from observatory.economics.window import LEAST_COVERAGE, LONGEST_GAP_S

LEAST_WINDOW_S = 30.0
"""ML.ENERGY's benchmark, scripts/validate_results.py: check_steady_state_duration."""
LIMIT_FACTOR = 1.1
"""A device holds its power limit on average; its sensor is off by up to 5 % (nvidia-smi's manual,
power.draw), and boards step over it for moments."""
SENSOR_ERROR = 0.05
"""How far below its idle power a device that works may seem to be: the same 5 %."""


def energy_gates(data: StageData) -> Iterator[Finding]:
    """Yield the findings of each gate that the window's readings of the target's energy fail."""
    rows = [row for row in _rows_of(data, data.window.stage) if row.coverage_fraction is not None]
    if not rows:
        return
    window = data.window
    if window.seconds < LEAST_WINDOW_S * (1 - 1e-6):
        message = f"the window is {window.seconds:.3g} s long, energy needs {LEAST_WINDOW_S:g} s"
        yield as_found(
            "energy_window", message, window.stage, round(window.seconds, 6), LEAST_WINDOW_S
        )
    yield from _gap(rows, window.stage)
    idle = {(row.scope, row.method): row for row in reversed(_rows_of(data, None))}
    for row in rows:
        if row.basis == "measured" and row.energy_j is not None:
            yield from _power(row, idle.get((row.scope, row.method)), window.stage)
        if row.disagreement_fraction is not None:
            message = (
                f"counter and integral of {row.scope} energy differ by "
                f"{row.disagreement_fraction:.0%}"
            )
            yield from over_limit(
                "energy_disagrees", row.disagreement_fraction, message, window.stage
            )


def withheld(data: StageData) -> str | None:
    """Return why no headline figure of the window's energy is given; None where it passes every gate."""
    reasons = [f"{finding.code}: {finding.message}" for finding in energy_gates(data)]
    return "; ".join(reasons) or None


def mean_power_w(row: EnergyRow) -> float | None:
    """Return its joules over its own window."""
    seconds = (row.window_end - row.window_start) / 1e9
    return None if row.energy_j is None or seconds <= 0 else row.energy_j / seconds


def _rows_of(data: StageData, stage: int | None) -> list[EnergyRow]:
    return [
        row
        for row in data.manifest.energy
        if row.stage == stage and row.subject == "target" and row.counts and row.basis != "modelled"
    ]


def _gap(rows: list[EnergyRow], stage: int) -> Iterator[Finding]:
    worst = max(rows, key=lambda row: row.longest_gap_s or 0.0)
    longest = worst.longest_gap_s or 0.0
    thin = min(row.coverage_fraction or 0.0 for row in rows)
    if longest > LONGEST_GAP_S:
        message = f"{worst.scope} energy has no reading for {longest:.1f} s of the window"
        yield as_found("energy_gap", message, stage, longest, LONGEST_GAP_S)
    elif thin < LEAST_COVERAGE:
        message = f"readings of energy cover {thin:.0%} of the window"
        yield as_found("energy_gap", message, stage, longest, LONGEST_GAP_S)


def _power(row: EnergyRow, idle: EnergyRow | None, stage: int) -> Iterator[Finding]:
    """Yield a measured mean power that the device cannot have had."""
    mean = mean_power_w(row)
    assert mean is not None
    rest = None if idle is None else mean_power_w(idle)
    if row.limit_w is not None and mean > LIMIT_FACTOR * row.limit_w:
        message = f"{row.scope} drew {mean:.4g} W on average, its limit is {row.limit_w:.4g} W"
        yield as_found("energy_power", message, stage, mean, LIMIT_FACTOR * row.limit_w)
    elif rest is not None and mean < (1 - SENSOR_ERROR) * rest:
        message = f"{row.scope} drew {mean:.4g} W under load and {rest:.4g} W without"
        yield as_found("energy_power", message, stage, mean, rest)
    elif mean <= 0:
        yield as_found("energy_power", f"{row.scope} drew {mean:.4g} W", stage, mean, 0.0)
