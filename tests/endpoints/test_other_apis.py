"""An answer of another API than the one that was requested is named, on every wire, and stops a run."""

import json
from typing import Any

import pytest

from observatory.load.refusals import likeness
from observatory.runner.refused import fix_of
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import (
    chunked,
    delta,
    event,
    head,
    named,
    read,
    stream,
    usage,
    whole,
)

DONE = b"data: [DONE]\n\n"
STREAMS: dict[str, list[bytes]] = {
    "Anthropic's Messages API": [
        named({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}),
        named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
        named({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
        named({"type": "message_stop"}),
    ],
    "OpenAI's Responses API": [
        named({"type": "response.created", "response": {"status": "in_progress"}}),
        named({"type": "response.output_text.delta", "output_index": 0, "delta": "a"}),
        named({"type": "response.completed", "response": {"status": "completed"}}),
    ],
    "OpenAI's Chat Completions API": [event(delta(content="a")), event(delta(finish_reason="stop")),
                                      event(usage(3, 1)), DONE],
    "Gemini's own API": [event({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
                                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}})],
    "TGI's own API": [event({"index": 1, "token": {"id": 1, "text": "a"}, "generated_text": None})],
    "SGLang's own API": [event({"text": "a", "meta_info": {"finish_reason": None}}), DONE],
    "llama.cpp's own API": [event({"content": "a", "stop": False}), event({"content": "", "stop": True})],
    "Bedrock's Converse API": [event({"messageStart": {"role": "assistant"}}),
                               event({"contentBlockDelta": {"delta": {"text": "a"}}})],
    "Cohere's own API": [event({"type": "content-delta", "delta": {"message": {"content": {"text": "a"}}}})],
}  # fmt: skip
WIRES: dict[WireName, str] = {
    "openai": "OpenAI's Chat Completions API",
    "responses": "OpenAI's Responses API",
    "messages": "Anthropic's Messages API",
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("api", STREAMS)
def test_a_stream_of_another_api_is_named_and_alike(api: str, wire: WireName) -> None:
    attempt = read(stream(STREAMS[api]), wire=wire).attempt
    if api == WIRES[wire]:
        assert attempt.outcome == "ok"
        return
    assert (attempt.outcome, attempt.error_kind) == ("error", "not_sse")
    assert attempt.error_text == f"the answer is one of {api}, not of {WIRES[wire]}"
    assert likeness(attempt)
    fix = fix_of(likeness(attempt), attempt.error_text)
    wires = [name for name, own in WIRES.items() if own == api]
    assert (
        fix == f"set the target's wire to {wires[0]}" if wires else "OpenAI-compatible API" in fix
    )


@pytest.mark.parametrize(
    ("payload", "api"),
    [
        ({"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"},
         "Anthropic's Messages API"),
        ({"object": "response", "status": "completed", "output": []}, "OpenAI's Responses API"),
        ({"model": "m", "message": {"role": "assistant", "content": "a"}, "done": True}, "Ollama's own API"),
        ({"model_name": "m", "text_output": "a"}, "Triton's own API"),
    ],
)  # fmt: skip
def test_a_document_of_another_api_is_named(payload: dict[str, Any], api: str) -> None:
    attempt = read(whole(payload)).attempt
    assert (attempt.error_kind, attempt.error_text) == (
        "not_sse",
        f"the answer is one of {api}, not of OpenAI's Chat Completions API",
    )


def test_lines_of_ollama_are_named() -> None:
    lines = [
        {"model": "m", "message": {"content": "a"}, "done": False},
        {"model": "m", "message": {}, "done": True},
    ]
    pieces = [json.dumps(line).encode() + b"\n" for line in lines]
    reads = [head("Transfer-Encoding: chunked", kind="application/x-ndjson"), *chunked(pieces)]
    assert "Ollama's own API" in str(read(reads).attempt.error_text)


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([event(delta(role="assistant", content=""))], "early_close"),
        ([event({"id": "x", "object": "chat.completion.chunk"})], "early_close"),
        ([event(delta(role="assistant")), DONE], "empty_answer"),
        ([event({"error": {"message": "no"}, "type": "response.failed"})], "error_event"),
    ],
)
def test_what_is_of_the_api_itself_keeps_its_fault(pieces: list[bytes], kind: str) -> None:
    assert read(stream(pieces)).attempt.error_kind == kind
