"""Cost, energy, scores and sensors of a stage, worked by hand over a window of 30 s."""

from typing import Any

import polars as pl
import pytest

from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.record import Tokens
from observatory.core.sample import EnergyRow
from observatory.economics.price_details import PriceDetails
from observatory.economics.price_rows import AppliedPrices, PriceRow

TOKENS = AppliedPrices(
    [PriceRow("input", 1.0, "example", "here"), PriceRow("output", 4.0, "example", "here")],
    "example",
)
HOURS = AppliedPrices([PriceRow("machine_hour", 3.6, "stated", "invoice")], "stated")
OWNED = AppliedPrices(
    [
        PriceRow(
            "machine_hour",
            3.6,
            "stated",
            "books",
            details=PriceDetails(electricity_usd_per_kwh=0.5),
        )
    ],
    "stated",
)
A_REQUEST = 116e-6
"""100 prompt tokens at 1 and 4 output tokens at 4 dollars a million."""


def metrics(run: Any) -> pl.DataFrame:
    return stage_metrics(run.manifest, run.frames)


def row(subject: str, energy_j: float | None, **fields: Any) -> EnergyRow:
    given: dict[str, Any] = {
        "stage": 0,
        "subject": subject,
        "scope": "cpu",
        "basis": "measured",
        "method": "rapl",
        "window_start": 5 * 10**9,
        "window_end": 35 * 10**9,
        "energy_j": energy_j,
    }
    return EnergyRow(**(given | fields))


@pytest.fixture
def thirty(made: Any) -> Any:
    """One whole request of four tokens (16 characters) in each second of the window."""
    for second in range(5, 35):
        made.add(second + 0.1)
    return made


def test_tokens_are_charged_where_their_request_ends(thirty: Any, figure: Any) -> None:
    thirty.prices = TOKENS
    thirty.add(4.95)
    thirty.add(34.95)
    frame = metrics(thirty)
    cost = figure(frame, "cost_usd")
    assert cost["value"] == pytest.approx(31 * A_REQUEST)
    assert (cost["n"], cost["basis"], cost["reason"]) == (31, "example", None)
    thousand = figure(frame, "usd_per_1k_requests")
    assert thousand["value"] == pytest.approx(0.116)
    assert (thousand["low"], thousand["high"], thousand["reason"]) == (None, None, "no_spread")
    assert (thousand["needs_n"], thousand["effective_n"]) == (30, 31)
    assert figure(frame, "usd_per_million_output")["value"] == pytest.approx(29)
    assert figure(frame, "usd_per_1k_characters")["value"] == pytest.approx(A_REQUEST / 16 * 1000)


def test_an_hourly_machine_costs_its_window_whatever_it_did(thirty: Any, figure: Any) -> None:
    thirty.prices = HOURS
    frame = metrics(thirty)
    assert figure(frame, "cost_usd")["value"] == pytest.approx(0.03)
    assert figure(frame, "cost_usd")["basis"] == "stated"
    thousand = figure(frame, "usd_per_1k_requests")
    assert thousand["value"] == pytest.approx(1.0)
    assert thousand["low"] <= thousand["value"] <= thousand["high"]
    assert figure(frame, "usd_per_million_output")["value"] == pytest.approx(0.03 / 120 * 1e6)


def test_a_machine_that_served_the_same_throughout_has_no_interval_and_says_so(
    made: Any, figure: Any
) -> None:
    """Not one of no width: a hundred answers, one in each part of the window."""
    made.prices = HOURS
    made.energy = [row("target", 3600.0)]
    for place in range(100):
        made.add(5 + 0.3 * place + 0.01)
    frame = metrics(made)
    for name in ("usd_per_1k_requests", "j_per_request"):
        same = figure(frame, name)
        assert same["value"] is not None
        assert (same["low"], same["high"], same["reason"]) == (None, None, "no_spread"), name


def test_owned_hardware_pays_its_electricity_apart(thirty: Any, figure: Any) -> None:
    thirty.prices = OWNED
    thirty.energy = [row("target", 3.6e6, basis="estimated"), row("client", 9e9)]
    cost = figure(metrics(thirty), "cost_usd")
    assert cost["value"] == pytest.approx(0.03 + 0.5)
    assert cost["basis"] == "estimated"
    thirty.energy = []
    doubtful = figure(metrics(thirty), "cost_usd")
    assert doubtful["value"] == pytest.approx(0.03)
    assert doubtful["reason"] == "electricity_not_known"


def test_usage_is_the_busy_time_of_a_machine(thirty: Any, figure: Any) -> None:
    """Thirty answers of 0.13 s in 30 s: busy for 13 %; 4 + 100 tokens each."""
    thirty.prices = HOURS
    frame = metrics(thirty)
    busy = figure(frame, "busy_fraction")
    assert busy["value"] == pytest.approx(0.13)
    assert figure(frame, "usage_cost_usd")["value"] == pytest.approx(0.03 * 0.13)
    used = figure(frame, "usage_usd_per_1k_requests")
    kept = figure(frame, "usd_per_1k_requests")
    assert used["value"] == pytest.approx(0.13 * kept["value"])
    assert used["high"] == pytest.approx(0.13 * kept["high"])
    assert figure(frame, "usd_per_million_tokens")["value"] == pytest.approx(0.03 / 3120 * 1e6)
    output = figure(frame, "usage_usd_per_million_output")["value"]
    assert output == pytest.approx(0.03 * 0.13 / 120 * 1e6)
    assert figure(frame, "marginal_usd_per_1k_requests")["value"] == 0


def test_requests_that_overlap_are_busy_once(made: Any, figure: Any) -> None:
    """4 to 8 s and 6 to 9 s of a window from 5 s; then 34 s to beyond its end."""
    made.prices = HOURS
    made.add(4, ttft_s=4, gaps_s=())
    made.add(6, ttft_s=1, gaps_s=())
    made.add(6, ttft_s=3, gaps_s=())
    made.add(34, ttft_s=4, gaps_s=())
    assert figure(metrics(made), "busy_fraction")["value"] == pytest.approx(5 / 30)


def test_owned_hardware_in_use_draws_more_than_idle(thirty: Any, figure: Any) -> None:
    """Idle 10 W over the 26.1 s without a request: 261 of the 3,600 J; above idle 3,300 J in all."""
    thirty.prices = OWNED
    baseline = {"stage": None, "window_start": 0, "window_end": 4 * 10**9}
    thirty.energy = [row("target", 3600.0), row("target", 40.0, **baseline)]
    frame = metrics(thirty)
    tariff = 0.5 / 3.6e6
    usage = figure(frame, "usage_cost_usd")
    assert usage["value"] == pytest.approx(0.03 * 0.13 + (3600 - 261) * tariff)
    more = figure(frame, "marginal_usd_per_1k_requests")
    assert more["value"] == pytest.approx(3300 * tariff / 30 * 1000)
    thirty.energy = [row("target", 3600.0)]
    unknown = figure(metrics(thirty), "marginal_usd_per_1k_requests")
    assert (unknown["value"], unknown["reason"]) == (None, "electricity_above_idle_not_known")


def test_tokens_are_paid_as_they_are_used(thirty: Any, figure: Any) -> None:
    thirty.prices = TOKENS
    frame = metrics(thirty)
    for name in ("cost_usd", "usd_per_1k_requests", "usd_per_million_output"):
        assert figure(frame, f"usage_{name}")["value"] == figure(frame, name)["value"]
    more = figure(frame, "marginal_usd_per_1k_requests")["value"]
    assert more == figure(frame, "usd_per_1k_requests")["value"]


def test_a_price_or_a_count_that_is_missing_is_no_zero(thirty: Any, figure: Any) -> None:
    unpriced = figure(metrics(thirty), "usd_per_1k_requests")
    assert (unpriced["value"], unpriced["reason"]) == (None, "no_price")
    thirty.prices = TOKENS
    thirty.add(10, facts={"tokens": Tokens(prompt=100)})
    uncounted = figure(metrics(thirty), "cost_usd")
    assert (uncounted["value"], uncounted["reason"]) == (None, "token_counts_missing")


def test_failures_that_may_have_been_billed_make_a_cost_doubtful(
    thirty: Any, make_attempt: Any, figure: Any
) -> None:
    thirty.prices = TOKENS
    thirty.add_failed(10)
    assert figure(metrics(thirty), "cost_usd")["reason"] is None
    thirty.add(11, make_attempt(11, outcome="error", tokens=Tokens()), outcome="error")
    doubtful = figure(metrics(thirty), "cost_usd")
    assert doubtful["value"] == pytest.approx(30 * A_REQUEST)
    assert doubtful["reason"] == "failed_requests_without_usage"


def test_dividing_by_nothing_gives_a_reason(made: Any, figure: Any) -> None:
    made.prices = HOURS
    frame = metrics(made)
    assert figure(frame, "cost_usd")["value"] == pytest.approx(0.03)
    assert figure(frame, "usd_per_1k_requests")["reason"] == "no_successes"
    assert figure(frame, "usd_per_1k_characters")["reason"] == "no_characters"
    assert figure(frame, "usd_per_correct")["reason"] == "no_scores"


def test_energy_is_the_targets_over_all_scopes_with_the_weakest_basis(
    thirty: Any, figure: Any
) -> None:
    thirty.energy = [
        row("target", 300.0, scope="gpu", method="nvml_counter"),
        row("target", 60.0, basis="estimated", method="codecarbon"),
        row("client", 7000.0),
        row("shared_host", 500.0, basis="estimated"),
        row("target", 1e9, stage=1),
    ]
    frame = metrics(thirty)
    assert figure(frame, "energy_j")["value"] == 360
    assert figure(frame, "energy_j")["basis"] == "estimated"
    assert figure(frame, "j_per_request")["value"] == pytest.approx(12)
    assert figure(frame, "j_per_output_token")["value"] == pytest.approx(3)
    assert figure(frame, "tokens_per_j")["value"] == pytest.approx(1 / 3)
    assert figure(frame, "shared_host_energy_j")["value"] == 500


def test_a_scope_read_twice_counts_once_by_its_strongest_method(thirty: Any, figure: Any) -> None:
    thirty.energy = [
        row("target", 70.0, basis="estimated", method="codecarbon"),
        row("target", 60.0),
    ]
    energy = figure(metrics(thirty), "energy_j")
    assert (energy["value"], energy["basis"]) == (60, "measured")


def test_the_whole_host_is_not_added_to_its_parts(thirty: Any, figure: Any) -> None:
    thirty.energy = [
        row("target", 100.0, scope="host"),
        row("target", 60.0),
        row("target", 20.0, scope="datacentre_overhead", basis="modelled"),
    ]
    frame = metrics(thirty)
    energy, whole = figure(frame, "energy_j"), figure(frame, "facility_energy_j")
    assert (energy["value"], energy["basis"]) == (100, "measured")
    assert (whole["value"], whole["basis"]) == (120, "modelled")
    assert (energy["scopes"], whole["scopes"]) == (
        "host measured",
        "datacentre_overhead modelled, host measured",
    )


def test_energy_is_divided_by_what_its_own_window_held(thirty: Any, figure: Any) -> None:
    """Thirty more requests end in the second third of the window: 10 + 30 in its first 15 s."""
    thirty.energy = [row("target", 100.0, window_end=15 * 10**9)]
    few = figure(metrics(thirty), "j_per_request")
    assert (few["value"], few["reason"], few["n"], few["needs_n"]) == (None, "sample_floor", 10, 30)
    for place in range(30):
        thirty.add(10 + place / 10)
    enough = figure(metrics(thirty), "j_per_request")
    assert enough["value"] == pytest.approx(2.5)
    assert enough["low"] < 2.5 < enough["high"]


def test_a_missing_part_makes_the_whole_missing_and_says_why(thirty: Any, figure: Any) -> None:
    thirty.energy = [row("target", 60.0), row("target", None, scope="gpu", reason="gpu is lost")]
    frame = metrics(thirty)
    for name in ("energy_j", "j_per_request", "tokens_per_j"):
        assert figure(frame, name)["value"] is None
        assert figure(frame, name)["reason"] == "gpu is lost"


def test_a_doubtful_energy_keeps_its_doubt(thirty: Any, figure: Any) -> None:
    thirty.energy = [row("target", 60.0, reason="readings cover 90 %")]
    assert figure(metrics(thirty), "j_per_request")["reason"] == "readings cover 90 %"


def test_failures_score_nothing_where_an_answer_was_expected(made: Any, figure: Any) -> None:
    """1, 0.5 and a failure; what has no scorer, or could not be scored elsewhere, stays out."""
    made.prices = HOURS
    for place in range(10):
        at = 10 + place / 2
        made.add(at, score=1.0, scorer="label", prompt_id=f"a{place}")
        made.add(at, score=0.5, scorer="label", prompt_id=f"b{place}")
        made.add_failed(at, scorer="label", prompt_id=f"c{place}")
    made.add(12, scorer="label", prompt_id="unusable")
    made.add_failed(14, scorer="label", prompt_id="unusable")
    made.add_failed(15, scorer="none", prompt_id="d")
    made.add_failed(16, prompt_id="e")
    frame = metrics(made)
    score = figure(frame, "score")
    assert (score["value"], score["n"]) == (pytest.approx(0.5), 30)
    assert 0 <= score["low"] < 0.5 < score["high"] <= 1
    assert figure(frame, "usd_per_correct")["value"] == pytest.approx(0.03 / 15)


def test_without_scores_there_is_no_score(thirty: Any, figure: Any) -> None:
    thirty.prices = HOURS
    frame = metrics(thirty)
    assert figure(frame, "score")["reason"] == "no_scores"
    assert figure(frame, "usd_per_correct")["reason"] == "no_scores"


def test_no_correct_answer_has_no_price(made: Any, figure: Any) -> None:
    made.prices = HOURS
    made.add(10, score=0.0, scorer="label")
    assert figure(metrics(made), "usd_per_correct")["reason"] == "none_correct"


def test_host_readings_are_averaged_over_the_window(made: Any, figure: Any) -> None:
    for second, value in ((4, 0.9), (5, 0.2), (20, 0.4), (34, None), (35, 0.9)):
        made.sample(second, value)
    made.sample(20, 0.99, sensor="process")
    assert figure(metrics(made), "cpu_util_fraction")["value"] == pytest.approx(0.3)


def test_several_gpus_are_averaged_or_added_reading_by_reading(made: Any, figure: Any) -> None:
    for second in range(5, 25):
        for device, share in (("gpu0", 0.2), ("gpu1", 0.6)):
            reading = {"sensor": "nvml", "device": device}
            made.sample(second, share, "gpu_util_fraction", **reading)
            made.sample(second, 100.0 + second, "gpu_power_w", **reading)
    frame = metrics(made)
    assert figure(frame, "gpu_util_fraction")["value"] == pytest.approx(0.4)
    assert figure(frame, "gpu_power_w")["value"] == pytest.approx(2 * 114.5)
    assert figure(frame, "gpu_power_w", "p95")["value"] == pytest.approx(2 * 123)
    assert figure(frame, "gpu_memory_used_bytes")["reason"] == "no_sensor"


def _gpu(made: Any, device: str, watts: float, later_s: float = 0.0, **fields: Any) -> None:
    reading = {"sensor": "nvml", "device": device, **fields}
    for second in range(5, 35):
        made.sample(second + later_s, watts, "gpu_power_w", **reading)
        made.sample(second + later_s, 7e9, "gpu_memory_used_bytes", **reading)


def test_the_targets_gpus_are_counted_and_the_rest_is_not(made: Any, figure: Any) -> None:
    _gpu(made, "gpu0", 300.0)
    _gpu(made, "gpu1", 60.0)
    assert figure(metrics(made), "gpu_power_w")["value"] == pytest.approx(360)
    role = f"engine:{made.manifest.target.name}"
    made.sample(10, 5e9, "gpu0_memory_used_bytes", sensor="nvml", device=role, subject="target")
    assert figure(metrics(made), "gpu_power_w")["value"] == pytest.approx(300)


def test_gpus_that_it_was_told_to_use_are_its_own_where_the_driver_shows_no_process(
    made: Any, figure: Any
) -> None:
    _gpu(made, "gpu0", 300.0)
    _gpu(made, "gpu1", 60.0)
    for reported in ({"gpus": [1]}, {"gpus": ["1"]}, {"gpus": ["GPU-b"], "gpu_devices": ["gpu1"]}):
        made.target = {"on_this_host": True, "settings": reported}
        assert figure(metrics(made), "gpu_power_w")["value"] == pytest.approx(60)
    made.target = {"on_this_host": True, "settings": {"gpus": ["GPU-b"]}}
    assert figure(metrics(made), "gpu_power_w")["value"] == pytest.approx(360)


def test_parts_of_a_gpu_are_in_its_memory_already(made: Any, figure: Any) -> None:
    _gpu(made, "gpu0", 300.0)
    for second in range(5, 35):
        made.sample(second, 5e9, "gpu_memory_used_bytes", sensor="nvml", device="gpu0/mig0")
    assert figure(metrics(made), "gpu_memory_used_bytes")["value"] == pytest.approx(7e9)


def test_gpus_of_two_other_hosts_are_added_interval_by_interval(made: Any, figure: Any) -> None:
    _gpu(made, "gpu0", 25.0)
    _gpu(made, "one:gpu0", 300.0, 0.1, subject="target")
    _gpu(made, "two:gpu0", 200.0, 0.7, subject="target")
    _gpu(made, "two:gpu1", 60.0, 0.7)
    assert figure(metrics(made), "gpu_power_w")["value"] == pytest.approx(500)
    assert figure(metrics(made), "gpu_power_w", "p95")["value"] == pytest.approx(500)


def test_a_probes_host_is_not_this_hosts_processors(made: Any, figure: Any) -> None:
    for second in range(5, 35):
        made.sample(second, 0.2)
        made.sample(second, 1.0, device="lab")
    assert figure(metrics(made), "cpu_util_fraction")["value"] == pytest.approx(0.2)
