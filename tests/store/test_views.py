"""The views: known answers, every run kept, and only what may be compared compared."""

from typing import Any

import msgspec
import pytest

from observatory.core.metric import METRICS, REQUEST_METRICS
from observatory.core.run import Manifest, Verdict
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.ingest.warehouse import ingest
from observatory.store.views.catalogue import VIEWS
from observatory.store.views.stage_columns import column_name, stage_columns
from tests.store.made_runs import (
    ANCHOR_UNIX_NS,
    S,
    answer,
    facts,
    manifest,
    record,
    sealed_run,
    stage,
    stage_rows,
)

VALID = Verdict("valid", [], "Valid.")
INVALID = Verdict("invalid", ["lost_records"], "Invalid.")


def _rows(workspace: Workspace, query: str) -> list[dict[str, Any]]:
    with connect(workspace) as connection:
        rows = connection.execute(query).fetchall()
        names = [column[0] for column in connection.description or []]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _take_in(workspace: Workspace, made: Manifest, **given: Any) -> None:
    assert ingest(workspace, sealed_run(workspace, made, **given), stage_rows).message is None


def test_a_request_with_two_tries_has_all_its_metrics(stocked: Workspace) -> None:
    throttled = msgspec.structs.replace(
        answer(3 * S + 2_000_000), outcome="throttled", event_ns=[], event_tokens=[]
    )
    second = msgspec.structs.replace(answer(5 * S), number=1, provider_request_id="second")
    _take_in(
        stocked,
        manifest(),
        records=[record(0, scheduled=3 * S, attempts=[throttled, second], pace_wait_ns=1_000_000)],
    )
    row = _rows(stocked, "FROM request_metrics")[0]
    assert (
        row
        | {
            "run_id": "run-1",
            "campaign_id": "campaign-1",
            "scenario": "quickstart",
            "target_label": "emulated-api (emulated)",
            "verdict": "degraded",
            "concurrency": 2,
            "outcome": "ok",
            "provider_request_id": "second",
            "finish_reason": "stop",
            "attempts": 2,
            "in_window": True,
            "output_tokens": 4,
            "ttft_s": pytest.approx(0.1),
            "ttft_connect_s": pytest.approx(0.101),
            "ttft_scheduled_s": pytest.approx(2.1),
            "ttfa_s": pytest.approx(0.1),
            "tpot_s": pytest.approx(0.01),
            "e2e_s": pytest.approx(0.135),
            "e2e_scheduled_s": pytest.approx(2.135),
            "sched_lag_s": pytest.approx(0.001),
            "pace_wait_s": pytest.approx(0.001),
            "throttle_wait_s": pytest.approx(1.998),
            "output_tps_user": pytest.approx(100.0),
            "scheduled_unix_ns": ANCHOR_UNIX_NS + 3 * S,
            "sent_unix_ns": ANCHOR_UNIX_NS + 5 * S,
            "first_token_unix_ns": ANCHOR_UNIX_NS + 5 * S + 100_000_000,
            "last_token_unix_ns": ANCHOR_UNIX_NS + 5 * S + 130_000_000,
            "ended_unix_ns": ANCHOR_UNIX_NS + 5 * S + 135_000_000,
        }
        == row
    )
    assert {metric.name for metric in REQUEST_METRICS} <= set(row)


def test_the_window_is_the_steady_one_and_a_clock_step_has_no_latency(
    stocked: Workspace,
) -> None:
    _take_in(
        stocked,
        manifest(),
        records=[
            record(0, scheduled=2 * S - 1),
            record(1, scheduled=2 * S),
            record(2, scheduled=9 * S - 1, clock_step=True),
            record(3, scheduled=9 * S),
        ],
    )
    rows = _rows(stocked, "SELECT in_window, e2e_s, cost_usd FROM request_metrics ORDER BY request")
    assert [row["in_window"] for row in rows] == [False, True, True, False]
    assert [row["e2e_s"] is None for row in rows] == [False, False, True, False]
    assert all(row["cost_usd"] for row in rows)


def test_a_request_never_sent_is_a_row_without_latencies(stocked: Workspace) -> None:
    unsent = record(0, outcome="not_issued", reason="drain", attempts=[])
    _take_in(stocked, manifest(), records=[unsent])
    row = _rows(stocked, "FROM request_metrics")[0]
    assert (row["outcome"], row["attempts"], row["sent_unix_ns"]) == ("not_issued", 0, None)
    assert all(
        row[metric.name] is None for metric in REQUEST_METRICS if metric.name != "pace_wait_s"
    )


def test_only_what_a_limit_held_back_until_the_drain_limit_is_held_back(
    stocked: Workspace,
) -> None:
    made = [
        record(0, outcome="not_issued", reason="drain_limit", attempts=[]),
        record(1, outcome="not_issued", reason="interrupted", attempts=[]),
        record(2, outcome="timeout", reason="drain_limit"),
        record(3),
    ]
    _take_in(stocked, manifest(), records=made)
    rows = _rows(stocked, "SELECT held_back FROM request_metrics ORDER BY request")
    assert [row["held_back"] for row in rows] == [True, False, False, False]


def test_every_run_is_in_the_three_views_whatever_its_status_and_verdict(
    stocked: Workspace,
) -> None:
    states: list[tuple[Any, Verdict | None]] = [
        ("complete", VALID),
        ("interrupted", INVALID),
        ("crashed", None),
        ("budget_reached", VALID),
    ]
    for number, (status, verdict) in enumerate(states):
        _take_in(stocked, manifest(f"r{number}", status=status, verdict=verdict))
    for view in ("request_metrics", "stage_summary", "run_summary"):
        found = _rows(stocked, f"SELECT DISTINCT run_id, status, verdict FROM {view} ORDER BY ALL")
        assert [row["status"] for row in found] == [status for status, _ in states], view


def test_the_query_of_the_front_page(stocked: Workspace) -> None:
    _take_in(stocked, manifest("r1"))
    _take_in(stocked, manifest("r2", target=facts("llama", emulated=False)))
    rows = _rows(
        stocked,
        "select target, count(*), quantile_cont(ttft_s, .5) from request_metrics group by all",
    )
    assert sorted((row["target"], row["count_star()"]) for row in rows) == [
        ("emulated-api", 3),
        ("llama", 3),
    ]
    assert all(row["quantile_cont(ttft_s, .5)"] == pytest.approx(0.1) for row in rows)


def test_stage_metrics_stand_side_by_side(stocked: Workspace) -> None:
    _take_in(stocked, manifest(stages=[stage(0), stage(1, concurrency=8)]))
    rows = _rows(stocked, "FROM stage_summary ORDER BY stage")
    assert (
        rows[1]
        | {
            "stage": 1,
            "concurrency": 8,
            "window_s": 7.0,
            "recorded": 3,
            "n": 3,
            "ttft_p50_s": 1.1,
            "ttft_p50_low_s": 0.05,
            "ttft_p50_high_s": float("inf"),
            "ttft_p99_s": None,
            "goodput_rps": 1.5,
            "goodput_rps_low": 1.0,
            "goodput_rps_high": 2.0,
            "gpu_util_fraction": 0.5,
            "gpu_util_p95_fraction": 0.9,
            "energy_j": 70.0,
            "energy_basis": "estimated",
            "cost_usd": 0.25,
            "cost_basis": "emulated",
            "score": None,
        }
        == rows[1]
    )


def test_the_run_summary_counts(stocked: Workspace) -> None:
    records = [
        record(0),
        record(1, outcome="error", score=None),
        record(2, outcome="not_issued", attempts=[], score=None),
    ]
    _take_in(stocked, manifest(stages=[stage(0), stage(1)]), records=records)
    row = _rows(stocked, "FROM run_summary")[0]
    assert (
        row
        | {
            "stages": 2,
            "issued": 6,
            "requests": 3,
            "ok": 1,
            "failed": 1,
            "not_sent": 1,
            "mean_score": 1.0,
            "spent_usd": pytest.approx(2 * 140 / 1e6),
            "window_cost_usd": 0.5,
            "energy_j": 140.0,
            "findings": 1,
            "verdict_sentence": "Degraded: the client was busy.",
        }
        == row
    )


def test_a_run_has_no_total_where_a_stage_has_no_figure(stocked: Workspace) -> None:
    """The energy of one stage was withheld: the rest of the run must not pass for the whole."""
    _take_in(stocked, manifest(stages=[stage(0), stage(1)]), records=[record(0)])
    with connect(stocked, read_only=False) as connection:
        connection.execute(
            "UPDATE stage_metrics SET value = NULL, reason = 'energy_window' "
            "WHERE metric = 'energy_j' AND stage = 1"
        )
        row = connection.execute("SELECT energy_j, window_cost_usd FROM run_summary").fetchone()
    assert row == (None, 0.5)


def _campaign(number: int, **verdicts: Verdict | None) -> list[Manifest]:
    return [
        manifest(
            f"c{number}-{target}",
            campaign_id=f"c{number}",
            created_utc=f"2026-11-2{number}T09:00:00Z",
            target=facts(target, emulated=target == "emulated"),
            verdict=verdict,
        )
        for target, verdict in verdicts.items()
    ]


COMPARED = (
    "SELECT campaign_id, target_label, stage, invalid_runs FROM target_comparison ORDER BY ALL"
)


def test_only_the_latest_campaign_is_compared(stocked: Workspace) -> None:
    for made in [*_campaign(1, a=VALID, b=VALID), *_campaign(2, a=VALID, emulated=VALID)]:
        _take_in(stocked, made)
    assert [tuple(row.values()) for row in _rows(stocked, COMPARED)] == [
        ("c2", "a", 0, 0),
        ("c2", "emulated (emulated)", 0, 0),
    ]


def test_invalid_and_unjudged_runs_are_left_out_and_counted(stocked: Workspace) -> None:
    for made in [*_campaign(1, a=VALID, b=INVALID, c=None), *_campaign(2, a=INVALID)]:
        _take_in(stocked, made)
    assert [tuple(row.values()) for row in _rows(stocked, COMPARED)] == [("c1", "a", 0, 3)]


def test_a_key_with_no_sound_run_has_no_row(stocked: Workspace) -> None:
    for made in _campaign(1, a=INVALID):
        _take_in(stocked, made)
    assert _rows(stocked, COMPARED) == []


def test_other_keys_are_apart_and_priming_is_no_stage_to_compare(stocked: Workspace) -> None:
    prime = stage(0, kind="prime", concurrency=None, steady_started=None, steady_ended=None)
    _take_in(stocked, manifest("r1", comparison_key="k1", verdict=VALID, stages=[prime, stage(1)]))
    _take_in(stocked, manifest("r2", comparison_key="k2", campaign_id="c2", verdict=VALID))
    rows = _rows(stocked, "SELECT comparison_key, stage FROM target_comparison ORDER BY ALL")
    assert [tuple(row.values()) for row in rows] == [("k1", 1), ("k2", 0)]


def test_columns_are_named_by_stem_statistic_and_unit() -> None:
    by_name = {metric.name: metric for metric in METRICS}
    assert column_name(by_name["ttft_s"], "p50") == "ttft_p50_s"
    assert column_name(by_name["ttft_s"], "p99", "high") == "ttft_p99_high_s"
    assert column_name(by_name["output_tps_user"], "p50", "low") == "output_tps_user_p50_low"
    assert column_name(by_name["goodput_rps"], "value", "low") == "goodput_rps_low"
    assert column_name(by_name["gpu_memory_used_bytes"], "p95") == "gpu_memory_used_p95_bytes"


def test_every_metric_has_its_column_and_no_name_comes_twice() -> None:
    assert {column.metric.name for column in stage_columns()} == {m.name for m in METRICS}
    for view in VIEWS:
        names = [column.name for column in view.columns]
        assert len(names) == len(set(names)), view.name
