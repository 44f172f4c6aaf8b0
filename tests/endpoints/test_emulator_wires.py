"""The emulator's Messages and Responses APIs: the same truth as its chats, in other words.

What it sends is read by our own decoders and, for Responses, by the openai package.
"""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from observatory.core.emulation.profile import Profile
from observatory.emulator.limits import Allowance
from observatory.emulator.messages import as_messages, messages_limit
from observatory.emulator.requests import ParsedRequest, Reply, understand
from observatory.wires.failures.rate_limit_headers import rate_limit_headers
from observatory.wires.http_attempt import DecodedAnswer
from observatory.wires.streams.sse import split_events
from observatory.wires.wires import WireName
from tests.endpoints.emulated_streams import HEAD, asked, profile, steps_of
from tests.endpoints.test_emulator_openai import QUICK
from tests.endpoints.wire_streams import head, read

WIRES: list[WireName] = ["messages", "responses"]
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
Start = Callable[..., tuple[str, int]]


def answered(
    wire: WireName, behaviour: Profile, *, stream: bool = True, limit: Any = None
) -> DecodedAnswer:
    """What our decoder makes of the emulator's answer on that wire."""
    kind = "chat" if wire == "openai" else wire
    steps = steps_of(behaviour, asked(kind, stream=stream, limit=limit, usage=True))
    data = b"".join(step.data for step in steps)
    if stream:
        data = head("Transfer-Encoding: chunked") + data.removeprefix(HEAD)
    return read([data], closes=True, wire=wire, streaming=stream)


def body_of(data: bytes) -> bytes:
    """The body behind the chunks' framing."""
    body, rest = b"", data.removeprefix(HEAD)
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


def arguments(answer: DecodedAnswer) -> Any:
    """What the answer's tool was called with; a call of one token has no arguments yet."""
    text = answer.tool_text.removeprefix("look_up")[1:-1]
    return json.loads(text) if text not in ("", "{}") else None


SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "tokens_per_event": st.integers(1, 3),
        "events_per_write": st.integers(1, 3),
        "comments": st.booleans(),
        "line_end": st.sampled_from(["lf", "crlf"]),
        "pieces": st.integers(1, 4),
        "padding_bytes": st.integers(0, 9),
        "answer": st.sampled_from(["text", "tool_call"]),
        "text": st.sampled_from(["question", "multibyte"]),
    },
)


@given(
    wire=st.sampled_from(WIRES),
    shape=SHAPES,
    reasoning=st.sampled_from(["hidden", "reasoning_content", "reasoning", "both"]),
    thoughts=st.sampled_from([0, 3]),
    meets=st.booleans(),
    stream=st.booleans(),
    limit=st.sampled_from([None, 4]),
)
def test_every_shape_has_the_truth_of_a_chat(
    wire: WireName, shape: Any, reasoning: str, thoughts: int, meets: bool, stream: bool, limit: Any
) -> None:
    thinks = {
        "tokens_median": thoughts,
        "tokens_p95": thoughts,
        "stream": reasoning,
        "meets_answer": meets,
    }
    behaviour = profile(shape=shape, reasoning=thinks)
    got = answered(wire, behaviour, stream=stream, limit=limit)
    chat = answered("openai", behaviour, stream=stream, limit=limit)
    ours, theirs = got.attempt, chat.attempt
    assert (ours.outcome, theirs.outcome) == ("ok", "ok")
    assert (got.text, got.reasoning) == (chat.text, chat.reasoning)
    assert ours.tokens.prompt == theirs.tokens.prompt == 3
    assert ours.tokens.output == theirs.tokens.output
    assert ours.tokens.cached == theirs.tokens.cached == 0
    assert ours.tokens.reasoning == theirs.tokens.reasoning == thoughts
    assert ours.finish_reason == (
        "length" if wire == "responses" and limit else theirs.finish_reason
    )
    assert ours.tool_calls == theirs.tool_calls
    assert arguments(got) == arguments(chat)
    if wire == "messages" and thoughts and got.reasoning:
        assert ours.tokens.streamed is None  # Anthropic's thinking is shown as a summary
    elif not meets:  # where they meet, a chat has two tokens in one event and the others two events
        assert ours.tokens.streamed == theirs.tokens.streamed


@pytest.mark.parametrize("shape", [{}, {"answer": "tool_call"}, {"text": "multibyte"}])
@pytest.mark.parametrize("reasoning", ["hidden", "reasoning"])
def test_the_openai_package_takes_every_responses_event(shape: Any, reasoning: str) -> None:
    thinks = {"tokens_median": 3, "tokens_p95": 3, "stream": reasoning}
    for limit in (None, 4):
        steps = steps_of(profile(shape=shape, reasoning=thinks), asked("responses", limit=limit))
        events = list(split_events(body_of(b"".join(step.data for step in steps))))
        taken = [EVENTS.validate_json(data) for data, _, _, _ in events]
        assert [event.sequence_number for event in taken] == list(range(len(taken)))
        assert [event.type.encode() for event in taken] == [name for _, name, _, _ in events]
        last = taken[-1].response
        assert last.status == ("incomplete" if limit and "answer" not in shape else last.status)
        texts = [event.delta for event in taken if event.type == "response.output_text.delta"]
        assert "".join(texts) == last.output_text


def test_cached_tokens_are_no_input_tokens_of_a_message() -> None:
    cached = profile(prompt_cache={"kind": "fraction", "fraction": 0.5})
    steps = steps_of(cached, asked("messages", stream=False))
    usage = json.loads(steps[-1].data.partition(b"\r\n\r\n")[2])["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (2, 1)
    tokens = answered("messages", cached, stream=False).attempt.tokens
    assert (tokens.prompt, tokens.cached, tokens.cache_write) == (3, 1, 0)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("error_event", "error_event"),
        ("garbage_event", "bad_json"),
        ("early_close", "early_close"),
        ("no_done", "early_close"),
    ],
)
def test_its_faults_are_met_on_every_wire(wire: WireName, fault: str, kind: str) -> None:
    attempt = answered(wire, profile(faults={fault: 1.0})).attempt
    assert (attempt.outcome, attempt.error_kind) == ("error", kind)
    assert attempt.event_ns  # the partial stream is kept


@pytest.mark.parametrize("wire", WIRES)
def test_usage_that_is_wrong_or_never_told(wire: WireName) -> None:
    wrong = answered(wire, profile(faults={"wrong_usage": 1.0})).attempt.tokens
    assert (wrong.prompt, wrong.output) == (round(3 * 1.5), 9)
    never = answered(wire, profile(shape={"usage": "never"})).attempt
    assert (never.outcome, never.tokens.prompt, never.tokens.output_from) == ("ok", None, "events")


def parsed(path: str, body: Any, **fields: Any) -> ParsedRequest | Reply:
    return understand(
        "POST",
        path,
        fields.pop("authorization", ""),
        json.dumps(body).encode(),
        model="m",
        key=None,
    )


def test_requests_are_understood_and_refused_by_their_own_rules() -> None:
    parts = [{"type": "text", "text": "b"}, {"type": "image", "source": {}}]
    result = [
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "c"}]}
    ]
    talk = [{"role": "user", "content": parts}, {"role": "user", "content": result}]
    body = {"model": "m", "max_tokens": 5, "system": "a", "messages": talk, "stream": True}
    assert parsed("/v1/messages", body) == ParsedRequest(
        "messages", "a\nb\nc", True, True, 5, False
    )
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "b"}]},
        {"type": "function_call_output", "call_id": "c", "output": "d"},
    ]
    body = {"model": "m", "instructions": "a", "input": items, "max_output_tokens": 9}
    assert parsed("/v1/responses", body) == ParsedRequest(
        "responses", "a\nb\nd", False, True, 9, False
    )
    assert parsed("/v1/responses", {"model": "m", "input": "x y"}) == ParsedRequest(
        "responses", "x y", False, True, None, False
    )
    for path, wrong, status in (
        ("/v1/messages", {"model": "m", "messages": talk}, 400),  # max_tokens is required
        ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": []}, 400),
        ("/v1/responses", {"model": "m"}, 400),
        ("/v1/responses", {"model": "other", "input": "x"}, 404),
    ):
        reply = parsed(path, wrong)
        assert isinstance(reply, Reply) and reply.status == status


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (404, "not_found_error"),
     (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"),
     (529, "overloaded_error")],
)  # fmt: skip
def test_refusals_are_in_anthropics_envelope(status: int, kind: str) -> None:
    openai_s = Reply(
        status,
        b'{"error":{"message":"No.","type":"x","param":null,"code":null}}',
        (("retry-after", "2"), ("retry-after-ms", "1500")),
    )
    reply = as_messages(openai_s, "req_1")
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
        "request_id": "req_1",
    }
    assert reply.headers == (("retry-after", "2"),)
    assert as_messages(Reply(200, b"{}"), "r") == Reply(200, b"{}")


def test_limits_are_said_as_anthropic_says_them() -> None:
    limits = Profile.model_validate(
        {"limits": {"requests_per_minute": 60, "tokens_per_minute": 600}}
    )
    allowance = Allowance(limits.limits)

    def says(name: str, limit: int, left: int, full_s: float) -> Any:
        return messages_limit(name, limit, left, full_s, 1_760_000_000.0)

    headers, refusal = allowance.admit(0.0, 30, "m", says)
    assert refusal is None
    assert headers == (
        ("anthropic-ratelimit-requests-limit", "60"),
        ("anthropic-ratelimit-requests-remaining", "59"),
        ("anthropic-ratelimit-requests-reset", "2025-10-09T08:53:21.000Z"),
        ("anthropic-ratelimit-tokens-limit", "600"),
        ("anthropic-ratelimit-tokens-remaining", "570"),
        ("anthropic-ratelimit-tokens-reset", "2025-10-09T08:53:23.000Z"),
    )
    stated = rate_limit_headers(dict(headers), unix_s=1_760_000_000.0)
    assert (stated.requests_per_minute, stated.tokens_per_minute) == (60, 600)
    assert (stated.requests_reset_s, stated.tokens_reset_s) == (1.0, 3.0)


def posted(
    address: tuple[str, int], body: dict[str, Any], **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    connection = http.client.HTTPConnection(*address, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/v1/messages", json.dumps(body), sent)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, answer


QUESTION = {
    "model": "emulated-model",
    "max_tokens": 4,
    "messages": [{"role": "user", "content": "Say hello now"}],
}


def test_a_served_message_and_its_headers(
    start_emulator: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMULATED_KEY", "right")
    address = start_emulator(
        profile=Profile.model_validate(QUICK | {"limits": {"requests_per_minute": 2}}),
        accept_key_env="EMULATED_KEY",
    )
    status, headers, answer = posted(address, QUESTION, x_api_key="wrong")
    assert (status, answer["error"]["type"]) == (401, "authentication_error")
    for left in ("1", "0"):
        status, headers, answer = posted(address, QUESTION, x_api_key="right")
        assert status == 200 and answer["stop_reason"] == "max_tokens"
        assert headers["anthropic-ratelimit-requests-remaining"] == left
        assert headers["request-id"].startswith("req-emulated-")
        assert "x-request-id" not in headers and "openai-processing-ms" not in headers
    status, headers, answer = posted(address, QUESTION, x_api_key="right")
    assert (status, answer["type"], answer["error"]["type"]) == (429, "error", "rate_limit_error")
    assert answer["request_id"] == headers["request-id"]
    assert int(headers["retry-after"]) >= 1 and "retry-after-ms" not in headers


def test_an_overloaded_message(start_emulator: Start) -> None:
    address = start_emulator(profile=Profile.model_validate(QUICK | {"faults": {"http_529": 1.0}}))
    status, _, answer = posted(address, QUESTION)
    assert (status, answer["error"]["type"]) == (529, "overloaded_error")


@pytest.fixture
def client(start_emulator: Start) -> Iterator[openai.OpenAI]:
    host, port = start_emulator(profile=Profile.model_validate(QUICK))
    with openai.OpenAI(
        api_key="any", base_url=f"http://{host}:{port}/v1", max_retries=0, timeout=20
    ) as made:
        yield made


@pytest.mark.usefixtures("no_ambient_openai")
def test_the_openai_client_is_served_responses(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="emulated-model", input="Say hello now")
    assert whole.status == "completed" and len(whole.output_text.split()) == 6
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (3, 6)
    with client.responses.stream(model="emulated-model", input="Say hello now") as events:
        last = events.get_final_response()
    assert len(last.output_text.split()) == 6
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="another", input="x")
