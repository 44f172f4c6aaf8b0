"""A kept connection that the server closed unread: one more try, both recorded, both paid for."""

from pathlib import Path
from typing import Any

import pytest

from observatory.load.handoff import Caps
from tests.load.servers import Close, Seen, answer, serve
from tests.load.stages import carry, item, make_handoff

pytestmark = pytest.mark.usefixtures("either_way")


def closes_a_kept_connection(sock: Any, seen: Seen) -> None:
    """Answers the first request of each connection, and closes it when a second one has come."""
    if first_of(sock):
        sock.sendall(answer("Hello"))
    else:
        raise Close


_met: set[int] = set()


def first_of(sock: Any) -> bool:
    new = id(sock) not in _met
    _met.add(id(sock))
    return new


def always_closes(sock: Any, seen: Seen) -> None:
    raise Close


@pytest.fixture(autouse=True)
def _fresh() -> None:
    _met.clear()


def test_both_tries_are_recorded_and_the_request_is_fine(tmp_path: Path) -> None:
    texts = ["[kept] one", "[kept] two", "[kept] three"]
    with serve({"kept": closes_a_kept_connection}) as server:
        carried = carry(make_handoff(tmp_path, server.port, [item(text) for text in texts]))
    assert carried.code == 0
    assert [record.outcome for record in carried.records] == ["ok", "ok", "ok"]
    assert [len(record.attempts) for record in carried.records] == [1, 2, 2]
    first, second = carried.records[1].attempts
    assert (first.number, first.outcome, first.error_phase, first.error_kind) == (
        0,
        "error",
        "headers",
        "early_close",
    )
    assert first.reused_connection and first.bytes_received == 0
    assert (second.number, second.outcome, second.reused_connection) == (1, "ok", False)
    assert first.sent is not None and second.sent is not None and first.sent < second.sent
    assert [end.issued for end in carried.ends] == [3]
    assert len(server.seen) == 5


def test_a_fresh_connection_that_is_closed_is_a_fault_and_tried_once(tmp_path: Path) -> None:
    with serve({"shut": always_closes}) as server:
        carried = carry(make_handoff(tmp_path, server.port, [item("[shut]")]))
    (record,) = carried.records
    assert record.outcome == "error"
    assert len(record.attempts) == len(server.seen) == 1


def test_a_stale_connection_on_the_last_try_of_a_budget_is_no_error(tmp_path: Path) -> None:
    texts = ["[kept] one", "[kept] two", "[kept] three"]
    with serve({"kept": closes_a_kept_connection}) as server:
        items = [item(text) for text in texts]
        carried = carry(make_handoff(tmp_path, server.port, items, caps=Caps(requests=2)))
    assert [(record.outcome, record.reason) for record in carried.records] == [
        ("ok", None),
        ("ok", None),
        ("refused_by_budget", "budget"),
    ]
    assert [len(record.attempts) for record in carried.records] == [1, 2, 0]
    assert carried.ends[0].spent_requests == 2
    assert len(server.seen) == 3, "the lost try's place is taken by the one that was made instead"


def test_where_tokens_have_no_room_for_another_try_it_is_no_error_of_the_service(
    tmp_path: Path,
) -> None:
    texts = ["[kept] one", "[kept] two"]
    caps = Caps(output_tokens=17)  # the first answer used 1, the second may use 16: no third try
    with serve({"kept": closes_a_kept_connection}) as server:
        handoff = make_handoff(tmp_path, server.port, [item(text) for text in texts], caps=caps)
        carried = carry(handoff)
    assert [(record.outcome, record.reason) for record in carried.records] == [
        ("ok", None),
        ("interrupted", "budget"),
    ]
    assert len(server.seen) == 2
    assert carried.ends[0].spent_output_tokens <= 17
