"""The measured window: its length, what cuts it, and whom it leaves out."""

from typing import Any

import pytest

from observatory.analysis.frames import request_frame
from observatory.analysis.windows import (
    Window,
    counted,
    failure_bound_s,
    left_out,
    loaded_stages,
    window_of,
)
from observatory.core.run import Manifest


def windows(manifest: Manifest) -> list[Window]:
    found = (window_of(manifest, stage) for stage in loaded_stages(manifest))
    return [window for window in found if window is not None]


def test_a_window_is_the_steady_part_of_its_stage(made: Any) -> None:
    made.kinds = ["closed", "poisson"]
    first, second = windows(made.manifest)
    assert (first.stage, first.seconds, first.cut, first.drain_s) == (0, 30.0, False, 20.0)
    assert (second.start_ns, second.end_ns) == (65 * 10**9, 95 * 10**9)


def test_a_stage_stopped_early_has_a_cut_window(made: Any) -> None:
    made.stage_facts = {0: {"steady_ended": 34 * 10**9}}
    [window] = windows(made.manifest)
    assert (window.cut, window.seconds) == (True, 29.0)


@pytest.mark.parametrize(
    "times",
    [
        {"steady_started": None, "steady_ended": None},
        {"steady_ended": None},
        {"steady_ended": 5 * 10**9},
    ],
)
def test_a_stage_that_never_was_steady_has_none(made: Any, times: dict[str, Any]) -> None:
    made.stage_facts = {0: times}
    assert windows(made.manifest) == []


def test_a_stages_own_timing_goes_before_the_scenarios(made: Any) -> None:
    made.kinds = ["prime", "closed", "closed"]
    own = {"warmup": "5s", "steady": "40s", "drain": "7s"}
    made.scenario = {"stages": [{"timing": None}, {"timing": own}]}
    first, second = windows(made.manifest)
    assert (first.stage, first.cut, first.drain_s) == (1, False, 20.0)
    assert (second.stage, second.cut, second.drain_s) == (2, True, 7.0)


def test_those_left_out_are_counted(made: Any) -> None:
    made.add(10)
    made.add_failed(11)
    for outcome in ("interrupted", "interrupted", "not_issued", "refused_by_budget"):
        made.add(12, outcome=outcome)
    made.add(2, outcome="interrupted")
    [window] = windows(made.manifest)
    requests = request_frame(made.frames)
    assert counted(requests, window).height == 2
    assert left_out(requests, window) == {
        "interrupted": 2,
        "not_issued": 1,
        "refused_by_budget": 1,
    }


def test_without_a_timeout_seen_failures_exceed_the_drain_limit(made: Any) -> None:
    made.add_failed(10)
    [window] = windows(made.manifest)
    assert failure_bound_s(request_frame(made.frames), window) == 20.0
    made.add_failed(11, "timeout")
    assert failure_bound_s(request_frame(made.frames), window) == 1.0
