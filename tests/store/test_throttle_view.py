"""The view `throttling`, worked by hand: refused tries, what became of their requests, and the waits."""

from typing import Any

import msgspec
import pytest

from observatory.analysis.stage_metrics import run_figures
from observatory.core.record import Attempt, ErrorKind, RequestRecord
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.ingest.warehouse import ingest
from tests.store.made_runs import S, answer, facts, manifest, record, sealed_run, stage


def ns(seconds: float) -> int:
    return round(seconds * S)


def refused(
    number: int, sent_s: float, status: int = 429, kind: ErrorKind = "http_status"
) -> Attempt:
    """Refused within 50 ms."""
    return Attempt(
        number=number,
        sent=ns(sent_s),
        ended=ns(sent_s + 0.05),
        http_status=status,
        outcome="throttled",
        error_phase="headers",
        error_kind=kind,
    )


def served(number: int, sent_s: float) -> Attempt:
    """First token after 0.1 s, whole after 0.135 s."""
    return msgspec.structs.replace(answer(ns(sent_s)), number=number)


BY_HAND: list[RequestRecord] = [
    # Due at 3.2: refused at 3.201, overloaded at 4.2, answered at 6.2: 2.999 s lost, 3.135 s waited.
    record(2, attempts=[refused(0, 3.201), refused(1, 4.2, 503), served(2, 6.2)]),
    # Due at 3.6: refused at 3.601 and at 5.6, which ended at 5.65: 2.049 s lost, never served.
    record(
        6,
        attempts=[refused(0, 3.601), refused(1, 5.6)],
        outcome="throttled",
        reason="max_attempts",
    ),
    # Due at 4.0: held back for 0.4 s on purpose, answered at once.
    record(10, attempts=[served(0, 4.401)], pace_wait_ns=ns(0.4)),
    # Apart from each other: values in a row that differ from the rest are no independent ones.
    *(record(number) for number in range(12) if number not in (2, 6, 10)),
    # Due when the window is over, and stopped by a person: neither is counted.
    record(12, scheduled=9 * S, attempts=[refused(0, 9.0), served(1, 9.5)]),
    record(13, attempts=[refused(0, 4.3)], outcome="interrupted", reason="interrupted"),
]


def throttle_row(
    workspace: Workspace, records: list[RequestRecord], policy: str = "obey"
) -> dict[str, Any]:
    made = manifest(target=facts(throttling=policy), stages=[stage(issued=len(records))])
    ingest(workspace, sealed_run(workspace, made, records=records), run_figures)
    with connect(workspace) as connection:
        cursor = connection.execute("FROM throttling")
        [row] = cursor.fetchall()
        names = [column[0] for column in cursor.description or []]
    return dict(zip(names, row, strict=True))


def test_every_column_is_what_the_hand_worked_out(stocked: Workspace) -> None:
    row = throttle_row(stocked, BY_HAND)
    counts = {
        "policy": "obey",
        "requests": 12,
        "attempts": 15,
        "throttled_attempts": 4,
        "overloaded_attempts": 1,
        "throttled_requests": 2,
        "throttled_share": pytest.approx(1 / 6),
        "served_after_waiting": 1,
        "given_up": 1,
        "throttle_lost_s": pytest.approx(2.999 + 2.049),
        "pace_lost_s": pytest.approx(0.4),
    }
    assert {name: row[name] for name in counts} == counts
    medians = {
        "service_p50_s": 0.135,
        "throttle_wait_p50_s": 0.0,
        "pace_wait_p50_s": 0.0,
        "user_p50_s": 0.136,
        "service_ttft_p50_s": 0.1,
        "user_ttft_p50_s": 0.101,
    }
    assert {name: row[name] for name in medians} == pytest.approx(medians)
    assert row["user_p90_s"] is None, "a p90 needs 64 requests, here as everywhere"


def test_a_percentile_that_failures_reach_is_not_made_up(stocked: Workspace) -> None:
    """Seven of twelve gave up: there is no median of what users waited, nor of the service."""
    lost = [
        record(number, attempts=[refused(0, 3.5)], outcome="throttled", reason="max_wait")
        for number in range(7)
    ]
    row = throttle_row(stocked, [*lost, *(record(number) for number in range(7, 12))])
    assert (row["requests"], row["given_up"]) == (12, 7)
    assert row["service_p50_s"] is None
    assert row["user_p50_s"] is None
    assert row["throttle_lost_s"] == pytest.approx(7 * 0.05)


def test_a_stage_without_refusals_says_so(stocked: Workspace) -> None:
    row = throttle_row(stocked, [record(number) for number in range(3)], policy="record")
    assert (row["throttled_attempts"], row["throttled_share"]) == (0, 0)
    assert (row["throttle_lost_s"], row["pace_lost_s"]) == (0, 0)


def test_an_overload_that_is_stated_inside_a_200_counts_as_one_of_a_503(stocked: Workspace) -> None:
    tries = [
        refused(0, 3.2, 200, "overloaded"),
        refused(1, 3.4, 200, "rate_limited"),
        refused(2, 3.6, 498, "overloaded"),
        refused(3, 3.8, 503),
        served(4, 4.0),
    ]
    row = throttle_row(
        stocked, [record(2, attempts=tries), *(record(n) for n in range(12) if n != 2)]
    )
    assert (row["throttled_attempts"], row["overloaded_attempts"]) == (4, 3)
    assert row["served_after_waiting"] == 1
