"""A clock that steps during a stage marks the requests that were open across it, and no other."""

import time
from pathlib import Path
from typing import Any

from observatory.core.clock import STEP_NS
from tests.load.servers import DONE, HEAD, LAST, STOP, Seen, chunk, serve, token, usage
from tests.load.stages import carry, cold_item, make_handoff

STEP_AFTER_S = 1.2
STEPPING = f"""
import functools, time
from observatory.load import clock_watch, timeline
from loadtests.chat import ChatUser

BEGAN = time.monotonic_ns()

def read():
    realtime, monotonic = time.time_ns(), time.monotonic_ns()
    stepped = monotonic > BEGAN + {STEP_AFTER_S} * 1e9
    return realtime + (50_000_000 if stepped else 0), monotonic

timeline.ClockWatch = functools.partial(clock_watch.ClockWatch, read=read, quick=read)
"""


def test_only_what_was_open_across_the_step_is_marked(tmp_path: Path) -> None:
    (tmp_path / "chat.py").write_text(STEPPING)

    def answer(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD)
        time.sleep(0.2)
        sock.sendall(token("a") + STOP + usage(1, 1) + chunk(DONE) + LAST)

    with serve({"ok": answer}) as server:
        stage = {"kind": "closed", "concurrency": 2, "steady_s": 3.0, "drain_s": 3.0}
        handoff = make_handoff(tmp_path, server.port, [cold_item("x")], stage=stage, cache="cold")
        carried = carry(handoff, loadtests=tmp_path)
    assert carried.code == 0
    marked = [record for record in carried.records if record.clock_step]
    assert 1 <= len(marked) <= 4
    assert len(marked) < len(carried.records) / 2
    before = min(record.index for record in marked)
    assert all(record.index - before <= 4 for record in marked)
    assert sum(tick.clock_step for tick in carried.ticks) == 1
    assert carried.ticks[-1].offset_change_ns > STEP_NS
    assert abs(carried.ticks[-1].offset_change_ns - 50_000_000) < 5_000_000
