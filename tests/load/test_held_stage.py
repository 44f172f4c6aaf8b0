"""A whole stage of Locust against a service that refuses: what is sent while an older request has no answer."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observatory.load.command import EXIT_CRASHED
from observatory.load.refusals import ENOUGH
from tests.load.servers import Behaviour, Seen, answer, serve
from tests.load.stages import carry, cold_item, make_handoff

ITEMS = [cold_item(f"item {number}") for number in range(5)]
BODY = b'{"error": {"message": "no"}}'
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CLOSED: dict[str, Any] = {"kind": "closed", "concurrency": 4, "steady_s": 8.0, "drain_s": 8.0}
OPEN: dict[str, Any] = {
    "kind": "constant",
    "rate_per_s": 50.0,
    "steady_s": 8.0,
    "drain_s": 8.0,
    "offsets_ns": [number * 20_000_000 for number in range(400)],
}
HUNG_S = 2.5


def refuses(first: Callable[[Any], None]) -> Behaviour:
    """The first request hangs before `first` answers it; all others are refused at once."""
    lock, counted = threading.Lock(), [0]

    def behave(sock: Any, seen: Seen) -> None:
        with lock:
            counted[0] += 1
            number = counted[0]
        if number > 1:
            sock.sendall(REFUSAL)
        else:
            threading.Event().wait(HUNG_S)
            first(sock)

    return behave


@pytest.mark.parametrize(("stage", "workers"), [(CLOSED, 1), (CLOSED, 2), (OPEN, 1)])
def test_while_an_older_request_has_no_answer_nothing_more_is_sent(
    tmp_path: Path, stage: dict[str, Any], workers: int
) -> None:
    with serve({"ok": refuses(lambda sock: sock.sendall(REFUSAL))}) as server:
        handoff = make_handoff(
            tmp_path, server.port, ITEMS,
            stage=stage, workers=workers, cache="cold", stop_on_refusals=True,
        )  # fmt: skip
        carried = carry(handoff)
    assert carried.code == EXIT_CRASHED
    assert {(end.reason, end.detail) for end in carried.ends} == {("crashed", "refused_alike")}
    assert ENOUGH <= len(server.seen) <= len(carried.issued) <= ENOUGH + 4
    unsent = [record for record in carried.records if record.released is None]
    assert len(unsent) == (400 - len(carried.issued) if stage is OPEN else 0)
    assert {(record.outcome, record.reason) for record in unsent} <= {
        ("not_issued", "refused_alike")
    }


def test_once_the_older_request_is_accepted_the_held_ones_go_out_late(tmp_path: Path) -> None:
    with serve({"ok": refuses(lambda sock: sock.sendall(answer("yes")))}) as server:
        handoff = make_handoff(
            tmp_path, server.port, ITEMS, stage=OPEN, cache="cold", stop_on_refusals=True
        )
        carried = carry(handoff)
    assert carried.code == 0
    assert [end.reason for end in carried.ends] == ["complete"]
    assert len(carried.issued) == len(server.seen) == 400
    held = [record for record in carried.issued if record.pace_wait_ns > 100_000_000]
    assert len(held) >= 50, "they were due while nothing was sent"
    for record in held:
        assert record.released is not None
        assert record.released - record.scheduled >= record.pace_wait_ns
