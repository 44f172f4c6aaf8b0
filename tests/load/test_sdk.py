"""`transport: sdk` compared with the lean one: the same answers, the same errors, no hidden retry."""

import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from observatory.core.connection import Connection, KeySource
from observatory.core.errors import BadInput
from observatory.endpoints.sdk_client import SdkClient
from tests.load.asking import Case, RequestOutcome, ask
from tests.load.proxies import proxying
from tests.load.servers import (
    DONE,
    HEAD,
    LAST,
    STOP,
    Behaviour,
    Close,
    Seen,
    chunk,
    reset,
    serve,
    token,
    usage,
)
from tests.load.stages import carry, item, make_handoff
from tests.load.test_proxy import HOST, secured, through, where
from tests.load.test_proxy import to as to_host
from tests.load.test_transport import slowly, to


def sdk(connection: Connection) -> Connection:
    return msgspec.structs.replace(connection, transport="sdk")


def both(
    folder: Path, server_port: int, text: str, environment: Any = None, **more: Any
) -> tuple[RequestOutcome, RequestOutcome]:
    """The same request through our own sockets, then through the client."""
    reports = []
    for transport in ("lean", "sdk"):
        case = Case(to(server_port, transport=transport, **more), [text])
        [[one]] = ask(folder, [case], environment)
        reports.append(one)
    return reports[0], reports[1]


def _status(line: str, body: bytes, *headers: str) -> Behaviour:
    def answers(sock: Any, seen: Seen) -> None:
        lines = [f"HTTP/1.1 {line}", f"Content-Length: {len(body)}", *headers]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answers


def _sends(*pieces: bytes, then: Any = None) -> Behaviour:
    def answers(sock: Any, seen: Seen) -> None:
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.01)
        if then is not None:
            then(sock)

    return answers


def _close(sock: Any) -> None:
    raise Close


def _sleep(sock: Any) -> None:
    time.sleep(2.0)


_LIMIT = json.dumps({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}).encode()
_BODY = b'{"choices": [{"index": 0, "message": {"content": "one piece"}, "finish_reason": "stop"}]}'
FAULTS: dict[str, tuple[Behaviour, tuple[Any, ...]]] = {
    "limited": (
        _status("429 Too Many", _LIMIT, "Retry-After: 7", "x-ratelimit-limit-requests: 60"),
        ("throttled", "headers", "http_status"),
    ),
    "overloaded": (_status("529 Overloaded", b""), ("throttled", "headers", "http_status")),
    "busy": (_status("503 Busy", b"", "Retry-After: 1"), ("throttled", "headers", "http_status")),
    "failed": (_status("500 Oops", b"<html>"), ("error", "headers", "http_status")),
    "redirects": (
        _status("302 Found", b"", "Location: http://127.0.0.1:1/"),
        ("error", "headers", "http_status"),
    ),
    "hangs_up": (_sends(then=_close), ("error", "headers", "early_close")),
    "reset": (_sends(then=reset), ("error", "headers", "reset")),
    "cut": (_sends(HEAD, token("one"), then=_close), ("error", "stream", "early_close")),
    "reset_late": (_sends(HEAD, token("one"), then=reset), ("error", "stream", "reset")),
    "no_end": (_sends(HEAD, token("one"), LAST), ("error", "stream", "early_close")),
    "no_http": (_sends(b"SSH-2.0-x\r\n\r\n", then=_close), ("error", "headers", "protocol")),
    "garbage": (
        _sends(HEAD, token("one"), chunk("{no json"), LAST),
        ("error", "stream", "bad_json"),
    ),
    "error_event": (
        _sends(HEAD, token("one"), chunk({"error": {"message": "lost"}}), chunk(DONE), LAST),
        ("error", "stream", "error_event"),
    ),
    "html": (
        _status("200 OK", b"<html>sorry</html>", "Content-Type: text/html"),
        ("error", "body", "not_sse"),
    ),
    "empty": (_status("200 OK", b""), ("error", "body", "empty_answer")),
    "silent": (_sends(then=_sleep), ("timeout", "headers", "timeout")),
    "stalls": (_sends(HEAD, token("one"), then=_sleep), ("timeout", "stream", "stall")),
}


@pytest.fixture(scope="module")
def faulty(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[RequestOutcome, RequestOutcome, int]]:
    """Each fault, met by both transports at once, and how many requests its server saw of each two."""
    names = list(FAULTS)
    limits = {"first_byte_timeout_s": 0.4, "between_events_timeout_s": 0.4}
    with serve({name: behaviour for name, (behaviour, _) in FAULTS.items()}) as server:
        cases = [
            Case(to(server.port, transport=transport, **limits), [f"[{name}]"])
            for name in names
            for transport in ("lean", "sdk")
        ]
        outcomes = [one for [one] in ask(tmp_path_factory.mktemp("faults"), cases)]
        seen = [one.text.strip("[]") for one in server.seen]
    return {
        name: (outcomes[2 * place], outcomes[2 * place + 1], seen.count(name))
        for place, name in enumerate(names)
    }


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_has_the_same_words(
    faulty: dict[str, tuple[RequestOutcome, RequestOutcome, int]], name: str
) -> None:
    lean, client, requests = faulty[name]
    assert where(lean) == where(client) == FAULTS[name][1], client.attempt.error_text
    assert requests == 2  # one of each transport: nothing is tried again
    assert lean.text == client.text
    one, two = lean.attempt, client.attempt
    assert one.http_status == two.http_status
    assert (one.headers is None) == (two.headers is None)
    assert len(one.event_ns) == len(two.event_ns)
    assert two.sent is not None and two.ended is not None and two.ended >= two.sent
    if one.http_status != 200:
        assert one.error_text == two.error_text or name in ("hangs_up", "reset", "no_http")


def test_limits_are_read_from_the_clients_response(
    faulty: dict[str, tuple[RequestOutcome, RequestOutcome, int]],
) -> None:
    for reported in faulty["limited"][:2]:
        assert reported.attempt.retry_after_s == 7.0
        assert reported.attempt.rate_limit_headers["x-ratelimit-limit-requests"] == "60"
        assert reported.attempt.error_text == "HTTP 429: slow down (rate_limit_exceeded)"


def test_an_answer_has_the_same_tokens_and_an_instant_for_each(tmp_path: Path) -> None:
    with serve({"ok": slowly}) as server:
        lean, client = both(tmp_path, server.port, "a")
    for reported in (lean, client):
        assert where(reported) == ("ok", None, None)
        assert reported.text == "".join(f" {number}" for number in range(8))
        assert len(reported.attempt.event_ns) == 8 and reported.attempt.saw_done
        assert (reported.attempt.tokens.prompt, reported.attempt.tokens.output) == (3, 8)
        assert reported.attempt.finish_reason == "stop"
    one = client.attempt
    order = [one.sent, one.body_sent, one.headers, *one.event_ns, one.usage_event, one.ended]
    assert None not in order and order == sorted(order)  # type: ignore[type-var]
    assert one.stamp_source == "read" and one.shared_stamps == 0
    # To an application connecting is a part of the call.
    assert (one.connect_started, one.resolved, one.connected) == (None, None, None)
    assert one.bytes_sent > len(server.seen[1].body) and one.bytes_received > 500


def test_one_whole_answer_without_a_stream(tmp_path: Path) -> None:
    with serve({"ok": _status("200 OK", _BODY, "Content-Type: application/json")}) as server:
        cases = [
            Case(to(server.port, transport=transport), ["a"], stream=False)
            for transport in ("lean", "sdk")
        ]
        [[lean], [client]] = ask(tmp_path, cases)
    for reported in (lean, client):
        assert (reported.text, reported.attempt.outcome) == ("one piece", "ok")
        assert len(reported.attempt.event_ns) == 1


def test_the_request_is_the_targets_and_nothing_ambient_is_sent(tmp_path: Path) -> None:
    canary = "sk-canary-4711-never-show-this"
    ambient = {
        "OPENAI_API_KEY": canary,
        "OPENAI_ADMIN_KEY": canary,
        "OPENAI_ORG_ID": canary,
        "OPENAI_PROJECT_ID": canary,
        "OPENAI_CUSTOM_HEADERS": f"X-Leak: {canary}",
        "OPENAI_BASE_URL": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    options: dict[str, Any] = {
        "transport": "sdk",
        "headers": {"X-Team": "${TEAM}"},
        "query": {"api-version": "2 b"},
        "key": KeySource(env="MY_KEY", header="api-key", prefix=""),
    }
    environment = {**os.environ, **ambient, "TEAM": "blue", "MY_KEY": "k-123456"}
    body = {"max_tokens": 5, "top_k": 3, "chat_template_kwargs": {"a": None}, "timeout": 9}
    with serve() as server:
        case = Case(to(server.port, **options), ["a"], body=body)
        [[reported]] = ask(tmp_path, [case], environment)
    assert reported.attempt.outcome == "ok"
    [seen] = server.seen
    assert canary not in seen.head.decode()
    lines = seen.head.decode().split("\r\n")
    assert lines[0].startswith("POST /v1/chat/completions?api-version=2")
    lower = {line.lower() for line in lines}
    assert {"x-team: blue", "api-key: k-123456", "accept-encoding: identity"} <= lower
    assert not any(line.startswith("authorization") for line in lower)
    assert any(line.startswith("user-agent: openai/python") for line in lower)
    assert json.loads(seen.body) == {
        "messages": [{"role": "user", "content": "a"}],
        "model": "m",
        "stream": True,
        **body,
    }


def test_what_keeps_it_from_connecting(tmp_path: Path) -> None:
    with serve() as server:
        closed = server.port
    with serve() as plain:
        cases = [
            Case(sdk(to(closed)), ["a"]),
            Case(sdk(to(1, host="x" * 60 + ".invalid")), ["a"]),
            Case(sdk(to(plain.port, scheme="https", connect_timeout_s=0.4)), ["a"]),
        ]
        outcomes = [one for [one] in ask(tmp_path, cases)]
    assert [where(one) for one in outcomes] == [
        ("error", "connect", "refused"),
        ("error", "dns", "unreachable"),
        ("timeout", "tls", "timeout"),
    ]
    for one in outcomes:
        assert one.attempt.sent is None and one.attempt.ended is not None


def test_tls_and_a_proxy_with_credentials(tmp_path: Path) -> None:
    context, bundle = secured(tmp_path)
    wanted = "Basic dTpwQHNzd29yZA=="  # u:p@ssword
    with serve(tls=context) as server, proxying(server.port, credentials=wanted) as proxy:
        url = f"http://u:p%40ssword@127.0.0.1:{proxy.port}"
        trusted = Case(sdk(to_host("https", ca_bundle=bundle)), ["a"])
        doubted = Case(sdk(to_host("https")), ["a"])
        [[known], [unsafe]] = ask(tmp_path, [trusted, doubted], through(url))
        [[refused]] = ask(tmp_path, [trusted], through(url.replace("p%40ssword", "wr0ngone")))
    with proxying(1, delay_s=2.0) as slow:
        limited = Case(sdk(to_host("https", connect_timeout_s=0.4)), ["a"])
        [[late]] = ask(tmp_path, [limited], through(slow))
    assert where(known) == ("ok", None, None)
    assert proxy.heads[0].startswith(f"CONNECT {HOST}:443 HTTP/1.1")
    assert where(unsafe) == ("error", "tls", "tls")
    assert "certificate" in (unsafe.attempt.error_text or "")
    assert where(refused) == ("error", "connect", "http_status")
    text = refused.attempt.error_text or ""
    assert text.startswith(f"proxy 127.0.0.1:{proxy.port}: it refused the tunnel with HTTP 407")
    assert "wr0ngone" not in text
    assert where(late) == ("timeout", "connect", "timeout")


def test_a_plain_target_through_a_proxy(tmp_path: Path) -> None:
    with serve() as server, proxying(server.port) as proxy:
        [[reported]] = ask(tmp_path, [Case(sdk(to_host("http")), ["a"])], through(proxy))
    assert where(reported) == ("ok", None, None)
    assert proxy.heads[0].startswith(f"POST http://{HOST}/v1/chat/completions HTTP/1.1")


def test_one_that_is_given_up_keeps_what_it_had_and_frees_its_user(tmp_path: Path) -> None:
    behaviours = {"stalls": FAULTS["stalls"][0], "silent": FAULTS["silent"][0]}
    with serve(behaviours) as server:
        texts = ["[stalls]", "[silent]"]
        case = Case(sdk(to(server.port)), texts, give_up_s=0.4)
        [[stalled, silent]] = ask(tmp_path, [case])
        [[after]] = ask(tmp_path, [Case(sdk(to(server.port)), ["well"])])
    assert where(stalled) == ("timeout", "stream", "timeout") and stalled.text == "one"
    assert where(silent) == ("timeout", "headers", "timeout")
    assert stalled.attempt.error_text == "given up"
    assert after.attempt.outcome == "ok"


def test_a_wire_that_the_package_does_not_speak_is_refused() -> None:
    with pytest.raises(BadInput, match="does not speak the Messages API"):
        SdkClient(to(1, wire="messages"), "chat")


def test_completions_and_responses_go_through_their_own_methods(tmp_path: Path) -> None:
    """The paths are the package's; the decoder is the wire's."""
    with serve() as server:
        responses = Case(
            sdk(to(server.port, wire="responses")), ["a"], body={"input": "hi", "messages": None}
        )
        ask(tmp_path, [responses])
        handoff = make_handoff(
            tmp_path,
            server.port,
            [msgspec.structs.replace(item("a"), body={"prompt": "a"})],
            connection={"transport": "sdk"},
            request="completions",
        )
        carry(handoff)
    paths = [seen.head.split()[1] for seen in server.seen]
    assert paths == [b"/v1/responses", b"/v1/completions"]


def test_many_users_wait_side_by_side(tmp_path: Path) -> None:
    """64 users, each a stream of 0.2 s and more at once: no pool, lock or thread makes them queue."""

    def lasts(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD + token("one"))
        until = time.monotonic() + 20
        while server.most_at_once < 64 and time.monotonic() < until:
            time.sleep(0.02)
        sock.sendall(token("two") + STOP + usage(1, 2) + chunk(DONE) + LAST)

    stage = {"kind": "closed", "concurrency": 64, "steady_s": 1.0, "drain_s": 20.0}
    with serve({"ok": lasts}) as server:
        handoff = make_handoff(
            tmp_path,
            server.port,
            [item("a")],
            connection={"transport": "sdk"},
            stage=stage,
        )
        carried = carry(handoff)
    assert carried.code == 0, carried.log
    assert server.most_at_once == 64
    assert {record.outcome for record in carried.issued} == {"ok"}
    assert len(carried.issued) == len(server.seen)
    assert all(len(record.attempts) == 1 for record in carried.issued)
    [end] = carried.ends
    assert end.issued == end.recorded == len(carried.issued)


def test_what_is_open_at_the_drain_limit_times_out(tmp_path: Path) -> None:
    stage = {"kind": "closed", "concurrency": 3, "steady_s": 0.3, "drain_s": 0.3}
    with serve({"stalls": FAULTS["stalls"][0]}) as server:
        handoff = make_handoff(
            tmp_path,
            server.port,
            [item("[stalls]")],
            connection={"transport": "sdk"},
            stage=stage,
        )
        carried = carry(handoff)
    assert carried.code == 0, carried.log
    assert [record.outcome for record in carried.issued] == ["timeout"] * 3
    assert {record.reason for record in carried.issued} == {"drain_limit"}
    for record in carried.issued:
        [attempt] = record.attempts
        assert attempt.error_phase == "stream" and len(attempt.event_ns) == 1


def test_two_workers_make_a_client_each_after_their_fork(tmp_path: Path) -> None:
    items = [item(f"{number}") for number in range(6)]
    with serve() as server:
        handoff = make_handoff(
            tmp_path, server.port, items, connection={"transport": "sdk"}, workers=2
        )
        carried = carry(handoff)
    assert carried.code == 0, carried.log
    assert [record.outcome for record in carried.records] == ["ok"] * 6
    assert {record.worker for record in carried.records} == {0, 1}
    assert len(server.seen) == 6


def test_a_certificate_that_cannot_be_used_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(BadInput, match="ca_bundle cannot be used"):
        SdkClient(to(1, scheme="https", ca_bundle=str(empty)), "chat")


def test_a_kept_connection_that_fails_after_the_head_is_not_asked_again(tmp_path: Path) -> None:
    """The client shows no byte of the head: that there was one is known by its status."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n"
    texts = [item("[no] one"), item("[headed] two")]
    behaviours = {"no": _status("404 Not Found", b"{}"), "headed": _sends(head, then=_close)}
    with serve(behaviours) as server:
        handoff = make_handoff(tmp_path, server.port, texts, connection={"transport": "sdk"})
        records = carry(handoff).records
    assert [len(record.attempts) for record in records] == [1, 1]
    assert records[1].attempts[0].reused_connection and len(server.seen) == 2
    assert (records[1].outcome, records[1].attempts[0].error_kind) == ("error", "early_close")
