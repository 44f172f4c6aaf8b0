"""An engine's own metrics, worked by hand over a window of 30 s from 5 s to 35 s."""

from typing import Any

import polars as pl
import pytest

from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.sample import RESTARTED

OWN = {"sensor": "engine", "subject": "target", "device": "engine:t"}


@pytest.fixture
def told(made: Any) -> Any:
    """Readings at 0.5, 1.5 ... 49.5 s; the window's are those of 5.5 to 34.5 s."""
    made.add(6)
    for second in range(50):
        at = second + 0.5
        for metric, value in {
            "engine_kv_cache_fraction": second / 100,
            "engine_requests_running": 4 if second % 2 else 2,
            "engine_requests_waiting": 7,
            "engine_prefix_cache_queries_total": 1000 + 100 * second,
            "engine_prefix_cache_hits_total": 500 + 25 * second,
            "engine_preemptions_total": 3 if second < 20 else 5,
            "engine_queue_seconds_sum": 0.5 * second,
            "engine_queue_seconds_count": 2 * second,
            "engine_ttft_seconds_sum": 9.0,
            "engine_ttft_seconds_count": 4,
            "engine_output_tokens_total": 32 * second,
            "engine_decode_seconds_sum": 2.0 * second,
        }.items():
            made.sample(at, value, metric, **OWN)
    return made


def metrics(run: Any) -> pl.DataFrame:
    return stage_metrics(run.manifest, run.frames)


def test_gauges_are_averaged_over_the_readings_in_the_window(told: Any, figure: Any) -> None:
    frame = metrics(told)
    assert figure(frame, "kv_cache_fraction")["value"] == pytest.approx(0.195)
    assert figure(frame, "kv_cache_fraction", "p95")["value"] == pytest.approx(0.33)
    assert figure(frame, "engine_running")["value"] == pytest.approx(3)
    assert figure(frame, "engine_waiting")["value"] == 7
    assert figure(frame, "engine_waiting")["basis"] == "measured"


def test_counters_are_what_they_grew_by_between_the_first_and_the_last_reading(
    told: Any, figure: Any
) -> None:
    frame = metrics(told)
    assert figure(frame, "prefix_cache_hit_fraction")["value"] == pytest.approx(0.25)
    assert figure(frame, "preemptions")["value"] == 2
    assert figure(frame, "server_output_tps")["value"] == pytest.approx(32)
    queue = figure(frame, "server_queue_s")
    assert (queue["value"], queue["n"]) == (pytest.approx(0.25), 2 * 29)


def test_what_the_engine_does_not_say_has_a_reason(told: Any, figure: Any) -> None:
    frame = metrics(told)
    for metric, reason in {
        "server_prefill_s": "engine_does_not_say",
        "server_decode_s": "engine_does_not_say",  # a sum without a count
        "server_ttft_s": "not_observed",
    }.items():
        row = figure(frame, metric)
        assert (row["value"], row["reason"]) == (None, reason)


def test_a_target_without_a_page_has_none_of_it(made: Any, figure: Any) -> None:
    made.add(6)
    made.sample(6, 9, "engine_requests_running", **{**OWN, "subject": "shared_host"})
    frame = metrics(made)
    for metric in ("kv_cache_fraction", "engine_running", "preemptions", "server_output_tps"):
        row = figure(frame, metric)
        assert (row["value"], row["reason"], row["basis"]) == (None, "no_engine_page", None)
    assert frame.filter(pl.col("metric") == "kv_cache_fraction").height == 1


def test_a_counter_that_began_anew_and_a_single_reading_say_nothing(made: Any, figure: Any) -> None:
    made.add(6)
    for at, value in ((6, 100), (7, 5), (8, 300)):
        made.sample(at, value, "engine_output_tokens_total", **OWN)
    made.sample(9, 1, "engine_preemptions_total", **OWN)
    frame = metrics(made)
    assert figure(frame, "server_output_tps")["reason"] == "counter_restarted"
    assert figure(frame, "preemptions")["reason"] == "too_few_readings"


def test_an_emulators_word_is_emulated(told: Any, figure: Any) -> None:
    told.target = {"emulated": True}
    assert figure(metrics(told), "engine_running")["basis"] == "emulated"


def test_sm_activity_is_the_mean_of_the_gpus_and_then_over_time(made: Any, figure: Any) -> None:
    made.add(6)
    assert figure(metrics(made), "sm_active_fraction")["reason"] == "no_sensor"
    for second, (first, second_gpu) in {6: (0.2, 0.4), 7: (0.4, 0.8)}.items():
        made.sample(second, first, "sm_active_fraction", sensor="dcgm", device="gpu0")
        made.sample(second, second_gpu, "sm_active_fraction", sensor="dcgm", device="gpu1")
    made.sample(40, 1.0, "sm_active_fraction", sensor="dcgm", device="gpu0")
    row = figure(metrics(made), "sm_active_fraction")
    assert (row["value"], row["basis"]) == (pytest.approx(0.45), "measured")
    assert figure(metrics(made), "sm_active_fraction", "p95")["value"] == pytest.approx(0.6)


def test_a_counter_of_several_parts_that_began_anew_is_null_although_it_grew(
    made: Any, figure: Any
) -> None:
    """A replica was restarted: the sum went on growing, and the sensor left a null with its reason."""
    made.add(6)
    for second in range(50):
        began_anew = second == 20
        reason = f"{RESTARTED}one went back from 100 to 3" if began_anew else None
        value = None if began_anew else 32.0 * second
        made.sample(second + 0.5, value, "engine_output_tokens_total", **OWN, reason=reason)
        missed = None if second == 21 else 4.0 * second
        made.sample(second + 0.5, missed, "engine_preemptions_total", **OWN)
    frame = metrics(made)
    row = figure(frame, "server_output_tps")
    assert (row["value"], row["reason"]) == (None, "counter_restarted")
    assert figure(frame, "preemptions")["value"] == pytest.approx(4 * 29)  # a reading that failed
