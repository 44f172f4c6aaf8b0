"""Every way an answer goes wrong: a record with a phase and a kind, and what had come is kept."""

import msgspec
import pytest

from observatory.connect.masking import MASK, Masker
from observatory.core.record import Attempt, ErrorKind, Outcome
from observatory.providers.catalogue import PROVIDERS
from observatory.wires.http_attempt import Fault, HttpAttempt
from observatory.wires.wire import ERROR_TEXT_LIMIT, decode
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import (
    delta,
    event,
    head,
    named,
    read,
    stream,
    usage,
    whole,
)

TEXT = [event(delta(content=text)) for text in ("one", " two")]
STOP = event(delta(finish_reason="stop"))
DONE = b"data: [DONE]\n\n"
RESET = Fault("stream", "reset", "connection reset by peer")


def where(attempt: Attempt) -> tuple[str, str | None, str | None]:
    return attempt.outcome, attempt.error_phase, attempt.error_kind


@pytest.mark.parametrize(
    "bad",
    [
        event({"error": {"message": "out of memory", "type": "server_error"}}),
        event({"object": "error", "message": "out of memory", "type": "server_error"}),
        b'event: error\ndata: {"message": "out of memory"}\n\n',
        b"event: error\ndata: out of memory\n\n",
        event({"choices": [], "x_groq": {"error": "out of memory"}}),
        event({**delta(content=""), "error": {"message": "out of memory", "code": 500}}),
    ],
)
def test_an_error_inside_a_200_stream_is_an_error(bad: bytes) -> None:
    answer = read(stream([*TEXT, bad, DONE]))
    assert where(answer.attempt) == ("error", "stream", "error_event")
    assert "out of memory" in (answer.attempt.error_text or "")
    assert answer.text == "one two" and len(answer.attempt.event_ns) == 2


def test_an_error_as_the_only_event() -> None:
    attempt = read(stream([event({"error": {"message": "no"}})])).attempt
    assert where(attempt) == ("error", "stream", "error_event")
    assert attempt.first_event is not None and attempt.first_token is None


def test_a_null_error_is_none() -> None:
    chunk = {**delta(content="a"), "error": None}
    assert read(stream([event(chunk), STOP, DONE])).attempt.outcome == "ok"


def test_an_early_close_keeps_the_partial_stream() -> None:
    answer = read(stream([*TEXT, STOP, DONE])[:3], closes=True)
    assert where(answer.attempt) == ("error", "stream", "early_close")
    assert answer.text == "one two"
    assert answer.attempt.event_tokens == [1, 1]
    assert answer.attempt.tokens.streamed_from == "events"


def test_an_early_close_inside_an_event_drops_only_that_event() -> None:
    reads = stream(TEXT)[:2]
    reads.append(stream(TEXT)[2][:-30])
    answer = read(reads, closes=True)
    assert where(answer.attempt) == ("error", "stream", "early_close")
    assert answer.text == "one"


def test_a_stream_that_ends_without_done_or_finish_reason_is_cut_off() -> None:
    attempt = read(stream(TEXT)).attempt
    assert where(attempt) == ("error", "stream", "early_close")


def test_a_close_after_done_is_a_whole_answer_without_its_last_chunk() -> None:
    reads = stream([*TEXT, DONE])[:-1]
    attempt = read(reads, closes=True).attempt
    assert attempt.outcome == "ok" and attempt.saw_done
    assert attempt.ended == attempt.event_ns[-1] + 10_000_000


@pytest.mark.parametrize(
    ("reads", "phase"),
    [
        (stream(TEXT)[:1], "first_event"),
        (stream([b": keep-alive\n\n"])[:2], "first_event"),
        (stream(TEXT)[:2], "stream"),
        ([head("Content-Length: 90", kind="application/json") + b'{"choices": ['], "body"),
    ],
)
def test_a_reset_says_how_far_the_answer_had_come(reads: list[bytes], phase: str) -> None:
    assert where(read(reads, fault=RESET).attempt) == ("error", phase, "reset")


@pytest.mark.parametrize("phase", ["dns", "connect", "tls", "send", "headers"])
def test_without_a_response_the_transports_fault_stands(phase: str) -> None:
    fault = Fault(phase, "timeout", "too late", "timeout")  # type: ignore[arg-type]
    attempt = decode(HttpAttempt(fault=fault), anchor_unix_ns=0, masker=Masker()).attempt
    assert where(attempt) == ("timeout", phase, "timeout")
    assert attempt.tokens.output is None and attempt.event_ns == []


def test_a_stall_and_the_drain_limit_keep_their_outcome() -> None:
    stall = Fault("stream", "stall", "no byte for 1 s", "timeout")
    assert where(read(stream(TEXT)[:3], fault=stall).attempt) == ("timeout", "stream", "stall")
    cut = Fault("stream", "cancelled", "stopped", "interrupted")
    answer = read(stream(TEXT)[:3], fault=cut)
    assert where(answer.attempt) == ("interrupted", "stream", "cancelled")
    assert answer.text == "one two"


@pytest.mark.parametrize(
    ("status", "lines", "outcome"),
    [
        ("401 Unauthorized", [], "error"),
        ("429 Too Many Requests", ["Retry-After: 2"], "throttled"),
        ("500 Internal Server Error", [], "error"),
        ("503 Service Unavailable", [], "error"),
        ("503 Service Unavailable", ["Retry-After: 1"], "throttled"),
        ("529 Overloaded", [], "throttled"),
    ],
)
def test_an_http_status_names_itself(status: str, lines: list[str], outcome: str) -> None:
    payload = {"error": {"message": "went  wrong", "type": "some_error"}}
    attempt = read(whole(payload, *lines, status=status)).attempt
    assert where(attempt) == (outcome, "headers", "http_status")
    assert attempt.http_status == int(status[:3])
    assert attempt.error_text == f"HTTP {status[:3]}: went wrong (some_error)"


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("loading, try again in 20 seconds", "throttled"),
        ("loading, try again later", "error"),
        ("overloaded, it took 20 seconds", "error"),
    ],
)
def test_a_503_that_asks_for_a_wait_in_its_body_is_a_limit(message: str, outcome: str) -> None:
    attempt = read(whole({"error": message}, status="503 Service Unavailable")).attempt
    assert attempt.outcome == outcome
    assert attempt.retry_after_s == (20.0 if outcome == "throttled" else None)


def test_a_redirect_is_not_followed_and_named() -> None:
    reads = [head("Location: /v2", "Content-Length: 0", status="307 Temporary Redirect")]
    assert where(read(reads).attempt) == ("error", "headers", "http_status")


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream"])
def test_html_is_no_event_stream(kind: str) -> None:
    page = b"<!doctype html><title>Sign in</title>"
    attempt = read([head(f"Content-Length: {len(page)}", kind=kind) + page]).attempt
    assert where(attempt) == ("error", "body", "not_sse")
    assert "Sign in" in (attempt.error_text or "")


def test_a_garbage_event_is_bad_json_and_the_rest_is_kept() -> None:
    answer = read(stream([TEXT[0], b"data: {]\n\n", TEXT[1], STOP, DONE]))
    assert where(answer.attempt) == ("error", "stream", "bad_json")
    assert answer.text == "one two"


def test_json_cut_short_or_deep_as_a_well_is_bad_json() -> None:
    body = b'{"choices": [{"message"'
    cut = [head(f"Content-Length: {len(body)}", kind="application/json") + body]
    assert where(read(cut).attempt) == ("error", "body", "bad_json")
    deep = b'data: {"error": ' + b"[" * 100_000 + b"\n\n"
    assert where(read(stream([*TEXT, deep, DONE])).attempt) == ("error", "stream", "bad_json")


@pytest.mark.parametrize(
    ("reads", "phase"),
    [
        (stream([]), "body"),
        (stream([b": ping\n\n"]), "body"),
        (whole({}), "body"),
        ([head("Content-Length: 0", kind="application/json")], "body"),
        (stream([event(delta(role="assistant")), DONE]), "stream"),
    ],
)
def test_an_answer_with_nothing_in_it(reads: list[bytes], phase: str) -> None:
    assert where(read(reads).attempt) == ("error", phase, "empty_answer")


def test_what_is_no_http_is_a_protocol_fault() -> None:
    attempt = read([b"SSH-2.0-OpenSSH_9.9\r\n"]).attempt
    assert where(attempt) == ("error", "stream", "protocol")


def test_bad_chunk_framing_keeps_what_came_before() -> None:
    answer = read([*stream(TEXT)[:3], b"zz\r\n"])
    assert where(answer.attempt) == ("error", "stream", "protocol")
    assert answer.text == "one two"


def test_an_answer_compressed_unasked_is_a_protocol_fault() -> None:
    attempt = read([head("Content-Encoding: gzip", "Content-Length: 3") + b"abc"]).attempt
    assert where(attempt) == ("error", "body", "protocol")


def test_the_sent_key_appears_in_nothing_that_is_stored() -> None:
    key = "canary-7f3a"
    echo = f"you sent Bearer {key}"
    reads = stream(
        [
            event({**delta(content="a"), "model": key, "system_fingerprint": echo}),
            event({"error": {"message": echo}}),
        ],
        f"x-request-id: {key}",
        f"x-ratelimit-scope: {echo}",
    )
    answer = read(reads, secrets=[f"Bearer {key}"])
    assert key not in repr(answer.attempt)
    assert MASK in (answer.attempt.error_text or "")


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdef123456. You can find it",
        "Incorrect API key provided: sk-abcd********wxyz.",
        "bad header Bearer abcDEF123",
        "key=AIzaSyA1234567890abcdefgh",
        "token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "saw 0123456789abcdefABCDEF0123456789abcdefABCDEF01",
    ],
)
def test_anything_like_a_key_is_masked_in_error_texts(text: str) -> None:
    masked = Masker().error(text)
    assert MASK in masked
    for part in ("proj-abcdef", "wxyz", "abcDEF123", "SyA123", "eyJ", "0123456789abcdef"):
        assert part not in masked


def test_ordinary_error_texts_stay_readable() -> None:
    text = "max_tokens: 4096 is above the limit of model gpt-x-mini (context_length_exceeded)"
    assert Masker().error(text) == text


def test_error_texts_are_cut() -> None:
    attempt = read(whole({"error": {"message": "long " * 200}}, status="500 No")).attempt
    assert len(attempt.error_text or "") == ERROR_TEXT_LIMIT


def test_limits_waits_and_identities_are_read_from_headers() -> None:
    reads = stream(
        [*TEXT, STOP, event(usage(1, 2)), DONE],
        "X-Request-Id: req_1",
        "openai-processing-ms: 81",
        "x-ratelimit-remaining-requests: 99",
        "anthropic-ratelimit-tokens-limit: 5000",
        "Retry-After: 1.5",
    )
    attempt = read(reads).attempt
    assert (attempt.provider_request_id, attempt.processing_ms) == ("req_1", 81.0)
    assert attempt.retry_after_s == 1.5
    assert attempt.rate_limit_headers == {
        "x-ratelimit-remaining-requests": "99",
        "anthropic-ratelimit-tokens-limit": "5000",
        "retry-after": "1.5",
    }


@pytest.mark.parametrize(
    ("lines", "processing_ms"),
    [
        (["fireworks-server-processing-time: 0.25"], 250.0),
        (["x-envoy-upstream-service-time: 690"], 690.0),
        (["x-envoy-upstream-service-time: 690", "openai-processing-ms: 81"], 81.0),
        (['Server-Timing: edge;dur=2.5, inference;desc="all of it";dur=120'], 120.0),
        (['Server-Timing: cfL4;desc="?proto=TCP"'], None),
        (["openai-processing-ms: soon"], None),
        ([], None),
    ],
)
def test_a_servers_own_time_is_read_from_the_headers_that_tell_it(
    lines: list[str], processing_ms: float | None
) -> None:
    attempt = read(stream([*TEXT, STOP, event(usage(1, 2)), DONE], *lines)).attempt
    assert attempt.processing_ms == processing_ms


def test_every_documented_rate_limit_header_of_the_catalogue_is_kept() -> None:
    names = {name for one in PROVIDERS.values() for name in one.rate_limit_headers}
    names |= {"x-tokenlimit-limit", "x-ratelimit-limit-req-minute"}
    reads = stream(
        [*TEXT, STOP, event(usage(1, 2)), DONE], *(f"{name.title()}: 7" for name in names)
    )
    assert read(reads).attempt.rate_limit_headers == dict.fromkeys(names, "7")


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["Retry-After: Thu, 09 Oct 2025 08:54:30 GMT"], 1760000070 - 1760000000),
        (
            [
                "Date: Thu, 09 Oct 2025 08:54:00 GMT",
                "Retry-After: Thu, 09 Oct 2025 08:54:30 GMT",
            ],
            30,
        ),
        (["Retry-After: Thu, 09 Oct 2025 08:00:00 GMT"], 0),
        (["Retry-After: soon"], None),
        (["retry-after-ms: 250", "Retry-After: 1"], 0.25),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(lines: list[str], seconds: float | None) -> None:
    attempt = read(whole({}, *lines, status="429 Too Many")).attempt
    assert attempt.retry_after_s == (pytest.approx(seconds, abs=0.1) if seconds else seconds)


@pytest.mark.parametrize("end", [[STOP, DONE], [STOP]])
@pytest.mark.parametrize("more", [b"", b"  folded\r\n", b"X-Timing : 1\r\n", b"no colon\r\n"])
def test_trailers_do_not_change_the_record(end: list[bytes], more: bytes) -> None:
    plain = read(stream([*TEXT, *end]))
    trailers = b"0\r\nX-Request-Id: late\r\n" + more + b"\r\n"
    late = read([*stream([*TEXT, *end])[:-1], trailers])
    assert late.attempt.provider_request_id is None
    assert msgspec.structs.replace(late.attempt, bytes_received=0) == msgspec.structs.replace(
        plain.attempt, bytes_received=0
    )


WHOLE_BUT: dict[WireName, list[bytes]] = {
    "openai": [*TEXT, STOP, event(usage(3, 2))],
    "messages": [
        named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}}),
        named(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 2},
            }
        ),
    ],
}


@pytest.mark.parametrize("wire", WHOLE_BUT)
@pytest.mark.parametrize("kind", ["stall", "timeout", "reset", "early_close"])
def test_a_whole_answer_whose_end_is_missing_is_named_so(wire: WireName, kind: ErrorKind) -> None:
    outcome: Outcome = "timeout" if kind in ("stall", "timeout") else "error"
    fault = Fault("stream", kind, "nothing more for 60 s", outcome)
    reads = stream(WHOLE_BUT[wire])[:-1]
    attempt = read(reads, fault=fault, wire=wire).attempt
    end = {"openai": "[DONE]", "messages": "message_stop"}[wire]
    assert (attempt.outcome, attempt.error_phase) == (outcome, "stream")
    assert attempt.error_kind == ("no_end" if outcome == "timeout" else kind)
    assert attempt.error_text == (
        f"the answer was whole (finish reason stop), but {end} and the end of the response did not "
        "come: nothing more for 60 s"
    )
    assert (attempt.tokens.output, attempt.finish_reason) == (2, "stop")


@pytest.mark.parametrize(
    "pieces",
    [
        TEXT,
        # A finish reason with text after it is no end, nor is one that means a failure.
        [TEXT[0], STOP, TEXT[1]],
        [*TEXT, event(delta(finish_reason="abort"))],
    ],
)
def test_an_answer_that_may_go_on_is_not_called_whole(pieces: list[bytes]) -> None:
    fault = Fault("stream", "stall", "nothing more for 60 s", "timeout")
    attempt = read(stream(pieces)[:-1], fault=fault).attempt
    assert attempt.error_kind in ("stall", "bad_finish")
    assert "whole" not in (attempt.error_text or "")
