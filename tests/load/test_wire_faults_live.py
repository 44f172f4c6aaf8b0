"""Each wire fault, met by the real transport under Locust: a row with phase and kind, the partial
stream kept, the connection not used again, and the run goes on."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from observatory.core.record import Attempt
from observatory.core.workspace import NO_RING_VARIABLE
from tests.load.servers import (
    DONE,
    HEAD,
    LAST,
    STOP,
    Behaviour,
    Close,
    Seen,
    Server,
    chunk,
    reset,
    serve,
    token,
)
from tests.load.stages import Carried, carry, item, make_handoff

LIMITS = {"first_byte_timeout_s": 1.0, "between_events_timeout_s": 1.0, "total_timeout_s": 3.0}
PARTIAL = HEAD + token("one") + token(" two")


def sends(data: bytes, *, then: str = "close") -> Behaviour:
    """Send this, then close, reset or hang."""

    def behave(sock: Any, seen: Seen) -> None:
        sock.sendall(data)
        if then == "reset":
            time.sleep(0.05)  # what was sent must arrive before the RST drops it
            reset(sock)
        if then == "hang":
            sock.recv(1)
        raise Close

    return behave


def trickles(sock: Any, seen: Seen) -> None:
    """Keep-alives for ever."""
    sock.sendall(HEAD)
    while True:
        sock.sendall(b"7\r\n: ping\n\r\n")
        time.sleep(0.1)


def answers_early(sock: Any, seen: Seen) -> None:
    """Refuses a large body unread, and does not read on."""
    sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    time.sleep(5)
    raise Close


STATUS = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n" + (
    b'{"error": {"message": "bad"}}'
)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
ERROR = PARTIAL + chunk({"error": {"message": "out of memory"}}) + LAST
BEHAVIOURS: dict[str, Behaviour] = {
    "closes": sends(b""),
    "resets": sends(b"", then="reset"),
    "head_only": sends(HEAD),
    "cut": sends(PARTIAL),
    "cut_by_reset": sends(PARTIAL, then="reset"),
    "silent": sends(b"", then="hang"),
    "stalls": sends(PARTIAL, then="hang"),
    "trickles": trickles,
    "garbage": sends(b"SSH-2.0-OpenSSH\r\n", then="hang"),
    "bad_chunk": sends(PARTIAL + b"zz\r\n", then="hang"),
    "throttled": sends(STATUS % b"429 Too Many Requests"),
    "broken": sends(STATUS % b"500 Internal Server Error"),
    "page": sends(PAGE),
    "error_event": sends(ERROR),
    "no_end": sends(PARTIAL + STOP + chunk(DONE)),
    "early": answers_early,
}
EXPECTED = {
    "[closes]": ("error", "headers", "early_close"),
    "[resets]": ("error", "headers", "reset"),
    "[head_only]": ("error", "first_event", "early_close"),
    "[cut]": ("error", "stream", "early_close"),
    "[cut_by_reset]": ("error", "stream", "reset"),
    "[silent]": ("timeout", "headers", "timeout"),
    "[stalls]": ("timeout", "stream", "stall"),
    "[trickles]": ("timeout", "first_event", "timeout"),
    "[garbage]": ("error", "headers", "protocol"),
    "[bad_chunk]": ("error", "stream", "protocol"),
    "[throttled]": ("throttled", "headers", "http_status"),
    "[broken]": ("error", "headers", "http_status"),
    "[page]": ("error", "body", "not_sse"),
    "[error_event]": ("error", "stream", "error_event"),
    "[no_end]": ("ok", None, None),
    "[early]": ("error", "headers", "http_status"),
    "fine": ("ok", None, None),
}
KEPT = ("[cut]", "[cut_by_reset]", "[stalls]", "[bad_chunk]", "[error_event]", "[no_end]")


@pytest.fixture(scope="module", params=["by the kernel", "polled"])
def met(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Carried, Server]]:
    """One stage in which every fault happens once, eight at a time; read in either way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(NO_RING_VARIABLE, raising=False)
        if request.param == "polled":
            patch.setenv(NO_RING_VARIABLE, "1")
        yield from _met(tmp_path_factory)


def _met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Carried, Server]]:
    folder = tmp_path_factory.mktemp("faults")
    big = item("[early]" + "x" * (6 << 20))
    items = [item(text) for text in EXPECTED if text != "[early]"] + [big]
    items += [item("after the faults")]
    with serve(BEHAVIOURS) as server:
        handoff = make_handoff(
            folder, server.port, items, connection=LIMITS, stage={"concurrency": 8}
        )
        yield carry(handoff), server


def of(carried: Carried, name: str) -> Attempt:
    [record] = [record for record in carried.records if record.prompt_id.startswith(name)]
    return record.attempts[-1]


def test_a_large_request_after_a_silent_close_is_tried_again(tmp_path: Path) -> None:
    """The end lies behind the last answer's bytes, and the next request does not fit the kernel."""
    big = item("[early]" + "x" * (6 << 20))
    items = [item("[page]"), big] * 4
    with serve(BEHAVIOURS) as server:
        handoff = make_handoff(
            tmp_path, server.port, items, connection=LIMITS, stage={"concurrency": 1}
        )
        records = carry(handoff).records
    assert [record.outcome for record in records] == ["error"] * 8
    assert {record.attempts[-1].http_status for record in records[1::2]} == {413}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_fault_is_a_row_with_phase_and_kind(met: tuple[Carried, Server], name: str) -> None:
    attempt = of(met[0], name)
    assert (attempt.outcome, attempt.error_phase, attempt.error_kind) == EXPECTED[name]
    assert (attempt.error_text is None) == (attempt.outcome == "ok")
    assert attempt.sent is not None and attempt.ended is not None
    assert attempt.ended >= attempt.sent


@pytest.mark.parametrize("name", KEPT)
def test_the_partial_stream_is_kept(met: tuple[Carried, Server], name: str) -> None:
    attempt = of(met[0], name)
    assert attempt.event_characters == [3, 4]
    assert attempt.first_token == attempt.event_ns[0]
    assert attempt.bytes_received > 0


def test_every_request_is_recorded_and_the_run_went_on(met: tuple[Carried, Server]) -> None:
    carried, _ = met
    [end] = carried.ends
    assert carried.code == 0 and end.reason == "complete"
    assert end.issued == end.recorded == len(carried.records) == len(EXPECTED) + 1
    assert of(carried, "after the faults").outcome == "ok"
    assert carried.torn_bytes == 0


def test_a_connection_is_not_used_again_after_a_fault(tmp_path: Path) -> None:
    names = ["one", "two", "[stalls]", "three", "[no_end]", "four", "[throttled_once]", "five"]
    behaviours = {
        **BEHAVIOURS,
        "throttled_once": lambda sock, seen: sock.sendall(STATUS % b"429 Too Many"),
    }
    with serve(behaviours) as server:
        carried = carry(
            make_handoff(tmp_path, server.port, [item(name) for name in names], connection=LIMITS)
        )
        assert [record.attempts[0].reused_connection for record in carried.records] == [
            False,
            True,
            True,
            False,
            True,
            False,
            True,
            True,
        ]
        assert [seen.connection for seen in server.seen] == [0, 0, 0, 1, 1, 2, 2, 2]


def test_a_connection_closed_while_idle_is_opened_anew_without_a_fault(tmp_path: Path) -> None:
    def polite(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD + token("a") + STOP + LAST)
        raise Close

    with serve({"polite": polite}) as server:
        items = [item(f"[polite] {number}") for number in range(4)]
        stage = {"kind": "closed", "steady_s": 1.0, "drain_s": 1.0, "think_time_s": 0.05}
        carried = carry(make_handoff(tmp_path, server.port, items, stage=stage))
    assert len(carried.records) > 3
    assert {record.outcome for record in carried.records} == {"ok"}
    assert not any(record.attempts[0].reused_connection for record in carried.records)
    assert all(record.attempts[0].connect_started is not None for record in carried.records)


def test_a_target_that_refuses_is_not_asked_thousands_of_times(tmp_path: Path) -> None:
    with serve() as server:
        port = server.port
    stage = {"kind": "closed", "concurrency": 2, "steady_s": 1.5, "drain_s": 1.0}
    carried = carry(make_handoff(tmp_path, port, [item("x")], stage=stage))
    assert carried.code == 0
    assert 4 <= len(carried.records) <= 16
    for record in carried.records:
        [attempt] = record.attempts
        assert (attempt.outcome, attempt.error_phase, attempt.error_kind) == (
            "error",
            "connect",
            "refused",
        )
        assert attempt.sent is None and attempt.resolved is not None
