"""Allowances a minute with OpenAI's headers, and the emulated prompt cache: known answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from observatory.core.emulation.profile import Limits, PromptCache
from observatory.emulator.cache import CachedPrompts
from observatory.emulator.limits import Allowance, written_duration


def test_headers_count_down_and_refill_evenly() -> None:
    allowance = Allowance(Limits(requests_per_minute=60, tokens_per_minute=600))
    headers, over = allowance.admit(0.0, 100, "m")
    assert over is None
    assert dict(headers) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "10s",
    }
    later = dict(allowance.admit(5.0, 0, "m")[0])
    assert later["x-ratelimit-remaining-requests"] == "59"
    assert later["x-ratelimit-remaining-tokens"] == "550"


def test_what_is_over_is_refused_as_openai_does_and_takes_nothing() -> None:
    allowance = Allowance(Limits(requests_per_minute=3))
    assert [allowance.admit(0.0, 5, "m")[1] for _ in range(3)] == [None] * 3
    for _ in range(2):
        _, over = allowance.admit(0.0, 5, "m")
        assert over is not None
        assert over.status == 429
        assert dict(over.headers)["retry-after"] == "20"
        assert dict(over.headers)["retry-after-ms"] == "20000"
        error = json.loads(over.body)["error"]
        assert error == {
            "message": "Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, "
            "Requested 1. Please try again in 20s.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    assert allowance.admit(20.0, 5, "m")[1] is None


def test_tokens_are_refused_as_tokens_and_the_longer_wait_is_said() -> None:
    allowance = Allowance(Limits(requests_per_minute=60, tokens_per_minute=60))
    assert allowance.admit(0.0, 60, "m")[1] is None
    _, over = allowance.admit(0.0, 30, "m")
    assert over is not None
    assert json.loads(over.body)["error"]["type"] == "tokens"
    assert dict(over.headers)["retry-after"] == "30"


def test_a_request_larger_than_the_allowance_waits_for_all_of_it() -> None:
    allowance = Allowance(Limits(tokens_per_minute=60))
    assert allowance.admit(0.0, 1000, "m")[1] is None
    assert allowance.admit(59.0, 1000, "m")[1] is not None
    assert allowance.admit(60.0, 1000, "m")[1] is None


def test_what_is_not_limited_says_nothing() -> None:
    assert not Allowance(Limits()).limited
    assert Allowance(Limits()).admit(0.0, 10**9, "m") == ((), None)


@given(
    limit=st.integers(1, 100),
    asks=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), max_size=60),
)
def test_no_more_than_the_allowance_ever_passes(limit: int, asks: list[tuple[float, int]]) -> None:
    allowance = Allowance(Limits(tokens_per_minute=limit))
    now = passed = 0.0
    for wait, tokens in asks:
        now += wait
        if allowance.admit(now, tokens, "m")[1] is None:
            passed += min(tokens, limit)
        assert passed <= limit + now * limit / 60 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.12, "120ms"), (1.0, "1s"), (1.2, "1.2s"), (59.999, "59.999s"), (360, "6m0s")],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert written_duration(seconds) == text


def words(count: int, start: int = 0) -> list[str]:
    return [f"w{number}" for number in range(start, start + count)]


def test_a_shared_prefix_is_cached_by_whole_blocks() -> None:
    cache = CachedPrompts(PromptCache(kind="prefix", block=4))
    assert cache.cached(words(10)) == 0
    assert cache.cached(words(10)) == 8
    assert cache.cached([*words(6), "other"]) == 4
    assert cache.cached(["other", *words(9)]) == 0
    assert cache.cached(words(8)) == 4  # a prompt's last token is always computed
    assert cache.cached([]) == 0


def test_what_is_kept_is_bounded() -> None:
    cache = CachedPrompts(PromptCache(kind="prefix", block=1, blocks=3))
    cache.cached(words(4))
    cache.cached(words(4, start=100))
    assert cache.cached(words(4)) == 0


def test_a_fraction_is_of_every_prompt() -> None:
    cache = CachedPrompts(PromptCache(kind="fraction", fraction=0.25))
    assert [cache.cached(words(count)) for count in (1, 4, 10)] == [0, 1, 2]
    assert CachedPrompts(PromptCache()).cached(words(9)) == 0


def accepted(allowance: Allowance, instants: list[float]) -> list[float]:
    return [now for now in instants if allowance.admit(now, 1, "m")[1] is None]


def test_a_small_burst_is_all_that_can_be_saved_up() -> None:
    allowance = Allowance(Limits.model_validate({"requests_per_minute": 120, "burst": "5s"}))
    assert len(accepted(allowance, [0.0] * 20)) == 10  # 5 s of 2 a second
    assert len(accepted(allowance, [600.0] * 20)) == 10
    assert accepted(allowance, [600.4, 600.5, 600.6]) == [600.5]
    tiny = Allowance(Limits.model_validate({"requests_per_minute": 6, "burst": "1s"}))
    assert accepted(tiny, [0.0, 9.9, 10.1]) == [0.0, 10.1]  # one at least, or none would ever pass


def test_a_minutes_allowance_is_whole_again_at_the_full_minute() -> None:
    allowance = Allowance(Limits(requests_per_minute=3, window="minute"))
    assert accepted(allowance, [110.0, 111.0, 112.0, 113.0, 119.9]) == [110.0, 111.0, 112.0]
    _, over = allowance.admit(118.5, 1, "m")
    assert over is not None and dict(over.headers)["retry-after-ms"] == "1500"
    assert accepted(allowance, [120.0] * 9) == [120.0] * 3


def test_counted_refusals_take_what_is_left() -> None:
    fields = {"requests_per_minute": 60, "burst": "2s", "refused": "counted"}
    allowance = Allowance(Limits.model_validate(fields))
    assert accepted(allowance, [0.0, 0.0, 0.0]) == [0.0, 0.0]
    assert (
        accepted(allowance, [place * 0.9 for place in range(1, 20)]) == []
    )  # more than is allowed
    assert len(accepted(allowance, [30 + place * 1.1 for place in range(20)])) == 20


def test_burst_is_said_only_where_it_means_something() -> None:
    with pytest.raises(ValidationError, match="burst is for window: refill"):
        Limits.model_validate({"requests_per_minute": 3, "window": "minute", "burst": "5s"})
