"""A server that repeats the secrets of each request in every part of its answer, in every encoding.

The first part of a path chooses what it is: /vllm/v1, /sglang/v1 and so on are engines whose pages
describe them; /refuse, /redirect, /html, /odd, /down answer a list of models badly; a request with a
whole URL in its first line is a proxy's, and CONNECT is refused.
"""

import base64
import html
import html.entities
import itertools
import json
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

PLAIN_HEADERS = frozenset(
    [
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "connection",
    ]
)
Encoding = Callable[[str], str]
_NAMES = {
    value: f"&{name}"
    for name, value in html.entities.html5.items()
    if value in string.punctuation and name.endswith(";")
}
ENCODINGS: dict[str, Encoding] = {
    "as it is": str,
    "upper case": str.upper,
    "URL": lambda text: quote(text, safe=""),
    "URL, lower hexadecimal": lambda text: quote(text, safe="").lower(),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 after one byte": lambda text: base64.b64encode(b"k" + text.encode()).decode(),
    "Base64 after two bytes": lambda text: base64.b64encode(b"k=" + text.encode()).decode(),
    "Base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal octets": lambda text: text.encode().hex(" "),
    "hexadecimal octets, upper case": lambda text: text.encode().hex(":").upper(),
    "HTML": html.escape,
    "HTML, every sign by its name": lambda text: "".join(_NAMES.get(sign, sign) for sign in text),
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, every character escaped": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
}
"""What a server may do to a text before it repeats it."""


class _Echo(BaseHTTPRequestHandler):
    """One request after another; which encoding and which kind of answer come next is the server's."""

    protocol_version = "HTTP/1.1"
    server: "EchoServer"

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: what it is sent must not reach the terminal that is searched."""

    def do_GET(self) -> None:
        place, _, page = urlsplit(self.path).path.strip("/").partition("/")
        stated = self._said()
        if page.endswith("models"):
            self._list_models(place, stated)
        elif place == "page" or page == "metrics":
            self._answer(200, _metrics(stated, self.server.raw(self._sent())), "text/plain")
        elif (found := _DESCRIPTIONS.get((place, page))) is not None:
            self._answer(200, json.dumps(found(stated)))
        else:
            self._answer(404, json.dumps({"error": {"message": f"no page {stated}"}}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        kind = self.server.next_kind()
        stated = self._said()
        if kind == "status line":
            self.wfile.write(f"HTTP/1.1 2OO {stated}\r\n\r\n".encode("latin-1", "replace"))
            self.close_connection = True
            return
        status, media, text = _ANSWERS[kind](stated, urlsplit(self.path).path)
        self._answer(status, text, media)

    def do_CONNECT(self) -> None:
        self._answer(407, json.dumps({"error": f"who is {self._said()}?"}))

    def _list_models(self, place: str, said: str) -> None:
        if place == "refuse":
            self._answer(401, json.dumps({"error": {"message": f"Incorrect API key {said}"}}))
        elif place == "redirect":
            self._answer(302, "", location=f"/login/{quote(said)}?key={quote(said)}")
        elif place == "html":
            self._answer(200, said, f"application/{quote(said, safe='')}")
        elif place == "odd":
            self._answer(200, json.dumps({"data": [{"id": said}, {"id": f"{said}-2"}]}))
        elif place == "down":
            self._answer(503, json.dumps({"error": {"message": f"{said} is not welcome"}}))
        else:
            raw = self.server.raw(self._sent())  # the same name each time, as it is
            names = ["m"] if place != "nameless" else [f"model-{raw}"]
            self._answer(
                200,
                json.dumps({"data": [{"id": name, "owned_by": f"{place}"} for name in names]}),
            )

    def _sent(self) -> list[str]:
        """The secrets of this request: headers that are not of HTTP itself, and the query."""
        values = [
            value for name, value in self.headers.items() if name.lower() not in PLAIN_HEADERS
        ]
        return values + [value for _, value in parse_qsl(urlsplit(self.path).query)]

    def _said(self) -> str:
        return self.server.encoded(self._sent())

    def _answer(
        self, status: int, text: str, media: str = "application/json", location: str = ""
    ) -> None:
        stated = self._said()
        line = " ".join(stated.split())
        self.send_response(status, f"because {line}")
        body = text.encode()
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        if location:
            self.send_header("location", location)
        for name in _HEADERS:
            self.send_header(name, line)
        token = "".join(letter for letter in line if letter.isalnum() or letter in "-_.")
        self.send_header(f"x-ratelimit-{token}", "1")
        self.end_headers()
        self.wfile.write(body)


class EchoServer(ThreadingHTTPServer):
    """kinds: which answers to a POST come in turn."""

    daemon_threads = True

    def __init__(self, kinds: list[str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self._lock = threading.Lock()
        self._kinds = itertools.cycle(kinds or [*_ANSWERS, "status line"])
        self._encodings = itertools.cycle(ENCODINGS.values())
        self.seen: set[str] = set()

    def next_kind(self) -> str:
        """Which answer is due."""
        with self._lock:
            return next(self._kinds)

    def raw(self, sent: list[str]) -> str:
        """What was sent, in one text."""
        with self._lock:
            self.seen.update(sent)
        return " ".join(sent)

    def encoded(self, sent: list[str]) -> str:
        """What was sent, each secret in the encoding that is due."""
        with self._lock:
            self.seen.update(sent)
            encode = next(self._encodings)
        return " ".join(encode(secret.rpartition(" ")[2]) for secret in sent)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no error."""


@contextmanager
def echo_server(kinds: list[str] | None = None) -> Iterator[EchoServer]:
    """A server that runs for as long as the block."""
    with EchoServer(kinds) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


_HEADERS = [
    "x-request-id",
    "request-id",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-tokens",
    "retry-after",
    "retry-after-ms",
    "server",
    "via",
    "set-cookie",
    "server-timing",
    "openai-processing-ms",
    "openai-version",
    "openai-organization",
    "x-litellm-call-id",
    "x-litellm-model-id",
    "x-litellm-response-cost",
    "x-litellm-attempted-fallbacks",
    "llm_provider-retry-after",
    "x-envoy-upstream-service-time",
    "www-authenticate",
    "proxy-authenticate",
    "warning",
]

_DESCRIPTIONS: dict[tuple[str, str], Callable[[str], dict[str, Any]]] = {
    ("vllm", "version"): lambda said: {"version": f"0.32.0+{said}"},
    ("sglang", "get_server_info"): lambda said: {
        "version": said,
        "model_path": f"/models/{said}",
        "quantization": {said: [said]},
        "dtype": said,
    },
    ("llamacpp", "props"): lambda said: {
        "build_info": f"b1-{said}",
        "model_path": said,
        "default_generation_settings": {"n_ctx": 2048},
    },
    ("tgi", "info"): lambda said: {"version": said, "max_total_tokens": 1, "model_sha": said},
    ("ollama", "api/version"): lambda said: {"version": said},
}
"""What engines answer on pages of their own (endpoints/self_description.py)."""


def _metrics(said: str, raw: str) -> str:
    label = said.replace("\\", "\\\\").replace('"', '\\"')
    other = raw.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'vllm:cache_config_info{{block_size="{label}",cache_dtype="{other}"}} 1\n'
        f'vllm:num_requests_running{{model_name="{label}"}} 1\n'
        f'canary_gauge{{where="{label}",who="{other}"}} 1\n'
    )


def _events(*events: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def _chunk(said: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": said,
        "object": said,
        "model": f"m-{said}",
        "system_fingerprint": f"fp_{said}",
        "service_tier": said,
        said: said,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, said: said}],
    }


def _stream(said: str, path: str) -> tuple[int, str, str]:
    if path.endswith("/messages"):
        return 200, "text/event-stream", _messages(said)
    if path.endswith("/responses"):
        return 200, "text/event-stream", _responses(said)
    half = len(said) // 2
    usage = {"prompt_tokens": 3, "completion_tokens": 2, f"{said}_tokens": 1, "cost": said}
    events = _events(
        _chunk(said, {"role": said, "content": f"your key is {said[:half]}"}),
        _chunk(said, {"content": said[half:], "reasoning_content": said}),
        _chunk(said, {"tool_calls": [{"index": 0, "function": {"name": said, "arguments": said}}]}),
        _chunk(said, {}, said),
        {**_chunk(said, {}), "choices": [], "usage": usage},
    )
    return 200, "text/event-stream", events


def _messages(said: str) -> str:
    message = {"id": said, "model": said, "usage": {"input_tokens": 3, "output_tokens": 1}}
    delta = {"type": "text_delta", "text": said}
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": said}}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": said}, "usage": {"output_tokens": 2}}),
        ("message_stop", {said: said}),
    ]
    return "".join(
        f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"
        for name, fields in events
    )


def _responses(said: str) -> str:
    usage = {"input_tokens": 3, "output_tokens": 2, f"{said}_tokens": 1}
    response: dict[str, Any] = {"id": said, "model": said, "service_tier": said}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": said, "item_id": said},
        {"type": "response.output_text.done", "text": said},
        {
            "type": "response.completed",
            "response": {**response, "status": "completed", "usage": usage},
        },
    ]
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)


def _error(status: int) -> Callable[[str, str], tuple[int, str, str]]:
    def answer(said: str, path: str) -> tuple[int, str, str]:
        error = {"message": f"Invalid key {said}", "type": said, "code": said, "param": said}
        return status, "application/json", json.dumps({"error": error})

    return answer


_ANSWERS: dict[str, Callable[[str, str], tuple[int, str, str]]] = {
    "stream": _stream,
    "error 400": _error(400),
    "stream again": _stream,
    "error 429": _error(429),
    "plain error": lambda said, path: (500, "text/plain", f"Authorization: {said} was no good"),
    "error in a stream": lambda said, path: (
        200,
        "text/event-stream",
        _events({"error": {"message": f"bad {said}", "code": said}}),
    ),
    "an event of another name": lambda said, path: (
        200,
        "text/event-stream",
        f"event: {said}\ndata: {json.dumps({'type': said, 'message': said})}\n\n",
    ),
    "no JSON": lambda said, path: (200, "text/event-stream", f"data: {{{said}\n\n"),
    "a page": lambda said, path: (200, "text/html", f"<html>{said}</html>"),
    "a redirect": lambda said, path: (302, "text/plain", f"moved to /{said}"),
    "an empty answer": lambda said, path: (200, "application/json", json.dumps({said: said})),
}
