"""Attempts that were lost on kept-alive connections: counted, found, and no errors."""

from typing import Any

import pytest

from observatory.analysis.checks.judge import judge_run
from observatory.analysis.stage_metrics import stage_metrics
from observatory.core.record import Attempt
from observatory.core.run import Finding

S = 1_000_000_000
N = 300


def lost(at_s: float, **fields: Any) -> Attempt:
    """Sent on a kept connection, which was closed 1 ms later."""
    known = {
        "sent": round(at_s * S),
        "ended": round(at_s * S) + 1_000_000,
        "outcome": "error",
        "error_phase": "headers",
        "error_kind": "early_close",
        "reused_connection": True,
    }
    return Attempt(number=0, **{**known, **fields})


def window(run: Any, make_attempt: Any, hit: int, **fields: Any) -> dict[str, Finding]:
    """N requests, one every 0.1 s; the first try of `hit` of them was lost."""
    run.healthy_side()
    for place in range(N):
        at = 5 + place / 10
        if hit and place % (N // hit) == 0:
            run.add(at, lost(at, **fields), make_attempt(at + 0.001, 0.1, [0.01] * 9, number=1))
        else:
            run.add(at, gaps_s=[0.01] * 9)
    return {finding.code: finding for finding in judge_run(run.manifest, run.frames)[0]}


@pytest.mark.parametrize(("hit", "severity", "limit"), [(3, "note", None), (30, "degraded", 0.01)])
@pytest.mark.parametrize("kind", ["early_close", "reset"])
def test_lost_tries_are_found_and_alone(
    made: Any,
    make_attempt: Any,
    figure: Any,
    hit: int,
    severity: str,
    limit: float | None,
    kind: str,
) -> None:
    found = window(made, make_attempt, hit, error_kind=kind)
    assert set(found) == {"stale_connections"}
    finding = found["stale_connections"]
    assert (finding.severity, finding.value) == (severity, pytest.approx(hit / (N + hit)))
    assert finding.message == (
        f"{hit} of {N + hit} HTTP attempts met a kept connection that the service closed without an "
        "answer; they were made again on a new connection"
    )
    row = figure(stage_metrics(made.manifest, made.frames), "stale_retries")
    assert (row["value"], row["n"]) == (hit, N + hit)


@pytest.mark.parametrize(
    "fields",
    [
        {"reused_connection": False},
        {"bytes_received": 17},
        {"http_status": 503, "error_kind": "http_status"},
        {"error_kind": "timeout"},
    ],
)
def test_other_lost_tries_are_none(
    made: Any, make_attempt: Any, figure: Any, fields: dict[str, Any]
) -> None:
    assert "stale_connections" not in window(made, make_attempt, 30, **fields)
    frame = stage_metrics(made.manifest, made.frames)
    assert figure(frame, "stale_retries")["value"] == 0
