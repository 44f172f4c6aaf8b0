"""A failure that a server states in its stream is one, by any name and in any form; text never is."""

from typing import Any

import pytest

from observatory.core.record import Attempt
from observatory.wires.failures.failures import failure_in, names_failure
from observatory.wires.failures.finish_reasons import end_of
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import delta, event, named, read, stream, usage, whole

DONE = b"data: [DONE]\n\n"
TEXT = [event(delta(content=text)) for text in ("one", " two")]
STOP = event(delta(finish_reason="stop"))
MESSAGE = [
    named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}})
    for text in ("one", " two")
]
MESSAGE_STOP = named({"type": "message_stop"})
RESPONSE = [
    named({"type": "response.output_text.delta", "output_index": 0, "delta": text})
    for text in ("one", " two")
]
COMPLETED = named({"type": "response.completed", "response": {"status": "completed"}})
ENDS: dict[WireName, tuple[list[bytes], list[bytes]]] = {
    "openai": (TEXT, [STOP, DONE]),
    "messages": (MESSAGE, [MESSAGE_STOP]),
    "responses": (RESPONSE, [COMPLETED]),
}
WIRES: list[WireName] = ["openai", "messages", "responses"]


def where(attempt: Attempt) -> tuple[str, str | None]:
    return attempt.outcome, attempt.error_kind


OUTSIDE = [
    b'error: {"code":500,"message":"out of memory","type":"server_error"}\n\n',
    b'error: {"code":500,"message":"out of memory"}\n',
    b"error: out of memory\n\n",
    b"Error: out of memory\n\n",
    b'{"error":{"code":500,"message":"out of memory"}}\n\n',
    b'{\n "error": {\n  "message": "out of memory"\n }\n}\n\n',
    b"Internal Server Error\n\n",
    b'event: upstream-failure\ndata: {"msg":"out of memory"}\n\n',
    b"event: failed\ndata: {}\n\n",
    b"event: upstream_timeout\n\n",
]


@pytest.mark.parametrize("failure", OUTSIDE)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_error_outside_data_is_an_error(failure: bytes, wire: WireName, end: str) -> None:
    text, ends = ENDS[wire]
    pieces = [piece.replace(b"\n", end.encode()) for piece in (*text, failure, *ends)]
    answer = read(stream(pieces), wire=wire)
    assert where(answer.attempt) == ("error", "error_event")
    assert answer.text == "one two" and len(answer.attempt.event_ns) == 2
    if b"out of memory" in failure:
        assert "out of memory" in (answer.attempt.error_text or "")
    if b"500" in failure:
        assert "500" in (answer.attempt.error_text or "")
    without_end = read(stream(pieces[:3]), wire=wire).attempt
    assert where(without_end) == ("error", "error_event")


def test_an_error_field_alone_and_within_a_block_of_data() -> None:
    alone = read(stream([OUTSIDE[0], DONE])).attempt
    assert where(alone) == ("error", "error_event") and alone.error_phase == "stream"
    within = event(delta(content="x"))[:-1] + OUTSIDE[0]
    answer = read(stream([*TEXT, within, DONE]))
    assert where(answer.attempt) == ("error", "error_event") and answer.text == "one twox"
    lines = event(delta(content="x"))[:-1] + event(delta(content="y"))[:-1] + OUTSIDE[0]
    answer = read(stream([*TEXT, lines, DONE]))
    assert where(answer.attempt) == ("error", "error_event") and answer.text == "one twoxy"


def test_bare_json_first_in_a_stream_is_read_as_its_error() -> None:
    bare = b'{"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    attempt = read(stream([bare, DONE])).attempt
    assert where(attempt) == ("throttled", "overloaded")
    assert attempt.error_text == "Overloaded (overloaded_error)"


@pytest.mark.parametrize(
    "line",
    [
        b"timeout: 30",
        b"error: null",
        b"errors: 0",
        b"foo: bar",
        b"id: error",
        b": error: x",
        b"x-y",
    ],
)
def test_other_lines_outside_data_are_passed_over(line: bytes) -> None:
    for piece in (line + b"\n\n", line + b"\n" + TEXT[1]):
        answer = read(stream([TEXT[0], piece, STOP, DONE]))
        assert (answer.attempt.outcome, answer.attempt.odd_events) == ("ok", 0)


SHAPES: list[dict[str, Any]] = [
    {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login failed"}},
    {"code": 500, "message": "boom", "type": "InternalServerError"},
    {"code": 500, "message": "boom"},
    {"code": "InvalidParameter", "message": "boom", "request_id": "1"},
    {"detail": "Internal Server Error"},
    {"detail": [{"loc": ["body"], "msg": "boom"}]},
    {"errors": [{"message": "upstream died"}]},
    {"error_code": 336100, "error_msg": "try again", "id": "x"},
    {"type": "error", "status": 500, "title": "boom"},
    {"status": "failed", "message": "boom"},
    {"status": 503},
    {"error": {}},
    {"error": True},
    {"event": "error", "message": "boom"},
    {"success": False, "msg": "boom"},
    {"header": {"code": 10013, "message": "boom"}},
    {"ResponseMetadata": {"Error": {"Code": "x", "Message": "boom"}}},
    {"ErrorMsg": {"Msg": "boom", "Code": 4001}},
    {"exception": "RuntimeError: boom"},
    {"message": "Internal Server Error"},
    {"result": {"error": {"code": -32000, "message": "boom"}}},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wire", WIRES)
def test_an_object_of_a_failures_shape_is_an_error(shape: dict[str, Any], wire: WireName) -> None:
    text, ends = ENDS[wire]
    answer = read(stream([*text, event(shape), *ends]), wire=wire)
    assert where(answer.attempt) == ("error", "error_event") and answer.text == "one two"
    for words in ("boom", "rate limit", "upstream died", "try again"):
        if words in str(shape):
            assert words in (answer.attempt.error_text or "")
    assert read(whole(shape), wire=wire, streaming=False).attempt.outcome == "error"


@pytest.mark.parametrize(
    "harmless",
    [
        {"choices": [], "base_resp": {"status_code": 0, "status_msg": "success"}},
        {"code": 0, "message": "success"},
        {"code": 200, "msg": "ok", "data": {}},
        {"code": 20000, "message": "Success"},
        {"error": None, "errors": [], "detail": None},
        {"error": {"code": 0, "message": "success"}},
        {"type": "ping"},
        {"type": "status", "detail": "the model is warming up"},
        {"status": "in_progress", "message": "step 3"},
        {"success": True, "ok": True},
        {"type": "rate_limits", "status": 200},
        {"type": "tool_call.failed", "message": "no such file"},
        {"message": "still working"},
        {"choices": [], "prompt_filter_results": [{"content_filter_results": {"filtered": False}}]},
        {"header": {"code": 0, "message": "Success", "status": 1}},
        usage(5, 2, completion_tokens_details={"reasoning_tokens": 0}),
        {"content": "error: failed", "stop": False},
    ],
)
@pytest.mark.parametrize("wire", WIRES)
def test_what_states_no_failure_is_none(harmless: dict[str, Any], wire: WireName) -> None:
    text, ends = ENDS[wire]
    attempt = read(stream([text[0], event(harmless), *text[1:], *ends]), wire=wire).attempt
    assert (attempt.outcome, len(attempt.event_ns)) == ("ok", 2)


@pytest.mark.parametrize(
    "text",
    ["error: out of memory", '{"error": {"code": 500}}', "Traceback", "\nerror: 500\n\n", "failed"],
)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("named_events", [False, True])
def test_text_about_errors_is_text(text: str, wire: WireName, named_events: bool) -> None:
    body: dict[WireName, dict[str, Any]] = {
        "openai": delta(content=text),
        "messages": {
            "type": "content_block_delta",
            "delta": {"type": "text_delta", "text": text},
        },
        "responses": {"type": "response.output_text.delta", "output_index": 0, "delta": text},
    }
    piece = (b"event: message\n" if named_events else b"") + event(body[wire])
    answer = read(stream([piece] * 3 + ENDS[wire][1]), wire=wire)
    assert (answer.attempt.outcome, answer.text) == ("ok", text * 3)


def test_a_chunk_with_text_is_no_error_by_shape() -> None:
    for more in ({"code": 500, "message": "x"}, {"status": "failed"}, {"detail": "x"}):
        answer = read(stream([event({**delta(content="a"), **more}), STOP, DONE]))
        assert (answer.attempt.outcome, answer.text) == ("ok", "a")


@pytest.mark.parametrize(
    "error",
    [
        {"code": 0, "message": "success"},
        {"message": ""},
        {},
        {"code": None, "message": None},
        {"code": "200", "msg": "OK"},
        {"code": "Success"},
        "none",
    ],
)
def test_an_error_that_states_success_is_none_next_to_an_answer(error: Any) -> None:
    last = {**delta(content="!", finish_reason="stop"), "error": error}
    assert read(stream([*TEXT, event(last), DONE])).attempt.outcome == "ok"
    inside = delta(content="!", finish_reason="stop")
    inside["choices"][0]["error"] = error
    assert read(stream([*TEXT, event(inside), DONE])).attempt.outcome == "ok"
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "error": error}
    assert read(whole(body), streaming=False).attempt.outcome == "ok"
    message = {"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}
    assert read(whole(message | {"error": error}), wire="messages").attempt.outcome == "ok"
    closing = {
        "type": "response.completed",
        "response": {"status": "completed", "error": error},
    }
    assert read(stream([*RESPONSE, named(closing)]), wire="responses").attempt.outcome == "ok"


@pytest.mark.parametrize(
    "error", [{"code": 500, "message": ""}, {"code": 0, "message": "boom"}, {"type": "x"}, "no"]
)
def test_an_error_that_states_anything_else_is_one(error: Any) -> None:
    last = {**delta(content="!", finish_reason="stop"), "error": error}
    assert where(read(stream([*TEXT, event(last), DONE])).attempt) == ("error", "error_event")


@pytest.mark.parametrize(
    "last",
    [
        {"type": "message_delta", "delta": {"stop_reason": None, "error": {"message": "boom"}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "error": {"code": 500}},
        {"type": "message_stop", "error": {"message": "boom"}},
    ],
)
def test_an_error_inside_an_event_of_messages(last: dict[str, Any]) -> None:
    attempt = read(stream([*MESSAGE, named(last), MESSAGE_STOP]), wire="messages").attempt
    assert where(attempt) == ("error", "error_event")


def test_a_failed_response_is_put_into_the_words_of_its_error() -> None:
    error = {"code": "server_error", "message": "boom"}
    last = {"type": "response.failed", "response": {"status": "failed", "error": error}}
    attempt = read(stream([*RESPONSE, named(last)]), wire="responses").attempt
    assert attempt.error_text == "boom (server_error)"


FAILED = [
    "UNEXPECTED_TOOL_CALL",
    "malformed_tool_use",
    "malformed_model_output",
    "MISSING_THOUGHT_SIGNATURE",
    "engine_error",
    "error: CUDA out of memory.",
    "engine_overloaded",
    "rate_limit",
    "rate_limit_exceeded",
    "preempted",
    "InternalServerError",
    "worker-crashed",
    "FinishReason.TIMED_OUT",
    "load",
    ["abort"],
    [{"type": "abort"}],
]
FILTERED = [
    "IMAGE_PROHIBITED_CONTENT",
    "MODEL_ARMOR",
    "IMAGE_RECITATION",
    "content-filtered",
    "data_inspection_failed",
    "ERROR_TOXIC",
    "safety_error",
]
GOOD = [
    "stop",
    "eos",
    "max_output_tokens",
    "FinishReason.MAX_TOKENS",
    "FINISH_REASON_STOP",
    "REASON_MAX_LEN",
    "stop_sequence: error",
    "stopped_eos",
    "model_context_window_exceeded",
    "end_id",
    "function_call",
    "COMPLETE",
    "max_new_tokens",
    "max_tokens_reached",
    "length_limit",
]


@pytest.mark.parametrize(
    ("reason", "outcome", "kind"),
    [(reason, "error", "bad_finish") for reason in FAILED]
    + [(reason, "filtered", "content_filter") for reason in FILTERED]
    + [(reason, "ok", None) for reason in GOOD],
)
def test_finish_reasons_are_known_by_their_words(reason: Any, outcome: str, kind: str) -> None:
    attempt = read(stream([*TEXT, event(delta(finish_reason=reason)), DONE])).attempt
    assert where(attempt) == (outcome, kind)
    assert attempt.odd_events == 0


def test_an_unknown_finish_reason_is_a_good_end_that_is_counted_as_odd() -> None:
    ends = [event(delta(finish_reason="hibernate"))] * 2
    attempt = read(stream([*TEXT, *ends, DONE])).attempt
    assert (attempt.outcome, attempt.odd_events) == ("ok", 1)
    assert attempt.odd_event == "finish reason hibernate"
    nothing = read(stream([ends[0], event(usage(0, 0)), DONE])).attempt
    assert where(nothing) == ("error", "empty_answer")
    hidden = read(stream([ends[0], event(usage(3, 9)), DONE])).attempt
    assert hidden.outcome == "ok"
    stopped = read(stream([STOP, event(usage(3, 0)), DONE])).attempt
    assert stopped.outcome == "ok"


@pytest.mark.parametrize(
    ("native", "outcome"),
    [("error", "error"), ("SAFETY", "filtered"), ("STOP", "ok"), ("odd", "ok"), (None, "ok")],
)
def test_a_gateways_native_finish_reason_counts_where_it_is_bad(
    native: str | None, outcome: str
) -> None:
    last = delta(finish_reason="stop")
    last["choices"][0]["native_finish_reason"] = native
    assert read(stream([*TEXT, event(last), DONE])).attempt.outcome == outcome


def test_a_category_that_azure_filtered_makes_the_answer_filtered() -> None:
    def verdict(filtered: bool, finish: str | None) -> bytes:
        last = delta(**({"finish_reason": finish} if finish else {}))
        results = {"hate": {"filtered": False}, "violence": {"filtered": filtered}, "error": None}
        last["choices"][0]["content_filter_results"] = results
        return event(last)

    stopped = read(stream([*TEXT, verdict(True, None), DONE])).attempt
    assert where(stopped) == ("filtered", "content_filter")
    assert "content filter" in (stopped.error_text or "")
    assert read(stream([*TEXT, verdict(False, None), STOP, DONE])).attempt.outcome == "ok"


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("error", True),
        ("response.failed", True),
        ("upstreamError", True),
        ("stream_aborted", True),
        ("response.mcp_call.failed", False),
        ("response.error", True),
        ("codex.rate_limits", False),
        ("ping", False),
        ("failover", False),
        ("terror", True),
        ("message", False),
    ],
)
def test_names_of_failures(name: str, failure: bool) -> None:
    assert names_failure(name) is failure


def test_what_is_no_object_states_no_failure_and_good_names_come_first() -> None:
    assert failure_in(b'[{"error": 1}]') is None and failure_in(b'{"error": ') is None
    assert end_of("stop_on_error") == "failed" and end_of("stop_sequence_error") == "good"
