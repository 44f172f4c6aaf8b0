"""Decoding in shares of work, past the queue's bound, and when the decoder itself breaks: a record each time."""

from pathlib import Path
from typing import Any

import pytest

from observatory.load.command import EXIT_CRASHED
from tests.load.servers import DONE, HEAD, LAST, STOP, Seen, chunk, serve, token, usage
from tests.load.stages import Carried, carry, cold_item, item, make_handoff

WORDS = [f" {number}" for number in range(300)]
PATCHED = """
from observatory.load import decoding
from loadtests.chat import ChatUser

{patch}
"""


def answer(sock: Any, seen: Seen) -> None:
    """More events than are decoded in one step."""
    body = b"".join(map(token, WORDS)) + STOP + usage(1, len(WORDS)) + chunk(DONE) + LAST
    sock.sendall(HEAD + body)


def carried(folder: Path, patch: str, *, open_loop: bool = False) -> tuple[Carried, int]:
    (folder / "chat.py").write_text(PATCHED.format(patch=patch))
    stage: dict[str, Any] = {"kind": "closed", "concurrency": 8, "steady_s": 0.5, "drain_s": 5.0}
    if open_loop:
        stage |= {"kind": "constant", "rate_per_s": 10.0, "offsets_ns": [0, 100_000_000]}
    with serve({"ok": answer}) as server:
        handoff = make_handoff(
            folder, server.port, [cold_item("x")], stage=stage, cache="cold", store_text=True
        )
        return carry(handoff, loadtests=folder), len(server.seen)


def whole(result: Carried, sent: int) -> None:
    [end] = result.ends
    assert result.code == 0
    assert end.issued == end.recorded == len(result.records) == sent > 8


def test_answers_longer_than_a_step_are_whole(tmp_path: Path) -> None:
    result, sent = carried(tmp_path, "decoding.TURN_NS = 0")
    whole(result, sent)
    for record in result.records:
        assert record.answer == "".join(WORDS)
        assert len(record.attempts[0].event_ns) == len(WORDS)


def test_past_its_bound_the_queue_is_worked_off_at_once(tmp_path: Path) -> None:
    result, sent = carried(tmp_path, "decoding.MOST_QUEUED = 0")
    whole(result, sent)
    assert {record.outcome for record in result.records} == {"ok"}


def test_a_decoder_that_breaks_costs_no_record(tmp_path: Path) -> None:
    patch = """
def broken(exchange, **_):
    raise RuntimeError("a bug")
    yield

decoding.decode_steps = broken
"""
    result, sent = carried(tmp_path, patch)
    whole(result, sent)
    attempts = [record.attempts[0] for record in result.records]
    assert {(one.outcome, one.error_kind) for one in attempts} == {("error", "client")}
    assert all(one.sent is not None and one.ended is not None for one in attempts)
    assert "a bug" in result.log


@pytest.mark.parametrize(
    "place",
    [
        "records.request_record",
        "loops.OpenLoopUsers.pump",
        "loops.ClosedLoopUsers._peek",
        "transport.Transport.send",
    ],
)
def test_a_bug_anywhere_ends_the_stage_and_says_so(tmp_path: Path, place: str) -> None:
    patch = f"""
from observatory.load import loops, records
from observatory.load.connections import transport

def broken(*_, **__):
    raise RuntimeError("a bug")

{place} = broken
"""
    result, _ = carried(tmp_path, patch, open_loop=place.startswith("loops.OpenLoopUsers"))
    [end] = result.ends
    assert (result.code, end.reason) == (EXIT_CRASHED, "crashed")
    assert end.detail is not None and "a bug" in end.detail
    assert "Traceback" in result.log
    assert end.recorded == len(result.issued)


def test_answers_are_scored_and_texts_kept_only_where_asked(tmp_path: Path) -> None:
    items = [
        item("[right]", scorer="label", expected="billing", labels=["billing", "other"]),
        item("[wrong]", scorer="label", expected="billing", labels=["billing", "other"]),
        item("[secret]", scorer="exact", expected="x", sensitive=True),
        item("[odd]", scorer="no-such-scorer", expected="x"),
        item("[plain]"),
    ]

    def says(text: str) -> Any:
        body = HEAD + token(text) + STOP + usage(1, 1) + chunk(DONE) + LAST
        return lambda sock, seen: sock.sendall(body)

    texts = {"right": "billing", "wrong": "other", "secret": "x", "odd": "y", "plain": "z"}
    behaviours = {name: says(text) for name, text in texts.items()}
    with serve(behaviours) as server:
        kept = carry(make_handoff(tmp_path / "a", server.port, items, store_text=True))
        hashed = carry(make_handoff(tmp_path / "b", server.port, items))
    assert [record.score for record in kept.records] == [1.0, 0.0, 1.0, None, None]
    assert [record.answer for record in kept.records] == ["billing", "other", None, "y", "z"]
    assert kept.records[3].score_note == "scorer_failed"
    assert {record.answer for record in hashed.records} == {None}
    assert [one.answer_sha256 for one in hashed.records] == [
        one.answer_sha256 for one in kept.records
    ]
    assert len({one.answer_sha256 for one in hashed.records}) == 5


def test_a_score_is_of_the_answer_without_its_reasoning(tmp_path: Path) -> None:
    texts = {
        "unopened": ("I think\n</think>\n\nbilling", "billing"),
        "opened": ("<think>hm</think>End with </think> only", "End with </think> only"),
    }
    items = [
        item(f"[{name}]", scorer="exact", expected=expected)
        for name, (_, expected) in texts.items()
    ]

    def says(text: str) -> Any:
        body = HEAD + token(text) + STOP + usage(1, 1) + chunk(DONE) + LAST
        return lambda sock, seen: sock.sendall(body)

    with serve({name: says(text) for name, (text, _) in texts.items()}) as server:
        kept = carry(make_handoff(tmp_path / "a", server.port, items, store_text=True))
    assert [record.score for record in kept.records] == [1.0, 1.0]
    assert [record.reasoning for record in kept.records] == ["I think\n", "hm"]
