"""The wait that a refusal requires, in every spelling that services use; known answers."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.connect.masking import Masker
from observatory.wires.answer_headers import kept_headers
from observatory.wires.failures.stated_wait import MOST_WAIT_S, stated_wait_s
from observatory.wires.failures.wait_texts import duration_s, wait_in_words_s
from observatory.wires.streams.http_response import ResponseReader

NOW_S = 1_795_953_600.0
"""2026-11-29 12:00:00 UTC."""
DATE = "Date: Sun, 29 Nov 2026 12:00:00 GMT"


def refusal(*headers: str, body: Any = b"", status: int = 429) -> ResponseReader:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(data)}"]
    response = ResponseReader()
    response.feed("\r\n".join(lines).encode() + b"\r\n\r\n" + data, 1)
    return response


def wait_of(*headers: str, unix_s: float = NOW_S - 500, **more: Any) -> float | None:
    return stated_wait_s(refusal(*headers, **more), unix_s)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    "date",
    [
        "Sun, 29 Nov 2026 12:00:30 GMT",
        "Sun, 29 Nov 2026 12:00:30",
        "Sun, 29 Nov 2026 12:00:30 -0000",
        "Sun, 29 Nov 2026 07:00:30 -0500",
        "Sunday, 29-Nov-26 12:00:30 GMT",
        "Sunday, 29-Nov-26 12:00:30",
        "Sun Nov 29 12:00:30 2026",
        "2026-11-29T12:00:30Z",
        "2026-11-29T12:00:30",
        "2026-11-29T21:00:30+09:00",
        "1795953630",
        "1795953630000",
        "1795953630000000",
        '"Sun, 29 Nov 2026 12:00:30 GMT"',
    ],
)
@pytest.mark.parametrize("reference", [DATE, "Date: Sun Nov 29 12:00:00 2026", ""])
def test_a_date_is_utc_and_counts_from_the_services_own_clock(date: str, reference: str) -> None:
    headers = [reference] if reference else []
    own_clock_s = NOW_S - 500 if reference else NOW_S
    assert wait_of(f"Retry-After: {date}", *headers, unix_s=own_clock_s) == 30.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 7"], 7.0),
        (["Retry-After: 7", "retry-after-ms: 6500"], 6.5),
        (["Retry-After: 7s"], 7.0),
        (["Retry-After: 1m30s"], 90.0),
        (["Retry-After: Sun, 29 Nov 2026 11:59:00 GMT", DATE], 0.0),
        (["llm_provider-retry-after: 60"], 60.0),
        (["llm_provider-retry-after-ms: 1500", "llm_provider-retry-after: 2"], 1.5),
        (["retry-after: 5", "llm_provider-retry-after: 60"], 5.0),
        (["x-ratelimit-reset: 12"], 12.0),
        (["x-ratelimit-reset-after: 12"], 12.0),
        (["x-ratelimit-reset: 1795953612", DATE], 12.0),
        (["x-ratelimit-reset: 1795953612000", DATE], 12.0),
        (["x-ratelimit-reset: 2026-11-29T12:00:12", DATE], 12.0),
        (["anthropic-ratelimit-tokens-reset: 2026-11-29T12:00:12Z", DATE], 12.0),
        (["llm_provider-x-ratelimit-reset-requests: 12s"], 12.0),
        (["ratelimit: limit=100, remaining=0, reset=12"], 12.0),
        (['ratelimit: "default";r=0;t=12'], 12.0),
        (
            ["x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 8.64s",
             "x-ratelimit-remaining-tokens: 9", "x-ratelimit-reset-tokens: 6m0s"],
            8.64,
        ),
        (
            ["x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 8s",
             "x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 1m0s"],
            60.0,
        ),
        (
            ["anthropic-ratelimit-requests-remaining: 0",
             "anthropic-ratelimit-requests-reset: 2026-11-29T12:00:01Z",
             "anthropic-ratelimit-tokens-remaining: 16000",
             "anthropic-ratelimit-tokens-reset: 2026-11-29T12:00:59Z", DATE],
            1.0,
        ),
        (["x-ratelimit-reset-requests: 8s", "x-ratelimit-reset-tokens: 60s"], None),
        (["x-ratelimit-remaining-requests: 0"], None),
        (["Retry-After: 10, 30"], 30.0),
        (["Retry-After: 30, 10"], 30.0),
        (["Retry-After: 10", "Retry-After: 30"], 30.0),
        (["Retry-After: 5, Sun, 29 Nov 2026 12:00:30 GMT", DATE], 30.0),
        (['Retry-After: "30"'], 30.0),
        (["Retry-After: PT30S"], 30.0),
        (["Retry-After: PT1M30.5S"], 90.5),
        (["Retry-After: P1DT1H"], 90_000.0),
        (["Retry-After: 00:00:39"], 39.0),
        (["Retry-After: 1.00:00:39"], 86_439.0),
        (["x-retry-after: 30"], 30.0),
        (["x-retry-after: 30", "Retry-After: 10"], 30.0),
        (["x-ms-retry-after-ms: 1500"], 1.5),
        (["Retry-After: 60", "retry-after-ms: 1500"], 60.0),
        (["x-ratelimit-reset: 00:00:12"], 12.0),
        (["x-ratelimit-reset: Sun, 29 Nov 2026 12:00:12 GMT", DATE], 12.0),
        (["Retry-After: P"], None),
        (["Retry-After: PT"], None),
        (["Retry-After: ,"], None),
        (["Retry-After: 12:30"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: -3"], None),
        (["Retry-After: nan"], None),
        (["Retry-After: 1e400"], None),
        (["Retry-After: 99999999"], MOST_WAIT_S),
        (["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"], MOST_WAIT_S),
        (["retry-after-ms: 1e300"], MOST_WAIT_S),
        ([], None),
    ],
)  # fmt: skip
def test_headers(headers: list[str], seconds: float | None) -> None:
    assert wait_of(*headers) == seconds


def info(delay: Any) -> dict[str, Any]:
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    details = [
        {"@type": "type.googleapis.com/google.rpc.Help"},
        {"@type": kind, "retryDelay": delay},
    ]
    return {"error": {"code": 429, "message": "quota", "details": details}}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (info("39s"), 39.0),
        ([info("39s")], 39.0),
        (info("0.5s"), 0.5),
        (info({"seconds": "39", "nanos": 500_000_000}), 39.5),
        (info({"seconds": 39}), 39.0),
        ({"error": {"metadata": {"retry_after": 12}}}, 12.0),
        ({"error": {"message": "x", "retry_after_seconds": "12"}}, 12.0),
        ({"retryAfterMs": 1500}, 1.5),
        ({"error": {"message": "Please try again in 5.2s.", "retry_after_ms": 900}}, 5.2),
        (
            {"error": {"message": "Please retry in 58.934310785s.", "retryDelay": "58s"}},
            58.934310785,
        ),
        ({"error": {"message": json.dumps(info("39s"))}}, 39.0),
        ({"error": {"message": json.dumps({"error": json.dumps(info("39.5s"))})}}, 39.5),
        ({"error": "litellm.RateLimitError: {'error': {'retry_after': 12}}"}, 12.0),
        (
            {
                "error": {
                    "message": "No deployments available, Try again in 60 seconds. Passed model=m"
                }
            },
            60.0,
        ),
        (
            {
                "error": {
                    "message": "Rate limit reached: Limit 30000, Used 29000. Please try again in 5.2s."
                }
            },
            5.2,
        ),
        ({"error": "too fast, wait 30 seconds"}, 30.0),
        ({"retryAfter": "2026-11-29T12:00:30Z"}, 30.0),
        ({"retry_after": "Sun, 29 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retryAfter": 1795953630000}, 30.0),
        ({"retry_after_ms": 1795953630000}, 30.0),
        ({"retry_after": "PT30S"}, 30.0),
        ({"error": {"type": "usage_limit_reached", "resets_in_seconds": 7200}}, 7200.0),
        ({"error": {"resets_at": 1795953630}}, 30.0),
        ({"error": {"resets_at": 1795953660, "resets_in_seconds": 59}}, 59.0),
        ({"error": {"resets_at": 30}}, None),
        ({"error": {"resets_at": "2026-11-29T12:00:30Z"}}, 30.0),
        ({"error": {"details": [{"metadata": {"quotaResetDelay": "30.5s"}}]}}, 30.5),
        ({"error": {"details": [{"retryDelay": "30s"}, {"quotaResetDelay": "30.5s"}]}}, 30.5),
        ({"error": {"details": [{"retryDelay": "3s"}, {"quotaResetDelay": "7200s"}]}}, 3.0),
        ({"error": {"metadata": {"quotaResetTimeStamp": "2026-11-29T12:00:30Z"}}}, 30.0),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1795953630000"}}}}, 30.0),
        ({"error": {"message": json.dumps({"error": {"resets_in_seconds": 40}})}}, 40.0),
        ({"error": "upstream: {'retryAfter': '2026-11-29T12:00:30Z'}"}, 30.0),
        ({"error": {"message": "Please try again at 2026-11-29T12:00:30Z."}}, 30.0),
        ({"error": {"message": "The model is available 24 hours a day; 3 RPM exceeded"}}, None),
        ({"error": {"reset_password": "2026", "retries": 3, "retry": 5}}, None),
        ({"error": {"message": "Try again later"}}, None),
        ({"error": {"code": 429, "retryDelay": "soon"}}, None),
        ({"retry_after": True}, None),
        (b"Please retry after 12 seconds", 12.0),
        (b"<html>Service unavailable, try again in 2 minutes</html>", 120.0),
        (b'data: {"error": {"retryDelay": "3s"}}\n\n', 3.0),
        (b"{broken, retry in 4s", 4.0),
        (b"\xff\xfe", None),
    ],
)
def test_bodies(body: Any, seconds: float | None) -> None:
    assert wait_of(body=body, unix_s=NOW_S) == seconds


def test_a_header_wins_over_the_body_and_the_body_over_the_limits() -> None:
    assert wait_of("Retry-After: 2", body=info("39s")) == 2.0
    assert wait_of("llm_provider-retry-after: 3", body=info("39s")) == 3.0
    assert wait_of("x-ratelimit-reset: 50", body=info("39s")) == 39.0


@pytest.mark.parametrize(
    ("status", "seconds"), [(429, 39.0), (503, 39.0), (529, 39.0), (400, None), (200, None)]
)
def test_the_body_of_a_refusal_alone_is_read(status: int, seconds: float | None) -> None:
    assert wait_of(body=info("39s"), status=status) == seconds
    assert stated_wait_s(refusal(body=info("39s"), status=status), NOW_S, refused=True) == 39.0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 5.2s.", 5.2),
        ("Please try again in 1m30s.", 90.0),
        ("Please try again in 6m0s. Visit https://example.test/limits", 360.0),
        ("Please try again in 7m12.48s", 432.48),
        ("Please try again in 320ms.", 0.32),
        ("Please retry after 12 seconds.", 12.0),
        ("Please retry after 1 second", 1.0),
        ("You may retry in 20 seconds", 20.0),
        ("Please retry in 46.5s.", 46.5),
        ("try again in 2 minutes and 5 seconds", 125.0),
        ("Try again in 1 hour, 3 minutes", 3780.0),
        ("retry after: 15s", 15.0),
        (
            "Limit 15000, Used 11972, Requested 4351. Please try again in 5.289s. Visit https://x",
            5.289,
        ),
        ("wait 3 mins", 180.0),
        ("The limit resets in 2 days", 172_800.0),
        ("The limit resets in 00:00:39", 39.0),
        ("Try again in 1 day, 0:00:39.", 86_439.0),
        ("retry after PT30S", 30.0),
        ("Please wait for at least 30 seconds.", 30.0),
        ("You need to wait another 20 seconds before the next request", 20.0),
        ("Rate limit exceeded, retry your request in about 7s", 7.0),
        ("Usage limit reached, resets at 2026-11-29 12:00:30 UTC", 30.0),
        ("Your limit resets at 1795953630", 30.0),
        ("cooldown: 12s", 12.0),
        ("Please try again in a minute.", 60.0),
        ("try again in one hour", 3600.0),
        ("try again in a few minutes", None),
        ("5 requests per 30 seconds. Try again soon", None),
        ("try again at 12:30 PM", None),
        ("Model is available 24 hours a day; you exceeded 3 RPM", None),
        ("available for 24 hours a day", None),
        ("try again: 100 requests in 24 hours a day", None),
        ("the limit resets every 24 hours", None),
        ("we try 3 replicas, each for 30 seconds", None),
        ("the last try took 30 s", None),
        ("the request had to wait 30 seconds in the queue", None),
        ("the maximum wait 30s was exceeded", None),
        ("this preview is available for 30 days", None),
        ("available 9:00:00 to 17:00:00", None),
        ("you asked 20 times in 5 seconds", None),
        ("try again", None),
        ("try again in 5 steps", None),
        ("retry with fewer than 20 messages", None),
        ("try the 3.5 model", None),
    ],
)
def test_words(words: str, seconds: float | None) -> None:
    found = wait_in_words_s(words, NOW_S)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("text", ["retry " * 9000, "wait 1" * 9000, "1h, " * 9000, "a-" * 30_000])
def test_a_long_text_is_soon_read(text: str) -> None:
    began = time.process_time()
    assert wait_of(body=text.encode()) in (None, 1.0)
    assert time.process_time() - began < 5


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    wait_in_words_s(text, NOW_S)
    duration_s(text)
    wait_of(body=text.encode("utf-8", "replace"))


def test_what_a_gateway_passes_on_of_limits_is_kept_and_the_rest_is_not() -> None:
    response = refusal(
        "llm_provider-retry-after: 60",
        "llm_provider-x-ratelimit-limit-requests: 5",
        "llm_provider-server: cloudflare",
    )
    kept = kept_headers(response, Masker([]), NOW_S)
    assert kept.retry_after_s == 60.0
    assert set(kept.rate_limit_headers) == {
        "llm_provider-retry-after",
        "llm_provider-x-ratelimit-limit-requests",
    }
