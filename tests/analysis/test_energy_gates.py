"""What an energy figure must pass to be shown, and that nothing else is lost where it does not."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.run import Finding, IdleWindow
from observatory.core.sample import EnergyRow

S = 1_000_000_000
IDLE = IdleWindow(0, 4 * S)
HEADLINES = (
    "energy_j",
    "power_w",
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
)


def gpu_row(**changes: Any) -> EnergyRow:
    """The target's GPU over the window [5 s, 35 s): 100 W, well read, limit 300 W."""
    given: dict[str, Any] = {
        "stage": 0,
        "subject": "target",
        "scope": "gpu",
        "basis": "measured",
        "method": "nvml_counter",
        "window_start": 5 * S,
        "window_end": 35 * S,
        "energy_j": 3000.0,
        "kgco2e": 3000 / 3.6e6 * 0.06,
        "coverage_fraction": 1.0,
        "longest_gap_s": 1.0,
        "limit_w": 300.0,
        "disagreement_fraction": 0.01,
    }
    return EnergyRow(**(given | changes))


def idle_row(power_w: float, **changes: Any) -> EnergyRow:
    window = {"window_start": IDLE.started, "window_end": IDLE.ended}
    return gpu_row(stage=None, energy_j=4 * power_w, **window, **changes)


@pytest.fixture
def thirty(made: Any) -> Any:
    """A request a second over the window, four tokens each, on a GPU that idles at 60 W."""
    for second in range(30):
        made.add(5.2 + second)
    made.healthy_side()
    made.facts = {"idle": IDLE}
    made.energy = [idle_row(60.0), gpu_row()]
    return made


def found(made: Any) -> list[Finding]:
    """The energy findings of a run."""
    findings, _ = judge_run(made.manifest, made.frames)
    return [finding for finding in findings if finding.code.startswith("energy_")]


def metrics(made: Any) -> Any:
    return stage_metrics(made.manifest, made.frames)


def test_what_passes_every_gate_is_shown(thirty: Any, figure: Any) -> None:
    assert found(thirty) == []
    frame = metrics(thirty)
    for name in HEADLINES:
        assert figure(frame, name)["value"] is not None, name
        assert figure(frame, name)["basis"] == "measured"


def test_the_figures_by_hand(thirty: Any, figure: Any) -> None:
    """3,000 J, 30 requests, 120 tokens, 30 s; 240 J in 4 s at rest."""
    frame = metrics(thirty)
    expected = {
        "energy_j": 3000,
        "power_w": 100,
        "idle_power_w": 60,
        "idle_share_fraction": 0.6,
        "j_per_request": 100,
        "j_per_output_token": 25,
        "tokens_per_j": 0.04,
        "wh_per_1k_requests": 100 * 1000 / 3600,
        "kwh_per_million_requests": 100 / 3.6,
        "kwh_per_million_output_tokens": 25 / 3.6,
        "kgco2e_per_million_requests": 100 / 3.6 * 0.06,
        "gpu_energy_j": 3000,
        "gpu_j_per_output_token": 25,
    }
    assert {name: figure(frame, name)["value"] for name in expected} == pytest.approx(expected)
    assert figure(frame, "j_per_request")["scopes"] == "gpu measured"
    assert figure(frame, "facility_energy_j")["reason"] == "no_pue"


def test_units_of_a_request(thirty: Any, figure: Any) -> None:
    """1.8 J a request are half a kWh for a million and half a Wh for a thousand."""
    thirty.energy = [gpu_row(energy_j=54.0)]
    frame = metrics(thirty)
    assert figure(frame, "j_per_request")["value"] == pytest.approx(1.8)
    assert figure(frame, "kwh_per_million_requests")["value"] == pytest.approx(0.5)
    assert figure(frame, "wh_per_1k_requests")["value"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "code", "severity", "value", "words"),
    [
        (
            {"energy_j": None, "longest_gap_s": 5.0, "coverage_fraction": 0.83},
            "energy_gap",
            "note",
            5.0,
            "gpu energy has no reading for 5.0 s of the window",
        ),
        (
            {"energy_j": None, "longest_gap_s": 2.9, "coverage_fraction": 0.7},
            "energy_gap",
            "note",
            2.9,
            "readings of energy cover 70% of the window",
        ),
        (
            {"disagreement_fraction": 0.0501},
            "energy_disagrees",
            "degraded",
            0.0501,
            "counter and integral of gpu energy differ by 5%",
        ),
        (
            {"energy_j": 330.1 * 30},
            "energy_power",
            "degraded",
            330.1,
            "gpu drew 330.1 W on average, its limit is 300 W",
        ),
        (
            {"energy_j": 56.9 * 30},
            "energy_power",
            "degraded",
            56.9,
            "gpu drew 56.9 W under load and 60 W without",
        ),
    ],
)
def test_a_failed_gate_is_a_finding_and_withholds_the_figures(
    thirty: Any,
    figure: Any,
    changes: dict[str, Any],
    code: str,
    severity: str,
    value: float,
    words: str,
) -> None:
    thirty.energy = [idle_row(60.0), gpu_row(**changes)]
    (finding,) = found(thirty)
    assert (finding.code, finding.severity, finding.message) == (code, severity, words)
    assert finding.value == pytest.approx(value)
    frame = metrics(thirty)
    for name in HEADLINES:
        row = figure(frame, name)
        assert (row["value"], row["reason"]) == (None, f"{code}: {words}"), name
    assert figure(frame, "idle_power_w")["value"] == 60
    assert figure(frame, "ttft_s", "p50")["value"] is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"disagreement_fraction": 0.05},
        {"energy_j": 330.0 * 30},
        {"energy_j": 57.1 * 30},
        {"longest_gap_s": 3.0, "coverage_fraction": 0.9},
    ],
)
def test_the_edges_of_the_gates_are_inside(thirty: Any, changes: dict[str, Any]) -> None:
    thirty.energy = [idle_row(60.0), gpu_row(**changes)]
    assert found(thirty) == []


def test_a_short_window_has_no_energy_figure(thirty: Any, figure: Any) -> None:
    thirty.stage_facts = {0: {"steady_ended": 34 * S}}
    thirty.energy = [gpu_row(window_end=34 * S)]
    (finding,) = found(thirty)
    assert (finding.code, finding.severity, finding.value, finding.threshold) == (
        "energy_window",
        "note",
        29.0,
        30.0,
    )
    assert figure(metrics(thirty), "j_per_request")["reason"] == (
        "energy_window: the window is 29 s long, energy needs 30 s"
    )


def test_several_failures_are_all_named(thirty: Any, figure: Any) -> None:
    thirty.energy = [gpu_row(energy_j=12000.0, disagreement_fraction=0.5)]
    assert {finding.code for finding in found(thirty)} == {"energy_power", "energy_disagrees"}
    reason = figure(metrics(thirty), "energy_j")["reason"]
    assert "energy_power: " in reason and "; energy_disagrees: " in reason


def test_a_power_of_nothing_is_no_power(thirty: Any) -> None:
    thirty.energy = [gpu_row(energy_j=0.0, disagreement_fraction=None)]
    (finding,) = found(thirty)
    assert (finding.code, finding.message) == ("energy_power", "gpu drew 0 W")


def test_estimates_and_shares_are_held_against_no_limit(thirty: Any) -> None:
    share = gpu_row(scope="cpu", basis="estimated", method="share", energy_j=0.1)
    thirty.energy = [idle_row(60.0, scope="cpu", basis="estimated", method="share"), share]
    assert found(thirty) == []


def test_no_sensor_is_no_finding(thirty: Any, figure: Any) -> None:
    """A target elsewhere, an emulated one, a process without a sensor: null, and its own reason."""
    evidence = {"coverage_fraction": None, "longest_gap_s": None, "disagreement_fraction": None}
    thirty.stage_facts = {0: {"steady_ended": 20 * S}}
    thirty.energy = [gpu_row(energy_j=None, scope="host", reason="emulated", **evidence)]
    assert found(thirty) == []
    assert figure(metrics(thirty), "energy_j")["reason"] == "emulated"


def test_what_is_modelled_has_no_readings_to_be_doubted(thirty: Any, figure: Any) -> None:
    thirty.stage_facts = {0: {"steady_ended": 20 * S}}
    for place in range(30):
        thirty.add(10 + place / 10)
    evidence = {"coverage_fraction": None, "longest_gap_s": None, "disagreement_fraction": None}
    thirty.energy = [
        gpu_row(
            scope="host",
            basis="modelled",
            method="ecologits",
            energy_j=90.0,
            low_j=45.0,
            high_j=135.0,
            window_end=20 * S,
            **evidence,
        )
    ]
    assert found(thirty) == []
    frame = metrics(thirty)
    row = figure(frame, "j_per_request")
    assert [row[name] for name in ("low", "value", "high")] == pytest.approx([1, 2, 3])
    assert row["basis"] == "modelled"
    inverse = figure(frame, "tokens_per_j")
    assert [inverse[name] for name in ("low", "value", "high")] == pytest.approx([180 / 135, 2, 4])
    facility = figure(frame, "facility_energy_j")
    assert (facility["value"], facility["low"], facility["high"]) == (90, 45, 135)


def test_a_check_enters_no_sum(thirty: Any, figure: Any) -> None:
    check = gpu_row(method="nvml_power_trapezoid", energy_j=2990.0, counts=False)
    thirty.energy = [*thirty.energy, check]
    assert figure(metrics(thirty), "energy_j")["value"] == 3000


def test_idle_of_other_scopes_has_no_share(thirty: Any, figure: Any) -> None:
    cpu = gpu_row(scope="cpu", basis="estimated", method="share", energy_j=300.0)
    thirty.energy = [*thirty.energy, cpu]
    frame = metrics(thirty)
    assert figure(frame, "energy_j")["scopes"] == "cpu estimated, gpu measured"
    assert figure(frame, "energy_j")["basis"] == "estimated"
    assert figure(frame, "gpu_energy_j")["value"] == 3000
    share = figure(frame, "idle_share_fraction")
    assert (share["value"], share["reason"]) == (None, "idle_of_other_scopes")


def test_without_a_baseline_nothing_is_made_up(thirty: Any, figure: Any) -> None:
    thirty.facts = {}
    thirty.energy = [gpu_row()]
    frame = metrics(thirty)
    for name in ("idle_power_w", "idle_share_fraction"):
        assert (figure(frame, name)["value"], figure(frame, name)["reason"]) == (
            None,
            "no_idle_baseline",
        )


def test_overhead_stands_beside_and_makes_the_facility(thirty: Any, figure: Any) -> None:
    overhead = gpu_row(
        scope="datacentre_overhead", basis="modelled", method="pue", energy_j=600.0, pue=1.2
    )
    thirty.energy = [*thirty.energy, overhead]
    frame = metrics(thirty)
    assert figure(frame, "energy_j")["value"] == 3000
    assert figure(frame, "j_per_request")["value"] == 100
    whole = figure(frame, "facility_energy_j")
    assert (whole["value"], whole["basis"]) == (3600, "modelled")
    thirty.energy = [
        msgspec.structs.replace(row, disagreement_fraction=0.5) if row.scope == "gpu" else row
        for row in thirty.energy
    ]
    assert figure(metrics(thirty), "facility_energy_j")["value"] is None


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(joules=st.floats(60 * 30, 300 * 30))
def test_units_are_all_of_the_same_energy(thirty: Any, figure: Any, joules: float) -> None:
    made = replace(thirty, energy=[gpu_row(energy_j=joules, limit_w=None)])
    frame = metrics(made)
    of = {name: figure(frame, name)["value"] for name in HEADLINES}
    assert of["j_per_request"] == pytest.approx(joules / 30)
    assert of["kwh_per_million_requests"] == pytest.approx(of["wh_per_1k_requests"])
    assert of["tokens_per_j"] * of["j_per_output_token"] == pytest.approx(1)
    assert of["power_w"] * 30 == pytest.approx(of["energy_j"])
