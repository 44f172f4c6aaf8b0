"""Limits in headers: each provider's documented names and formats of a reset."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.emulation.profile import Limits
from observatory.emulator.limits import Allowance, written_duration
from observatory.providers.catalogue import PROVIDERS
from observatory.wires.failures.rate_limit_headers import (
    RateLimitHeaders,
    rate_limit_headers,
    reset_s,
)

NOW_S = 1_764_000_000.0  # 2025-11-24T16:00:00Z

OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2025-11-24T16:00:01Z",
    "anthropic-ratelimit-tokens-limit": "38000",
    "anthropic-ratelimit-tokens-remaining": "37000",
    "anthropic-ratelimit-tokens-reset": "2025-11-24T16:00:02.5Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-output-tokens-limit": "8000",
}
GROQ = {  # the figures of Groq's page "Rate limits"
    "x-ratelimit-limit-requests": "14400",
    "x-ratelimit-limit-tokens": "18000",
    "x-ratelimit-remaining-requests": "14370",
    "x-ratelimit-remaining-tokens": "17997",
    "x-ratelimit-reset-requests": "2m59.56s",
    "x-ratelimit-reset-tokens": "7.66s",
}
MISTRAL = {
    "x-ratelimit-limit-req-minute": "50",
    "x-ratelimit-remaining-req-minute": "49",
    "x-ratelimit-limit-tokens-minute": "50000",
    "x-ratelimit-remaining-tokens-minute": "47300",
    "x-ratelimit-tokens-query-cost": "1300",
}
TOGETHER = {
    "x-ratelimit-limit": "10",
    "x-ratelimit-remaining": "9",
    "x-ratelimit-reset": "1",
    "x-tokenlimit-limit": "3000",
    "x-tokenlimit-remaining": "2900",
}
FIREWORKS = {
    "x-ratelimit-limit-requests": "600",
    "x-ratelimit-remaining-requests": "599",
    "x-ratelimit-limit-tokens-prompt": "60000",
    "x-ratelimit-limit-tokens-generated": "6000",
}
AZURE_UNKNOWN = {
    "x-ratelimit-limit-tokens": "-1",
    "x-ratelimit-remaining-tokens": "-1",
    "x-ratelimit-reset-tokens": "0",
}
OPENROUTER = {
    "X-RateLimit-Limit": "20",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Reset": "1764000030000",
}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(OPENAI, RateLimitHeaders(60, 150000, 59, 149984, 1, 360), id="openai"),
        pytest.param(
            ANTHROPIC,
            RateLimitHeaders(
                50,
                38000,
                49,
                37000,
                1,
                2.5,
                input_tokens_per_minute=30000,
                output_tokens_per_minute=8000,
            ),
            id="anthropic",
        ),
        pytest.param(
            GROQ,
            RateLimitHeaders(None, 18000, 14370, 17997, 179.56, 7.66, requests_per_day=14400),
            id="groq",
        ),
        pytest.param(MISTRAL, RateLimitHeaders(50, 50000, 49, 47300), id="mistral"),
        pytest.param(TOGETHER, RateLimitHeaders(600, 180000, 9, 2900, 1, 1), id="together"),
        pytest.param(
            FIREWORKS,
            RateLimitHeaders(600, None, 599),
            id="fireworks",
        ),
        pytest.param(AZURE_UNKNOWN, RateLimitHeaders(tokens_reset_s=0), id="azure without a limit"),
        pytest.param(
            OPENROUTER, RateLimitHeaders(requests_remaining=0, requests_reset_s=30), id="openrouter"
        ),
        pytest.param({"content-type": "text/plain"}, RateLimitHeaders(), id="nothing"),
    ],
)
def test_each_provider_is_read_as_it_documents(
    headers: Mapping[str, str], expected: RateLimitHeaders
) -> None:
    assert rate_limit_headers(headers, unix_s=NOW_S) == expected


def test_a_provider_settles_what_its_names_leave_open() -> None:
    bare = {"x-ratelimit-limit": "5", "x-ratelimit-remaining": "5"}
    assert rate_limit_headers(bare, unix_s=NOW_S).requests_per_minute is None
    together = PROVIDERS["together"].request_windows_s
    assert rate_limit_headers(bare, unix_s=NOW_S, windows_s=together).requests_per_minute == 300
    full = {"x-ratelimit-limit-requests": "1000", "x-ratelimit-remaining-requests": "1000"}
    assert rate_limit_headers(full, unix_s=NOW_S).requests_per_minute == 1000
    daily = PROVIDERS["groq"].request_windows_s
    groq = rate_limit_headers(full, unix_s=NOW_S, windows_s=daily)
    assert (groq.requests_per_minute, groq.requests_per_day) == (None, 1000)
    marked = rate_limit_headers(full | {"x-groq-region": "gcp-us-east1"}, unix_s=NOW_S)
    assert marked.requests_per_day == 1000


def test_a_limit_that_refills_over_a_day_is_none_a_minute() -> None:
    # 10,000 a day, one used: 8.64 s until it is whole again.
    daily = OPENAI | {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "8.64s",
    }
    limits = rate_limit_headers(daily, unix_s=NOW_S)
    assert (limits.requests_per_minute, limits.requests_per_day) == (None, 10000)


@given(st.integers(1, 10_000), st.integers(1, 10_000_000), st.integers(0, 50), st.integers(1, 5000))
def test_what_the_emulator_says_is_what_it_was_set_to(
    requests: int, tokens: int, asked: int, size: int
) -> None:
    allowance = Allowance(Limits(requests_per_minute=requests, tokens_per_minute=tokens))
    for _ in range(asked):
        allowance.admit(0.0, size, "m")
    headers, _ = allowance.admit(0.0, size, "m")
    limits = rate_limit_headers(dict(headers), unix_s=NOW_S)
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (requests, tokens)
    assert limits.requests_remaining == int(dict(headers)["x-ratelimit-remaining-requests"])


@given(st.integers(0, 10_000_000))
def test_a_written_duration_is_read_back(milliseconds: int) -> None:
    text = written_duration(milliseconds / 1000)
    assert reset_s(text, NOW_S) == pytest.approx(milliseconds / 1000, rel=1e-4, abs=0.0011)


@given(st.text(max_size=30))
def test_nonsense_is_not_said_and_never_raises(text: str) -> None:
    limits = rate_limit_headers(dict.fromkeys([*OPENAI, *ANTHROPIC, *TOGETHER], text), unix_s=NOW_S)
    for value in (limits.requests_per_minute, limits.tokens_remaining, limits.requests_reset_s):
        assert value is None or value >= 0


@pytest.mark.parametrize("text", ["1e-300", "0.0001", "1e300", "nan", "inf", "-1", "0"])
def test_a_limit_that_nobody_can_mean_is_not_said(text: str) -> None:
    """A pace learnt from it would wait for ever, or longer than a timer counts."""
    limits = rate_limit_headers(dict.fromkeys([*OPENAI, *ANTHROPIC, *TOGETHER], text), unix_s=NOW_S)
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (None, None)
    assert (limits.input_tokens_per_minute, limits.output_tokens_per_minute) == (None, None)
