"""A stream ends with its wire's last event, independent of HTTP after it; nothing that comes later is in it."""

import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from observatory.core.workspace import NO_RING_VARIABLE
from tests.load.asking import Case, RequestOutcome, ask
from tests.load.servers import (
    DONE,
    HEAD,
    LAST,
    STOP,
    Behaviour,
    Close,
    Seen,
    answer,
    chunk,
    serve,
    token,
)
from tests.load.test_transport import Authority, to

HELD_S = 10.0
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
LONGER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100000\r\n\r\n"
END = STOP + chunk(DONE)
PLAIN_END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
PLAIN_TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"text"}}]}\n\n'


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def with_crlf(events: bytes) -> bytes:
    return events.replace(b"\n", b"\r\n")


def comment(text: str) -> bytes:
    return framed(f": {text}\n\n".encode())


def parts(*sent: bytes | float, held_s: float = HELD_S, close: bool = True) -> Behaviour:
    """Sends the bytes and waits the seconds; then holds the connection, and closes it."""

    def behave(sock: Any, seen: Seen) -> None:
        for part in sent:
            if isinstance(part, bytes):
                sock.sendall(part)
            else:
                time.sleep(part)
        time.sleep(held_s)
        if close:
            raise Close

    return behave


def beats(sock: Any, seen: Seen) -> None:
    """Comments for ever, as c04 does."""
    sock.sendall(HEAD + token("text"))
    time.sleep(0.05)
    sock.sendall(END)
    until = time.monotonic() + HELD_S
    while time.monotonic() < until:
        time.sleep(0.02)
        with suppress(OSError):
            sock.sendall(comment("keep-alive"))
    raise Close


HELD: dict[str, Behaviour] = {
    "held": parts(HEAD + token("text"), 0.05, END),
    "beats": beats,
    "atonce": parts(HEAD + token("text") + END),
    "cut": parts(HEAD + token("text"), 0.05, STOP + chunk(DONE)[:12], 0.02, chunk(DONE)[12:]),
    "quoted": parts(HEAD + token("text"), 0.05, STOP + framed(b'data: "[DONE]"\n\n')),
    "spaces": parts(HEAD + token("text"), 0.05, STOP + framed(b"data: [done]\t  \n\n")),
    "wrapped": parts(HEAD + token("text"), 0.05, STOP + framed(b"data: data: [DONE]\n\n")),
    "bare": parts(HEAD + token("text"), 0.05, STOP + framed(b"[DONE]\n\n")),
    "named": parts(HEAD + token("text"), 0.05, STOP, framed(b"event: done\ndata: {}\n\n")),
    "namedatonce": parts(HEAD + token("text") + STOP + framed(b"event: done\ndata: {}\n\n")),
    "more": parts(HEAD + token("text"), 0.05, END + comment("bye")),
    "another": parts(HEAD + token("text"), 0.05, END + token(" and more")),
    "late": parts(HEAD + token("text"), 0.05, END, 0.15, LAST),
    "closes": parts(HEAD + token("text"), 0.05, END, held_s=0.0),
    "untilclose": parts(UNTIL_CLOSE + PLAIN_TOKEN, 0.05, PLAIN_END),
    "longer": parts(LONGER + PLAIN_TOKEN, 0.05, PLAIN_END),
    "crlf": parts(HEAD + framed(with_crlf(PLAIN_TOKEN)), 0.05, framed(with_crlf(PLAIN_END))),
}


def told_of(expected: RequestOutcome) -> tuple[Any, ...]:
    attempt = expected.attempt
    return attempt.outcome, attempt.error_text, expected.text, attempt.saw_done


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_exchange_ends_with_the_stream(tmp_path: Path, scheme: str) -> None:
    context = None
    authority = Authority(tmp_path)
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.issue("server"))
    with serve(HELD, tls=context) as server:
        trusted: dict[str, Any] = {"scheme": scheme, "ca_bundle": authority.bundle}
        connection = to(server.port, between_events_timeout_s=1.5, **trusted)
        cases = [Case(connection, [f"[{name}]", "next"]) for name in HELD]
        answers = ask(tmp_path, cases)
        held = {one.text for one in server.seen if not one.ended_ns}
    assert held == {f"[{name}]" for name in HELD if name != "closes"}, "their users went on"
    for name, [first, then] in zip(HELD, answers, strict=True):
        assert told_of(first) == ("ok", None, "text", True), name
        assert told_of(then) == ("ok", None, "Hello there", True), name
        assert not then.attempt.reused_connection, name


@pytest.mark.usefixtures("either_way")
def test_a_whole_answer_that_is_never_ended_is_a_timeout_and_named(tmp_path: Path) -> None:
    """A finish reason and usage, no [DONE], and the connection stays open."""
    counts = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    held = parts(HEAD + token("text"), 0.05, STOP + chunk(counts), held_s=3.0)
    with serve({"held": held}) as server:
        connection = to(server.port, between_events_timeout_s=0.5)
        [[first, then]] = ask(tmp_path, [Case(connection, ["[held]", "next"])])
    attempt = first.attempt
    assert (attempt.outcome, attempt.error_kind, first.text) == ("timeout", "no_end", "text")
    assert attempt.error_text == (
        "the answer was whole (finish reason stop), but [DONE] and the end of the response did not "
        "come: nothing more for 0.5 s"
    )
    assert (attempt.tokens.output, attempt.tokens.output_from) == (1, "usage")
    assert told_of(then) == ("ok", None, "Hello there", True)


@pytest.mark.parametrize("transport", ["own", "polled", "sdk"])
@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (
            "openai",
            [
                {"id": "i", "choices": [{"index": 0, "delta": {"content": "text"}}]},
                {"id": "i", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                DONE,
            ],
        ),
        (
            "messages",
            [
                {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 3}}},
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": "text"},
                },
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 1},
                },
                {"type": "message_stop"},
            ],
        ),
        (
            "responses",
            [
                {"type": "response.created", "response": {"status": "in_progress"}},
                {"type": "response.output_text.delta", "output_index": 0, "delta": "text"},
                {"type": "response.completed", "response": {"status": "completed", "usage": None}},
            ],
        ),
    ],
)
def test_every_wire_has_its_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wire: str,
    events: list[Any],
    transport: str,
) -> None:
    if (wire, transport) == ("messages", "sdk"):
        pytest.skip("the openai package does not speak the Messages API")
    monkeypatch.setenv(NO_RING_VARIABLE, "1" if transport == "polled" else "")
    sent = [part for each in events for part in (0.02, chunk(each))]
    with serve({"held": parts(HEAD, *sent)}) as server:
        connection = to(server.port, wire=wire, transport="sdk" if transport == "sdk" else "lean")
        [[reported, then]] = ask(tmp_path, [Case(connection, ["[held]", "[held]"])])
        assert not server.seen[0].ended_ns, "nobody waited for it"
    assert told_of(reported) == told_of(then) == ("ok", None, "text", True)
    assert reported.attempt.ended is not None


@pytest.mark.usefixtures("either_way")
def test_a_second_response_in_the_same_read_is_no_part_of_the_first(tmp_path: Path) -> None:
    def twice(sock: Any, seen: Seen) -> None:
        sock.sendall(answer("one") + answer("two"))

    def soon(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD + token("one"))
        time.sleep(0.03)
        sock.sendall(STOP + chunk(DONE) + LAST + answer("two"))

    def junk(sock: Any, seen: Seen) -> None:
        sock.sendall(answer("one") + b"data: nobody asked\r\n\r\n")

    behaviours: dict[str, Behaviour] = {"twice": twice, "soon": soon, "junk": junk}
    with serve(behaviours) as server:
        cases = [Case(to(server.port), [f"[{name}]", "next"]) for name in behaviours]
        for [first, then] in ask(tmp_path, cases):
            assert told_of(first) == ("ok", None, "one", True)
            assert told_of(then) == ("ok", None, "Hello there", True)
            assert not then.attempt.reused_connection
