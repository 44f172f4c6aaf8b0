"""The emulator's side of the wires: requests understood, replies that are not streamed.

Pure: bytes in, values and bytes out; no socket, no clock, no draw.
"""

import hmac
import math
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec

EMULATOR = "observatory-emulator"
"""How it calls itself: in `server:` and as the owner of its model."""
TOKENIZER = "words (emulator)"
"""A token of the emulator is a run of characters without white space, in prompts and in answers."""

_encode = msgspec.json.Encoder().encode
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_REASONS |= {413: "Content Too Large", 529: "Overloaded"}  # RFC 9110's, and Anthropic's own


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Body(msgspec.Struct, kw_only=True):
    """The fields that matter here of every API; others are accepted and ignored, as engines do.

    ignore_eos is the emulator's own on some of them, as engines have it.
    """

    model: str
    stream: bool = False
    ignore_eos: bool = False

    def read(self) -> tuple[list[str], int | None, bool]:
        """Return its texts, its output limit, and whether a stream of it returns usage."""
        raise NotImplementedError


class _Chat(_Body, kw_only=True):
    """A chat or a completion."""

    messages: list[dict[str, Any]] | None = None
    prompt: str | list[str | int] | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Positive | None = None
    max_completion_tokens: _Positive | None = None
    n: _Positive | None = None

    def read(self) -> tuple[list[str], int | None, bool]:
        include_usage = self.stream_options is not None and self.stream_options.include_usage
        return _chat_texts(self), self.max_completion_tokens or self.max_tokens, include_usage


class _Messages(_Body, kw_only=True):
    max_tokens: _Positive
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    system: str | list[dict[str, Any]] | None = None

    def read(self) -> tuple[list[str], int | None, bool]:
        contents = (message.get("content") for message in self.messages)
        return _texts(self.system, *contents), self.max_tokens, True


class _Responses(_Body, kw_only=True):
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: _Positive | None = None

    def read(self) -> tuple[list[str], int | None, bool]:
        given: list[Any] = [self.input]
        if not isinstance(self.input, str):
            given = [item.get("content", item.get("output")) for item in self.input]
        return _texts(self.instructions, *given), self.max_output_tokens, True


Kind = Literal["chat", "completions", "messages", "responses"]
_ROUTES: dict[str, Kind] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}


class ParsedRequest(msgspec.Struct, frozen=True):
    """A parsed request for an answer. text is the text of all its messages, joined by line breaks."""

    kind: Kind
    text: str
    stream: bool
    include_usage: bool
    limit: int | None
    fills_limit: bool


class Reply(msgspec.Struct, frozen=True):
    """An answer that needs no draw: models, health, and every refusal."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    media: str = "application/json"


_chat: msgspec.json.Decoder[_Body] = msgspec.json.Decoder(_Chat)
_DECODERS: dict[Kind, msgspec.json.Decoder[_Body]] = {
    "chat": _chat,
    "completions": _chat,
    "messages": msgspec.json.Decoder(_Messages),
    "responses": msgspec.json.Decoder(_Responses),
}


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Return a refusal with OpenAI's error object."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Reply(status, _encode(body), headers)


SERVER_ERROR = error(500, "The server had an error (emulated).", kind="server_error")
OVERLOADED = error(503, "The server is overloaded (emulated).", kind="server_error")
# Anthropic's "overloaded_error", which gateways pass on under OpenAI's error object.
OVERLOADED_529 = error(529, "Overloaded (emulated).", kind="overloaded_error")


def retry_headers(seconds: float) -> tuple[tuple[str, str], ...]:
    """Return the Retry-After headers: whole seconds (RFC 9110), and OpenAI's retry-after-ms."""
    return (
        ("retry-after", str(max(1, math.ceil(seconds)))),
        ("retry-after-ms", str(math.ceil(seconds * 1000))),
    )


def understand(
    method: str, path: str, authorization: str, body: bytes, *, model: str, key: str | None
) -> ParsedRequest | Reply:
    """Return the parsed request, or the reply that it gets at once. path is without its query."""
    kind = _ROUTES.get(path)
    if path == "/health":
        return Reply(200, b'{"status":"ok"}')
    listing = path == "/v1/models" or path.startswith("/v1/models/")
    if kind is None and not listing:
        return error(404, f"Unknown path {path}: try /v1/chat/completions", code="unknown_url")
    wanted = "POST" if kind is not None else "GET"
    if method != wanted:
        return error(405, f"{path} takes {wanted}", headers=(("allow", wanted),))
    if key is not None and not hmac.compare_digest(
        authorization.encode("utf-8", "replace"), f"Bearer {key}".encode()
    ):
        return error(401, "Incorrect API key provided.", code="invalid_api_key")
    if kind is None:
        return _models(path, model)
    try:
        return _openai_request(kind, body, model)
    except msgspec.ValidationError as problem:
        return error(400, f"Invalid request: {problem}")
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return error(400, f"The body is not JSON: {problem}")


def _models(path: str, model: str) -> Reply:
    entry = {"id": model, "object": "model", "created": 0, "owned_by": EMULATOR}
    if path == "/v1/models":
        return Reply(200, _encode({"object": "list", "data": [entry]}))
    if path.removeprefix("/v1/models/") == model:
        return Reply(200, _encode(entry))
    return _no_model(path.removeprefix("/v1/models/"))


def _no_model(name: str) -> Reply:
    return error(404, f"The model `{name}` does not exist.", code="model_not_found", param="model")


def _openai_request(kind: Kind, body: bytes, model: str) -> ParsedRequest | Reply:
    fields = _DECODERS[kind].decode(body)
    if fields.model != model:
        return _no_model(fields.model)
    refused = _refused(kind, fields) if isinstance(fields, _Chat) else None
    if refused is not None:
        return refused
    texts, limit, include_usage = fields.read()
    return ParsedRequest(
        kind=kind,
        text="\n".join(texts),
        stream=fields.stream,
        include_usage=include_usage,
        limit=limit,
        fills_limit=fields.ignore_eos,
    )


def _refused(kind: Kind, fields: _Chat) -> Reply | None:
    if kind == "chat" and not fields.messages:
        return error(400, "messages must not be empty", param="messages")
    if kind == "completions" and fields.prompt is None:
        return error(400, "prompt is missing", param="prompt")
    if isinstance(fields.prompt, list) and sum(isinstance(one, str) for one in fields.prompt) > 1:
        return error(400, "several prompts in one request are not emulated", param="prompt")
    if fields.stream_options is not None and not fields.stream:
        return error(400, "stream_options needs stream: true", param="stream_options")
    if fields.n is not None and fields.n > 1:
        return error(400, "n above 1 is not emulated", param="n")
    return None


def _chat_texts(fields: _Chat) -> list[str]:
    if fields.messages is None:
        # A list is one prompt as token ids: a token is a word here too.
        parts = fields.prompt if isinstance(fields.prompt, list) else [fields.prompt or ""]
        return [" ".join(map(str, parts))]
    pieces = []
    for message in fields.messages:
        content = message.get("content")
        if isinstance(content, str):
            pieces.append(content)
        elif isinstance(content, list):
            pieces += [str(part.get("text", "")) for part in content if isinstance(part, dict)]
    return pieces


def _texts(*contents: Any) -> list[str]:
    """Return the texts of contents: themselves, or those of their parts, and of the results within them."""
    found: list[str] = []
    for content in contents:
        if isinstance(content, str):
            found.append(content)
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict):
                found += _texts(part.get("text")) or _texts(part.get("content"))
    return found


def response_head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Return the status line and headers, with the empty line that ends them."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"server: {EMULATOR}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def render_reply(reply: Reply, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a response that is not streamed, head and body; headers are added to its own."""
    entity = (("content-type", reply.media), ("content-length", str(len(reply.body))))
    return response_head(reply.status, (*entity, *reply.headers, *headers)) + reply.body
