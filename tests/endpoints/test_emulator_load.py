"""The emulator under load, in simulated time: the knee where it was computed, speed that falls with
the batch, drift, limits. Waiting requests are counted, nothing is timed by a wall clock."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.emulation.profile import Profile, Slowdown
from observatory.core.workspace import shipped
from observatory.emulator.capacity import capacity_rps, mean_gaps, mean_service_s
from observatory.emulator.load import load_factor
from observatory.inputs.profile_files import read_profile
from tests.endpoints.emulated_streams import profile
from tests.endpoints.virtual_time import World, world


@contextmanager
def opened(behaviour: Profile, clients: int = 0, **options: Any) -> Iterator[World]:
    made = world(behaviour)
    try:
        for _ in range(clients):
            made.client(**options)
        yield made
    finally:
        for task in asyncio.all_tasks(made.loop):
            task.cancel()
        made.loop.close()


def completed(behaviour: Profile, clients: int, seconds: float, **options: Any) -> int:
    with opened(behaviour, clients, **options) as made:
        made.run(seconds)
        return sum(status == 200 for status, _ in made.done)


def test_the_shipped_knee_is_where_its_page_says() -> None:
    knee = read_profile(shipped("scenarios") / "profiles" / "knee.yaml")
    assert capacity_rps(knee) == pytest.approx(20.0)
    assert mean_service_s(knee) == pytest.approx(0.4)
    # Saturated: twice as many clients as slots, 100 s; the slots' first turn ends after 0.4 s.
    assert completed(knee, 16, 100.05) == pytest.approx(2000, abs=8)


def test_below_the_knee_everyone_is_served_at_once_and_above_it_the_wait_grows() -> None:
    knee = read_profile(shipped("scenarios") / "profiles" / "knee.yaml")
    with opened(knee, 3) as few:
        few.run(20)
        assert {round(seconds, 6) for _, seconds in few.done} == {0.3}
    with opened(knee, 32) as many:
        many.run(20)
        # By Little's law: 32 requests in a system that lets 20 a second leave.
        later = [seconds for _, seconds in many.done[-200:]]
        assert sum(later) / len(later) == pytest.approx(32 / 20, rel=0.02)


@settings(max_examples=15, deadline=None)
@given(
    slots=st.integers(1, 6),
    ttft_ms=st.integers(1, 300),
    gap_ms=st.integers(1, 30),
    spread=st.floats(1.0, 3.0),
    tokens=st.integers(1, 40),
    per_request=st.floats(0, 0.5),
    tail=st.sampled_from([{}, {"ttft": 0.1, "inter_token": 0.02, "factor": 4}]),
)
def test_a_saturated_server_completes_what_was_computed(
    slots: int, ttft_ms: int, gap_ms: int, spread: float, tokens: int, per_request: float, tail: Any
) -> None:
    behaviour = Profile.model_validate(
        {
            "ttft_median": f"{ttft_ms}ms",
            "ttft_p95": f"{ttft_ms * spread:.3f}ms",
            "inter_token_median": f"{gap_ms}ms",
            "inter_token_p95": f"{gap_ms * spread:.3f}ms",
            "output_tokens_median": tokens,
            "output_tokens_p95": round(tokens * spread),
            "slots": slots,
            "slowdown": {"per_request": per_request},
            "tail": tail,
        }
    )
    capacity = capacity_rps(behaviour)
    assert capacity is not None
    expected = 400
    assert completed(behaviour, 2 * slots, expected / capacity) == pytest.approx(expected, rel=0.12)


def test_a_limit_of_tokens_moves_the_knee() -> None:
    behaviour = profile(slots=2, output_tokens_median=21, output_tokens_p95=21)
    assert capacity_rps(behaviour) == pytest.approx(2 / 0.3)
    assert capacity_rps(behaviour, max_tokens=11) == pytest.approx(2 / 0.2)
    assert completed(behaviour, 4, 60.05, max_tokens=11) == pytest.approx(600, abs=4)
    spread = profile(output_tokens_median=20, output_tokens_p95=60)
    assert mean_gaps(spread, 1) == 0
    assert 0 < mean_gaps(spread, 20) < 19 < mean_gaps(spread, None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"slots": 2, "drift": {"per_minute": 1}},
        {"slots": 2, "faults": {"reset": 0.1}},
        {"slots": 2, "limits": {"tokens_per_minute": 1000}},
        {"slots": 2, "prompt_cache": {"kind": "prefix"}, "prefill_per_token": "1ms"},
    ],
)
def test_what_does_not_determine_a_capacity_has_none(fields: dict[str, Any]) -> None:
    assert capacity_rps(profile(**fields)) is None


def test_prefill_and_cache_count_into_a_service() -> None:
    prefill = {"slots": 1, "prefill_per_token": "1ms"}
    assert mean_service_s(profile(**prefill), prompt_tokens=100) == pytest.approx(0.25)
    half = profile(**prefill, prompt_cache={"kind": "fraction", "fraction": 0.5})
    assert mean_service_s(half, prompt_tokens=100) == pytest.approx(0.2)


def test_speed_falls_with_the_running_batch() -> None:
    slow = Slowdown(per_request=0.5, free=2)
    assert [load_factor(slow, running) for running in (0, 1, 2, 3, 4)] == [1, 1, 1, 1.5, 2]
    behaviour = profile(slowdown={"per_request": 0.5, "free": 2})
    for clients, gap_s in ((1, 0.01), (2, 0.01), (4, 0.02)):
        with opened(behaviour, clients, think_s=100) as made:
            made.run(10)
            assert [seconds for _, seconds in made.done] == pytest.approx(
                [0.1 + 5 * gap_s] * clients
            )


def test_latency_drifts_as_time_goes_by_and_stops_at_its_most() -> None:
    behaviour = profile(drift={"per_minute": 1.0, "most": 3.0})
    with opened(behaviour, 1, think_s=9.5) as made:
        made.run(200)
        assert len(made.first_tokens) > 15
        for sent, ttft_s in made.first_tokens:
            assert ttft_s == pytest.approx(0.1 * min(3.0, 1 + sent / 60), rel=1e-6)


def test_requests_a_minute_let_a_burst_pass_and_then_their_rate() -> None:
    behaviour = profile(limits={"requests_per_minute": 60})
    with opened(behaviour, 1, think_s=0.05) as made:
        made.run(120)
        passed = sum(status == 200 for status, _ in made.done)
        assert passed == pytest.approx(60 + 120, abs=2)
        assert any(status == 429 for status, _ in made.done)
    assert capacity_rps(behaviour) == 1.0


def test_a_long_queue_of_answers_that_take_no_time_is_worked_off() -> None:
    """Each gives its slot to the next; done within one another that would exhaust the stack."""
    behaviour = profile(slots=1, ttft_median="0ms", ttft_p95="0ms")
    with opened(behaviour, 1, think_s=100, max_tokens=2) as made:
        for _ in range(1500):
            made.client(think_s=100, max_tokens=1)
        made.run(1)
        assert [status for status, _ in made.done] == [200] * 1501
        assert (made.model.slots.running, made.model.slots.waiting) == (0, 0)


def test_running_and_waiting_are_what_they_are() -> None:
    with opened(profile(slots=2), 5) as made:
        made.run(0.05)
        assert (made.model.slots.running, made.model.slots.waiting) == (2, 3)
