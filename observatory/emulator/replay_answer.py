"""The replay server's answer to every request, rendered once: bytes by the write. Pure.

It is a whole Chat Completions stream in chunked HTTP, one token an event. It imitates no service.
"""

import json
from typing import Any

MODEL = "replayed-bytes"
TEXT = "token "
"""What every event carries: a word and its space."""
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"


def answer_writes(tokens: int) -> list[bytes]:
    """Return one write a token (at least one); the head goes with the first, what ends a stream with the last."""
    writes = [_chunk(_event({"content": TEXT})) for _ in range(max(1, tokens))]
    writes[0] = _HEAD + _chunk(_event({"role": "assistant", "content": TEXT}))
    usage = {"prompt_tokens": 8, "completion_tokens": len(writes), "total_tokens": len(writes) + 8}
    last = {**_event({}), "choices": [], "usage": usage}
    ending: list[dict[str, Any] | str] = [_event({}, "stop"), last, "[DONE]"]
    writes[-1] += b"".join(_chunk(event) for event in ending) + _LAST_CHUNK
    return writes


def models_reply() -> bytes:
    """Return the answer to GET: a list of the one model."""
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "observatory"}
    body = json.dumps({"object": "list", "data": [model]}).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def _event(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-replayed",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _chunk(event: dict[str, Any] | str) -> bytes:
    text = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"))
    data = b"data: %s\n\n" % text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)
