"""The emulator's side of the OpenAI wire: requests understood, answers as bytes.

Pure: bytes in, values and bytes out; no socket, no clock, no draw.
"""

import hmac
from typing import Annotated, Any, Literal

import msgspec

TOKENIZER = "words (emulator)"
"""A token of the emulator is a run of characters without white space, in prompts and in answers."""

_encode = msgspec.json.Encoder().encode
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    505: "HTTP Version Not Supported",
}
STREAM_END = b"0\r\n\r\n"


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Body(msgspec.Struct):
    """The fields that matter here; others are accepted and ignored, as engines do."""

    model: str
    messages: list[dict[str, Any]] | None = None
    prompt: str | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: _Positive | None = None
    max_completion_tokens: _Positive | None = None
    n: _Positive | None = None
    ignore_eos: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A request for an answer, understood. text is all that was asked, joined by line breaks."""

    kind: Literal["chat", "completions"]
    text: str
    stream: bool
    include_usage: bool
    limit: int | None
    whole_limit: bool


class Reply(msgspec.Struct, frozen=True):
    """An answer that needs no draw: models, health, and every refusal."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


_decoder = msgspec.json.Decoder(_Body)


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """A refusal with OpenAI's error object."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Reply(status, _encode(body), headers)


SERVER_ERROR = error(500, "The server had an error (emulated).", kind="server_error")
# The limits are stand-ins of the right shape: throttling is drawn by chance, not counted.
THROTTLED = error(
    429,
    "Rate limit reached (emulated).",
    kind="requests",
    code="rate_limit_exceeded",
    headers=(
        ("retry-after", "1"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-limit-tokens", "60000"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-remaining-tokens", "59000"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-reset-tokens", "1s"),
    ),
)


def understand(
    method: str, path: str, authorization: str, body: bytes, *, model: str, key: str | None
) -> Asked | Reply:
    """What a request wants, or the reply that it gets at once. path is without its query."""
    if path == "/health":
        return Reply(200, b'{"status":"ok"}')
    routes = {"/v1/models": "GET", "/v1/chat/completions": "POST", "/v1/completions": "POST"}
    wanted = "GET" if path.startswith("/v1/models/") else routes.get(path)
    if wanted is None:
        return error(404, f"Unknown path {path}: try /v1/chat/completions", code="unknown_url")
    if method != wanted:
        return error(405, f"{path} takes {wanted}", headers=(("allow", wanted),))
    if key is not None and not hmac.compare_digest(
        authorization.encode("utf-8", "replace"), f"Bearer {key}".encode()
    ):
        return error(401, "Incorrect API key provided.", code="invalid_api_key")
    if wanted == "GET":
        return _models(path, model)
    return _asked("chat" if "chat" in path else "completions", body, model)


def _models(path: str, model: str) -> Reply:
    entry = {"id": model, "object": "model", "created": 0, "owned_by": "observatory-emulator"}
    if path == "/v1/models":
        return Reply(200, _encode({"object": "list", "data": [entry]}))
    if path.removeprefix("/v1/models/") == model:
        return Reply(200, _encode(entry))
    return _no_model(path.removeprefix("/v1/models/"))


def _no_model(name: str) -> Reply:
    return error(404, f"The model `{name}` does not exist.", code="model_not_found", param="model")


def _asked(kind: Literal["chat", "completions"], body: bytes, model: str) -> Asked | Reply:
    try:
        fields = _decoder.decode(body)
    except msgspec.ValidationError as problem:
        return error(400, f"Invalid request: {problem}")
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return error(400, f"The body is not JSON: {problem}")
    if fields.model != model:
        return _no_model(fields.model)
    if kind == "chat" and not fields.messages:
        return error(400, "messages must not be empty", param="messages")
    if kind == "completions" and fields.prompt is None:
        return error(400, "prompt is missing", param="prompt")
    if fields.stream_options is not None and not fields.stream:
        return error(400, "stream_options needs stream: true", param="stream_options")
    if fields.n is not None and fields.n > 1:
        return error(400, "n above 1 is not emulated", param="n")
    return Asked(
        kind=kind,
        text=_text(fields),
        stream=fields.stream,
        include_usage=fields.stream_options is not None and fields.stream_options.include_usage,
        limit=fields.max_completion_tokens or fields.max_tokens,
        whole_limit=fields.ignore_eos,
    )


def _text(fields: _Body) -> str:
    if fields.messages is None:
        return fields.prompt or ""
    pieces = []
    for message in fields.messages:
        content = message.get("content")
        if isinstance(content, str):
            pieces.append(content)
        elif isinstance(content, list):
            pieces += [str(part.get("text", "")) for part in content if isinstance(part, dict)]
    return "\n".join(pieces)


class AnswerBytes:
    """One answer's bytes. words are its tokens; number (of the request) makes its id."""

    def __init__(
        self,
        asked: Asked,
        words: list[str],
        finished: str,
        *,
        model: str,
        number: int,
        created: int,
    ) -> None:
        self._asked = asked
        self._chat = asked.kind == "chat"
        self._words = words
        self._finished = finished
        self._head: dict[str, Any] = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-emulated-{number:08d}",
            "object": "chat.completion" if self._chat else "text_completion",
            "created": created,
            "model": model,
            "system_fingerprint": "fp_emulated",
        }
        prompt_tokens = len(asked.text.split())
        self._usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(words),
            "total_tokens": prompt_tokens + len(words),
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
        # A token event is rendered around its word, because most of the bytes are always the same.
        before, _, after = self._event(self._choice("\0", None)).partition(b"\\u0000")
        self._before, self._after = before, after

    def opening(self) -> bytes:
        """The role-only event that opens a chat stream; nothing for completions."""
        if not self._chat:
            return b""
        delta = {"role": "assistant", "content": ""}
        return _chunk(
            self._event({"index": 0, "delta": delta, "logprobs": None, "finish_reason": None})
        )

    def token(self, place: int) -> bytes:
        """The event of one token, from 0, as a chunk."""
        word = self._words[place] if place == 0 else " " + self._words[place]
        return _chunk(self._before + _encode(word)[1:-1] + self._after)

    def closing(self) -> bytes:
        """finish_reason, usage where it was asked for, [DONE], and the end of the chunks."""
        parts = [_chunk(self._event(self._choice(None, self._finished)))]
        if self._asked.include_usage:
            parts.append(
                _chunk(_event({**self._chunk_head(), "choices": [], "usage": self._usage}))
            )
        return b"".join((*parts, _chunk(b"data: [DONE]\n\n"), STREAM_END))

    def whole(self) -> bytes:
        """The JSON body of an answer that is not streamed."""
        text = " ".join(self._words)
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": self._finished}
        if self._chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        return _encode({**self._head, "choices": [choice], "usage": self._usage})

    def _choice(self, text: str | None, finished: str | None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finished}
        if self._chat:
            choice["delta"] = {} if text is None else {"content": text}
        else:
            choice["text"] = text or ""
        return choice

    def _event(self, choice: dict[str, Any]) -> bytes:
        event = {**self._chunk_head(), "choices": [choice]}
        if self._asked.include_usage:
            event["usage"] = None  # as OpenAI does in every event but the last
        return _event(event)

    def _chunk_head(self) -> dict[str, Any]:
        return {**self._head, "object": "chat.completion.chunk"} if self._chat else self._head


def response_head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and headers, with the empty line that ends them."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "server: observatory-emulator"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def render_reply(reply: Reply) -> bytes:
    """A response that is not streamed, head and body."""
    entity = (
        ("content-type", "application/json"),
        ("content-length", str(len(reply.body))),
    )
    return response_head(reply.status, (*entity, *reply.headers)) + reply.body


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
