"""Which errors are throttles with any status, and which only look so; known answers."""

from typing import Any

import pytest

from observatory.wires.failures.overload import is_overload, is_throttle
from tests.endpoints.wire_streams import event, read, stream, whole

THROTTLES: list[tuple[int, Any]] = [
    # AWS Bedrock.
    (400, {"message": "Too many tokens, please wait before trying again.", "__type": "ThrottlingException"}),
    (400, {"__type": "com.amazon.coral.availability#ThrottlingException", "message": None}),
    # Google.
    (403, {"error": {"code": 403, "message": "Quota exceeded for quota metric 'Requests' per minute",
                     "errors": [{"reason": "rateLimitExceeded"}], "status": "PERMISSION_DENIED"}}),
    (403, {"error": {"code": 403, "details": [{"reason": "RATE_LIMIT_EXCEEDED"}]}}),
    # Groq.
    (498, {"error": {"message": "Flex tier capacity exceeded", "code": "capacity_exceeded"}}),
    (400, {"error": {"message": "Rate limit reached for requests", "type": "requests"}}),
    (400, {"detail": "You exceeded your per-minute quota"}),
    (403, {"error": "litellm.RateLimitError: try another deployment"}),
    (400, {"error": {"type": "overloaded_error", "message": "Overloaded"}}),
    (403, "error code: 1015 You are being rate limited"),
    (409, {"error": {"message": "The model is currently overloaded."}}),
    (400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}),
    (403, {"errorCode": "QuotaExceeded"}),
    (400, {"error": {"message": "no capacity available for this model"}}),
    (400, {"error": {"message": "Provider returned error", "code": 400,
                     "metadata": {"raw": "m is temporarily rate-limited upstream. Please retry shortly"}}}),
]  # fmt: skip
REFUSALS: list[tuple[int, Any]] = [
    (400, {"error": {"message": "Unknown parameter: 'throttling'", "type": "invalid_request_error"}}),
    (400, {"error": {"message": "The prompt exceeds the model's context capacity"}}),
    (400, {"error": {"message": "prompt is too long", "code": "context_length_exceeded"}}),
    (400, {"error": {"message": "max_tokens: too many tokens requested"}}),
    (403, {"error": {"message": "You exceeded your current quota, please check your plan and billing details."}}),
    (403, {"error": {"message": "no credits left", "code": "insufficient_quota"}}),
    (403, {"error": {"message": "Your rate limit tier does not include this model"}}),
    (413, {"error": {"message": "Request too large: Limit 6000, Requested 7000", "code": "rate_limit_exceeded"}}),
    (401, {"error": {"message": "rate limit exceeded for invalid keys"}}),
    (404, {"error": {"message": "The model `overloaded-7b` does not exist"}}),
    (400, {"error": {"message": "The model `overloaded-7b` does not exist", "code": "model_not_found"}}),
    (400, {"error": {"message": "overloaded functions are not supported in tools", "code": 400}}),
    (400, {"detail": "nope"}),
    (422, {"detail": [{"loc": ["body", "rate_limit"], "msg": "extra fields not permitted", "type": "value_error"}]}),
    (400, ""),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error"), THROTTLES)
def test_a_throttle_under_another_status(status: int, error: Any) -> None:
    assert is_throttle(status, error)
    payload = error if isinstance(error, dict) else {"detail": error}
    attempt = read(whole(payload, status=f"{status} Refused")).attempt
    assert (attempt.outcome, attempt.http_status) == ("throttled", status)


@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_a_refusal_that_only_looks_like_one(status: int, error: Any) -> None:
    assert not is_throttle(status, error)
    payload = error if isinstance(error, dict) else {"detail": error}
    assert read(whole(payload, status=f"{status} Refused")).attempt.outcome == "error"


def test_its_wait_is_read_like_that_of_a_429() -> None:
    payload = {"__type": "ThrottlingException", "message": "Slow down, try again in 7s"}
    assert read(whole(payload, status="400 Bad Request")).attempt.retry_after_s == 7.0
    assert (
        read(whole({"message": "try again in 7s"}, status="400 No")).attempt.retry_after_s is None
    )


@pytest.mark.parametrize(
    ("payload", "kind", "wait_s"),
    [
        (
            {"status_code": 429, "error": {"type": "usage_limit_reached", "message": "limit"}},
            "rate_limited",
            None,
        ),
        (
            {"status_code": 429, "error": {"message": "limit", "resets_in_seconds": 60}},
            "rate_limited",
            60.0,
        ),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, "overloaded", None),
        ({"error": "Model is overloaded"}, "overloaded", None),
        ({"error": {"message": "The engine is busy, 40 too many"}}, "overloaded", None),
        ({"error": {"message": "The model is experiencing high demand"}}, "overloaded", None),
        ({"error": {"message": "Rate limit exceeded, try again in 7s"}}, "rate_limited", 7.0),
        # The code is believed before the words.
        (
            {"error": {"type": "rate_limit_error", "message": "The servers are overloaded"}},
            "rate_limited",
            None,
        ),
        (
            {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
            "rate_limited",
            None,
        ),
        ({"code": 429, "message": "Too many requests"}, "rate_limited", None),
        ({"detail": "Rate limit exceeded"}, "rate_limited", None),
    ],
)
def test_an_overload_inside_a_200(payload: dict[str, Any], kind: str, wait_s: float | None) -> None:
    for attempt in (read(whole(payload)).attempt, read(stream([event(payload)])).attempt):
        assert (attempt.outcome, attempt.error_kind) == ("throttled", kind)
        assert attempt.retry_after_s == wait_s


@pytest.mark.parametrize(
    "words",
    [
        "The engine is currently overloaded, please try again later",
        "Service busy",
        "You have reached your usage limit",
        "requests per minute limit reached",
        "Concurrency limit exceeded",
        "Resource exhausted",
        "Server is at capacity",
        "The model is experiencing high demand",
        "You are sending requests too quickly",
        "TPM limit reached",
        "rate_limit_exceeded: slower",
    ],
)
def test_words_of_a_throttle(words: str) -> None:
    assert is_overload(words) and is_throttle(400, words)


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens limit exceeded",
        "the requested output exceeds the model's limits",
        "exceeded the limit of 20 images",
        "the request exceeds the size limit",
        "busy is not a role",
    ],
)
def test_words_of_another_limit(words: str) -> None:
    assert not is_overload(words) and not is_throttle(400, words)


@pytest.mark.parametrize(
    "error",
    [
        "The model `m` does not exist",
        {"message": "CUDA out of memory", "code": 500},
        {"message": "the server is overloading this operator", "type": "server_error"},
        {"message": "the prompt is over the context capacity"},
    ],
)
def test_a_failure_inside_a_200(error: Any) -> None:
    assert not is_overload(error)
    assert read(whole({"error": error})).attempt.outcome == "error"


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        ("429 Too Many Requests", {"error": {"message": "overloaded"}}, "http_status"),
        ("529 Overloaded", {"error": {"message": "rate limit exceeded"}}, "http_status"),
        ("400 Bad Request", {"__type": "ThrottlingException", "message": "Slow"}, "rate_limited"),
        ("498 Capacity", {"error": {"code": "capacity_exceeded"}}, "overloaded"),
        ("403 No", {"error": {"errors": [{"reason": "rateLimitExceeded"}]}}, "rate_limited"),
    ],
)
def test_the_kind_names_a_refusal_that_its_status_does_not(
    status: str, payload: dict[str, Any], kind: str
) -> None:
    attempt = read(whole(payload, status=status)).attempt
    assert (attempt.outcome, attempt.error_kind) == ("throttled", kind)
