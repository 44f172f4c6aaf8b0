"""RateLimit and RateLimit-Policy with several items: the one that is the closest to its limit counts."""

from typing import Any

import pytest

from observatory.wires.failures.rate_limit_headers import RateLimitHeaders, rate_limit_headers
from observatory.wires.failures.ratelimit_fields import Quota, binding, quotas_of
from observatory.wires.failures.stated_wait import stated_wait_s
from observatory.wires.streams.http_response import ResponseReader
from tests.endpoints.wire_streams import head, read

POLICY = (
    '"burst";q=100;w=60, "daily";q=1000;w=86400, "tokens";q=9000;w=60;qu="tokens", '
    '"conc";q=4;qu="concurrent-requests"'
)


def refused(*lines: str) -> ResponseReader:
    response = ResponseReader()
    response.feed(head(*lines, "Content-Length: 0", status="429 Too Many Requests"), 1)
    return response


@pytest.mark.parametrize(
    ("lines", "wait_s"),
    [
        # What is used up, wherever it is in the list; of several the longest.
        (['RateLimit: "burst";r=50;t=3, "daily";r=0;t=600'], 600.0),
        (['RateLimit: "burst";r=0;t=3, "daily";r=900;t=600'], 3.0),
        (['RateLimit: "burst";r=0;t=3, "daily";r=0;t=600'], 600.0),
        (['RateLimit: "burst";r=50;t=3', 'RateLimit: "daily";r=0;t=600'], 600.0),
        (['RateLimit: "a, r=0;t=9";r=5;t=3,"daily" ; r=0 ; t=600'], 600.0),
        # Else the least share of its quota.
        (['RateLimit: "burst";r=2;t=3, "daily";r=10;t=600', f"RateLimit-Policy: {POLICY}"], 600.0),
        (['RateLimit: "burst";r=1;t=3, "daily";r=900;t=600', f"RateLimit-Policy: {POLICY}"], 3.0),
        # Which is not known.
        (['RateLimit: "burst";r=1;t=3, "daily";r=900;t=600'], None),
        # One alone, in each draft's form.
        (['RateLimit: "default";r=7;t=12'], 12.0),
        (["RateLimit: default;r=7;t=12"], 12.0),
        (["RateLimit: limit=100, remaining=7, reset=12", "RateLimit-Policy: 100;w=60"], 12.0),
        (
            ["RateLimit: limit=100, remaining=0, reset=12", "RateLimit-Policy: 9;w=1, 100;w=60"],
            12.0,
        ),
        (["llm_provider-ratelimit: a;r=1;t=3, b;r=0;t=8"], 8.0),
        # No reset, or nonsense.
        (['RateLimit: "burst";r=0'], None),
        (['RateLimit: "burst";r=zero;t=-5'], None),
        (["RateLimit: ,,;;="], None),
        (["RateLimit: remaining=x, " + "a;r=1," * 500], None),
    ],
)
def test_a_refusal_waits_for_the_policy_that_refused(
    lines: list[str], wait_s: float | None
) -> None:
    assert stated_wait_s(refused(*lines), 0.0) == wait_s


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"RateLimit": '"burst";r=50;t=3, "daily";r=10;t=600', "RateLimit-Policy": POLICY},
            {
                "requests_per_minute": 100.0,
                "requests_per_day": 1000.0,
                "requests_remaining": 10.0,
                "requests_reset_s": 600.0,
                "tokens_per_minute": 9000.0,
            },
        ),
        (
            {"RateLimit": '"burst";r=5;t=3,"tokens";r=90;t=7', "RateLimit-Policy": POLICY},
            {
                "requests_per_minute": 100.0,
                "requests_per_day": 1000.0,
                "requests_remaining": 5.0,
                "requests_reset_s": 3.0,
                "tokens_per_minute": 9000.0,
                "tokens_remaining": 90.0,
                "tokens_reset_s": 7.0,
            },
        ),
        (
            {"RateLimit-Policy": '"s";q=5;w=1, "m";q=120;w=60, "h";q=10;w=3600'},
            {"requests_per_minute": 120.0},
        ),
        (
            {"RateLimit": "limit=100, remaining=7, reset=12", "RateLimit-Policy": "100;w=60"},
            {"requests_per_minute": 100.0, "requests_remaining": 7.0, "requests_reset_s": 12.0},
        ),
        (
            {
                "RateLimit-Limit": "100",
                "RateLimit-Remaining": "7",
                "RateLimit-Reset": "12",
                "RateLimit-Policy": "9;w=1, 100;w=60",
            },
            {"requests_per_minute": 100.0, "requests_remaining": 7.0, "requests_reset_s": 12.0},
        ),
        ({"RateLimit": '"a";r=5'}, {"requests_remaining": 5.0}),
        # The headers of a known provider are believed first.
        (
            {"RateLimit": '"a";r=5;t=3', "x-ratelimit-limit-req-minute": "30"},
            {"requests_per_minute": 30.0},
        ),
        ({"RateLimit-Policy": '"a";q=0;w=60, "b";q=9;w=0'}, {}),
    ],
)
def test_every_unit_has_its_own_limits(headers: dict[str, str], expected: dict[str, Any]) -> None:
    assert rate_limit_headers(headers, unix_s=0.0) == RateLimitHeaders(**expected)


def test_both_fields_are_joined_by_their_names() -> None:
    headers = {"ratelimit": 'b;r=3;t=9, "a";r=1;t=2', "ratelimit-policy": '"a";q=4;w=60'}
    assert quotas_of(headers) == [
        Quota("a", 4, 60, "requests", 1, 2),
        Quota("b", remaining=3, reset_s=9),
    ]
    assert binding(quotas_of(headers)) is None, "the quota of b is not known"
    assert binding([]) is None


def test_several_lines_are_kept_as_one_list() -> None:
    lines = ['RateLimit: "a";r=1;t=2', 'RateLimit: "b";r=0;t=8', "Content-Length: 2"]
    attempt = read([head(*lines, kind="application/json") + b"{}"]).attempt
    assert attempt.rate_limit_headers == {"ratelimit": '"a";r=1;t=2, "b";r=0;t=8'}
