"""In which phase of its stage a request is due, at the edges and before the stage has begun."""

from types import SimpleNamespace
from typing import Any

import pytest

from observatory.core.clock import new_anchor
from observatory.core.plan import StagePlan
from observatory.load import timeline
from observatory.load.timeline import Timeline

SECOND = 1_000_000_000


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a timeline that has begun, and its start (monotonic nanoseconds)."""
    monkeypatch.setattr(timeline, "AlarmClock", lambda failed: SimpleNamespace())

    def make(**stage: Any) -> tuple[Timeline, int]:
        level = {"concurrency": 1, "rate_per_s": None}
        made = Timeline(StagePlan(**{**level, **stage}), new_anchor(), lambda error: None)
        made.begin(5 * SECOND)
        return made, made.clock.monotonic(5 * SECOND)

    return make


def test_a_request_is_of_the_phase_in_which_it_is_due(begun: Any) -> None:
    stage = {"index": 0, "kind": "closed", "warmup_s": 0.1, "steady_s": 2.0, "drain_s": 1.0}
    made, start = begun(**stage)
    warm, end = start + SECOND // 10, start + 21 * SECOND // 10
    phases = [made.phase(at) for at in (start - 1, start, warm - 1, warm, end - 1, end)]
    assert phases == ["warmup", "warmup", "warmup", "steady", "steady", "drain"]
    assert made.begun and not made.window_over


def test_a_priming_stage_has_one_phase_and_no_window(begun: Any) -> None:
    stage = {"index": 0, "kind": "prime", "warmup_s": 0.0, "steady_s": 0.0, "drain_s": 1.0}
    made, start = begun(**stage)
    assert {made.phase(start), made.phase(start + 60 * SECOND)} == {"prime"}
    assert made.window_over
