"""docs/energy.md's worked example is the ledger's result for its readings."""

from pathlib import Path
from typing import Any

import polars as pl

from observatory.analysis.checks.energy_checks import LEAST_WINDOW_S, LIMIT_FACTOR, SENSOR_ERROR
from observatory.analysis.energy.energy_ledger import energy_ledger
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.run import IdleWindow
from observatory.core.sample import EnergyRow, Sample, Subject
from observatory.economics.window import LEAST_COVERAGE, LONGEST_GAP_S

S = 1_000_000_000
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")
REST, BEGIN, END = 40, 45, 75
"""Seconds: the engine idles from 0, works from 40 on, and is measured from 45 to 75."""
SHOWN = (
    "energy_j",
    "power_w",
    "idle_power_w",
    "idle_share_fraction",
    "j_per_request",
    "j_per_output_token",
    "tokens_per_j",
    "wh_per_1k_requests",
    "kwh_per_million_requests",
    "kwh_per_million_output_tokens",
    "kgco2e_per_million_requests",
    "gpu_energy_j",
    "gpu_j_per_output_token",
    "facility_energy_j",
)


def _ramp(rest: float, load: float, second: int) -> float:
    return rest * min(second, REST) + load * max(second - REST, 0)


def _readings(second: int) -> list[tuple[str, Subject, str, str, float]]:
    loaded = second >= REST
    return [
        ("nvml", "shared_host", "gpu0", "gpu_energy_j", _ramp(60, 250, second)),
        ("nvml", "shared_host", "gpu0", "gpu_power_w", 252.0 if loaded else 60.0),
        ("nvml", "shared_host", "gpu0", "gpu_power_limit_w", 300.0),
        ("nvml", "target", "engine:t", "gpu0_memory_used_bytes", 8e9),
        ("rapl", "shared_host", "cpu/package-0", "energy_j", _ramp(30, 80, second)),
        ("host", "shared_host", "", "cpu_busy_s", _ramp(2, 8, second)),
        ("process", "target", "engine:t", "cpu_s", _ramp(0.1, 2, second)),
        ("codecarbon", "shared_host", "grid/FRA/2023", "kgco2e_per_kwh", 0.05),
    ]


def _measured(made: Any) -> tuple[list[EnergyRow], pl.DataFrame]:
    for number in range(150):
        made.add(BEGIN + 0.1 + 0.19 * number, gaps_s=[0.01] * 99)
    samples = [
        Sample(second * S, sensor, subject, device, metric, value)
        for second in range(END + 5)
        for sensor, subject, device, metric, value in _readings(second)
    ]
    made.stage_facts = {
        0: {"started": REST * S, "steady_started": BEGIN * S, "steady_ended": END * S}
    }
    made.target = {"on_this_host": True}
    made.scenario = {"telemetry": {"interval": "1s", "pue": 1.2}}
    made.facts = {"idle": IdleWindow(20 * S, 30 * S)}
    made.energy = energy_ledger(made.manifest, made.frames, samples)
    return made.energy, stage_metrics(made.manifest, made.frames)


def _example(rows: list[EnergyRow], figures: pl.DataFrame) -> str:
    lines = [
        "| window | subject | scope | basis | method | J | counts |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.energy_j is not None:
            window = "idle" if row.stage is None else "load"
            counts = "yes" if row.counts else "no"
            lines.append(
                f"| {window} | {row.subject} | {row.scope} | {row.basis} | {row.method} "
                f"| {row.energy_j:,.6g} | {counts} |"
            )
    lines += ["", "| figure | value | basis | scopes |", "|---|---|---|---|"]
    for name in SHOWN:
        row = figures.row(by_predicate=pl.col("metric") == name, named=True)
        assert row["reason"] is None, row
        lines.append(f"| `{name}` | {row['value']:.4g} | {row['basis']} | {row['scopes']} |")
    return "\n".join(lines)


def test_the_worked_example_is_computed(made: Any) -> None:
    example = _example(*_measured(made))
    shown = PAGE.partition("<!-- begin example -->\n")[2].partition("\n<!-- end example -->")[0]
    assert shown == example, f"put this between the markers:\n{example}"


def test_the_page_states_the_gates_as_they_are() -> None:
    for number in (
        f"{LEAST_WINDOW_S:g} s",
        f"{LEAST_COVERAGE:.0%}".replace("%", " %"),
        f"{LONGEST_GAP_S:g} s",
        f"{LIMIT_FACTOR:g} times",
        f"{SENSOR_ERROR:.0%}".replace("%", " %"),
    ):
        assert number in PAGE, number
